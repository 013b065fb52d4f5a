//! The audit of a large account, while the services throttle as AWS does. The figures stand in `docs/performance.md`.

use std::cell::Cell;
use std::time::Duration;

use aws_sdk_iam::types;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use github_trust::audit::account::Audit;
use github_trust::audit::grade::Grade;
use github_trust::audit::report::Report;
use github_trust::aws::Deadline;
use github_trust::guardrails::Guardrails;
use github_trust::resources::github_role::changes_by_hand;
use serde_json::json;
use tokio::time::Instant;

use super::super::cloudformation::Status;
use super::super::expected_state::ROLE;
use super::super::iam::Role;
use super::super::large_account::Size;
use super::super::sdk::{eks_with, iam_with};
use super::fixtures::{World, alone, but, foreign_role, world};
use super::growth::{Figures, LARGE, LargeAccount, SMALL, begin, large_account, measured};

/// The calls a second of a read that is throttled, and the number of calls at once. See tests/simulation/throttle.rs.
const RATE: (f64, f64) = (10.0, 20.0);

/// Four roles with three reads each, beside four entries with two.
const MOST_IN_FLIGHT: usize = 20;

/// Audits the account as the command does.
async fn audited(account: &LargeAccount) -> Figures {
    let Size { roles, .. } = account.size;
    let (retries, timeouts) = (RetryConfig::disabled(), TimeoutConfig::disabled());
    let iam = iam_with(&account.cloud, &retries, &timeouts);
    let eks = eks_with(&account.cloud, &retries, &timeouts);
    let deadline = Deadline::until(Instant::now() + Duration::from_hours(1));
    let before = begin(&account.cloud, 1.0);
    let done = Cell::new(0);
    let progress = |now: usize, _: usize| done.set(now);
    let (changes, exemptions) = (&changes_by_hand, &|_: &types::Role| Vec::new());
    let audit = Audit { iam: &iam, eks: &eks, deadline, changes, exemptions, progress: &progress };
    let report = audit.run().await.expect("a report");
    let what = format!("`github-trust audit` of {roles} roles and {} entries", account.size.entries());
    let figures = measured(&account.cloud, &what, before, 1);
    assert!(figures.most_flying <= MOST_IN_FLIGHT, "{figures:?}");
    assert_eq!((report.roles.len(), done.get(), report.not_read.len()), (roles, roles, 0), "{:?}", report.not_read);
    for role in &report.roles {
        assert_eq!(role.clusters.len(), account.size.clusters, "{}", role.arn);
        assert!(role.grade() == Grade::Exact && role.changed.is_empty(), "{role:?}");
    }
    figures
}

pub(super) fn an_audit(size: Size) -> Figures {
    large_account(size, async |account| audited(account).await)
}

/// The least time in which a number of reads of one operation can be made.
fn least(reads: usize) -> Duration {
    let (per_second, burst) = RATE;
    let reads = u32::try_from(reads).map_or(f64::MAX, f64::from);
    Duration::from_secs_f64(((reads - burst) / per_second).max(0.0))
}

/// Audits the account of a world, whose deployment has exemptions.
async fn report(world: &World, exemptions: &str) -> Report {
    let (retries, timeouts) = (RetryConfig::disabled(), TimeoutConfig::disabled());
    let (iam, eks) = (iam_with(&world.cloud, &retries, &timeouts), eks_with(&world.cloud, &retries, &timeouts));
    let deadline = Deadline::until(Instant::now() + Duration::from_hours(1));
    let guardrails = Guardrails::read(|name| (name == "GUARDRAIL_EXEMPTIONS").then(|| exemptions.to_owned()));
    let (changes, exemptions) =
        (&changes_by_hand, &|role: &types::Role| guardrails.exemptions_of(role, world.cloud.now()));
    let audit = Audit { iam: &iam, eks: &eks, deadline, changes, exemptions, progress: &|_, _| {} };
    audit.run().await.expect("a report")
}

#[test]
fn an_audit_names_the_policies_that_cannot_be_read() {
    world(async |world| {
        let twice = r#"{"Statement": [], "Statement": []}"#;
        let trust = foreign_role("theirs")["AssumeRolePolicyDocument"].clone();
        world.someone("CreateRole", &json!({"RoleName": "theirs", "AssumeRolePolicyDocument": trust}));
        world.someone("CreateRole", &json!({"RoleName": "twice", "AssumeRolePolicyDocument": trust}));
        world.cloud.change_now(|account, now| {
            let roles = account.iam.roles.all().map(|(key, role)| (key.to_owned(), Role::clone(role)));
            for (key, mut role) in roles.collect::<Vec<_>>() {
                if role.name == "twice" {
                    twice.clone_into(&mut role.trust);
                } else if role.name == "theirs" {
                    role.inline.insert("p".to_owned(), twice.to_owned());
                }
                account.iam.roles.write(&key, Some(role), now, now);
            }
        });
        let why = "it is no JSON, or a key stands twice in it";
        let expected = [
            format!("The trust policy of arn:aws:iam::111122223333:role/twice: {why}"),
            format!("The policy p of arn:aws:iam::111122223333:role/theirs: {why}"),
        ];
        assert_eq!(report(world, "").await.not_read, expected);
    });
}

#[test]
fn an_audit_names_the_exemptions_of_a_stack_also_those_that_are_over() {
    world(async |world| {
        let mut stack = world.stack("team-a-ci");
        assert_eq!(
            stack
                .create(&vec![but(alone(ROLE, 1), json!({"ManagedPolicyArns": null, "PermissionsBoundary": null}))])
                .await,
            Status::CreateComplete
        );
        let exemptions = "AllowBroadTrust:team-a-*:2999-12-31,MaxSessionDuration:111122223333/team-a-ci:2020-01-31,\
                          AllowBroadTrust:team-b:2999-12-31,AllowedAudiences:team-a-ci/Role:2999-12-31,\
                          AllowedAudiences:team-a-ci/Other:2999-12-31";
        let report = report(world, exemptions).await;
        let exemptions: Vec<&String> = report.roles.iter().flat_map(|role| &role.exemptions).collect();
        let expected = [
            "AllowBroadTrust, until 2999-12-31 (stack team-a-*)",
            "MaxSessionDuration, was until 2020-01-31 (stack 111122223333/team-a-ci)",
            "AllowedAudiences, until 2999-12-31 (resource team-a-ci/Role)",
        ];
        assert_eq!(exemptions, expected);
        assert!(report.to_string().contains("exempt from AllowBroadTrust, until 2999-12-31"), "{report}");
    });
}

#[test]
fn an_audit_of_a_small_account_makes_a_few_calls_for_each_role() {
    let Figures { calls, .. } = an_audit(SMALL);
    // Three calls for each role and two for each entry, beside the lists.
    let most = 3 * SMALL.roles + 2 * SMALL.entries() + 2 * SMALL.providers + 10;
    assert!(calls <= most, "{calls} of {most}");
}

#[test]
#[ignore = "on demand: it takes a minute"]
fn an_audit_of_a_large_account_takes_little_more_than_the_throttle_demands() {
    let figures = an_audit(LARGE);
    let least = least(LARGE.entries());
    let ratio = figures.time.as_secs_f64() / least.as_secs_f64();
    println!("{ratio:.2} times the least of {least:?}");
    assert!(ratio < 1.25, "{figures:?}: {ratio} times {least:?}");
}
