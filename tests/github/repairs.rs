//! The scheduled run makes a role that somebody changed by hand as it was declared, where its stack asks for that.

use std::collections::BTreeMap;

use github_trust::guardrails::Guardrails;
use github_trust::ownership::digest;
use serde_json::{Value, json};

use super::drift::{ADMIN, OWN, change, changes_by_hand, guardrails, inline, scheduled, whole_role};
use super::{Place, at};
use crate::simulation::account::{ACCOUNT, Kind, PARTITION, REGION};
use crate::simulation::author::Author;
use crate::simulation::faults::{At, Fault, When};

const SETTINGS: &str = "github-trust:settings";

fn stack() -> String {
    format!("arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/s/1")
}

fn repaired_role() -> Value {
    let mut role = whole_role();
    role["OnDrift"] = json!("Repair");
    role
}

/// The request of the role is over, and the stack at rest.
fn rest(place: &Place) {
    let now = place.cloud.now();
    let mut state = place.cloud.state();
    let stacks = &mut state.account.stacks;
    for request in ["Create", "Update"] {
        stacks.end((&stack(), "Role"), request, true, "deploy", now);
    }
    stacks.show_all("UPDATE_COMPLETE");
}

async fn carried_out(place: &mut Place, request: &str, role: Value) {
    let outcome = place.request(request, role).await;
    assert!(outcome.succeeded, "{}", outcome.reason);
    rest(place);
}

async fn created(place: &mut Place, role: Value) {
    place.world.settings.guardrails = guardrails();
    carried_out(place, "Create", role).await;
}

fn facets(place: &Place) -> BTreeMap<String, String> {
    let snapshot = place.cloud.snapshot();
    let mut roles = snapshot.objects.into_iter().filter(|(id, _)| id.kind == Kind::Role);
    roles.next().expect("a role").1.facets
}

/// The secrets of declarations, by their names.
fn secrets(place: &Place) -> BTreeMap<String, String> {
    let state = place.cloud.state();
    let all = state.account.secrets.secrets.iter().filter(|(name, _)| name.starts_with("github-trust/role/"));
    all.map(|(name, secret)| (name.clone(), secret.value().to_owned())).collect()
}

/// Somebody writes another text into the secret of the role.
fn rewrite(place: &Place, text: &str) {
    let name = secrets(place).into_keys().next().expect("a secret");
    let input = json!({"SecretId": name, "SecretString": text, "ClientRequestToken": digest(&[text], 40)});
    place.cloud.change_now(|account, now| {
        account.secrets.handle("PutSecretValue", &input, &Author::Someone, now).expect("a new version");
    });
}

fn tag(place: &Place, value: &str) {
    change(place, "TagRole", &json!({"Tags": [{"Key": SETTINGS, "Value": value}]}));
}

/// The settings tag with another word about repairs.
fn settings_with(place: &Place, word: &str) -> String {
    let settings = facets(place)[&format!("tag {SETTINGS}")].clone();
    let words = settings.split(' ').map(|other| if other.starts_with("OnDrift") { word } else { other });
    words.collect::<Vec<_>>().join(" ")
}

fn take_boundary_away(place: &Place) {
    change(place, "DeleteRolePermissionsBoundary", &json!({}));
}

fn line(log: &str, words: &str) -> Value {
    let line = log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words:?} in {log}"));
    serde_json::from_str(line).unwrap()
}

/// The next run leaves the role as it is, and says why.
async fn left(place: &Place, why: &str) {
    let before = facets(place);
    let log = scheduled(place).await;
    let told = line(&log, "and it was not repaired");
    assert!(told["why"].as_str().unwrap().contains(why), "{why}: {told}");
    assert_eq!((told["level"].as_str(), told["role"].as_str()), (Some("ERROR"), Some("deploy")));
    assert!(log.contains("DriftedRoles") && !log.contains("RepairedRoles"), "{log}");
    assert!(log.contains("\"changed\":1,\"repaired\":0"), "{log}");
    assert_eq!(facets(place), before, "{why}");
}

/// The next run repairs the role.
async fn is_repaired(place: &Place) -> String {
    let log = scheduled(place).await;
    assert!(log.contains("RepairedRoles") && !log.contains("DriftedRoles"), "{log}");
    assert!(log.contains("\"changed\":0,\"repaired\":1"), "{log}");
    log
}

#[test]
fn each_change_of_a_role_by_hand_is_repaired_where_its_stack_asks_for_it() {
    at(async |place| {
        created(place, repaired_role()).await;
        let declared = facets(place);
        let log = scheduled(place).await;
        assert!(log.contains("\"changed\":0,\"repaired\":0"), "{log}");
        for (action, input, told) in changes_by_hand(&place.policy()) {
            change(place, action, &input);
            assert_ne!(facets(place), declared, "{action}");
            let log = is_repaired(place).await;
            let line = line(&log, "that somebody changed by hand was repaired");
            assert!(line["changes"].as_str().unwrap().contains(told), "{action}: {line}");
            assert_eq!((line["level"].as_str(), line["stack"].as_str()), (Some("WARN"), Some(&*stack())));
            assert_eq!(facets(place), declared, "{action}");
            let log = scheduled(place).await;
            assert!(log.contains("\"changed\":0,\"repaired\":0"), "{action}: {log}");
        }
    });
}

#[test]
fn policies_and_tags_that_others_added_stay_on_a_role_that_is_repaired() {
    at(async |place| {
        created(place, repaired_role()).await;
        change(place, "AttachRolePolicy", &json!({"PolicyArn": ADMIN}));
        change(place, "PutRolePolicy", &inline("audit", "s3:ListBucket"));
        change(place, "TagRole", &json!({"Tags": [{"Key": "cost", "Value": "1"}]}));
        let before = facets(place);
        take_boundary_away(place);
        change(place, "DetachRolePolicy", &json!({"PolicyArn": OWN}));
        is_repaired(place).await;
        assert_eq!(facets(place), before);
    });
}

#[test]
fn a_declaration_that_does_not_change_writes_no_secret_again() {
    at(async |place| {
        created(place, repaired_role()).await;
        let (calls, before) = (place.calls().len(), secrets(place));
        assert_eq!(before.len(), 1);
        carried_out(place, "Update", repaired_role()).await;
        assert!(place.calls()[calls..].iter().all(|call| !call.changing || call.service == "s3"));
        assert_eq!(secrets(place), before);
    });
}

#[test]
fn a_role_is_repaired_only_while_its_stack_is_at_rest() {
    at(async |place| {
        created(place, repaired_role()).await;
        let declared = facets(place);
        take_boundary_away(place);
        let show = |status| place.cloud.state().account.stacks.show_all(status);
        for status in ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"] {
            show(status);
            let log = scheduled(place).await;
            assert!(log.contains("\"changed\":0,\"repaired\":0"), "{status}: {log}");
        }
        for status in ["UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE"] {
            show(status);
            left(place, &format!("its stack is in {status}")).await;
        }
        show("UPDATE_ROLLBACK_COMPLETE");
        is_repaired(place).await;
        assert_eq!(facets(place), declared);
    });
}

#[test]
fn a_role_that_its_stack_let_go_is_not_repaired() {
    at(async |place| {
        created(place, repaired_role()).await;
        take_boundary_away(place);
        let now = place.cloud.now();
        place.cloud.state().account.stacks.skip((&stack(), "Role"), now);
        left(place, "CloudFormation does not show it as Role of its stack").await;
    });
}

#[test]
fn a_secret_that_is_gone_or_another_one_repairs_nothing() {
    at(async |place| {
        created(place, repaired_role()).await;
        take_boundary_away(place);
        let text = secrets(place).into_values().next().unwrap();
        rewrite(place, &text.replace(OWN, ADMIN));
        left(place, "the secret holds another declaration than its tags tell of").await;
        // Of another resource, with a digest that fits.
        let other = text.replace("\"Role\"", "\"Other\"");
        rewrite(place, &other);
        tag(place, &settings_with(place, &format!("OnDrift={}", digest(&[&other], 13))));
        left(place, "holds no declaration of this role that can be read").await;
        place.cloud.state().account.secrets.secrets.clear();
        left(place, "the secret with its declaration is gone").await;
        // The remedy that the log gives.
        let mut role = repaired_role();
        role["OnDrift"] = json!("Report");
        carried_out(place, "Update", role).await;
        carried_out(place, "Update", repaired_role()).await;
        take_boundary_away(place);
        is_repaired(place).await;
    });
}

#[test]
fn who_may_tag_a_role_takes_nothing_of_others_away_by_its_repair() {
    at(async |place| {
        let mut role = repaired_role();
        role.as_object_mut().unwrap().remove("PermissionsBoundary");
        created(place, role).await;
        change(place, "PutRolePermissionsBoundary", &json!({"PermissionsBoundary": OWN}));
        let bounded = facets(place);
        let honest = settings_with(place, &word(place));
        tag(place, &format!("{honest} PermissionsBoundary"));
        change(place, "DetachRolePolicy", &json!({"PolicyArn": OWN}));
        left(place, "its tags do not tell of its declaration").await;
        tag(place, &honest);
        is_repaired(place).await;
        assert_eq!(facets(place), bounded);
    });
}

/// The word about repairs in the settings tag.
fn word(place: &Place) -> String {
    let settings = facets(place)[&format!("tag {SETTINGS}")].clone();
    settings.split(' ').find(|word| word.starts_with("OnDrift")).expect("a word").to_owned()
}

fn stricter(more: &[(&str, &str)]) -> Guardrails {
    let set = [
        ("ROLE_PATH", "/github/"),
        ("ALLOWED_ISSUERS", "*"),
        ("ALLOWED_MANAGED_POLICIES", "arn:*:*:*:*:*"),
        ("ALLOW_INLINE_POLICIES", "Always"),
    ];
    let value = |name: &str| more.iter().chain(&set).find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned());
    Guardrails::read(value)
}

#[test]
fn a_declaration_that_guardrails_forbid_by_now_is_told_and_not_repaired() {
    at(async |place| {
        created(place, repaired_role()).await;
        let declared = facets(place);
        take_boundary_away(place);
        for (name, value, told) in [
            ("ALLOWED_GITHUB_OWNERS", "octo-org", "the owner acme is not one of"),
            ("ALLOWED_ISSUERS", "github.example.com/_services/token", "AllowedIssuers"),
            ("ROLE_PATH", "/other/", "guardrail `RolePath`"),
            ("ROLE_PERMISSIONS_BOUNDARY", ADMIN, "guardrail `RolePermissionsBoundary`"),
            ("MAX_SESSION_DURATION", "3600", "guardrail `MaxSessionDuration`"),
            ("FORBIDDEN_MANAGED_POLICIES", OWN, "is forbidden (guardrail `ForbiddenManagedPolicies`)"),
            ("ALLOW_INLINE_POLICIES", "Never", "guardrail `AllowInlinePolicies`"),
            ("STACK_ACCOUNTS", "444455556666", "guardrail `StackAccounts`"),
        ] {
            place.world.settings.guardrails = stricter(&[(name, value)]);
            left(place, told).await;
        }
        let exempt =
            [("ALLOWED_GITHUB_OWNERS", "octo-org"), ("GUARDRAIL_EXEMPTIONS", "AllowedGitHubOwners:s/Role:2099-12-31")];
        place.world.settings.guardrails = stricter(&exempt);
        is_repaired(place).await;
        assert_eq!(facets(place), declared);
    });
}

#[test]
fn a_stack_that_reports_or_goes_leaves_no_secret() {
    at(async |place| {
        created(place, repaired_role()).await;
        assert_eq!(secrets(place).len(), 1);
        carried_out(place, "Update", whole_role()).await;
        assert_eq!(secrets(place), BTreeMap::new());
        take_boundary_away(place);
        let log = scheduled(place).await;
        assert!(log.contains("somebody changed it by hand; update the stack, with another `ServiceTimeout`"), "{log}");
        carried_out(place, "Update", repaired_role()).await;
        assert_eq!(secrets(place).len(), 1);
        let outcome = place.request("Delete", repaired_role()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(secrets(place), BTreeMap::new());
    });
}

#[test]
fn a_former_declaration_that_comes_back_is_the_one_that_is_repaired_to() {
    at(async |place| {
        created(place, repaired_role()).await;
        let (declared, text) = (facets(place), secrets(place));
        let mut other = repaired_role();
        other["Description"] = json!("deploys more");
        carried_out(place, "Update", other).await;
        assert_ne!(secrets(place), text);
        place.rolls_back = true;
        carried_out(place, "Update", repaired_role()).await;
        assert_eq!(secrets(place), text);
        take_boundary_away(place);
        is_repaired(place).await;
        assert_eq!(facets(place), declared);
    });
}

#[test]
fn a_role_whose_update_did_not_end_is_repaired_after_the_next_one() {
    at(async |place| {
        created(place, repaired_role()).await;
        let mut other = repaired_role();
        other["Description"] = json!("deploys more");
        let deny = |actions: &[&'static str]| place.cloud.state().account.authorization.denied = actions.to_vec();
        deny(&["secretsmanager:CreateSecret", "secretsmanager:PutSecretValue"]);
        let outcome = place.request("Update", other.clone()).await;
        assert!(!outcome.succeeded && outcome.reason.contains("`OnDrift`: secretsmanager:"), "{}", outcome.reason);
        place.cloud.state().account.authorization.denied.clear();
        rest(place);
        assert_eq!(word(place), "OnDrift");
        take_boundary_away(place);
        left(place, "its last Update did not end").await;
        carried_out(place, "Update", other).await;
        let declared = facets(place);
        take_boundary_away(place);
        is_repaired(place).await;
        assert_eq!(facets(place), declared);
    });
}

/// Somebody opens the trust to another branch and detaches a policy, for which a repair makes three calls.
fn change_much(place: &Place) {
    let wider = place.policy().to_string().replace("refs/heads/main", "refs/heads/dev");
    change(place, "UpdateAssumeRolePolicy", &json!({"PolicyDocument": wider}));
    change(place, "DetachRolePolicy", &json!({"PolicyArn": OWN}));
}

/// The stack begins to work right before a policy is attached.
fn begin_before_attach(place: &Place) {
    let stack = stack();
    place.cloud.state().change_at(At::nth("AttachRolePolicy", 1), move |account, _| {
        account.stacks.set_status(&stack, "UPDATE_IN_PROGRESS");
    });
}

#[test]
fn an_update_that_begins_meanwhile_ends_a_repair() {
    at(async |place| {
        created(place, repaired_role()).await;
        change_much(place);
        begin_before_attach(place);
        let calls = place.calls().len();
        let log = scheduled(place).await;
        line(&log, "began to change it while it was repaired");
        let told = line(&log, "and it was not repaired");
        assert!(told["why"].as_str().unwrap().contains("its stack began to work during the repair"), "{told}");
        let calls = place.calls().split_off(calls);
        let changing: Vec<&str> = calls.iter().filter(|call| call.changing).map(|call| &*call.action).collect();
        assert_eq!(changing, ["TagRole", "UpdateAssumeRolePolicy", "AttachRolePolicy"]);
        // The update asks for nothing else, and repairs the role itself.
        carried_out(place, "Update", repaired_role()).await;
        assert!(scheduled(place).await.contains("\"changed\":0,\"repaired\":0"));
    });
}

#[test]
fn a_repair_goes_on_when_an_update_has_left_its_role_alone() {
    at(async |place| {
        created(place, repaired_role()).await;
        let declared = facets(place);
        change_much(place);
        begin_before_attach(place);
        let stack = stack();
        // One before all of it, one before each of three calls, and one before each interval of waiting.
        place.cloud.state().change_at(At::nth("DescribeStacks", 6), move |account, _| {
            account.stacks.set_status(&stack, "UPDATE_COMPLETE");
        });
        is_repaired(place).await;
        // The names of the policy between two calls are remembered until the next Update.
        let mut repaired = facets(place);
        repaired.remove("tag github-trust:names");
        assert_eq!(repaired, declared);
    });
}

#[test]
fn a_declaration_that_changes_meanwhile_is_looked_at_anew() {
    at(async |place| {
        created(place, repaired_role()).await;
        let bare = settings_with(place, "OnDrift");
        change_much(place);
        let input = json!({"RoleName": "deploy", "Tags": [{"Key": SETTINGS, "Value": bare}]});
        place.cloud.state().change_at(At::nth("AttachRolePolicy", 1), move |account, now| {
            account.iam_as(&Author::Someone, now, "TagRole", &input).expect("it works");
        });
        let log = scheduled(place).await;
        assert!(line(&log, "and it was not repaired")["why"].as_str().unwrap().contains("its last Update did not end"));
    });
}

#[test]
fn a_call_of_a_repair_that_is_throttled_is_decided_and_made_again() {
    at(async |place| {
        created(place, repaired_role()).await;
        let declared = facets(place);
        change_much(place);
        place.fault(At::Action { action: "AttachRolePolicy", from: 1, to: 2 }, When::Before, Fault::Throttle);
        let calls = place.calls().len();
        is_repaired(place).await;
        assert_eq!(facets(place), declared);
        let calls = place.calls().split_off(calls);
        let count = |action: &str| calls.iter().filter(|call| call.action == action).count();
        assert_eq!((count("AttachRolePolicy"), count("UpdateAssumeRolePolicy")), (3, 2));
        // One before each of seven attempts, one before all of it, and one after.
        assert_eq!(count("DescribeStacks"), 9);
    });
}
