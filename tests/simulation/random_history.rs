//! Histories out of a seed: what teams declare, change and delete, what others do beside them, and what goes wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::cloudformation::{Disturbance, Template, declared};
use super::expected_state::{ENTRY, PROVIDER, ROLE};
use super::faults::Rates;
use super::lambda::Delivery;
use super::plan::{BOUNDARIES, ISSUER, ManualChange, Plan, Setting, Step, Trouble};
use super::wire::OTHER_WORDS;

const THUMBPRINTS: [&str; 3] = [
    "1111111111111111111111111111111111111111",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "3333333333333333333333333333333333333333",
];
const MANAGED: [&str; 4] = [
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "arn:aws:iam::aws:policy/PowerUserAccess",
    "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
    BOUNDARIES[0],
];
const ACCESS: [&str; 3] = ["AmazonEKSViewPolicy", "AmazonEKSEditPolicy", "AmazonEKSClusterAdminPolicy"];

struct Dice(fastrand::Rng);

impl Dice {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.0.usize(0..of.len())]
    }

    fn some<T: Clone>(&mut self, of: &[T], percent: u32) -> Vec<T> {
        of.iter().filter(|_| self.chance(percent)).cloned().collect()
    }

    fn seconds(&mut self, at_most: u64) -> u64 {
        self.0.u64(0..=at_most)
    }
}

impl Plan {
    /// The history of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let mut setting = setting(&mut dice);
        read_otherwise(&mut setting, &mut Dice(fastrand::Rng::with_seed(seed ^ 0x7a65)));
        read_late(&mut setting, &mut Dice(fastrand::Rng::with_seed(seed ^ 0x1a7e)));
        show_late(&mut setting, &mut Dice(fastrand::Rng::with_seed(seed ^ 0x57a7)));
        let (trouble, mild) = trouble(&mut dice);
        // There, an Update that takes a username back fails.
        let mild = mild && !setting.refuses_own_usernames;
        let mut steps = Vec::new();
        let others = dice.chance(25);
        let (mut changed_by_hand, mut cancelled) = (false, false);
        let declared = |dice: &mut Dice, name| template(dice, name, setting.provider_of_others);
        let both = dice.chance(50);
        steps.push(Step::Create("one", declared(&mut dice, "one")));
        if both {
            steps.push(Step::Create("two", declared(&mut dice, "two")));
        }
        for _ in 0..dice.0.usize(1..5) {
            match dice.0.u32(0..100) {
                0..45 => steps.push(Step::Update("one", declared(&mut dice, "one"))),
                45..55 if both => steps.push(Step::Together(vec![
                    Step::Update("one", declared(&mut dice, "one")),
                    Step::Update("two", declared(&mut dice, "two")),
                ])),
                55..65 => {
                    let (disturbance, stops_waiting) = disturbance(&mut dice);
                    cancelled |= stops_waiting;
                    steps.push(Step::Disturb(dice.one::<&str>(&["Provider", "Role", "Entry"]), disturbance));
                }
                65..75 => steps.push(Step::Delete(if both { "two" } else { "one" })),
                75..85 if others => {
                    changed_by_hand = true;
                    steps.push(Step::Someone(manual_change(&mut dice)));
                }
                85..95 => steps.push(Step::Create("two", declared(&mut dice, "two"))),
                _ => steps.push(Step::Wait(Duration::from_secs(dice.seconds(300)))),
            }
        }
        if dice.chance(30) {
            steps.push(Step::ContinueRollback("one", dice.some(&["Role", "Entry"], 40)));
            steps.push(Step::Update("one", declared(&mut dice, "one")));
        }
        // Where stacks share a provider, what readers see late can mislead them about each other: docs/reliability.md says how.
        if !steps.iter().any(|step| format!("{step:?}").contains("\"two\"")) && dice.chance(40) {
            setting.iam_change_lag = dice.seconds(60);
        }
        let numbered = steps.into_iter().enumerate().map(|(index, step)| (index as u64 + 1, step)).collect();
        let must_succeed = mild && !changed_by_hand && !cancelled && setting.service_timeout.is_none();
        Self { seed, setting, steps: numbered, trouble, must_succeed, must_not_stick: false }
    }
}

fn setting(dice: &mut Dice) -> Setting {
    let mut setting = Setting::default();
    let lags = dice.chance(50);
    let lag = |dice: &mut Dice, at_most| if lags && dice.chance(50) { dice.seconds(at_most) } else { 0 };
    setting.iam_lag = lag(dice, 60);
    setting.odd_arn = lag(dice, 30);
    setting.principal_lag = lag(dice, 30);
    setting.role_lag = lag(dice, 90);
    setting.entry_lag = lag(dice, 30);
    setting.page = *dice.one(&[100, 100, 2, 1]);
    setting.empty_pages = dice.chance(20);
    setting.forgets_client_tokens = dice.chance(30);
    setting.associating_again_is_ignored = dice.chance(20);
    setting.deleting_a_missing_provider_fails = dice.chance(50);
    setting.provider_of_others = dice.chance(20);
    setting.rolls_back_replacements_by_update = dice.chance(50);
    setting.service_timeout = dice.chance(15).then(|| 30 + dice.seconds(300));
    setting
}

/// What AWS does not say. Drawn apart, so that the rest of a history is what it was before.
fn read_otherwise(setting: &mut Setting, dice: &mut Dice) {
    setting.tags_lag = if dice.chance(40) { dice.seconds(40) } else { 0 };
    setting.gone_is_denied = dice.chance(50);
    setting.garbles = dice.chance(30).then_some(OTHER_WORDS[0]);
    setting.secret_lag = if dice.chance(40) { dice.seconds(60) } else { 0 };
    setting.takes_unknown_providers = dice.chance(50);
    setting.secret_read_lag = if dice.chance(30) { dice.seconds(20) } else { 0 };
}

/// What AWS does not say either. Drawn apart again.
fn read_late(setting: &mut Setting, dice: &mut Dice) {
    setting.eks_read_lag = if dice.chance(30) { dice.seconds(10) } else { 0 };
    setting.empty_descriptions_stay = dice.chance(30);
    setting.refuses_own_usernames = dice.chance(10);
    setting.nodes_take_no_tags = dice.chance(30);
    let words = *dice.one(&OTHER_WORDS);
    setting.garbles = setting.garbles.map(|_| words);
}

/// What CloudFormation does not say. Drawn apart again.
fn show_late(setting: &mut Setting, dice: &mut Dice) {
    if dice.chance(30) {
        setting.states_lag = dice.seconds(9);
        setting.clock_skew = i64::try_from(dice.seconds(4)).unwrap_or_default() - 2;
    }
}

/// What goes wrong, and whether so little that everything must succeed all the same.
fn trouble(dice: &mut Dice) -> (Trouble, bool) {
    match dice.0.u32(0..100) {
        0..30 => (Trouble::None, true),
        30..60 => (Trouble::AtRandom(Rates { access_denied: 0, ..Rates::bad_day(2) }), true),
        60..75 => {
            let rates = Rates { kill: 150, ..Rates::bad_day(9) };
            (Trouble::AtRandom(rates), false)
        }
        75..85 => {
            let rates = Rates { access_denied: 60, ..Rates::bad_day(6) };
            (Trouble::AtRandom(rates), false)
        }
        _ => (Trouble::AtRandom(Rates::bad_day(20)), false),
    }
}

fn disturbance(dice: &mut Dice) -> (Disturbance, bool) {
    let duplicates = match dice.0.u32(0..3) {
        0 => vec![Duration::ZERO],
        1 => vec![Duration::from_millis(dice.seconds(400))],
        _ => Vec::new(),
    };
    let delay = Duration::from_secs(dice.seconds(20));
    let cancelled_after = dice.chance(30).then(|| delay + Duration::from_millis(dice.seconds(500)));
    (Disturbance { delivery: Delivery { delay, duplicates }, cancelled_after }, cancelled_after.is_some())
}

fn manual_change(dice: &mut Dice) -> ManualChange {
    *dice.one(&[
        ManualChange::AttachPolicy,
        ManualChange::DetachPolicies,
        ManualChange::WriteInlinePolicy,
        ManualChange::OpenTrust,
        ManualChange::TagRole,
        ManualChange::PutIntoInstanceProfile,
        ManualChange::RecreateRole,
        ManualChange::DeleteRole,
        ManualChange::AddClientId,
        ManualChange::RemoveClientIds,
        ManualChange::DeleteEntry,
        ManualChange::DisassociatePolicies,
        ManualChange::ChangeGroups,
    ])
}

/// What a team declares: always a provider and a role, often an entry.
fn template(dice: &mut Dice, stack: &str, provider_of_others: bool) -> Template {
    let mut template = vec![
        declared("Provider", PROVIDER, provider(dice, stack, provider_of_others)),
        declared("Role", ROLE, role(dice, stack)),
    ];
    if dice.chance(50) {
        template.push(declared("Entry", ENTRY, entry(dice)));
    }
    if dice.chance(20) {
        template.push(declared("Second", ROLE, role(dice, &format!("{stack}-2"))));
    }
    template
}

fn provider(dice: &mut Dice, stack: &str, of_others: bool) -> Value {
    let mut properties = json!({});
    if dice.chance(40) {
        properties["Url"] = json!(ISSUER);
    }
    if dice.chance(60) {
        let mut ids = dice.some(&["other", "third"], 50);
        ids.push("sts.amazonaws.com");
        properties["ClientIdList"] = json!(ids);
    }
    // Two stacks that declare different thumbprints contradict each other, and nobody can help them.
    if stack == "one" && !of_others && dice.chance(40) {
        let list = dice.some(&THUMBPRINTS, 60);
        properties["ThumbprintList"] = json!(if list.is_empty() { vec![THUMBPRINTS[0]] } else { list });
    }
    tags(dice, &mut properties, stack);
    properties
}

fn role(dice: &mut Dice, stack: &str) -> Value {
    let mut properties = json!({"ProviderArn": {"Ref": "Provider"}, "Trust": trust(dice)});
    // A name has its path: IAM cannot move a role.
    match dice.0.u32(0..10) {
        0..3 => properties["RoleName"] = json!(format!("deploy-{stack}")),
        3..5 => {
            properties["RoleName"] = json!(format!("deploy-{stack}-ci"));
            properties["Path"] = json!("/ci/");
        }
        5 => properties["Path"] = json!("/ci/"),
        _ => {}
    }
    if dice.chance(40) {
        properties["Description"] = json!(dice.one(&["deploys", "deploys \"all\" <of> it & more"]));
    }
    if dice.chance(30) {
        properties["MaxSessionDuration"] = json!(dice.one(&[3600, 7200, 43200]));
    }
    if dice.chance(40) {
        properties["PermissionsBoundary"] = json!(dice.one(&BOUNDARIES));
    }
    if dice.chance(70) {
        properties["ManagedPolicyArns"] = json!(dice.some(&MANAGED, 40));
    }
    if dice.chance(50) {
        let mut policies = Vec::new();
        for name in dice.some(&["own", "more"], 60) {
            let action =
                dice.one(&[json!("s3:GetObject"), json!(["s3:GetObject", "s3:PutObject"]), json!("ecr:*")]).clone();
            let document =
                json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
            policies.push(json!({"PolicyName": name, "PolicyDocument": document}));
        }
        properties["Policies"] = json!(policies);
    }
    tags(dice, &mut properties, stack);
    properties
}

fn trust(dice: &mut Dice) -> Value {
    let mut entries = Vec::new();
    for repository in ["acme/app", "acme/Infra"] {
        let last = repository == "acme/Infra";
        if !dice.chance(60) && (!last || !entries.is_empty()) {
            continue;
        }
        let mut entry = json!({"Repository": repository});
        for (name, values) in
            [("Branches", ["main", "release/1"]), ("Tags", ["v1", "v2"]), ("Environments", ["prod", "Stage 2"])]
        {
            if dice.chance(50) {
                let some = dice.some(&values, 60);
                if !some.is_empty() {
                    entry[name] = json!(some);
                }
            }
        }
        if dice.chance(40) || entry.as_object().is_some_and(|members| members.len() == 1) {
            entry["PullRequests"] = json!(true);
        }
        entries.push(entry);
    }
    json!(entries)
}

fn entry(dice: &mut Dice) -> Value {
    let mut properties = json!({"ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]}});
    if dice.chance(50) {
        properties["KubernetesGroups"] = json!(dice.some(&["viewers", "deployers"], 60));
    }
    if dice.chance(20) {
        properties["Username"] = json!(dice.one(&["deployer:{{SessionName}}", "ci"]));
    }
    let mut policies = Vec::new();
    for name in dice.some(&ACCESS, 50) {
        let scope = match dice.0.u32(0..3) {
            0 => json!({"Type": "cluster"}),
            1 => json!({"Type": "namespace", "Namespaces": ["a", "dev-*"]}),
            _ => json!({"Type": "namespace", "Namespaces": ["b"]}),
        };
        policies
            .push(json!({"PolicyArn": format!("arn:aws:eks::aws:cluster-access-policy/{name}"), "AccessScope": scope}));
    }
    if dice.chance(80) {
        properties["AccessPolicies"] = json!(policies);
    }
    tags(dice, &mut properties, "entry");
    properties
}

fn tags(dice: &mut Dice, properties: &mut Value, stack: &str) {
    if dice.chance(30) {
        properties["Tags"] = json!([{"Key": format!("team-{stack}"), "Value": dice.one(&["a", "b", ""])}]);
    }
}
