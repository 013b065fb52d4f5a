//! Rows 31 to 34 as a stack and the schedule meet them: what a look that fails leads to, and rotation beside everything
//! else. How chains are verified stands in `thumbprints`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::author::Author;
use super::super::cloudformation::{Declared, RequestType, Status, declared};
use super::super::expected_state::PROVIDER;
use super::super::faults::{At, Fault, When};
use super::super::iam::FETCHED_THUMBPRINT;
use super::super::invariants::lock;
use super::super::lambda::Ended;
use super::fixtures::{GIVEN_PROVIDER, OUR_PROVIDER, World, world};

pub(super) const SCHEDULE: &str =
    r#"{"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#;
/// Step of a history in which the schedule comes.
const RUN: u64 = 7;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn value(letter: char) -> String {
    letter.to_string().repeat(40)
}

fn values(letters: &str) -> BTreeSet<String> {
    letters.chars().map(value).collect()
}

/// From now on every issuer shows these.
fn shows(world: &World, letters: &str) {
    let shown = values(letters);
    lock(&world.ledger).vouch_for(&shown);
    world.cloud.state().issuers.thumbprints = shown;
}

fn provider(more: Value) -> Declared {
    declared("Provider", PROVIDER, more)
}

/// The thumbprints of the provider, each by its first letter; IAM's own is a 6.
fn listed(world: &World) -> String {
    let snapshot = world.cloud.snapshot();
    let provider = snapshot.objects.iter().find(|(id, _)| id.name == OUR_PROVIDER).expect("our provider").1;
    let letters: BTreeSet<char> =
        provider.facets["thumbprints"].split(' ').filter_map(|value| value.chars().next()).collect();
    letters.into_iter().collect()
}

fn tags(world: &World) -> Vec<String> {
    let snapshot = world.cloud.snapshot();
    let provider = snapshot.objects.iter().find(|(id, _)| id.name == OUR_PROVIDER).expect("our provider").1;
    provider.facets.keys().filter_map(|facet| facet.strip_prefix("tag github-trust:")).map(str::to_owned).collect()
}

async fn run(world: &World) -> Ended {
    let ended = world.lambda.attempt(&Author::resource("schedule", "scheduled"), "schedule", SCHEDULE).await;
    // IAM's reads have caught up when the next one comes.
    tokio::time::sleep(HOUR).await;
    ended
}

async fn quiet_run(world: &World) {
    assert_eq!(run(world).await, Ended::Returned(Ok(())), "{}", world.story());
}

#[test]
fn row_34_old_and_new_overlap_and_nothing_is_written_needlessly() {
    world(async |world| {
        shows(world, "a");
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![provider(json!({}))]).await, Status::CreateComplete, "{}", world.story());
        tokio::time::sleep(HOUR).await;
        let writes = |world: &World| world.calls().iter().filter(|call| call.changed).count();
        let before = writes(world);
        quiet_run(world).await;
        assert_eq!((listed(world).as_str(), writes(world)), ("a", before), "nothing new, nothing written");
        shows(world, "b");
        quiet_run(world).await;
        assert_eq!(listed(world), "a", "seen once");
        quiet_run(world).await;
        assert_eq!(listed(world), "ab", "seen twice");
        for _ in 0..28 {
            tokio::time::sleep(DAY).await;
            quiet_run(world).await;
            assert_eq!(listed(world), "ab");
        }
        tokio::time::sleep(2 * DAY).await;
        quiet_run(world).await;
        assert_eq!(listed(world), "b", "30 days later");
        assert!(!tags(world).iter().any(|tag| tag == "unseen" || tag == "candidates"), "{:?}", tags(world));
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert!(world.ours().is_empty());
    });
}

#[test]
fn row_34_a_rotation_killed_at_any_call_leaves_a_valid_list() {
    // The first look marks, the second takes the new value, one after the overlap drops the old one.
    for (earlier, pause) in [(0, HOUR), (1, HOUR), (2, 31 * DAY)] {
        let calls = world(async |world| {
            rotated(world, earlier, pause).await;
            world.cloud.begin_step(RUN);
            quiet_run(world).await;
            world.calls_of_step(RUN).len() as u64
        });
        assert!(calls >= 3, "{calls} calls");
        for call in 1..=calls {
            for when in [When::Before, When::After] {
                world(async |world| {
                    rotated(world, earlier, pause).await;
                    world.cloud.begin_step(RUN);
                    world.fault(At::OfStep { step: RUN, call }, when, Fault::Kill);
                    assert_eq!(run(world).await, Ended::Killed, "{}", world.story());
                    tokio::time::sleep(pause).await;
                    quiet_run(world).await;
                    quiet_run(world).await;
                    assert!(listed(world).contains('b'), "{}", world.story());
                    tokio::time::sleep(31 * DAY).await;
                    quiet_run(world).await;
                    assert_eq!(listed(world), "b", "{}", world.story());
                });
            }
        }
    }
}

/// A provider of a stack, whose issuer has changed its certificate, after some runs.
async fn rotated(world: &World, runs: usize, pause: Duration) {
    shows(world, "a");
    let status = world.stack("s").create(&vec![provider(json!({}))]).await;
    assert_eq!(status, Status::CreateComplete, "{}", world.story());
    shows(world, "b");
    for _ in 0..runs {
        quiet_run(world).await;
    }
    tokio::time::sleep(pause).await;
}

#[test]
fn row_34_two_schedules_at_once_and_one_beside_a_stack_lose_nothing() {
    let changes = [
        json!({"ClientIdList": ["sts.amazonaws.com", "more"]}),
        json!({"ThumbprintList": [value('c')]}),
        json!({"ThumbprintList": [value('c')], "Tags": [{"Key": "k", "Value": "v"}]}),
    ];
    for change in changes {
        for offset in [0, 50, 100, 150, 200, 250, 300, 500, 1000, 30_000] {
            world(async |world| {
                lock(&world.ledger).vouch_for(&values("c"));
                shows(world, "a");
                let mut stack = world.stack("s");
                stack.create(&vec![provider(json!({}))]).await;
                shows(world, "b");
                quiet_run(world).await;
                let later = async {
                    tokio::time::sleep(Duration::from_millis(offset)).await;
                    run(world).await
                };
                let updated = provider(change.clone());
                let updated = vec![updated];
                let (one, two, update) = tokio::join!(run(world), later, stack.update(&updated));
                assert_eq!(update, Status::UpdateComplete, "{}", world.story());
                for ended in [one, two] {
                    assert_eq!(ended, Ended::Returned(Ok(())), "{}", world.story());
                }
                // What the three have left between them, the next run puts right.
                quiet_run(world).await;
                let pinned = change.get("ThumbprintList").is_some();
                assert_eq!(listed(world), if pinned { "c" } else { "ab" }, "{}", world.story());
                let writes = world.calls().iter().filter(|call| call.changed).count();
                quiet_run(world).await;
                assert_eq!(world.calls().iter().filter(|call| call.changed).count(), writes, "{}", world.story());
                world.nothing_left_but(&[&stack]).await;
            });
        }
    }
}

#[test]
fn row_34_what_is_pinned_or_made_by_others_is_not_rotated() {
    world(async |world| {
        lock(&world.ledger).vouch_for(&values("p"));
        let mut stack = world.stack("s");
        let pinned = provider(json!({"ThumbprintList": [value('d')]}));
        assert_eq!(stack.create(&vec![pinned]).await, Status::CreateComplete, "{}", world.story());
        shows(world, "b");
        let cluster = json!({"Url": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", "ClientIDList": ["x"]});
        world.someone("CreateOpenIDConnectProvider", &cluster);
        let theirs = world.theirs();
        let looks = world.cloud.state().issuers.looks;
        for _ in 0..3 {
            quiet_run(world).await;
        }
        assert_eq!(listed(world), "d");
        assert_eq!(world.cloud.state().issuers.looks, looks, "nobody was asked");
        assert_eq!(world.theirs(), theirs);
        let touched = world.calls().iter().any(|call| call.resource.contains("oidc.eks"));
        assert!(!touched, "what is not GitHub's is not even looked at: {}", world.story());
        assert!(theirs.objects.keys().any(|id| id.name == GIVEN_PROVIDER), "there is one of others");
    });
}

#[test]
fn row_34_an_unverified_provider_keeps_its_list_and_fails_the_run() {
    world(async |world| {
        shows(world, "a");
        let server = "https://github.example.com/_services/token";
        let mut stack = world.stack("s");
        let both = vec![declared("Server", PROVIDER, json!({"Url": server})), provider(json!({}))];
        assert_eq!(stack.create(&both).await, Status::CreateComplete, "{}", world.story());
        shows(world, "b");
        world.cloud.state().issuers.broken = Some("github.example.com".to_owned());
        for _ in 0..2 {
            let Ended::Returned(Err(reason)) = run(world).await else { panic!("{}", world.story()) };
            assert_eq!(
                reason,
                "the scheduled run failed for \
                 arn:aws:iam::111122223333:oidc-provider/github.example.com/_services/token: the certificates of \
                 https://github.example.com/_services/token could not be verified, so nothing was changed: looking at \
                 the certificates of github.example.com/_services/token took too long. Mend that, or give \
                 `ThumbprintList`, which pins thumbprints without a look"
            );
        }
        assert_eq!(listed(world), "ab", "the other one");
        let snapshot = world.cloud.snapshot();
        let (_, failing) = snapshot.objects.iter().find(|(id, _)| id.name.ends_with("/_services/token")).unwrap();
        assert_eq!(failing.facets["thumbprints"], value('a'));
        let metrics: Vec<String> = world
            .log_lines()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line["emf"].as_str()?).ok())
            .map(|emf| format!("{} {}", emf["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], emf["Issuer"]))
            .collect();
        let github = "\"token.actions.githubusercontent.com\"";
        let server = "\"github.example.com/_services/token\"";
        for expected in [
            format!("\"RotatedThumbprints\" {github}"),
            format!("\"UnverifiedIssuers\" {server}"),
            format!("\"FailedRotations\" {server}"),
        ] {
            assert!(metrics.contains(&expected), "{expected} in {metrics:?}");
        }
    });
}

#[test]
fn row_34_a_rotation_is_one_line_with_old_and_new_thumbprints() {
    world(async |world| {
        shows(world, "a");
        world.stack("s").create(&vec![provider(json!({}))]).await;
        shows(world, "b");
        quiet_run(world).await;
        quiet_run(world).await;
        let lines: Vec<Value> =
            world.log_lines().into_iter().filter(|line| line["message"] == "rotated the thumbprints").collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["provider"], OUR_PROVIDER);
        for (member, expected) in [
            ("old", vec![value('a')]),
            ("new", vec![value('a'), value('b')]),
            ("subjects", vec!["CN=Intermediate bb".into()]),
        ] {
            assert_eq!(lines[0][member], format!("{expected:?}"), "{member}");
        }
    });
}

#[test]
fn row_32_a_look_that_fails_makes_nothing_and_changes_nothing() {
    world(async |world| {
        shows(world, "a");
        world.cloud.state().issuers.broken = Some("githubusercontent".to_owned());
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![provider(json!({}))]).await, Status::RollbackComplete, "{}", world.story());
        let (reason, physical) = world.failure(&world.last_of(RequestType::Create));
        assert!(physical.starts_with("never-created/"), "{physical}");
        assert!(reason.contains("could not be verified, so nothing was changed"), "{reason}");
        assert!(world.calls().iter().all(|call| !call.changed || call.service == "s3"), "{}", world.story());

        // Who is out of reach now does no harm to what was verified before.
        world.cloud.state().issuers.broken = None;
        let mut stack = world.stack("t");
        assert_eq!(stack.create(&vec![provider(json!({}))]).await, Status::CreateComplete, "{}", world.story());
        world.cloud.state().issuers.broken = Some("githubusercontent".to_owned());
        let more = provider(json!({"ClientIdList": ["sts.amazonaws.com", "more"]}));
        assert_eq!(stack.update(&vec![more]).await, Status::UpdateComplete, "{}", world.story());
        let mut joining = world.stack("u");
        assert_eq!(joining.create(&vec![provider(json!({}))]).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(listed(world), "a");
    });
}

/// Known failures of the CDK's handler and of the native resource; two more stand in `thumbprints`.
mod what_others_got_wrong {
    use super::*;

    /// <https://github.com/aws/aws-cdk/issues/32421>
    #[test]
    fn aws_cdk_32421_a_client_id_comes_and_goes_with_its_stack() {
        world(async |world| {
            let url = "https://token.actions.githubusercontent.com";
            let input = json!({"Url": url, "ClientIDList": ["theirs"], "ThumbprintList": [value('9')]});
            world.someone("CreateOpenIDConnectProvider", &input);
            let before = world.cloud.snapshot();
            let client_ids = |world: &World| {
                let snapshot = world.cloud.snapshot();
                let provider = snapshot.objects.iter().find(|(id, _)| id.name == OUR_PROVIDER).unwrap().1;
                provider.facets.keys().filter(|facet| facet.starts_with("client id ")).cloned().collect::<Vec<_>>()
            };
            let mut stacks = Vec::new();
            for name in ["blue", "green"] {
                let mut stack = world.stack(name);
                let adding = vec![provider(json!({"ClientIdList": ["both", name]}))];
                assert_eq!(stack.create(&adding).await, Status::CreateComplete, "{}", world.story());
                stacks.push(stack);
            }
            assert_eq!(client_ids(world), ["client id blue", "client id both", "client id green", "client id theirs"]);
            for mut stack in stacks {
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            }
            assert_eq!(world.cloud.snapshot(), before);
        });
    }

    /// <https://github.com/aws/aws-cdk/issues/35878>
    #[test]
    fn aws_cdk_35878_a_provider_of_another_construct_is_shared() {
        world(async |world| {
            let url = "https://token.actions.githubusercontent.com";
            let input = json!({"Url": url, "ClientIDList": ["sts.amazonaws.com"], "ThumbprintList": [value('9')]});
            world.someone("CreateOpenIDConnectProvider", &input);
            let status = world.stack("s").create(&vec![provider(json!({}))]).await;
            assert_eq!(status, Status::CreateComplete, "{}", world.story());
            let calls = world.calls();
            let changed: Vec<&str> =
                calls.iter().filter(|call| call.changed && call.service == "iam").map(|call| &*call.action).collect();
            assert_eq!(changed, ["TagOpenIDConnectProvider"]);
        });
    }

    /// <https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1048>
    #[test]
    fn roadmap_1048_a_rolled_back_declaration_deletes_no_provider() {
        world(async |world| {
            let (mut first, mut second) = (world.stack("first"), world.stack("second"));
            assert_eq!(first.create(&vec![provider(json!({}))]).await, Status::CreateComplete);
            let before = world.cloud.snapshot();
            let refusing = provider(json!({"OnExisting": "Fail"}));
            assert_eq!(second.create(&vec![refusing]).await, Status::RollbackComplete, "{}", world.story());
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
            let (reason, _) = world.failure(&world.last_of(RequestType::Create));
            assert_eq!(
                reason,
                "a provider for https://token.actions.githubusercontent.com exists already, made by \
                 eu-west-1/first/Provider, and `OnExisting` is Fail; it was left untouched. Use `OnExisting: Share` to \
                 share it"
            );
            // And where it shares, a rollback gives back only what it took.
            let failing =
                vec![provider(json!({"ClientIdList": ["more"]})), declared("Bad", PROVIDER, json!({"Url": "x"}))];
            assert_eq!(second.create(&failing).await, Status::RollbackComplete, "{}", world.story());
            world.nothing_left_but(&[&first]).await;
            assert_eq!(world.cloud.snapshot(), before, "{}", world.story());
        });
    }
}

#[test]
fn row_09_a_provider_that_is_to_be_retained_stays_and_is_still_rotated() {
    world(async |world| {
        shows(world, "a");
        let mut stack = world.stack("s");
        stack.create(&vec![provider(json!({"DeletionMode": "Retain"}))]).await;
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        shows(world, "b");
        for _ in 0..3 {
            quiet_run(world).await;
        }
        assert_eq!(listed(world), "ab", "{}", world.story());
        assert!(
            tags(world).contains(&"retained-for".to_owned()) && !tags(world).iter().any(|tag| tag.starts_with("owner"))
        );
        // Another stack comes and goes, and still nobody deletes it.
        let mut other = world.stack("t");
        other.create(&vec![provider(json!({}))]).await;
        assert_eq!(other.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert_eq!(listed(world), "ab");
    });
}

#[test]
fn row_09_stacks_that_pin_share_all_thumbprints() {
    world(async |world| {
        lock(&world.ledger).vouch_for(&values("cd"));
        shows(world, "a");
        let (mut one, mut two, mut three) = (world.stack("one"), world.stack("two"), world.stack("three"));
        let pinning = |letters: &str| vec![provider(json!({"ThumbprintList": values(letters)}))];
        assert_eq!(one.create(&vec![provider(json!({}))]).await, Status::CreateComplete);
        assert_eq!(listed(world), "a");
        assert_eq!(two.create(&pinning("c")).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(listed(world), "ac", "a pin replaces nothing that others rely on");
        assert_eq!(three.create(&pinning("cd")).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(listed(world), "acd");
        assert_eq!(three.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert_eq!(two.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        quiet_run(world).await;
        quiet_run(world).await;
        assert_eq!(listed(world), "acd", "nobody pins any more, and the overlap is not over");
        tokio::time::sleep(31 * DAY).await;
        quiet_run(world).await;
        assert_eq!(listed(world), "a");
        assert_ne!(FETCHED_THUMBPRINT, value('a'));
        world.nothing_left_but(&[&one]).await;
    });
}

#[test]
fn row_09_two_stacks_that_pin_at_once_lose_no_thumbprint() {
    for offset in [0, 20, 40, 60, 100, 200] {
        world(async |world| {
            lock(&world.ledger).vouch_for(&values("cd"));
            let (mut one, mut two) = (world.stack("one"), world.stack("two"));
            let pinning = |letter: char| {
                vec![provider(json!({"ThumbprintList": [value(letter)], "ClientIdList": ["x", letter.to_string()]}))]
            };
            let (first, second) = (pinning('c'), pinning('d'));
            let later = async {
                tokio::time::sleep(Duration::from_millis(offset)).await;
                two.create(&second).await
            };
            let (created, joined) = tokio::join!(one.create(&first), later);
            assert_eq!((created, joined), (Status::CreateComplete, Status::CreateComplete), "{}", world.story());
            tokio::time::sleep(HOUR).await;
            quiet_run(world).await;
            assert_eq!(listed(world), "cd", "{}", world.story());
            for mut stack in [one, two] {
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
            }
            assert!(world.ours().is_empty(), "{}", world.story());
        });
    }
}
