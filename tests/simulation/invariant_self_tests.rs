//! Every invariant has its offender: a handler that breaks this one, and is found out.

use std::rc::Rc;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Tag;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::changed_names::AtGitHub;
use super::cloud::Cloud;
use super::cloudformation::{Template, declared};
use super::expected_state::{PROVIDER, ROLE};
use super::history::Stage;
use super::lambda::{Function, Running};
use super::plan::{BOUNDARIES, Plan, Setting, Step, Trouble};
use super::sdk;

const ARN: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

/// What a handler is given.
struct Job {
    cloud: Cloud,
    iam: Client,
    event: Value,
}

impl Job {
    fn creates(&self) -> bool {
        self.event["RequestType"] == "Create"
    }

    async fn answer(&self, data: Value) -> Result<(), String> {
        let event = &self.event;
        let physical = if event["ResourceType"] == PROVIDER { ARN } else { "deploy" };
        let physical = event["PhysicalResourceId"].as_str().unwrap_or(physical);
        let body = json!({
            "Status": "SUCCESS", "PhysicalResourceId": physical, "StackId": event["StackId"],
            "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"], "Data": data,
        });
        let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
        request.set_method("PUT").unwrap();
        request.set_uri(event["ResponseURL"].as_str().unwrap()).unwrap();
        self.cloud.connector().call(request).await.map(drop).map_err(|error| error.to_string())
    }

    async fn make_provider(&self) {
        let create = self.iam.create_open_id_connect_provider().url("https://token.actions.githubusercontent.com");
        create.client_id_list("sts.amazonaws.com").send().await.unwrap();
    }

    fn role(&self, repository: &str) -> aws_sdk_iam::operation::create_role::builders::CreateRoleFluentBuilder {
        let trust = trust_in(&super::github::immutable(repository));
        // By which the function's policy lets it change the role.
        let owner = Tag::builder().key("github-trust:stack-id").value("a stack").build().unwrap();
        self.iam.create_role().role_name("deploy").assume_role_policy_document(trust).tags(owner)
    }

    async fn attach(&self) {
        let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
        self.iam.attach_role_policy().role_name("deploy").policy_arn(arn).send().await.unwrap();
    }

    async fn remove(&self) {
        if self.event["ResourceType"] == PROVIDER {
            let delete = self.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(ARN);
            delete.send().await.unwrap();
            return;
        }
        let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
        let _ = self.iam.detach_role_policy().role_name("deploy").policy_arn(arn).send().await;
        self.iam.delete_role().role_name("deploy").send().await.unwrap();
    }
}

/// The trust in pull requests of a repository with these ids.
fn trust_in(repository: &str) -> String {
    let issuer = "token.actions.githubusercontent.com";
    let equals = json!({
        format!("{issuer}:aud"): "sts.amazonaws.com",
        format!("{issuer}:sub"): format!("repo:{repository}:pull_request"),
    });
    let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": ARN},
        "Condition": {"StringEquals": equals}});
    json!({"Statement": statement}).to_string()
}

/// The invariants that a handler breaks in the life of a provider or, with one, a role.
fn broken<F>(with_role: bool, setting: Setting, handler: impl Fn(Job) -> F + 'static) -> Vec<&'static str>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    broken_between(with_role, setting, |_| Vec::new(), handler)
}

/// The same, with steps between the creation of the stack and its deletion.
fn broken_between<F>(
    with_role: bool,
    setting: Setting,
    between: impl FnOnce(&Template) -> Vec<Step>,
    handler: impl Fn(Job) -> F + 'static,
) -> Vec<&'static str>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let stage = Stage::with(|cloud| {
        let iam = sdk::iam(cloud);
        let function: Function = Rc::new(move |cloud, event, _| -> Running {
            let event = serde_json::from_str(&event).unwrap();
            Box::pin(handler(Job { cloud: cloud.clone(), iam: iam.clone(), event }))
        });
        function
    });
    let mut template = vec![declared("Provider", PROVIDER, json!({}))];
    if with_role {
        let properties = json!({"RoleName": "deploy", "ProviderArn": ARN, "PermissionsBoundary": BOUNDARIES[0],
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
            "Trust": [{"Repository": "acme/app", "PullRequests": true}]});
        template.push(declared("Role", ROLE, properties));
    }
    let between = between(&template);
    let all = [vec![Step::Create("one", template)], between, vec![Step::Delete("one")]].concat();
    let steps = (1..).zip(all).collect();
    let outcome = stage.play(&Plan {
        seed: 1,
        setting,
        steps,
        trouble: Trouble::None,
        must_succeed: false,
        must_not_stick: false,
    });
    let mut broken: Vec<&str> = outcome.violations.iter().map(|violation| violation.invariant).collect();
    broken.dedup();
    broken
}

async fn obey(job: &Job) {
    match (job.creates(), job.event["ResourceType"] == PROVIDER) {
        (true, true) => job.make_provider().await,
        (true, false) => {
            job.role("acme/app").permissions_boundary(BOUNDARIES[0]).send().await.unwrap();
            job.attach().await;
        }
        (false, _) => job.remove().await,
    }
}

#[test]
fn a_function_that_obeys_breaks_nothing() {
    let found = broken(true, Setting::default(), async |job: Job| {
        obey(&job).await;
        job.answer(json!({})).await
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn i1_is_broken_by_two_answers_that_differ_and_by_none() {
    let twice = broken(false, Setting::default(), async |job: Job| {
        obey(&job).await;
        job.answer(json!({"Time": 1})).await?;
        job.answer(json!({"Time": 2})).await
    });
    assert_eq!(twice, ["I1"]);
    let silent = broken(
        false,
        Setting::default(),
        async |job: Job| {
            if job.creates() { Ok(()) } else { job.answer(json!({})).await }
        },
    );
    assert_eq!(silent, ["I1"]);
}

#[test]
fn i1_is_broken_by_work_after_the_answer() {
    let found = broken(false, Setting::default(), async |job: Job| {
        job.answer(json!({})).await?;
        obey(&job).await;
        Ok(())
    });
    assert!(found.contains(&"I1"), "{found:?}");
}

#[test]
fn i2_is_broken_by_a_delete_that_deletes_nothing() {
    let found = broken(false, Setting::default(), async |job: Job| {
        if job.creates() {
            obey(&job).await;
        }
        job.answer(json!({})).await
    });
    assert_eq!(found, ["I2"]);
}

#[test]
fn i3_is_broken_by_touching_what_others_made() {
    let others = Setting { provider_of_others: true, ..Setting::default() };
    let deleted = broken(false, others.clone(), async |job: Job| {
        if !job.creates() {
            job.remove().await;
        }
        job.answer(json!({})).await
    });
    assert!(deleted.contains(&"I3"), "{deleted:?}");
    let changed = broken(false, others, async |job: Job| {
        let remove = job.iam.remove_client_id_from_open_id_connect_provider().open_id_connect_provider_arn(ARN);
        remove.client_id("theirs").send().await.unwrap();
        job.answer(json!({})).await
    });
    assert!(changed.contains(&"I3"), "{changed:?}");
}

#[test]
fn i4_is_broken_by_saying_so_without_doing_it() {
    let found = broken(false, Setting::default(), async |job: Job| job.answer(json!({})).await);
    assert_eq!(found, ["I4"]);
}

#[test]
fn i5_is_broken_by_letting_in_somebody_else_for_a_moment() {
    let found = broken(true, Setting::default(), async |job: Job| {
        if job.creates() && job.event["ResourceType"] == ROLE {
            job.role("mallory/app").permissions_boundary(BOUNDARIES[0]).send().await.unwrap();
            job.attach().await;
            job.remove().await;
        }
        obey(&job).await;
        job.answer(json!({})).await
    });
    assert_eq!(found, ["I5"]);
}

#[test]
fn i6_is_broken_by_a_boundary_that_comes_later() {
    let found = broken(true, Setting::default(), async |job: Job| {
        if job.creates() && job.event["ResourceType"] == ROLE {
            job.role("acme/app").send().await.unwrap();
            let put = job.iam.put_role_permissions_boundary().role_name("deploy");
            put.permissions_boundary(BOUNDARIES[0]).send().await.unwrap();
            job.attach().await;
        } else {
            obey(&job).await;
        }
        job.answer(json!({})).await
    });
    assert_eq!(found, ["I6"]);
}

#[test]
fn i7_is_broken_by_an_answer_that_shows_the_url() {
    let found = broken(false, Setting::default(), async |job: Job| {
        obey(&job).await;
        job.answer(json!({"Url": job.event["ResponseURL"]})).await
    });
    assert_eq!(found, ["I7"]);
}

#[test]
fn i8_is_broken_by_a_thumbprint_that_nobody_verified() {
    let found = broken(false, Setting::default(), async |job: Job| {
        obey(&job).await;
        if job.creates() {
            let update = job.iam.update_open_id_connect_provider_thumbprint().open_id_connect_provider_arn(ARN);
            update.thumbprint_list("b".repeat(40)).send().await.unwrap();
        }
        job.answer(json!({})).await
    });
    assert_eq!(found, ["I8"]);
}

/// The invariants that a handler breaks that trusts these, one with each Update, while this changes at GitHub before it. The
/// Update declares the id of a repository, or none.
fn broken_by_trusting(changes: Vec<(AtGitHub, Option<u64>, String)>) -> Vec<&'static str> {
    let trusted: Vec<String> = changes.iter().map(|(_, _, who)| who.clone()).collect();
    let between = |template: &Template| {
        let step = |(index, (change, id, _)): (usize, (AtGitHub, Option<u64>, String))| {
            let mut other = template.clone();
            other[1].properties["Description"] = json!(index.to_string());
            if let Some(id) = id {
                other[1].properties["Trust"][0]["RepositoryId"] = json!(id.to_string());
            }
            [Step::AtGitHub(change), Step::Update("one", other)]
        };
        changes.into_iter().enumerate().flat_map(step).collect()
    };
    broken_between(true, Setting::default(), between, move |job: Job| {
        let properties = &job.event["ResourceProperties"];
        let index = properties["Description"].as_str().and_then(|text| text.parse().ok());
        let who = index.and_then(|index: usize| trusted.get(index)).cloned();
        async move {
            if let Some(who) = who.filter(|_| job.event["RequestType"] == "Update") {
                let update = job.iam.update_assume_role_policy().role_name("deploy");
                update.policy_document(trust_in(&who)).send().await.unwrap();
            } else {
                obey(&job).await;
            }
            job.answer(json!({})).await
        }
    })
}

/// The next ones who have the names.
fn next(repository: &str, owner_hand: u64, hand: u64) -> (u64, String) {
    let (owner, id) = super::github::ids(repository);
    let id = id + hand * 2_000_000;
    (id, format!("acme@{}/{}@{id}", owner + owner_hand * 2_000_000, &repository["acme/".len()..]))
}

#[test]
fn i9_is_broken_by_trusting_a_repository_that_took_the_name() {
    let (_, stranger) = next("acme/app", 0, 1);
    let found = broken_by_trusting(vec![(AtGitHub::Take("acme/app"), None, stranger)]);
    assert!(found.contains(&"I9"), "{found:?}");
}

#[test]
fn i9_is_broken_by_a_new_repository_of_one_who_took_the_owner_s_name() {
    let (_, stranger) = next("acme/Infra", 1, 1);
    let found = broken_by_trusting(vec![(AtGitHub::Take("acme"), None, stranger)]);
    assert!(found.contains(&"I9"), "{found:?}");
}

#[test]
fn i9_is_broken_by_trusting_an_earlier_hand_again_unless_declared() {
    let (first_id, first) = next("acme/app", 0, 0);
    let (id, declared) = next("acme/app", 0, 1);
    let back = AtGitHub::GiveBack("acme/app");
    for (is_declared, says) in [(Some(first_id), false), (None, true)] {
        let taken = (AtGitHub::Take("acme/app"), Some(id), declared.clone());
        let found = broken_by_trusting(vec![taken, (back, is_declared, first.clone())]);
        assert_eq!(found.contains(&"I9"), says, "{found:?}");
    }
}
