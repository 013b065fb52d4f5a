//! Simulated IAM and its faults, asked by the real SDK: each test is a sentence of the documentation.

use std::time::Duration;

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Tag;
use serde_json::json;

use super::account::Kind;
use super::author::Author;
use super::calls::Outcome;
use super::faults::{At, Fault, When};
use super::sdk::{self, simulate};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
const ROLE: &str = "arn:aws:iam::111122223333:role/deployer";

fn trust(subject: &serde_json::Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": subject,
        }},
    }]})
    .to_string()
}

fn main_branch() -> String {
    trust(&json!("repo:acme/app:ref:refs/heads/main"))
}

async fn provider(iam: &aws_sdk_iam::Client) {
    iam.create_open_id_connect_provider().url(ISSUER).client_id_list("sts.amazonaws.com").send().await.unwrap();
}

pub(super) async fn role(iam: &aws_sdk_iam::Client) {
    provider(iam).await;
    iam.create_role().role_name("deployer").assume_role_policy_document(main_branch()).send().await.unwrap();
}

/// `code: message` of whatever an operation answered.
macro_rules! refusal {
    ($operation:expr) => {{
        let error = $operation.send().await.unwrap_err();
        format!("{}: {}", error.code().unwrap_or("none"), error.message().unwrap_or("none"))
    }};
}

pub(super) use refusal;

#[test]
fn a_provider_is_kept_without_its_scheme_and_exists_once() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        let tag = Tag::builder().key("owner").value("us").build().unwrap();
        let made = iam.create_open_id_connect_provider().url(ISSUER).tags(tag).send().await.unwrap();
        assert_eq!(made.open_id_connect_provider_arn(), Some(PROVIDER));
        let shown = iam.get_open_id_connect_provider().open_id_connect_provider_arn(PROVIDER).send().await.unwrap();
        assert_eq!(shown.url(), Some("token.actions.githubusercontent.com"));
        assert_eq!(shown.thumbprint_list().len(), 1, "IAM fetched one itself");
        assert_eq!(shown.tags()[0].value(), "us");
        assert_eq!(
            refusal!(iam.create_open_id_connect_provider().url(ISSUER)),
            "EntityAlreadyExists: Provider with url https://token.actions.githubusercontent.com already exists."
        );
        for url in ["http://a.example", "https://a.example:443", "https://a.example?x=1"] {
            assert!(refusal!(iam.create_open_id_connect_provider().url(url)).starts_with("InvalidInput"));
        }
        let listed = iam.list_open_id_connect_providers().send().await.unwrap();
        assert_eq!(listed.open_id_connect_provider_list()[0].arn(), Some(PROVIDER));
    });
}

#[test]
fn thumbprints_are_replaced_and_never_empty_and_at_most_five() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        provider(&iam).await;
        let update = || iam.update_open_id_connect_provider_thumbprint().open_id_connect_provider_arn(PROVIDER);
        let one = |digit: usize| format!("{digit:040x}");
        update().thumbprint_list(one(7)).send().await.unwrap();
        let shown = iam.get_open_id_connect_provider().open_id_connect_provider_arn(PROVIDER).send().await.unwrap();
        assert_eq!(shown.thumbprint_list(), [one(7)]);
        assert!(refusal!(update().set_thumbprint_list(Some(Vec::new()))).starts_with("InvalidInput"));
        assert!(refusal!(update().set_thumbprint_list(Some((0..6).map(one).collect()))).starts_with("InvalidInput"));
        assert!(
            refusal!(update().thumbprint_list("abc")).contains("Member must have length greater than or equal to 40")
        );
    });
}

#[test]
fn audiences_and_deletions_are_idempotent() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        provider(&iam).await;
        for _ in 0..2 {
            let add = iam.add_client_id_to_open_id_connect_provider();
            add.open_id_connect_provider_arn(PROVIDER).client_id("other").send().await.unwrap();
        }
        for _ in 0..2 {
            let remove = iam.remove_client_id_from_open_id_connect_provider();
            remove.open_id_connect_provider_arn(PROVIDER).client_id("other").send().await.unwrap();
        }
        let delete = || iam.delete_open_id_connect_provider().open_id_connect_provider_arn(PROVIDER);
        delete().send().await.unwrap();
        delete().send().await.unwrap();
        cloud.state().account.iam.settings.deleting_a_missing_provider_fails = true;
        assert!(refusal!(delete()).starts_with("NoSuchEntity"));
        let changed = cloud.state().calls.iter().filter(|call| call.changed).count();
        assert_eq!(changed, 4, "created, added, removed, deleted");
    });
}

#[test]
fn a_role_s_name_is_taken_whatever_its_case_and_path() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        let create = iam.create_role().role_name("Deployer").path("/x/").assume_role_policy_document(main_branch());
        assert_eq!(refusal!(create), "EntityAlreadyExists: Role with name Deployer already exists.");
        let shown = iam.get_role().role_name("DEPLOYER").send().await.unwrap();
        let shown = shown.role().unwrap();
        assert_eq!(shown.arn(), ROLE);
        let trust = shown.assume_role_policy_document().unwrap();
        assert!(trust.starts_with("%7B%22"), "RFC 3986: {trust}");
        assert_eq!(super::wire::decode(trust), main_branch());
    });
}

#[test]
fn a_re_created_role_has_another_id() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        let first = iam.get_role().role_name("deployer").send().await.unwrap().role().unwrap().role_id().to_owned();
        iam.delete_role().role_name("deployer").send().await.unwrap();
        let create = iam.create_role().role_name("deployer").assume_role_policy_document(main_branch());
        let second = create.send().await.unwrap().role().unwrap().role_id().to_owned();
        assert_ne!(first, second);
    });
}

#[test]
fn a_trust_policy_must_name_whom_it_trusts() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        let create = |trust: String| iam.create_role().role_name("deployer").assume_role_policy_document(trust);
        assert_eq!(
            refusal!(create(main_branch())),
            format!("MalformedPolicyDocument: Invalid principal in policy: \"FEDERATED\":\"{PROVIDER}\"")
        );
        provider(&iam).await;
        for subject in [json!("*"), json!(["*", "repo:acme/app:pull_request"]), json!(null)] {
            let refused = refusal!(create(trust(&subject)));
            assert!(refused.contains("which is not scoped to all"), "{refused}");
        }
        assert!(refusal!(create("{".into())).contains("invalid Json"));
        let long: Vec<String> =
            (0..40).map(|index| format!("repo:acme/app:ref:refs/heads/branch-number-{index:09}")).collect();
        assert_eq!(
            refusal!(create(trust(&json!(long)))),
            "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048"
        );
        // IAM looks at the first value only; what follows is nobody's concern but ours.
        create(trust(&json!(["repo:acme/app:pull_request", "*"]))).send().await.unwrap();
    });
}

#[test]
fn what_the_model_forbids_is_a_validation_error_in_the_service_s_words() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        provider(&iam).await;
        let create = || iam.create_role().role_name("deployer").assume_role_policy_document(main_branch());
        assert_eq!(
            refusal!(create().max_session_duration(900)),
            "ValidationError: 1 validation error detected: Value '900' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600"
        );
        let both = refusal!(create().max_session_duration(43201).role_name("a b"));
        assert!(both.contains("2 validation errors") && both.contains(r"pattern: [\w+=,.@-]+"), "{both}");
        assert!(refusal!(create().path("x")).contains("'path'"));
        assert!(refusal!(create().description("x".repeat(1001))).contains("less than or equal to 1000"));
        let tag = Tag::builder().key("a#b").value("").build().unwrap();
        assert!(refusal!(create().tags(tag)).contains("'tags.1.member.key'"));
        assert!(cloud.snapshot().objects.keys().all(|id| id.kind == Kind::Provider));
    });
}

#[test]
fn a_role_cannot_go_while_something_is_attached_to_it() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        iam.put_role_policy().role_name("deployer").policy_name("own").policy_document(policy).send().await.unwrap();
        let read = "arn:aws:iam::aws:policy/ReadOnlyAccess";
        iam.attach_role_policy().role_name("deployer").policy_arn(read).send().await.unwrap();
        cloud.change_now(|account, _| account.iam.instance_profiles.insert("box".into(), Some("deployer".into())));
        let delete = || iam.delete_role().role_name("deployer");
        assert_eq!(
            refusal!(delete()),
            "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."
        );
        let profiles = iam.list_instance_profiles_for_role().role_name("deployer").send().await.unwrap();
        let profile = profiles.instance_profiles()[0].instance_profile_name();
        iam.remove_role_from_instance_profile()
            .instance_profile_name(profile)
            .role_name("deployer")
            .send()
            .await
            .unwrap();
        assert_eq!(refusal!(delete()), "DeleteConflict: Cannot delete entity, must detach all policies first.");
        let attached = iam.list_attached_role_policies().role_name("deployer").send().await.unwrap();
        assert_eq!(attached.attached_policies()[0].policy_name(), Some("ReadOnlyAccess"));
        iam.detach_role_policy().role_name("deployer").policy_arn(read).send().await.unwrap();
        assert_eq!(
            refusal!(iam.detach_role_policy().role_name("deployer").policy_arn(read)),
            format!("NoSuchEntity: Policy {read} was not found.")
        );
        assert_eq!(refusal!(delete()), "DeleteConflict: Cannot delete entity, must delete policies first.");
        let shown = iam.get_role_policy().role_name("deployer").policy_name("own").send().await.unwrap();
        assert_eq!(super::wire::decode(shown.policy_document()), policy);
        iam.delete_role_policy().role_name("deployer").policy_name("own").send().await.unwrap();
        delete().send().await.unwrap();
        assert_eq!(refusal!(delete()), "NoSuchEntity: The role with name deployer cannot be found.");
    });
}

#[test]
fn quotas_are_named_with_their_value_and_can_be_read() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        cloud.state().account.iam.settings.quotas.attached_policies = 1;
        let attach = |name: &str| {
            iam.attach_role_policy().role_name("deployer").policy_arn(format!("arn:aws:iam::aws:policy/{name}"))
        };
        attach("A").send().await.unwrap();
        assert_eq!(refusal!(attach("B")), "LimitExceeded: Cannot exceed quota for PoliciesPerRole: 1");
        assert!(refusal!(attach("NoSuchPolicy")).starts_with("NoSuchEntity"));
        let summary = iam.get_account_summary().send().await.unwrap();
        let summary = summary.summary_map().unwrap();
        let quota = aws_sdk_iam::types::SummaryKeyType::AttachedPoliciesPerRoleQuota;
        assert_eq!(summary.get(&quota), Some(&1));
        assert_eq!(summary.get(&aws_sdk_iam::types::SummaryKeyType::AssumeRolePolicySizeQuota), Some(&2048));
    });
}

#[test]
fn update_role_without_a_duration_goes_back_to_one_hour() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        iam.update_role().role_name("deployer").max_session_duration(7200).description("a").send().await.unwrap();
        iam.update_role().role_name("deployer").description("b").send().await.unwrap();
        let shown = iam.get_role().role_name("deployer").send().await.unwrap();
        assert_eq!(shown.role().unwrap().max_session_duration(), Some(3600));
        assert_eq!(shown.role().unwrap().description(), Some("b"));
    });
}

#[test]
fn reads_lag_behind_writes_and_may_give_an_id_for_an_arn() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        provider(&iam).await;
        cloud.state().account.iam.settings.lag = Duration::from_mins(1);
        cloud.state().account.iam.settings.change_lag = Duration::from_mins(1);
        cloud.state().account.iam.settings.odd_arn = Duration::from_secs(90);
        let create = iam.create_role().role_name("deployer").assume_role_policy_document(main_branch());
        create.send().await.unwrap();
        let get = || iam.get_role().role_name("deployer");
        assert!(refusal!(get()).starts_with("NoSuchEntity"));
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!(get().send().await.unwrap().role().unwrap().arn().starts_with("AROA"));
        iam.delete_role().role_name("deployer").send().await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(get().send().await.unwrap().role().unwrap().arn(), ROLE, "stale");
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(refusal!(get()).starts_with("NoSuchEntity"));
    });
}

#[test]
fn lists_come_in_pages_of_which_some_are_empty() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        for name in ["A", "B", "C"] {
            let arn = format!("arn:aws:iam::aws:policy/{name}");
            iam.attach_role_policy().role_name("deployer").policy_arn(arn).send().await.unwrap();
        }
        {
            let settings = &mut cloud.state().account.iam.settings;
            (settings.page, settings.empty_pages) = (2, true);
        }
        let mut pages = iam.list_attached_role_policies().role_name("deployer").into_paginator().send();
        let mut sizes = Vec::new();
        while let Some(page) = pages.next().await {
            sizes.push(page.unwrap().attached_policies().len());
        }
        assert_eq!(sizes, [0, 2, 1]);
    });
}

#[test]
fn faults_strike_the_call_they_were_planned_for_and_the_sdk_retries() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        {
            let faults = &mut cloud.state().faults;
            faults.plan(At::Call(1), When::Before, Fault::Throttle);
            faults.plan(At::Call(2), When::After, Fault::ServerError);
        }
        let create = iam.create_open_id_connect_provider().url(ISSUER);
        assert!(refusal!(create).starts_with("EntityAlreadyExists"), "the second attempt had been done");
        cloud.state().faults.plan(At::Call(4), When::Before, Fault::Hang);
        provider_is_there(&iam).await;
        assert!(cloud.state().clock.elapsed() > Duration::from_secs(10), "the hanging attempt timed out");
        let state = cloud.state();
        let outcomes: Vec<&Outcome> = state.calls.iter().map(|call| &call.outcome).collect();
        assert!(matches!(outcomes[0], Outcome::Refused { code, .. } if code == "Throttling"));
        assert!(matches!(outcomes[1], Outcome::Refused { status: 500, .. }));
        assert_eq!(outcomes[3..], [&Outcome::Pending, &Outcome::Done]);
    });
}

async fn provider_is_there(iam: &aws_sdk_iam::Client) {
    iam.get_open_id_connect_provider().open_id_connect_provider_arn(PROVIDER).send().await.unwrap();
}

#[test]
fn somebody_else_can_do_something_just_before_a_call() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        cloud.state().change_at(At::every("CreateOpenIDConnectProvider"), |account, now| {
            let input = json!({"Url": ISSUER, "ClientIDList": ["theirs"]});
            account.iam_as(&Author::Someone, now, "CreateOpenIDConnectProvider", &input).unwrap();
        });
        assert!(refusal!(iam.create_open_id_connect_provider().url(ISSUER)).starts_with("EntityAlreadyExists"));
        let snapshot = cloud.snapshot();
        assert_eq!(snapshot.objects.values().next().unwrap().made_by, Author::Someone);
    });
}

#[test]
fn a_snapshot_names_every_difference() {
    simulate(|cloud| async move {
        let iam = sdk::iam(&cloud);
        role(&iam).await;
        let before = cloud.snapshot();
        iam.update_assume_role_policy()
            .role_name("deployer")
            .policy_document(trust(&json!("repo:a/b:pull_request")))
            .send()
            .await
            .unwrap();
        iam.attach_role_policy().role_name("deployer").policy_arn("arn:aws:iam::aws:policy/A").send().await.unwrap();
        let changes: Vec<String> = before.changes_to(&cloud.snapshot()).iter().map(ToString::to_string).collect();
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[0].ends_with("attached arn:aws:iam::aws:policy/A added"), "{changes:?}");
        assert!(changes[1].contains(": trust "), "{changes:?}");
    });
}
