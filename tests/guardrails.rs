//! Guardrails, through the function, the real SDK and a simulated AWS: what they forbid is refused before any call, and what
//! they must not get in the way of gets through.

use std::ops::Deref;
use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::handler::InvocationContext;
use github_trust::ownership::digest;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::simulation::account::{ACCOUNT, Account, PARTITION, REGION};
use crate::simulation::author::Author;
use crate::simulation::cloudformation::SERVICE_TOKEN;
use crate::simulation::eks::Status;
use crate::simulation::function::function;
use crate::simulation::world::{Request, World, world};

const WORKFLOW: &str = "job_workflow_ref:octo-org/a/.github/workflows/x.yml@refs/heads/main";
pub(crate) const PROVIDER: &str = "Custom::GitHubOidcProvider";
pub(crate) const ROLE: &str = "Custom::GitHubRole";
pub(crate) const ENTRY: &str = "Custom::EksAccessEntry";
pub(crate) const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/github-boundary";

/// A world in which the function has these variables in its environment.
pub(crate) struct Place {
    pub(crate) world: World,
    account: &'static str,
}

impl Deref for Place {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

pub(crate) fn deployed<T>(variables: &[(&str, &str)], test: impl AsyncFnOnce(&mut Place) -> T) -> T {
    let furnish = |account: &mut Account, now| {
        account.eks.add_cluster("prod", "API", Status::Active, now);
        account.iam.policies.insert(BOUNDARY.to_owned());
        account.iam.settings.principals_are_checked = false;
    };
    world(Settings::default(), furnish, async |world| {
        let mut place = Place { world, account: ACCOUNT };
        place.deploy(variables);
        test(&mut place).await
    })
}

impl Place {
    /// Deploys the function again with other parameters.
    pub(crate) fn deploy(&mut self, variables: &[(&str, &str)]) {
        let variable = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned());
        self.world.settings.guardrails = Guardrails::read(variable);
    }

    pub(crate) async fn create(&mut self, kind: &str, properties: Value) -> Value {
        self.request("Create", kind, properties, None).await
    }

    pub(crate) async fn request(&mut self, request: &str, kind: &str, properties: Value, id: Option<&str>) -> Value {
        if kind == ROLE {
            self.provide(&properties);
        }
        let account = self.account;
        self.world.request(Request { request, kind, account, logical: "It", physical: id, properties }).await
    }

    /// Every provider is there where IAM takes every provider.
    fn provide(&self, properties: &Value) {
        let own = provider("");
        let issuer = properties["ProviderArn"].as_str().and_then(|arn| arn.strip_prefix(&own));
        let input =
            json!({"Url": format!("https://{}", issuer.unwrap_or_default()), "ClientIDList": ["sts.amazonaws.com"]});
        self.cloud.change_now(|account, now| {
            if !account.iam.settings.principals_are_checked {
                // It is there, or no provider can have this name.
                let _other = account.iam_as(&Author::Someone, now, "CreateOpenIDConnectProvider", &input);
            }
        });
    }

    /// The calls so far but those that brought answers, and those of them that changed something.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let state = self.cloud.state();
        let calls = state.calls.iter().filter(|call| call.service != "s3");
        (calls.clone().count(), calls.filter(|call| call.changed).count())
    }
}

fn provider(issuer: &str) -> String {
    format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

/// A role that the strictest deployment of these tests permits, with changes; null takes one away.
pub(crate) fn role(changes: Value) -> Value {
    let mut properties = json!({
        "ProviderArn": provider("token.actions.githubusercontent.com"), "RoleName": "deploy",
        "Trust": [{"Repository": "octo-org/app", "Branches": ["main"]}], "PermissionsBoundary": BOUNDARY,
    });
    let Value::Object(changes) = changes else { panic!("changes are members: {changes}") };
    for (name, value) in changes {
        match value {
            Value::Null => drop(properties.as_object_mut().unwrap().remove(&name)),
            value => properties[name] = value,
        }
    }
    properties
}

fn entry(policy: &str, namespaces: &[&str]) -> Value {
    let scope = match namespaces {
        [] => json!({"Type": "cluster"}),
        namespaces => json!({"Type": "namespace", "Namespaces": namespaces}),
    };
    json!({
        "ClusterName": "prod", "PrincipalArn": format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy"),
        "AccessPolicies": [{"PolicyArn": policy, "AccessScope": scope}],
    })
}

fn node(kind: &str) -> Value {
    let mut entry = entry("", &[]);
    entry.as_object_mut().unwrap().remove("AccessPolicies");
    entry["Type"] = json!(kind);
    entry
}

fn adopting() -> Value {
    let mut entry = node("STANDARD");
    entry["OnExisting"] = json!("Adopt");
    entry
}

fn inline() -> Value {
    json!([{"PolicyName": "all", "PolicyDocument": {
        "Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    }}])
}

/// An entry for another principal, or in another cluster.
fn entry_of(principal: &str, cluster: &str) -> Value {
    let mut entry = entry("AmazonEKSViewPolicy", &[]);
    (entry["PrincipalArn"], entry["ClusterName"]) = (json!(principal), json!(cluster));
    entry
}

const STRICT: [(&str, &str); 10] = [
    ("ROLE_PERMISSIONS_BOUNDARY", BOUNDARY),
    ("ALLOWED_GITHUB_OWNERS", "octo-org,octo-lab"),
    ("ALLOWED_ISSUERS", "token.actions.githubusercontent.com,*/_services/token"),
    ("FORBIDDEN_MANAGED_POLICIES", "arn:*:iam::aws:policy/AdministratorAccess*"),
    ("ALLOWED_KUBERNETES_SUBJECTS", "team-*"),
    ("ALLOWED_CLUSTERS", "prod,test-*"),
    ("ALLOWED_NAMESPACES", "team-*,kube-*"),
    ("ALLOWED_PRINCIPALS", "arn:*:iam::111122223333:role/github/*"),
    ("GUARDRAIL_CONTACT", "platform@example.com"),
    ("MAX_SESSION_DURATION", "7200"),
];

#[test]
fn guardrails_refuse_all_they_forbid_at_once_before_any_call() {
    let aws = |name: &str| format!("arn:aws:iam::aws:policy/{name}");
    let trust = |entry: Value| role(json!({"Trust": [entry]}));
    let asked: Vec<(&str, Value)> = vec![
        (PROVIDER, json!({"Url": "https://token.actions.githubusercontent.com/octo"})),
        (PROVIDER, json!({"ThumbprintList": ["0".repeat(40)]})),
        (PROVIDER, json!({"ClientIdList": ["sts.amazonaws.com", "vault.example.com"]})),
        (ROLE, role(json!({"ProviderArn": provider("token.actions.octo.ghe.com")}))),
        (ROLE, role(json!({"Path": "/"}))),
        (ROLE, role(json!({"Path": "/githubs/"}))),
        (ROLE, role(json!({"PermissionsBoundary": aws("AdministratorAccess")}))),
        (ROLE, trust(json!({"Repository": "stranger/app", "Branches": ["main"]}))),
        (ROLE, trust(json!({"Subjects": ["repo:stranger/app:ref:refs/heads/main"]}))),
        (ROLE, trust(json!({"Subjects": ["environment:repository_owner:workflow:octo:repository_id:42"]}))),
        (ROLE, trust(json!({"Subjects": [format!("repository_owner:octo-org:{WORKFLOW}")]}))),
        (ROLE, trust(json!({"Repository": "octo-org/*", "Branches": ["main"]}))),
        (ROLE, trust(json!({"Repository": "octo-org/app", "AnyRef": true, "Subjects": ["repo:octo-org/app:*"]}))),
        (ROLE, role(json!({"ManagedPolicyArns": [aws("ReadOnlyAccess"), aws("AdministratorAccess-Amplify")]}))),
        (ROLE, role(json!({"ManagedPolicyArns": ["arn:aws:iam::111122223333:policy/admin"]}))),
        (ROLE, role(json!({"MaxSessionDuration": 7201}))),
        (ROLE, role(json!({"OnExisting": "Adopt"}))),
        (ROLE, role(json!({"Path": "/", "PermissionsBoundary": aws("ReadOnlyAccess"), "OnExisting": "Adopt"}))),
        (ENTRY, entry("AmazonEKSClusterAdminPolicy", &[])),
        (ENTRY, node("HYBRID_LINUX")),
        (ENTRY, adopting()),
        (ENTRY, entry("AmazonEKSAdminPolicy", &["team-a", "kube-system"])),
        (ENTRY, entry("AmazonEKSEditPolicy", &["k*"])),
        (ENTRY, entry("AmazonEKSEditPolicy", &["team-a", "payments", "p*"])),
        (ENTRY, entry("AmazonEKSLoadBalancingClusterPolicy", &[])),
        (ENTRY, entry("AmazonEKSPolicyOfTomorrow", &["team-a"])),
        (ENTRY, entry_of("arn:aws:iam::111122223333:role/deploy", "test-1")),
        (ENTRY, entry_of("arn:aws:iam::111122223333:role/github/deploy", "production")),
        (
            ENTRY,
            json!({
                "ClusterName": "prod", "PrincipalArn": format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy"),
                "KubernetesGroups": ["team-a", "platform-admins"], "Username": "boss",
            }),
        ),
    ];
    let mut table = String::new();
    for (kind, properties) in asked {
        deployed(&STRICT, async |place| {
            let answer = place.create(kind, properties.clone()).await;
            assert_eq!(answer["Status"], "FAILED", "{properties}");
            assert!(answer["PhysicalResourceId"].as_str().unwrap().starts_with("never-created/"));
            assert_eq!(place.calls(), (0, 0), "{}", place.cloud.story());
            let (what, who) = answer["Reason"].as_str().unwrap().rsplit_once(". ").unwrap();
            assert_eq!(
                who,
                "Guardrails are parameters of the stack that deploys github-trust in account 111122223333, region \
                 eu-west-1: who may update that stack can change them (platform@example.com)"
            );
            table.push_str(&what.replace("; `", "\n  `"));
            table.push('\n');
        });
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_deployment_that_says_nothing_forbids_what_can_make_an_administrator() {
    let managed = |name: &str| role(json!({"ManagedPolicyArns": [format!("arn:aws:iam::aws:policy/{name}")]}));
    let forbidden = [
        (PROVIDER, json!({"Url": "https://ghe.example.com/_services/token"})),
        (PROVIDER, json!({"Url": "https://token.actions.octo.ghe.com"})),
        (PROVIDER, json!({"ThumbprintList": ["0".repeat(40)]})),
        (PROVIDER, json!({"ClientIdList": ["vault.example.com"]})),
        (ROLE, role(json!({"Trust": [{"Subjects": [format!("repository_owner:o:{WORKFLOW}")]}]}))),
        (ROLE, role(json!({"ProviderArn": provider("ghe.example.com/_services/token")}))),
        (ROLE, role(json!({"Trust": [{"Repository": "octo-org/*", "Branches": ["main"]}]}))),
        (ROLE, role(json!({"Path": "/"}))),
        (ROLE, role(json!({"Policies": inline()}))),
        (ROLE, managed("AdministratorAccess")),
        (ROLE, managed("IAMFullAccess")),
        (ROLE, managed("PowerUserAccess")),
        (ROLE, managed("AWSLambda_FullAccess")),
        (ROLE, managed("ReadOnlyAccess")),
        (ROLE, role(json!({"ManagedPolicyArns": [BOUNDARY]}))),
        (ROLE, role(json!({"MaxSessionDuration": 43200}))),
        (ROLE, role(json!({"OnExisting": "Adopt"}))),
        (ENTRY, entry("AmazonEKSClusterAdminPolicy", &[])),
        (ENTRY, entry("AmazonEKSEditPolicy", &["team-a"])),
        (ENTRY, entry("AmazonEKSSecretReaderPolicy", &["team-a"])),
        (ENTRY, entry("AmazonEKSAdminViewPolicy", &[])),
        (ENTRY, entry_of("arn:aws:iam::999988887777:role/deploy", "prod")),
        (ENTRY, node("EC2_LINUX")),
        (ENTRY, adopting()),
    ];
    for (kind, properties) in forbidden {
        deployed(&[], async |place| {
            let answer = place.create(kind, properties.clone()).await;
            assert!(answer["Reason"].as_str().unwrap_or_default().contains("(guardrail"), "{properties}: {answer}");
        });
    }
    for (kind, properties) in [
        (
            ROLE,
            role(json!({"PermissionsBoundary": null, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/SecurityAudit"]})),
        ),
        (ENTRY, entry("AmazonEKSViewPolicy", &[])),
        (ENTRY, entry("AmazonEKSViewPolicy", &["kube-system"])),
    ] {
        deployed(&[], async |place| {
            if kind == ENTRY {
                place.create(ROLE, role(json!({"PermissionsBoundary": null}))).await;
            }
            let answer = place.create(kind, properties.clone()).await;
            assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        });
    }
}

#[test]
fn pins_and_other_audiences_are_taken_where_the_deployment_allows_them() {
    let allowed = [("ALLOW_THUMBPRINT_PINS", "true"), ("ALLOWED_AUDIENCES", "sts.amazonaws.com,https://vault.*")];
    deployed(&allowed, async |place| {
        let properties = json!({"ThumbprintList": ["0".repeat(40)], "ClientIdList": ["https://vault.example.com"]});
        let answer = place.create(PROVIDER, properties).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    });
}

#[test]
fn an_audience_that_could_mean_several_is_refused() {
    for audience in ["${token.actions.githubusercontent.com:aud}", "*", "sts.?mazonaws.com"] {
        deployed(&[], async |place| {
            let answer = place.create(ROLE, role(json!({"PermissionsBoundary": null, "Audience": audience}))).await;
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("`Audience`: expected 1 to 255 characters without"), "{audience}: {answer}");
        });
    }
}

/// What somebody who may write secrets wants the function to make: by its schedule, or by the next request for the entry.
async fn planted(place: &mut Place, policy: &str, groups: &[&str], more: Value) {
    let (stack, role) =
        (format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/s"), role(json!({"PermissionsBoundary": null})));
    place.provide(&role);
    let request =
        Request { request: "Create", kind: ROLE, account: ACCOUNT, logical: "Role", physical: None, properties: role };
    place.world.request(request).await;
    let now = place.cloud.now();
    place.cloud.state().account.stacks.set_current((&format!("{stack}/1"), "Role"), "deploy", now);
    let principal = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy");
    let tags = json!({
        "github-trust:stack-id": format!("{stack}/1"),
        "github-trust:logical-id": "It",
        "github-trust:role-id": format!("AROA1 {}", digest(&[&stack, "Role"], 20)),
    });
    let mut tags = tags;
    tags.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let record = json!({
        "cluster": "prod", "principal": principal, "type": "STANDARD", "username": "deploy", "groups": groups, "tags": tags,
        "policies": {(format!("arn:aws:eks::aws:cluster-access-policy/{policy}")): "cluster"},
        "committed": true, "process": "x",
    });
    place.cloud.change_now(|account, now| {
        let name = format!("github-trust/access-entry/{}", digest(&["prod", &principal], 26));
        let input = json!({"Name": name, "SecretString": record.to_string(), "ClientRequestToken": "planted-by-them"});
        account.secrets.handle("CreateSecret", &input, &Author::Someone, now).unwrap();
    });
}

const PLANTED: [(&str, &str, bool); 3] = [
    ("AmazonEKSViewPolicy", "team-a", true),
    ("AmazonEKSClusterAdminPolicy", "team-a", false),
    ("AmazonEKSViewPolicy", "platform-admins", false),
];

#[test]
fn an_entry_that_somebody_planted_for_the_scheduled_run_is_not_made() {
    let schedule = r#"{"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#;
    for (policy, group, made) in PLANTED {
        deployed(&[("ALLOWED_KUBERNETES_SUBJECTS", "team-*,deploy")], async |place| {
            planted(place, policy, &[group], json!({})).await;
            let deadline = place.cloud.now() + Duration::from_mins(15);
            let context = InvocationContext { deadline, function_arn: SERVICE_TOKEN.to_owned() };
            let run = function(&place.cloud, place.world.settings.clone()).handle(schedule, &context).await;
            let entries = format!("{:?}", place.cloud.state().account.eks);
            assert_eq!(entries.contains("cluster-access-policy"), made, "{policy} {group}: {run:?} {entries}");
            assert_eq!(run.is_ok(), made, "{run:?}");
        });
    }
}

#[test]
fn an_entry_that_somebody_planted_for_an_update_is_not_made() {
    for (policy, group, made) in PLANTED {
        deployed(&[("ALLOWED_KUBERNETES_SUBJECTS", "team-*,deploy")], async |place| {
            planted(place, policy, &[group], json!({})).await;
            let mut declared = entry("", &[]);
            declared.as_object_mut().unwrap().remove("AccessPolicies");
            let answer = place.create(ENTRY, declared).await;
            let entries = format!("{:?}", place.cloud.state().account.eks);
            assert_eq!(answer["Status"] == "SUCCESS", made, "{policy} {group}: {answer}");
            assert_eq!(entries.contains("cluster-access-policy"), made, "{policy} {group}: {entries}");
        });
    }
}

#[test]
fn stricter_guardrails_stop_no_deletion_of_an_adopted_entry() {
    deployed(&[("ALLOWED_KUBERNETES_SUBJECTS", "team-*,deploy")], async |place| {
        let adopted = json!({"github-trust:adopted": "true"});
        planted(place, "AmazonEKSViewPolicy", &["platform-admins"], adopted).await;
        let declared = entry("AmazonEKSViewPolicy", &[]);
        let id = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/github/deploy|prod");
        let answer = place.request("Delete", ENTRY, declared, Some(&id)).await;
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    });
}

#[test]
fn policies_of_namespaces_are_given_where_the_deployment_names_them() {
    for (allowed, namespaces, given) in [
        ("", &["team-a"][..], false),
        ("team-*", &["team-a", "team-b-*"], true),
        ("team-*", &["team-a", "other"], false),
        ("team-*", &["t*"], false),
        ("*", &["payments"], true),
        ("*", &["argocd"], false),
        ("*,argocd", &["argocd"], false),
        ("*", &["*"], false),
    ] {
        deployed(&[("ALLOWED_NAMESPACES", allowed)], async |place| {
            place.create(ROLE, role(json!({"PermissionsBoundary": null}))).await;
            let answer = place.create(ENTRY, entry("AmazonEKSAdminPolicy", namespaces)).await;
            assert_eq!(answer["Status"] == "SUCCESS", given, "{allowed} {namespaces:?}: {answer}");
        });
    }
}

#[test]
fn inline_policies_need_the_boundary_or_the_deployments_leave() {
    let policies = |boundary: Option<&str>| role(json!({"Policies": inline(), "PermissionsBoundary": boundary}));
    for (variables, boundary, allowed) in [
        (vec![], Some(BOUNDARY), false),
        (vec![("ROLE_PERMISSIONS_BOUNDARY", BOUNDARY)], Some(BOUNDARY), true),
        (vec![("ALLOW_INLINE_POLICIES", "Always")], None, true),
        (vec![("ALLOW_INLINE_POLICIES", "Never"), ("ROLE_PERMISSIONS_BOUNDARY", BOUNDARY)], Some(BOUNDARY), false),
        (vec![("ALLOW_INLINE_POLICIES", "always")], None, false),
    ] {
        deployed(&variables, async |place| {
            let answer = place.create(ROLE, policies(boundary)).await;
            assert_eq!(answer["Status"] == "SUCCESS", allowed, "{variables:?}: {answer}");
        });
    }
}

#[test]
fn a_role_without_a_path_goes_where_roles_may_be() {
    deployed(&[("ROLE_PATH", "/platform/ci/")], async |place| {
        let answer = place.create(ROLE, role(json!({}))).await;
        assert_eq!(answer["Data"]["Arn"], format!("arn:aws:iam::{ACCOUNT}:role/platform/ci/deploy"));
        let below = role(json!({"Path": "/platform/ci/team-a/", "RoleName": "other"}));
        assert_eq!(place.create(ROLE, below).await["Status"], "SUCCESS");
    });
}

#[test]
fn a_role_without_a_boundary_gets_that_of_the_deployment() {
    let read = json!(["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    deployed(&[], async |place| {
        let mut before = role(json!({"PermissionsBoundary": null}));
        assert_eq!(place.create(ROLE, before.clone()).await["Status"], "SUCCESS");
        place.deploy(&[("ROLE_PERMISSIONS_BOUNDARY", BOUNDARY)]);
        let left_out = role(json!({"RoleName": "new", "PermissionsBoundary": null, "ManagedPolicyArns": read}));
        assert_eq!(place.create(ROLE, left_out).await["Status"], "SUCCESS");
        // One from before gets it before anything else is changed.
        before["Description"] = json!("changed");
        before["Trust"][0]["Branches"] = json!(["release"]);
        assert_eq!(place.request("Update", ROLE, before, Some("deploy")).await["Status"], "SUCCESS");
        let state = place.cloud.state();
        let boundaries: Vec<_> = state.account.iam.roles.all().map(|(_, role)| role.boundary.as_deref()).collect();
        assert_eq!(boundaries, [Some(BOUNDARY), Some(BOUNDARY)]);
        let changes = state.calls.iter().filter(|call| call.changed && call.service == "iam");
        let order: Vec<_> =
            changes.map(|call| call.action.as_str()).skip_while(|action| *action != "TagRole").collect();
        let first = order.iter().position(|action| *action == "PutRolePermissionsBoundary");
        assert!(first < order.iter().position(|action| *action == "UpdateRole"), "{order:?}");
        assert!(first < order.iter().position(|action| *action == "UpdateAssumeRolePolicy"), "{order:?}");
    });
}

#[test]
fn sessions_of_six_hours_are_permitted_by_default_and_no_longer_ones() {
    deployed(&[], async |place| {
        for (seconds, is_permitted) in [(21_601, false), (21_600, true)] {
            let declared = role(json!({"PermissionsBoundary": null, "MaxSessionDuration": seconds}));
            let answer = place.create(ROLE, declared).await;
            assert_eq!(answer["Status"] == "SUCCESS", is_permitted, "{answer}");
        }
    });
}

#[test]
fn stricter_guardrails_stop_no_deletion_and_no_unchanged_update() {
    let broad = json!([{"Repository": "octo-org/app", "AnyRef": true}]);
    let before = role(json!({"Path": "/", "PermissionsBoundary": null, "MaxSessionDuration": 43200, "Trust": broad}));
    let none = [("ROLE_PATH", "/"), ("MAX_SESSION_DURATION", "43200"), ("ALLOW_BROAD_TRUST", "true")];
    deployed(&none, async |place| {
        assert_eq!(place.create(ROLE, before.clone()).await["Status"], "SUCCESS");
        place.deploy(&STRICT);
        let (_, changes) = place.calls();
        // As the rollback of an update that was refused asks for it.
        let answer = place.request("Update", ROLE, before.clone(), Some("deploy")).await;
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!("deploy")));
        assert_eq!(answer["Data"]["RoleName"], "deploy");
        // Anything else has to keep to them.
        let mut more = before.clone();
        more["Description"] = json!("more");
        let answer = place.request("Update", ROLE, more, Some("deploy")).await;
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("deploy")));
        assert_eq!(place.calls().1, changes, "{}", place.cloud.story());
        assert_eq!(place.request("Delete", ROLE, before.clone(), Some("deploy")).await["Status"], "SUCCESS");
        assert!(place.cloud.state().account.iam.roles.all().next().is_none());
    });
}

#[test]
fn stacks_of_other_accounts_are_served_where_the_deployment_names_them() {
    const OTHER: &str = "999988887777";
    let properties = role(json!({"PermissionsBoundary": null}));
    deployed(&[], async |place| {
        place.account = OTHER;
        let answer = place.create(ROLE, properties.clone()).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("in account 999988887777") && reason.contains("`StackAccounts`"), "{reason}");
        // The rollback's Delete must not fail for the same reason.
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        assert_eq!(place.request("Delete", ROLE, properties.clone(), Some(id)).await["Status"], "SUCCESS");
        assert_eq!(place.calls().1, 0, "{}", place.cloud.story());
        place.deploy(&[("STACK_ACCOUNTS", "111122223333, 999988887777")]);
        assert_eq!(place.create(ROLE, properties.clone()).await["Status"], "SUCCESS");
        place.account = ACCOUNT;
        assert_eq!(
            place.create(ROLE, role(json!({"RoleName": "b", "PermissionsBoundary": null}))).await["Status"],
            "SUCCESS"
        );
        place.account = "123412341234";
        assert_eq!(place.create(ROLE, properties.clone()).await["Status"], "FAILED");
    });
}

#[test]
fn a_stack_passes_a_guardrail_by_an_exemption_until_its_day_is_over() {
    let properties = role(json!({"MaxSessionDuration": 43200, "PermissionsBoundary": null}));
    for (exemption, status) in [
        ("MaxSessionDuration:s:2999-12-31", "SUCCESS"),
        ("AllowBroadTrust:s:2999-12-31, MaxSessionDuration:111122223333/s*:2999-12-31", "SUCCESS"),
        ("MaxSessionDuration:s/It:2999-12-31", "SUCCESS"),
        ("MaxSessionDuration:111122223333/s/I*:2999-12-31", "SUCCESS"),
        // A sibling of the exempt resource.
        ("MaxSessionDuration:s/Other:2999-12-31", "FAILED"),
        ("MaxSessionDuration:s/It:2020-12-31", "FAILED"),
        ("MaxSessionDuration:s:2020-12-31", "FAILED"),
        ("MaxSessionDuration:other:2999-12-31", "FAILED"),
        ("AllowBroadTrust:s:2999-12-31", "FAILED"),
    ] {
        deployed(&[("GUARDRAIL_EXEMPTIONS", exemption)], async |place| {
            let answer = place.create(ROLE, properties.clone()).await;
            assert_eq!(answer["Status"], status, "{exemption}: {answer}");
            let logged = place.log.text();
            let is_told =
                logged.contains("a stack is exempt from a guardrail") && logged.contains("`MaxSessionDuration`: 43200");
            assert_eq!(is_told, status == "SUCCESS", "{exemption}: {logged}");
        });
    }
}

/// The reason of a refusal holds words of the author.
#[test]
fn no_words_of_an_author_lead_to_an_exemption_from_another_guardrail() {
    let words = "x(guardrail`MaxSessionDuration`)";
    for (kind, properties) in [
        (ROLE, role(json!({"Trust": [{"Repository": "octo-org/app", "Branches": [format!("{words}*")]}]}))),
        (ROLE, role(json!({"Path": format!("/{words}/")}))),
        (PROVIDER, json!({"ClientIdList": [format!("vault {words}")]})),
    ] {
        let exempt = [("GUARDRAIL_EXEMPTIONS", "MaxSessionDuration:s:2999-12-31")];
        deployed(&exempt, async |place| {
            let answer = place.create(kind, properties.clone()).await;
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("Guardrails are parameters"), "{answer}");
        });
    }
}
