//! What the rows begin with: an account with something of others in it, resources of each kind, and what is done to them.

use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::super::account::Account;
use super::super::author::Author;
use super::super::calls::Call;
use super::super::cloud::Cloud;
use super::super::cloudformation::{Declared, Status, declared};
use super::super::eks;
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::Fault;
use super::super::function::github_trust;
use super::super::lambda::Function;
use super::super::plan::BOUNDARIES;
use super::super::stack::Stack;
pub(super) use super::super::world::{LAMBDA_TIMEOUT, World};

pub(super) const KINDS: [&str; 3] = [PROVIDER, ROLE, ENTRY];
/// Made by others before the first of us came: what roles trust and entries let in, where a row is about one kind only.
pub(super) const GIVEN_ISSUER: &str = "https://token.actions.githubusercontent.com/octo";
pub(super) const GIVEN_PROVIDER: &str =
    "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com/octo";
pub(super) const GIVEN_ROLE: &str = "arn:aws:iam::111122223333:role/given";
pub(super) const OUR_PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

/// Tells a story; at its end no invariant was violated.
pub(super) fn world<T>(story: impl AsyncFnOnce(&World) -> T) -> T {
    world_with(github_trust, story)
}

/// The same with another function, or with the same one made otherwise.
pub(super) fn world_with<T>(function: impl FnOnce(&Cloud) -> Function, story: impl AsyncFnOnce(&World) -> T) -> T {
    World::with(Settings::default(), function, furnish, async |world| {
        fastrand::seed(1);
        let result = story(&world).await;
        world.close().await;
        result
    })
}

fn furnish(account: &mut Account, now: std::time::SystemTime) {
    let someone = Author::Someone;
    account.iam.policies.extend(BOUNDARIES.map(str::to_owned));
    account.eks.add_cluster("prod", "API_AND_CONFIG_MAP", eks::Status::Active, now);
    let provider =
        json!({"Url": GIVEN_ISSUER, "ClientIDList": ["theirs"], "Tags": [{"Key": "owner", "Value": "them"}]});
    account.iam_as(&someone, now, "CreateOpenIDConnectProvider", &provider).expect("an empty account");
    account.iam_as(&someone, now, "CreateRole", &given_role()).expect("an empty account");
}

/// What somebody else would create a role with.
pub(super) fn foreign_role(name: &str) -> Value {
    let issuer = GIVEN_ISSUER.trim_start_matches("https://");
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": GIVEN_PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {format!("{issuer}:aud"): "theirs", format!("{issuer}:sub"): "repo:them/x:pull_request"}},
    }]});
    json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string(), "Tags": [{"Key": "owner", "Value": "them"}]})
}

/// A role that a resource of this function has made in another region, where CloudFormation cannot be asked.
pub(super) fn given_role() -> Value {
    let mut role = foreign_role("given");
    let stack = "arn:aws:cloudformation:us-east-1:111122223333:stack/roles/5f3e2c1a";
    let tag = |key: &str, value: &str| json!({"Key": format!("github-trust:{key}"), "Value": value});
    let tags = role["Tags"].as_array_mut().expect("tags");
    tags.extend([tag("stack-id", stack), tag("logical-id", "Given")]);
    role
}

pub(super) fn logical(kind: &str) -> &'static str {
    match kind {
        PROVIDER => "Provider",
        ROLE => "Role",
        _ => "Entry",
    }
}

/// One resource that needs nothing but what is given, with something of everything, in two versions that differ in all.
pub(super) fn alone(kind: &str, version: u64) -> Declared {
    let v = version.to_string();
    let tags = json!([{"Key": "version", "Value": v}, {"Key": format!("only-{v}"), "Value": ""}]);
    let properties = match kind {
        PROVIDER => json!({
            "ClientIdList": ["sts.amazonaws.com", format!("id-{v}")], "ThumbprintList": [v.repeat(40)], "Tags": tags,
        }),
        ROLE => json!({
            "RoleName": "deploy", "ProviderArn": GIVEN_PROVIDER, "PermissionsBoundary": BOUNDARIES[0],
            "Trust": [{"Repository": "acme/app", "Branches": [format!("branch-{v}"), "both"]}],
            "Description": format!("version {v}"), "MaxSessionDuration": 3600 * version,
            "ManagedPolicyArns": [policy(if version == 1 { "ReadOnlyAccess" } else { "PowerUserAccess" })],
            "Policies": [
                {"PolicyName": "both", "PolicyDocument": allow(&format!("s3:Get{v}"))},
                {"PolicyName": format!("only-{v}"), "PolicyDocument": allow(&format!("s3:Put{v}"))},
            ],
            "Tags": tags,
        }),
        _ => json!({
            "ClusterName": "prod", "PrincipalArn": GIVEN_ROLE, "Username": format!("user-{v}"),
            "KubernetesGroups": [format!("group-{v}")],
            "AccessPolicies": [
                access("AmazonEKSViewPolicy", &[&format!("namespace-{v}")]),
                access(if version == 1 { "AmazonEKSEditPolicy" } else { "AmazonEKSAdminPolicy" }, &[]),
            ],
            "Tags": tags,
        }),
    };
    declared(logical(kind), kind, properties)
}

pub(super) fn policy(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

pub(super) fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

/// A refusal that no wait and no second look changes.
pub(super) fn refused() -> Fault {
    Fault::Refuse(super::super::wire::Refusal::new("InvalidInput", 400, "no"))
}

/// An access policy for namespaces, or for the whole cluster where none is named.
pub(super) fn access(name: &str, namespaces: &[&str]) -> Value {
    let scope = if namespaces.is_empty() {
        json!({"Type": "cluster"})
    } else {
        json!({"Type": "namespace", "Namespaces": namespaces})
    };
    json!({"PolicyArn": format!("arn:aws:eks::aws:cluster-access-policy/{name}"), "AccessScope": scope})
}

/// A declaration with other properties laid over it; null takes one away.
pub(super) fn but(mut declared: Declared, changes: Value) -> Declared {
    let members = declared.properties.as_object_mut().expect("properties");
    let Value::Object(changes) = changes else { panic!("changes are members: {changes}") };
    for (name, value) in changes {
        if value.is_null() {
            members.remove(&name)
        } else {
            members.insert(name, value)
        };
    }
    declared
}

/// What can be asked of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

pub(super) const OPERATIONS: [Operation; 3] = [Operation::Create, Operation::Update, Operation::Delete];
/// The step of the history in which a operation is done.
pub(super) const OPERATION: u64 = 2;

impl Operation {
    /// Brings a stack to where the operation begins.
    pub(super) async fn prepare(self, world: &World, stack: &mut Stack, kind: &str) {
        if self != Self::Create {
            assert_eq!(stack.create(&vec![alone(kind, 1)]).await, Status::CreateComplete, "{}", world.story());
            world.lambda.settle().await;
            // What is denied on an object that is new is tried again: row 37.
            tokio::time::sleep(Duration::from_mins(2)).await;
        }
        world.cloud.begin_step(OPERATION);
    }

    pub(super) async fn perform(self, stack: &mut Stack, kind: &str) -> Status {
        match self {
            Self::Create => stack.create(&vec![alone(kind, 1)]).await,
            Self::Update => stack.update(&vec![alone(kind, 2)]).await,
            Self::Delete => stack.delete_stack().await,
        }
    }

    pub(super) fn done(self) -> Status {
        match self {
            Self::Create => Status::CreateComplete,
            Self::Update => Status::UpdateComplete,
            Self::Delete => Status::DeleteComplete,
        }
    }

    /// How many objects of ours there are afterwards.
    pub(super) fn leaves(self) -> usize {
        usize::from(self != Self::Delete)
    }
}

/// Every operation of every kind.
pub(super) fn everywhere() -> impl Iterator<Item = (&'static str, Operation)> {
    KINDS.into_iter().flat_map(|kind| OPERATIONS.map(|operation| (kind, operation)))
}

/// The calls of a operation on a quiet day, the answer's included, and the physical id that it was answered with.
pub(super) fn quiet_day(kind: &str, operation: Operation) -> (Vec<Call>, String) {
    world(async |world| {
        let mut stack = world.stack("s");
        operation.prepare(world, &mut stack, kind).await;
        assert_eq!(operation.perform(&mut stack, kind).await, operation.done(), "{}", world.story());
        world.lambda.settle().await;
        (world.calls_of_step(OPERATION), world.physical(&world.last()))
    })
}
