//! Every place at which a process can die: before and after every outbound call of a Create, an Update, a replacement and
//! a Delete of each kind, in one, two and all three attempts. Which calls there are is read from a run without a death.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::cloudformation::{RequestType, Template, declared};
use super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::faults::{At, Fault, When};
use super::history::{Outcome, Stage};
use super::plan::{BOUNDARIES, Plan, Setting, Step, Trouble};

const STEP: u64 = 2;

/// A provider, a role and an entry, each with something of everything, in two versions; or in a third that replaces.
fn template(version: u64, role_name: &str) -> Template {
    let (branch, policy, namespace) =
        if version == 1 { ("main", "ReadOnlyAccess", "a") } else { ("next", "PowerUserAccess", "b") };
    let inline = |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
    vec![
        declared(
            "Provider",
            PROVIDER,
            json!({"ClientIdList": ["sts.amazonaws.com", format!("id-{version}")], "Tags": [{"Key": "version", "Value": version.to_string()}],
                   "ThumbprintList": [version.to_string().repeat(40)]}),
        ),
        declared(
            "Role",
            ROLE,
            json!({"RoleName": role_name, "ProviderArn": {"Ref": "Provider"}, "PermissionsBoundary": BOUNDARIES[0],
                   "Trust": [{"Repository": "acme/app", "Branches": [branch, "both"]}], "Description": format!("version {version}"),
                   "MaxSessionDuration": 3600 * version, "ManagedPolicyArns": [format!("arn:aws:iam::aws:policy/{policy}")],
                   "Policies": [{"PolicyName": "own", "PolicyDocument": inline(&format!("s3:Get{version}"))}],
                   "Tags": [{"Key": "version", "Value": version.to_string()}]}),
        ),
        declared(
            "Entry",
            ENTRY,
            json!({"ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}, "KubernetesGroups": [format!("group-{version}")],
                   "AccessPolicies": [{"PolicyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                                       "AccessScope": {"Type": "namespace", "Namespaces": [namespace]}}],
                   "Tags": [{"Key": "version", "Value": version.to_string()}]}),
        ),
    ]
}

fn plan(steps: Vec<Step>, faults: Vec<(At, When, Fault)>) -> Plan {
    let numbered = (1..).zip(steps).collect();
    Plan {
        seed: 7,
        setting: Setting::default(),
        steps: numbered,
        trouble: Trouble::Exactly(faults),
        must_succeed: false,
        must_not_stick: false,
    }
}

/// The same with a role that is repaired.
fn repaired(version: u64, role_name: &str) -> Template {
    let mut template = template(version, role_name);
    template[1].properties["OnDrift"] = json!("Repair");
    template
}

/// The same with records of declarations in it.
fn scenarios_of_repairs() -> Vec<(&'static str, Vec<Step>)> {
    let first = || Step::Create("one", repaired(1, "deploy"));
    let update = |template| Step::Update("one", template);
    vec![
        ("create", vec![Step::Wait(std::time::Duration::ZERO), first()]),
        ("update", vec![first(), update(repaired(2, "deploy"))]),
        ("replace", vec![first(), update(repaired(2, "deploy-2"))]),
        ("to report", vec![first(), update(template(2, "deploy"))]),
        ("to repair", vec![Step::Create("one", template(1, "deploy")), update(repaired(2, "deploy"))]),
        ("delete", vec![first(), Step::Delete("one")]),
    ]
}

/// What is done before, and what is done with deaths in it.
fn scenarios() -> Vec<(&'static str, Vec<Step>)> {
    let wait = || Step::Wait(std::time::Duration::ZERO);
    let first = || Step::Create("one", template(1, "deploy"));
    vec![
        ("create", vec![wait(), first()]),
        ("update", vec![first(), Step::Update("one", template(2, "deploy"))]),
        ("replace", vec![first(), Step::Update("one", template(2, "deploy-2"))]),
        ("delete", vec![first(), Step::Delete("one")]),
    ]
}

/// The death of one, two or three attempts: the first at a certain call, the later ones at the same call or, where they
/// have fewer to make, at their first.
fn deaths(first_invocation: u64, call: u64, later: u64, when: When, attempts: u64) -> Vec<(At, When, Fault)> {
    (0..attempts)
        .map(|attempt| {
            let call = if attempt == 0 { call } else { later };
            (At::OfInvocation { invocation: first_invocation + attempt, call }, when, Fault::Kill)
        })
        .collect()
}

/// Each call is died at before and after it, by one, two and three attempts.
const POINTS_OF_A_CALL: usize = 6;

fn table(covered: &BTreeMap<String, usize>) -> String {
    let mut table =
        String::from("| what is done, and the request in it | recorded calls | kill points |\n|---|---|---|\n");
    for (what, points) in covered {
        let _ = writeln!(table, "| {what} | {} | {points} |", points / POINTS_OF_A_CALL);
    }
    let all: usize = covered.values().sum();
    let _ = writeln!(table, "| all | {} | {all} |", all / POINTS_OF_A_CALL);
    table
}

/// Puts the table into the documentation.
fn write_down(table: &str) {
    const MARKS: [&str; 2] =
        ["<!-- The kill points, as their test counts them. -->\n", "<!-- The end of the kill points. -->\n"];
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = text.split_once(MARKS[0]).expect("the place of the table");
    let (_, after) = rest.split_once(MARKS[1]).expect("the end of the table");
    std::fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1])).expect("a file of ours");
}

/// Dies at every call of these resources. Returns the number of points, and what went wrong.
fn die_everywhere(
    scenarios: Vec<(&'static str, Vec<Step>)>,
    is_meant: impl Fn(&str) -> bool,
) -> (BTreeMap<String, usize>, Vec<String>) {
    let stage = Stage::new();
    let mut covered: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, steps) in scenarios {
        let calm = stage.play(&plan(steps.clone(), Vec::new()));
        assert!(calm.violations.is_empty(), "{name}: {calm}");
        let meant = calm.invocations.iter().filter(|invocation| invocation.step == STEP);
        for invocation in meant.filter(|invocation| is_meant(&invocation.logical)) {
            for call in 1..=invocation.calls {
                for when in [When::Before, When::After] {
                    for attempts in 1..=3 {
                        let play = |later| {
                            let faults = deaths(invocation.number, call, later, when, attempts);
                            stage.play(&plan(steps.clone(), faults))
                        };
                        let died = |outcome: &Outcome| outcome.struck.len() as u64 == attempts;
                        let mut outcome = play(call);
                        if !died(&outcome) {
                            outcome = play(1);
                        }
                        assert!(died(&outcome), "{attempts} deaths were planned");
                        let point = format!(
                            "{name}: {attempts} deaths {when:?} call {call} of {:?} {}",
                            invocation.request, invocation.logical
                        );
                        wrong.extend(outcome.violations.iter().map(|violation| format!("{point}: {violation}")));
                        *covered
                            .entry(format!("{name} {:?} {}", invocation.request, invocation.logical))
                            .or_default() += 1;
                    }
                }
            }
        }
    }
    (covered, wrong)
}

#[test]
fn wherever_a_process_dies_everything_converges() {
    let (covered, wrong) = die_everywhere(scenarios(), |_| true);
    let count: usize = covered.values().sum();
    let table = table(&covered);
    println!("{table}");
    if std::env::var_os("WRITE_TABLE").is_some() {
        write_down(&table);
    }
    assert!(wrong.is_empty(), "{} violations at {count} points:\n{}", wrong.len(), wrong.join("\n"));
    assert!(covered.keys().any(|key| key.contains(&format!("{:?}", RequestType::Delete))));
}

#[test]
fn wherever_a_process_dies_the_declaration_of_a_role_is_kept_or_gone() {
    let (covered, wrong) = die_everywhere(scenarios_of_repairs(), |logical| logical == "Role");
    let count: usize = covered.values().sum();
    assert!(count > 100, "{count}");
    assert!(wrong.is_empty(), "{} violations at {count} points:\n{}", wrong.len(), wrong.join("\n"));
}

/// Not a test by itself: writes what goes over the wire when nothing dies, for `tests/local_aws/test_simulation.py`.
#[test]
#[ignore = "called with QUIET_TRANSCRIPT=<file> by the comparison of the simulation with the local AWS"]
fn transcribe_quiet_days() {
    let file = std::env::var("QUIET_TRANSCRIPT").expect("QUIET_TRANSCRIPT names a file");
    let mut stage = Stage::new();
    stage.transcribes = true;
    let mut lines = String::new();
    for (name, steps) in scenarios() {
        for mut exchange in stage.play(&plan(steps, Vec::new())).transcript {
            exchange["scenario"] = json!(name);
            lines.push_str(&exchange.to_string());
            lines.push('\n');
        }
    }
    std::fs::write(file, lines).expect("the transcript can be written");
}
