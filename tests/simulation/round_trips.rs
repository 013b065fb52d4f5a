//! How many calls a request takes, and how many of them have to wait for one another: each round trip is time that
//! somebody waits. Read from what was called, with every call as long as every other one.

use std::fmt::Write as _;
use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::json;

use super::cloud::Cloud;
use super::cloudformation::{CloudFormation, Declared, Template, declared};
use super::eks;
use super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::function::github_trust_with;
use super::github::SECRET;
use super::lambda::Lambda;
use super::logs::Log;
use super::plan::BOUNDARIES;
use super::sdk::in_virtual_time;
use super::stack::Stack;

/// From a request to its answer.
const CALL: Duration = Duration::from_millis(50);
/// Between what is prepared and what is measured, so that all of it is seen.
const LATER: Duration = Duration::from_mins(10);

/// One request of CloudFormation, what leads to it, and what it needs at least.
struct Case {
    what: &'static str,
    /// Stacks with what they declare, before.
    before: Vec<(&'static str, Declared)>,
    /// The stack, and what it declares from now on; nothing for a deletion.
    now: (&'static str, Option<Declared>),
    least: usize,
    because: &'static str,
}

/// What it took.
struct Taken {
    calls: Vec<String>,
    chain: usize,
    time: Duration,
}

fn measured(case: &Case) -> Taken {
    let log = Log::default();
    let _listening = log.listen();
    in_virtual_time(async {
        let cloud = Cloud::new(1);
        fastrand::seed(1);
        let settings = Settings { github_secret: Some(SECRET.to_owned()), ..Settings::default() };
        {
            let (now, mut state) = (cloud.now(), cloud.state());
            state.latency = CALL / 2;
            state.issuers.lasts = CALL;
            state.account.iam.policies.extend(BOUNDARIES.map(str::to_owned));
            state.account.eks.add_cluster("prod", "API_AND_CONFIG_MAP", eks::Status::Active, now);
            state.account.github.classic.push("acme/old".to_owned());
            state.account.github.secret = Some(json!({"token": "ghp_0123456789"}).to_string());
        }
        let lambda = Lambda::new(&cloud, &github_trust_with(&cloud, settings), Duration::from_mins(15));
        let cloudformation = CloudFormation::new(&cloud, &lambda);
        let story = async {
            let mut stacks = ["one", "two"].map(|name| (cloudformation.stack(name), Vec::new()));
            for (name, declared) in &case.before {
                let (stack, template) = &mut stacks[usize::from(*name == "two")];
                declare(stack, template, Some(declared), &cloud).await;
            }
            lambda.settle().await;
            tokio::time::sleep(LATER).await;
            let (first, looks) = (cloud.call_count(), cloud.state().issuers.began.len());
            let (name, declared) = &case.now;
            let (stack, template) = &mut stacks[usize::from(*name == "two")];
            declare(stack, template, declared.as_ref(), &cloud).await;
            lambda.settle().await;
            taken(&cloud, first, looks)
        };
        tokio::task::LocalSet::new().run_until(story).await
    })
}

/// Declares one more resource, or the same one otherwise; or takes the last one away.
async fn declare(stack: &mut Stack, template: &mut Template, declared: Option<&Declared>, cloud: &Cloud) {
    let is_new = template.is_empty();
    if let Some(declared) = declared {
        template.retain(|other| other.logical != declared.logical);
        template.push(declared.clone());
    } else {
        template.pop();
    }
    let status = if is_new {
        stack.create(template).await
    } else if template.is_empty() {
        stack.delete_stack().await
    } else {
        stack.update(template).await
    };
    assert!(format!("{status:?}").ends_with("Complete"), "{status:?}\n{}", cloud.story());
}

fn taken(cloud: &Cloud, first: usize, looks: usize) -> Taken {
    let state = cloud.state();
    let calls = &state.calls[first..];
    let mut spans: Vec<(Duration, Duration)> = calls.iter().map(|call| (call.at, call.at + CALL)).collect();
    spans.extend(state.issuers.began[looks..].iter().map(|began| (*began, *began + CALL)));
    spans.sort_unstable();
    let mut depths: Vec<usize> = Vec::new();
    for (began, _) in &spans {
        let before = spans.iter().zip(&depths).filter(|((_, ended), _)| ended <= began).map(|(_, depth)| *depth);
        depths.push(1 + before.max().unwrap_or_default());
    }
    let mut names: Vec<String> = calls.iter().map(|call| call.action.clone()).collect();
    names.extend(state.issuers.began[looks..].iter().map(|_| "the issuer".to_owned()));
    let ends = spans.iter().map(|(_, ended)| *ended).max().unwrap_or_default();
    let began = spans.first().map(|(began, _)| *began).unwrap_or_default();
    let time = ends.saturating_sub(began);
    Taken { calls: names, chain: depths.into_iter().max().unwrap_or_default(), time }
}

fn provider(client_id: &str) -> Declared {
    declared("Provider", PROVIDER, json!({"ClientIdList": ["sts.amazonaws.com", client_id]}))
}

const PROVIDER_ARN: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";

fn role(version: u64) -> Declared {
    let allow = |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
    let policy = if version == 1 { "ReadOnlyAccess" } else { "PowerUserAccess" };
    declared(
        "Role",
        ROLE,
        json!({"RoleName": "deploy", "ProviderArn": PROVIDER_ARN, "PermissionsBoundary": BOUNDARIES[0],
               "Trust": [{"Repository": "acme/app", "Branches": [format!("branch-{version}"), "both"]},
                         {"Repository": "acme/web", "Branches": ["main"], "Environments": ["live", "test"]}],
               "ManagedPolicyArns": [format!("arn:aws:iam::aws:policy/{policy}")],
               "Policies": [{"PolicyName": "own", "PolicyDocument": allow(&format!("s3:Get{version}"))}]}),
    )
}

fn entry(version: u64) -> Declared {
    let access = |name: &str| json!({"PolicyArn": format!("arn:aws:eks::aws:cluster-access-policy/{name}"), "AccessScope": {"Type": "cluster"}});
    let policy = if version == 1 { "AmazonEKSEditPolicy" } else { "AmazonEKSAdminPolicy" };
    declared(
        "Entry",
        ENTRY,
        json!({"ClusterName": "prod", "PrincipalArn": "arn:aws:iam::111122223333:role/deploy",
               "KubernetesGroups": [format!("group-{version}")], "AccessPolicies": [access("AmazonEKSViewPolicy"), access(policy)]}),
    )
}

/// The same, for which CloudFormation sends an Update.
fn as_it_is(mut declared: Declared) -> Declared {
    declared.properties["ServiceTimeout"] = json!("900");
    declared
}

fn variable(secret: bool, value: &str) -> Declared {
    let name = if secret { "Secret" } else { "Variable" };
    declared(
        name,
        "Custom::GitHubVariable",
        json!({"Repository": "acme/app", "Name": "AWS_ROLE_ARN", "Value": value, "Secret": secret}),
    )
}

fn environment(branch: &str) -> Declared {
    declared(
        "Environment",
        "Custom::GitHubEnvironment",
        json!({"Repository": "acme/app", "Name": "live", "DeploymentBranchPolicy": {"Branches": [branch]}}),
    )
}

fn opted_in() -> Declared {
    declared("Oidc", "Custom::GitHubRepositoryOidc", json!({"Repository": "acme/old", "UseImmutableSubject": true}))
}

fn case(
    what: &'static str,
    before: &[(&'static str, Declared)],
    now: (&'static str, Option<Declared>),
    least: usize,
    because: &'static str,
) -> Case {
    Case { what, before: before.to_vec(), now, least, because }
}

fn at_aws() -> Vec<Case> {
    of_providers().into_iter().chain(of_roles()).chain(of_entries()).collect()
}

fn of_providers() -> Vec<Case> {
    let p = ("one", provider("a"));
    vec![
        case("provider, Create", &[], ("one", Some(provider("a"))), 3, "look, make, answer"),
        case(
            "provider, Create that joins",
            std::slice::from_ref(&p),
            ("two", Some(provider("b"))),
            4,
            "look, claim, add, answer",
        ),
        case(
            "provider, Update",
            std::slice::from_ref(&p),
            ("one", Some(provider("b"))),
            8,
            "look, claim, add, look, remove, look, tag, answer",
        ),
        case(
            "provider, Delete by the last",
            std::slice::from_ref(&p),
            ("one", None),
            5,
            "look, announce, look, delete, answer",
        ),
        case(
            "provider, Delete by one of two",
            &[p.clone(), ("two", provider("b"))],
            ("two", None),
            7,
            "look, announce, look, remove, look, untag, answer",
        ),
    ]
}

fn of_roles() -> Vec<Case> {
    let (p, r) = (("one", provider("a")), ("one", role(1)));
    vec![
        case(
            "role, Create",
            std::slice::from_ref(&p),
            ("one", Some(role(1))),
            5,
            "credential, ask, make, attach, answer",
        ),
        case(
            "role, Update of all",
            &[p.clone(), r.clone()],
            ("one", Some(role(2))),
            11,
            "credential, ask, claim, trust, attach, put, detach, trust, tag, untag the ids, answer",
        ),
        case(
            "role, Update of nothing",
            &[p.clone(), r.clone()],
            ("one", Some(as_it_is(role(1)))),
            3,
            "credential, ask, answer",
        ),
        case("role, Delete", &[p.clone(), r.clone()], ("one", None), 4, "look, detach, delete, answer"),
    ]
}

fn of_entries() -> Vec<Case> {
    let (p, r, e) = (("one", provider("a")), ("one", role(1)), ("one", entry(1)));
    vec![
        case("entry, Create", &[p.clone(), r.clone()], ("one", Some(entry(1))), 4, "look, make, associate, answer"),
        case(
            "entry, Update of all",
            &[p.clone(), r.clone(), e.clone()],
            ("one", Some(entry(2))),
            7,
            "look, claim, associate, update, disassociate, tag, answer",
        ),
        case(
            "entry, Update of nothing",
            &[p.clone(), r.clone(), e.clone()],
            ("one", Some(as_it_is(entry(1)))),
            2,
            "look, answer",
        ),
        case("entry, Delete", &[p.clone(), r.clone(), e.clone()], ("one", None), 3, "look, delete, answer"),
    ]
}

const MADE: &str = "credential, look, claim, look, make, answer";
const SET: &str = "credential, look, set, answer";
const DELETED: &str = "credential, look, claim, look, delete, claim, answer";

fn at_github() -> Vec<Case> {
    vec![
        case("variable, Create", &[], ("one", Some(variable(false, "a"))), 6, MADE),
        case("variable, Update", &[("one", variable(false, "a"))], ("one", Some(variable(false, "b"))), 4, SET),
        case("variable, Delete", &[("one", variable(false, "a"))], ("one", None), 7, DELETED),
        case("secret, Create", &[], ("one", Some(variable(true, "a"))), 6, MADE),
        case("secret, Update", &[("one", variable(true, "a"))], ("one", Some(variable(true, "b"))), 4, SET),
        case("secret, Delete", &[("one", variable(true, "a"))], ("one", None), 7, DELETED),
        case(
            "environment, Create",
            &[],
            ("one", Some(environment("main"))),
            7,
            "credential, look, claim, look, make, pattern, answer",
        ),
        case(
            "environment, Update",
            &[("one", environment("main"))],
            ("one", Some(environment("next"))),
            5,
            "credential, look, pattern, pattern, answer",
        ),
        case("environment, Delete", &[("one", environment("main"))], ("one", None), 7, DELETED),
        case(
            "subjects with ids, Create",
            &[],
            ("one", Some(opted_in())),
            6,
            "credential, look, claim, look, set, answer",
        ),
        case(
            "subjects with ids, Delete",
            &[("one", opted_in())],
            ("one", None),
            7,
            "credential, look, claim, look, set, claim, answer",
        ),
    ]
}

/// Puts the table into the documentation.
fn write_down(table: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = text.split_once(BEGIN).expect("the place of the table");
    let (written, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("a file of ours");
        return;
    }
    assert!(written.trim() == table.trim(), "the table is not what is called: write it with WRITE_TABLE=1\n{table}");
}

const BEGIN: &str = "<!-- round trips, written by tests/simulation/round_trips.rs -->\n";
const END: &str = "<!-- end of round trips -->";

#[test]
fn no_chain_of_calls_is_longer_than_the_least_and_one() {
    let mut table =
        String::from("| request | calls | longest chain | least | which is |\n| --- | ---: | ---: | ---: | --- |\n");
    let mut long = Vec::new();
    for case in at_aws().into_iter().chain(at_github()) {
        let Taken { calls, chain, time } = measured(&case);
        let _ = writeln!(table, "| {} | {} | {chain} | {} | {} |", case.what, calls.len(), case.least, case.because);
        // No time passes but that of calls, and that in which others who share a provider are heard.
        let calls_only = time < Duration::from_secs(30);
        assert!(!calls_only || time == CALL * u32::try_from(chain).expect("few"), "{}: {time:?}", case.what);
        if chain > case.least + 1 {
            long.push(format!("{}: {chain} instead of {} ({})", case.what, case.least, calls.join(", ")));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    write_down(&table);
}
