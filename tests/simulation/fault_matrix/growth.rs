//! What grows: many policies on a role or an entry, many owners of a provider, and a scheduled run over more than one
//! invocation has the time for, while the services throttle as AWS does. The figures stand in `docs/performance.md`.

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::super::author::Author;
use super::super::calls::{Call, Outcome};
use super::super::cloud::Cloud;
use super::super::cloudformation::{Declared, Status, declared};
use super::super::eks;
use super::super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::super::faults::{At, Fault, When};
use super::super::function::github_trust;
use super::super::lambda::{Ended, PAUSES};
use super::super::large_account::{self, REPOSITORY, Size, cluster_name, provider_arn, role_arn, role_name};
use super::super::throttle::Throttles;
use super::audit::an_audit;
use super::fixtures::{GIVEN_PROVIDER, GIVEN_ROLE, World, access, allow, policy, world};
use super::rotation::SCHEDULE;

/// Four things at once, and four calls for each at most.
const MOST_IN_FLIGHT: usize = 16;
const CURSOR: &str = "github-trust/scheduled/checkpoint";
const BEGIN: &str =
    "<!-- The figures of growth are written by a test: see tests/simulation/fault_matrix/growth.rs. -->\n";
const END: &str = "<!-- The end of the figures of growth. -->\n";

/// What something took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    what: String,
    /// Of our clock, which only runs while somebody waits.
    pub(super) time: Duration,
    pub(super) calls: usize,
    throttled: usize,
    pub(super) most_flying: usize,
    invocations: usize,
}

/// Counts what is done on a cloud from now on.
pub(super) fn begin(cloud: &Cloud, scale: f64) -> (usize, Duration) {
    let mut state = cloud.state();
    state.throttles = Some(Throttles::scaled(scale));
    state.most_flying = 0;
    (state.calls.len(), state.clock.elapsed())
}

fn end(cloud: &Cloud, what: &str, before: (usize, Duration), invocations: usize) -> Figures {
    let figures = measured(cloud, what, before, invocations);
    assert!(figures.most_flying <= MOST_IN_FLIGHT, "{figures:?}");
    figures
}

pub(super) fn measured(cloud: &Cloud, what: &str, (calls, began): (usize, Duration), invocations: usize) -> Figures {
    let mut state = cloud.state();
    let figures = Figures {
        what: what.to_owned(),
        time: state.clock.elapsed().saturating_sub(began),
        calls: state.calls[calls..].iter().filter(|call| call.service != "s3").count(),
        throttled: state.throttles.take().map_or(0, |throttles| throttles.refused),
        most_flying: state.most_flying,
        invocations,
    };
    println!("{figures:?}");
    figures
}

/// Creates, changes all of it, and deletes: one resource of a stack.
async fn life(world: &World, what: &str, versions: [Declared; 2]) -> Vec<Figures> {
    let [first, second] = versions;
    let mut stack = world.stack("s");
    let mut figures = Vec::new();
    for (operation, done) in [
        ("Create", Status::CreateComplete),
        ("Update of all of it", Status::UpdateComplete),
        ("Delete", Status::DeleteComplete),
    ] {
        let before = begin(&world.cloud, 1.0);
        let status = match done {
            Status::CreateComplete => stack.create(&vec![first.clone()]).await,
            Status::UpdateComplete => stack.update(&vec![second.clone()]).await,
            _ => stack.delete_stack().await,
        };
        assert_eq!(status, done, "{}", world.story());
        world.lambda.settle().await;
        figures.push(end(&world.cloud, &format!("{what}: {operation}"), before, 1));
    }
    world.nothing_left_but(&[]).await;
    figures
}

fn a_role() -> Vec<Figures> {
    let version = |version: usize| {
        let managed: Vec<String> = (0..25).map(|index| policy(&format!("Policy{version}{index:02}"))).collect();
        let inline: Vec<Value> = (0..10)
            .map(|index| {
                json!({"PolicyName": format!("p-{version}-{index}"), "PolicyDocument": allow(&format!("s3:Get{index}"))})
            })
            .collect();
        let trust = json!([{"Repository": "acme/app", "Branches": [format!("b-{version}")]}]);
        let properties = json!({"RoleName": "deploy", "ProviderArn": GIVEN_PROVIDER, "Trust": trust,
            "ManagedPolicyArns": managed, "Policies": inline});
        declared("Role", ROLE, properties)
    };
    world(async |world| {
        world.cloud.state().account.iam.settings.quotas.attached_policies = 25;
        life(world, "role with 25 managed and 10 inline policies", [version(1), version(2)]).await
    })
}

#[test]
fn a_role_with_25_managed_and_10_inline_policies_lives_under_throttling() {
    let figures = a_role();
    assert!(figures.iter().all(|figures| figures.time < Duration::from_mins(2)), "{figures:?}");
}

fn an_entry() -> Vec<Figures> {
    let version = |version: usize| {
        let policies: Vec<Value> =
            (0..20).map(|index| access(&format!("Growth{version}{index:02}Policy"), &[])).collect();
        let properties = json!({"ClusterName": "prod", "PrincipalArn": GIVEN_ROLE, "AccessPolicies": policies});
        declared("Entry", ENTRY, properties)
    };
    world(async |world| {
        let names = (1..=2).flat_map(|version| (0..20).map(move |index| format!("Growth{version}{index:02}Policy")));
        world.cloud.state().account.eks.policies.extend(names);
        life(world, "entry with 20 policies", [version(1), version(2)]).await
    })
}

#[test]
fn an_entry_with_20_policies_lives_under_throttling() {
    let figures = an_entry();
    assert!(figures.iter().all(|figures| figures.time < Duration::from_mins(2)), "{figures:?}");
}

fn a_provider() -> Vec<Figures> {
    const OWNERS: usize = 40;
    let of = |index: usize, version: usize| {
        let ids = json!(["sts.amazonaws.com", format!("id-{index}-{version}")]);
        vec![declared("Provider", PROVIDER, json!({"ClientIdList": ids}))]
    };
    world(async |world| {
        let mut stacks: Vec<_> = (0..OWNERS).map(|index| world.stack(&format!("s-{index}"))).collect();
        let mut figures = Vec::new();
        for operation in
            ["40 Creates, one after the other", "Update of one of 40", "Delete of one of 40", "Deletes of the others"]
        {
            let before = begin(&world.cloud, 1.0);
            let invocations = match operation {
                "Update of one of 40" => {
                    assert_eq!(stacks[7].update(&of(7, 2)).await, Status::UpdateComplete, "{}", world.story());
                    1
                }
                "Delete of one of 40" => {
                    assert_eq!(stacks[7].delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    stacks.remove(7);
                    1
                }
                "Deletes of the others" => {
                    for stack in &mut stacks {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    }
                    stacks.len()
                }
                _ => {
                    for (index, stack) in stacks.iter_mut().enumerate() {
                        assert_eq!(stack.create(&of(index, 1)).await, Status::CreateComplete, "{}", world.story());
                    }
                    stacks.len()
                }
            };
            world.lambda.settle().await;
            figures.push(end(&world.cloud, &format!("provider with 40 owners: {operation}"), before, invocations));
        }
        world.nothing_left_but(&[]).await;
        figures
    })
}

#[test]
fn a_provider_with_40_owners_lives_under_throttling() {
    a_provider();
}

/// Owners beyond those that a tag of their own fits: they declare one of two sets of client ids.
fn a_crowd() -> Vec<Figures> {
    const OWNERS: usize = 300;
    let of = |ids: &[&str]| vec![declared("Provider", PROVIDER, json!({"ClientIdList": ids}))];
    let sets = [of(&["sts.amazonaws.com"]), of(&["sts.amazonaws.com", "acme"])];
    world(async |world| {
        let mut stacks: Vec<_> = (0..OWNERS).map(|index| world.stack(&format!("s-{index}"))).collect();
        let mut figures = Vec::new();
        for operation in ["300 Creates, one after the other", "Update of one of 300", "Deletes of all"] {
            let before = begin(&world.cloud, 1.0);
            let invocations = match operation {
                "Update of one of 300" => {
                    let with_an_id = of(&["sts.amazonaws.com", "another"]);
                    assert_eq!(stacks[7].update(&with_an_id).await, Status::UpdateComplete, "{}", world.story());
                    1
                }
                "Deletes of all" => {
                    for stack in &mut stacks {
                        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
                    }
                    OWNERS
                }
                _ => {
                    for (stack, set) in stacks.iter_mut().zip(sets.iter().cycle()) {
                        assert_eq!(stack.create(set).await, Status::CreateComplete, "{}", world.story());
                    }
                    OWNERS
                }
            };
            world.lambda.settle().await;
            figures.push(end(&world.cloud, &format!("provider with 300 owners: {operation}"), before, invocations));
        }
        let left = world.ours();
        let shared = left[0].1.facets.keys().filter(|facet| facet.starts_with("tag github-trust:crowd:"));
        assert_eq!(shared.count(), sets.len(), "it stays: {left:?}");
        figures
    })
}

#[test]
fn a_provider_with_300_owners_lives_under_throttling() {
    a_crowd();
}

pub(super) const SMALL: Size = Size { providers: 6, roles: 12, clusters: 2, stale: 4 };
pub(super) const LARGE: Size = Size { providers: 100, roles: 1000, clusters: 3, stale: 20 };

pub(super) struct LargeAccount {
    world: World,
    pub(super) size: Size,
}

impl Deref for LargeAccount {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

/// An account of that size, all of it made by us: one of each by the function, the others after their likeness.
pub(super) fn large_account<T>(size: Size, story: impl AsyncFnOnce(&LargeAccount) -> T) -> T {
    World::with(
        Settings::default(),
        github_trust,
        |_, _| {},
        async |world| {
            fastrand::seed(1);
            let account = LargeAccount { world, size };
            account.furnish().await;
            story(&account).await
        },
    )
}

impl LargeAccount {
    async fn furnish(&self) {
        self.cloud
            .change_now(|account, now| account.eks.add_cluster(&cluster_name(0), "API", eks::Status::Active, now));
        let trust = json!([{"Repository": REPOSITORY, "Branches": ["main"]}]);
        let all = vec![
            declared("Provider", PROVIDER, json!({"Url": "https://token.actions.githubusercontent.com/e-000"})),
            declared("Role", ROLE, json!({"RoleName": role_name(0), "ProviderArn": provider_arn(0), "Trust": trust})),
            declared(
                "Entry",
                ENTRY,
                json!({"ClusterName": cluster_name(0), "PrincipalArn": role_arn(0), "Username": "deployer",
                "AccessPolicies": [access("AmazonEKSViewPolicy", &[])]}),
            ),
        ];
        let mut stack = self.stack("s");
        assert_eq!(stack.create(&all).await, Status::CreateComplete, "{}", self.cloud.story());
        tokio::time::sleep(Duration::from_hours(1)).await;
        let mut state = self.cloud.state();
        let now = state.clock.now();
        large_account::multiply(&mut state.account, self.size, now);
        // Every issuer has a new certificate.
        state.issuers.thumbprints = ["b".repeat(40)].into();
    }

    /// One attempt, as Lambda makes it.
    async fn attempt(&self) -> Ended {
        self.lambda.attempt(&Author::Upkeep, "schedule", SCHEDULE).await
    }

    /// The schedule's event until it is done with: three attempts a day. Gives how many it took, and the time between them.
    async fn until_done(&self) -> (usize, Duration) {
        let mut pauses = Duration::ZERO;
        for attempt in 1..=12 {
            match self.attempt().await {
                Ended::Returned(Ok(())) => return (attempt, pauses),
                Ended::Returned(Err(reason)) => assert!(reason.contains("the next one goes on from there"), "{reason}"),
                ended => panic!("{ended:?}"),
            }
            assert!(self.has_cursor());
            let pause = PAUSES.get((attempt - 1) % 3).copied().unwrap_or(Duration::from_hours(23));
            pauses += pause;
            tokio::time::sleep(pause).await;
        }
        panic!("it never ended");
    }

    fn has_cursor(&self) -> bool {
        self.cloud.state().account.secrets.secrets.contains_key(CURSOR)
    }

    /// All entries are bound to their roles, all providers were looked at, and nothing is left of the work.
    fn all_is_done(&self) {
        let state = self.cloud.state();
        let (iam, eks) = (&state.account.iam, &state.account.eks);
        for (name, cluster) in &eks.clusters {
            assert_eq!(cluster.entries.len(), self.size.roles);
            for entry in cluster.entries.values() {
                let role = iam.roles.primary(entry.principal.rsplit('/').next().expect("a name")).expect("its role");
                assert_eq!(entry.bound_to.as_ref(), Some(&role.id), "{} in {name}", entry.principal);
                assert_eq!(entry.policies.len(), 1, "{} in {name}", entry.principal);
                assert!(!entry.tags.contains_key("github-trust:restoring"));
            }
        }
        for (arn, provider) in iam.providers.all() {
            let is_looked_at =
                provider.tags.contains_key("github-trust:candidates") || provider.thumbprints.contains(&"b".repeat(40));
            assert!(is_looked_at, "{arn}");
        }
        let left: Vec<&String> = state.account.secrets.secrets.keys().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    pub(super) fn calls_since(&self, from: usize) -> Vec<Call> {
        self.cloud.state().calls[from..].to_vec()
    }

    /// How many of these did what they were to.
    fn done(&self, from: usize, action: &str) -> usize {
        let calls = self.calls_since(from);
        calls.iter().filter(|call| call.action == action && call.outcome == Outcome::Done).count()
    }
}

fn a_run(size: Size, scale: f64) -> Figures {
    let what = format!(
        "scheduled run over {} providers, {} roles and {} entries of which {} are stale{}",
        size.providers,
        size.roles,
        size.entries(),
        size.roles.div_ceil(size.stale) * size.clusters,
        if (scale - 1.0).abs() < f64::EPSILON { String::new() } else { format!(", at {scale} of the rates") }
    );
    large_account(size, async |world| {
        let before = begin(&world.cloud, scale);
        let (invocations, pauses) = world.until_done().await;
        let figures = end(&world.cloud, &what, (before.0, before.1 + pauses), invocations);
        world.all_is_done();
        let (to_heal, first) = (size.roles.div_ceil(size.stale) * size.clusters, before.0);
        assert_eq!(world.done(first, "CreateAccessEntry"), to_heal, "each stale entry is made again once");
        // What the end of an invocation cut off is looked at again; so is what somebody may have changed while a call was
        // throttled whose effect depends on it.
        let again = 4 * (invocations - 1);
        let of_one = if scale < 1.0 { 20 } else { 8 };
        for (action, all) in [("GetRole", size.roles), ("DescribeAccessEntry", size.entries())] {
            let (done, most) = (world.done(first, action), all + of_one * to_heal + again);
            assert!((all..=most).contains(&done), "{action}: {done} of {all} to {most}");
        }
        figures
    })
}

#[test]
fn a_run_over_a_small_account_ends_in_one_invocation() {
    assert_eq!(a_run(SMALL, 1.0).invocations, 1);
}

#[test]
fn a_run_whose_time_is_not_enough_goes_on_where_it_stopped() {
    let invocations = a_run(SMALL, 0.01).invocations;
    assert!((2..=4).contains(&invocations), "{invocations}");
}

/// The table of `docs/performance.md`: `WRITE_TABLE=1 cargo test --test suite figures_of_growth -- --ignored --nocapture`
/// writes it, without the variable it is compared.
#[test]
#[ignore = "on demand: it takes a minute"]
fn the_figures_of_growth_are_those_of_the_documentation() {
    let mut figures: Vec<Figures> = [a_role(), an_entry(), a_provider(), a_crowd()].concat();
    figures.extend([1.0, 0.2].map(|scale| a_run(LARGE, scale)));
    figures.push(an_audit(LARGE));
    assert_eq!(figures.iter().rev().nth(2).map(|figures| figures.invocations), Some(1));
    let mut table = String::from(
        "| what | invocations | time | calls | of them throttled | most at once |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for Figures { what, time, calls, throttled, most_flying, invocations } in figures {
        let seconds = time.as_secs_f64();
        let time = if seconds < 120.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) };
        let _ = writeln!(table, "| {what} | {invocations} | {time} | {calls} | {throttled} | {most_flying} |");
    }
    println!("{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let Ok(text) = std::fs::read_to_string(&path) else { panic!("there is no docs/performance.md") };
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("the table is written");
        return;
    }
    assert!(written == table, "the table is not what the figures are: write it with WRITE_TABLE=1");
}

impl LargeAccount {
    /// An earlier run has stopped here.
    fn stopped_at(&self, phase: &str, after: &[&str]) {
        let value = json!({"phase": phase, "after": after}).to_string();
        self.leave(&value);
    }

    fn leave(&self, value: &str) {
        let token = "0".repeat(32);
        let input = json!({"Name": CURSOR, "SecretString": value, "ClientRequestToken": token, "Description": ""});
        let mut state = self.cloud.state();
        let now = state.clock.now();
        state.account.secrets.handle("CreateSecret", &input, &Author::Upkeep, now).expect("no cursor yet");
    }

    fn slowly(&self, scale: f64) {
        self.cloud.state().throttles = Some(Throttles::scaled(scale));
    }

    fn quickly(&self) {
        self.cloud.state().throttles = None;
    }

    async fn next_day(&self) {
        tokio::time::sleep(Duration::from_hours(23)).await;
    }

    async fn quiet_run(&self) {
        assert_eq!(self.attempt().await, Ended::Returned(Ok(())), "{}", self.cloud.story());
    }
}

const TINY: Size = Size { providers: 2, roles: 4, clusters: 2, stale: 2 };

#[test]
fn a_run_that_goes_on_looks_at_the_rest_only_and_forgets_where_it_began() {
    large_account(TINY, async |world| {
        world.stopped_at("entries", &["c-0", &role_arn(2)]);
        let from = world.cloud.call_count();
        world.quiet_run().await;
        let calls = world.calls_since(from);
        let seen = |action: &str| {
            let mut seen: Vec<String> =
                calls.iter().filter(|call| call.action == action).map(|call| call.resource.clone()).collect();
            seen.dedup();
            seen
        };
        assert_eq!(seen("ListOpenIDConnectProviders"), Vec::<String>::new());
        let described: Vec<String> = seen("DescribeAccessEntry");
        assert_eq!(described[0], role_arn(3), "{}", world.cloud.story());
        assert!(described.contains(&role_arn(0)), "in the other cluster");
        assert!(!world.has_cursor());
        world.next_day().await;
        world.quiet_run().await;
        world.all_is_done();
    });
}

const MINI: Size = Size { providers: 1, roles: 2, clusters: 1, stale: 2 };

/// Wherever it dies: while it goes on, while it forgets where it began, while it writes down how far it came.
#[test]
fn wherever_a_run_that_goes_on_dies_the_next_ones_see_to_everything() {
    let story = async |world: &LargeAccount, death: Option<(u64, When)>| {
        world.stopped_at("entries", &["c-0", ""]);
        world.cloud.begin_step(2);
        if let Some((call, when)) = death {
            world.cloud.state().faults.plan(At::OfStep { step: 2, call }, when, Fault::Kill);
        }
        let ended = world.attempt().await;
        let calls = world.cloud.state().calls.iter().filter(|call| call.of_step.0 == 2).count() as u64;
        world.cloud.begin_step(3);
        for _ in 0..2 {
            world.next_day().await;
            world.quiet_run().await;
        }
        world.all_is_done();
        (ended, calls)
    };
    let (ended, calls) = large_account(MINI, async |world| story(world, None).await);
    assert_eq!(ended, Ended::Returned(Ok(())));
    for call in 1..=calls {
        let when = if call % 2 == 0 { When::Before } else { When::After };
        let (ended, _) = large_account(MINI, async |world| story(world, Some((call, when))).await);
        assert_eq!(ended, Ended::Killed, "{call}");
    }
    println!("a run that goes on: {calls} ways to die");
}

#[test]
fn wherever_a_run_with_a_checkpoint_dies_the_next_ones_finish() {
    // Entries that are made again are kept in the same way, so that the cursor's secret is not the first.
    let nth = large_account(TINY, async |world| {
        world.slowly(0.002);
        world.attempt().await;
        let mut secrets = world.calls_since(0).into_iter().filter(|call| call.action == "CreateSecret");
        secrets.position(|call| call.resource == CURSOR).expect("a cursor") as u64 + 1
    });
    for (when, kept) in [(When::Before, false), (When::After, true)] {
        large_account(TINY, async |world| {
            world.slowly(0.002);
            world.cloud.state().faults.plan(At::nth("CreateSecret", nth), when, Fault::Kill);
            assert_eq!(world.attempt().await, Ended::Killed, "{}", world.cloud.story());
            assert_eq!(world.has_cursor(), kept);
            world.quickly();
            for _ in 0..2 {
                world.next_day().await;
                world.quiet_run().await;
            }
            world.all_is_done();
        });
    }
}

#[test]
fn a_cursor_that_cannot_be_read_or_written_costs_nothing_but_time() {
    large_account(TINY, async |world| {
        world.stopped_at("roles", &["zzz"]);
        world.cloud.state().faults.plan(At::nth("GetSecretValue", 1), When::Before, Fault::AccessDenied);
        world.quiet_run().await;
        assert!(world.has_cursor(), "this run did not begin with it");
        world.next_day().await;
        world.quiet_run().await;
        world.all_is_done();
    });
    large_account(TINY, async |world| {
        world.leave("{\"phase\": \"something newer\"}");
        world.quiet_run().await;
        world.all_is_done();
    });
    large_account(TINY, async |world| {
        world.slowly(0.002);
        world.cloud.state().faults.plan(At::every("CreateSecret"), When::Before, Fault::AccessDenied);
        let Ended::Returned(Err(reason)) = world.attempt().await else { panic!("{}", world.cloud.story()) };
        assert!(
            reason.contains("the next one begins anew, because that could not be kept: secretsmanager:"),
            "{reason}"
        );
        world.cloud.state().faults.cease();
        world.quickly();
        world.quiet_run().await;
        world.all_is_done();
    });
}

#[test]
fn a_cursor_that_names_what_is_gone_leads_to_what_comes_after_it() {
    for (phase, after) in [
        ("providers", vec!["arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com/e-000x"]),
        ("entries", vec!["c-0x", "arn:aws:iam::111122223333:role/nobody"]),
        ("entries", vec!["c-9", "arn:aws:iam::111122223333:role/nobody"]),
        ("entries", vec![]),
        ("roles", vec!["deploy-0001x"]),
    ] {
        large_account(TINY, async |world| {
            world.stopped_at(phase, &after);
            world.quiet_run().await;
            assert!(!world.has_cursor(), "{phase} {after:?}");
            world.next_day().await;
            world.quiet_run().await;
            world.all_is_done();
        });
    }
}

#[test]
fn two_runs_at_once_that_go_on_do_no_harm() {
    for offset in (0..1500).step_by(300) {
        large_account(TINY, async |world| {
            world.stopped_at("providers", &[&provider_arn(0)]);
            let later = async {
                tokio::time::sleep(Duration::from_millis(offset)).await;
                world.attempt().await
            };
            tokio::join!(world.attempt(), later);
            for _ in 0..2 {
                world.next_day().await;
                world.quiet_run().await;
            }
            world.all_is_done();
        });
    }
}

#[test]
fn two_runs_that_stop_at_once_leave_one_checkpoint() {
    large_account(TINY, async |world| {
        world.slowly(0.002);
        let later = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            world.attempt().await
        };
        let (one, two) = tokio::join!(world.attempt(), later);
        for ended in [one, two] {
            assert!(
                matches!(&ended, Ended::Returned(Err(reason)) if reason.contains("goes on from there")),
                "{ended:?}"
            );
        }
        assert!(world.has_cursor());
        world.quickly();
        for _ in 0..2 {
            world.next_day().await;
            world.quiet_run().await;
        }
        world.all_is_done();
    });
}

#[test]
fn what_failed_before_a_run_stopped_is_told_with_how_far_it_came() {
    large_account(TINY, async |world| {
        world.cloud.state().issuers.broken = Some("e-000".to_owned());
        world.slowly(0.004);
        let Ended::Returned(Err(reason)) = world.attempt().await else { panic!("{}", world.cloud.story()) };
        assert!(reason.starts_with("the scheduled run stopped among the "), "{reason}");
        assert!(reason.contains("because its time was up; the next one goes on from there; the scheduled run failed for arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com/e-000: "), "{reason}");
    });
}

#[test]
fn a_service_that_asks_to_wait_is_waited_for() {
    large_account(TINY, async |world| {
        world.slowly(0.1);
        world.cloud.state().throttles.as_mut().expect("throttles").retry_after = Some(7);
        let from = world.cloud.call_count();
        world.quiet_run().await;
        world.all_is_done();
        let calls = world.calls_since(from);
        let is_throttled =
            |call: &&Call| matches!(&call.outcome, Outcome::Refused { code, .. } if code.starts_with("Throttling"));
        let refused: Vec<&Call> = calls.iter().filter(is_throttled).collect();
        assert!(!refused.is_empty());
        for call in refused {
            let next = calls
                .iter()
                .find(|next| next.number > call.number && (&next.action, &next.input) == (&call.action, &call.input));
            let waited = next.map_or(Duration::MAX, |next| next.at.saturating_sub(call.at));
            assert!(waited >= Duration::from_secs(7), "{call} was made again after {waited:?}");
        }
    });
}
