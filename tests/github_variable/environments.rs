//! Environments: their protection, the order in which it changes, and whose they are.

use serde_json::{Value, json};

use super::{Place, at, minutes, variable, with};
use crate::simulation::cloudformation::{Status, Template, declared};
use crate::simulation::wire::Answer;

pub(super) const KIND: &str = "Custom::GitHubEnvironment";
const PATH: &str = "/repos/acme/app/environments/live";

/// The declaration with these rules.
pub(super) fn declaration(rules: &Value) -> Value {
    let mut all = json!({"Repository": "acme/app", "Name": "live"});
    for (name, value) in rules.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    all
}

fn template(properties: &Value) -> Template {
    vec![declared("Environment", KIND, declaration(properties))]
}

pub(super) fn first() -> Value {
    json!({"Reviewers": [{"Type": "Team", "Id": 7}], "DeploymentBranchPolicy": {"Branches": ["main", "dev"]}})
}

pub(super) fn second() -> Value {
    json!({"Reviewers": [{"Type": "User", "Id": 8}], "PreventSelfReview": true, "WaitTimer": 5,
           "DeploymentBranchPolicy": {"Branches": ["main"], "Tags": ["v*"]}})
}

/// What of an environment is set, in a line.
pub(super) fn shown(place: &Place) -> Option<String> {
    place.github(|github| {
        let environment = github.environments.get(PATH)?;
        let set = &environment.set;
        let mut patterns: Vec<String> =
            environment.patterns.values().map(|(kind, name)| format!("{kind} {name}")).collect();
        patterns.sort();
        Some(format!("{} {} {} {patterns:?}", set["wait_timer"], set["reviewers"], set["prevent_self_review"]))
    })
}

pub(super) const FIRST: &str = r#"0 [{"id":7,"type":"Team"}] false ["branch dev", "branch main"]"#;
pub(super) const SECOND: &str = r#"5 [{"id":8,"type":"User"}] true ["branch main", "tag v*"]"#;

#[test]
fn an_environment_comes_changes_and_goes() {
    at(async |place| {
        assert_eq!(place.stack.create(&template(&first())).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(shown(place).as_deref(), Some(FIRST));
        minutes(90).await;
        assert_eq!(place.stack.update(&template(&second())).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(shown(place).as_deref(), Some(SECOND));
        let changes = place.changes();
        let again = with(second(), "ServiceTimeout", json!(60));
        assert_eq!(place.stack.update(&template(&again)).await, Status::UpdateComplete);
        assert_eq!(place.changes(), changes);
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(shown(place), None);
    });
}

#[test]
fn an_environment_of_others_changes_only_by_adoption_and_never_goes() {
    at(async |place| {
        let now = place.cloud.now();
        place.github(|github| github.environment(PATH, true, now));
        minutes(5).await;
        let before = shown(place);
        assert_eq!(place.stack.create(&template(&first())).await, Status::RollbackComplete);
        assert!(place.reason().contains("`OnExisting: Adopt`"), "{}", place.reason());
        assert_eq!(shown(place), before);
    });
    at(async |place| {
        let now = place.cloud.now();
        place.github(|github| github.environment(PATH, true, now));
        minutes(5).await;
        let adopting = with(first(), "OnExisting", json!("Adopt"));
        assert_eq!(place.stack.create(&template(&adopting)).await, Status::CreateComplete, "{}", place.reason());
        // The wait is not declared, and stays.
        assert_eq!(shown(place), Some(FIRST.replacen('0', "10", 1)));
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(shown(place).is_some());
    });
}

/// Somebody changes what one call sets.
fn by_hand(place: &Place, name: &str, value: Value) {
    place.github(|github| github.environments.get_mut(PATH).expect("an environment").set[name] = value);
}

#[test]
fn what_somebody_has_made_stricter_stays_through_updates_and_the_deletion() {
    at(async |place| {
        assert_eq!(place.stack.create(&template(&first())).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        by_hand(place, "wait_timer", json!(60));
        by_hand(place, "prevent_self_review", json!(true));
        place.github(|github| {
            let environment = github.environments.get_mut(PATH).expect("an environment");
            environment.patterns.retain(|_, (_, name)| name != "dev");
        });
        let more = json!({"Reviewers": [{"Type": "Team", "Id": 7}], "WaitTimer": 5, "PreventSelfReview": false,
                          "DeploymentBranchPolicy": {"Branches": ["main", "dev", "hotfix"]}});
        assert_eq!(place.stack.update(&template(&more)).await, Status::UpdateComplete, "{}", place.reason());
        let kept = r#"60 [{"id":7,"type":"Team"}] true ["branch hotfix", "branch main"]"#;
        assert_eq!(shown(place).as_deref(), Some(kept));
        let warning = &place.stack.resource("Environment").unwrap().attributes["Warning"];
        assert!(
            warning.as_str().unwrap().contains("DeploymentBranchPolicy, PreventSelfReview, WaitTimer"),
            "{warning}"
        );
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(shown(place).as_deref(), Some(kept));
        assert!(place.log.text().contains("somebody has made it stricter"), "{}", place.log.text());
    });
}

#[test]
fn a_stricter_environment_stays_in_a_repository_with_a_new_name() {
    at(async |place| {
        let waits = with(first(), "WaitTimer", json!(5));
        assert_eq!(place.stack.create(&template(&waits)).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        by_hand(place, "wait_timer", json!(60));
        place.cloud.state().account.github.rename("acme/app", "acme/new");
        assert_eq!(place.stack.delete_stack().await, Status::DeleteComplete, "{}", place.reason());
        let moved = PATH.replace("acme/app", "acme/new");
        let is_there = place.github(|github| github.environments.contains_key(&moved));
        assert!(is_there, "{}", place.cloud.story());
        assert!(place.log.text().contains("somebody has made it stricter"), "{}", place.log.text());
    });
}

#[test]
fn what_somebody_has_made_looser_is_set_again_and_goes_with_the_stack() {
    at(async |place| {
        assert_eq!(place.stack.create(&template(&first())).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        by_hand(place, "reviewers", json!([]));
        let again = with(first(), "WaitTimer", json!(1));
        assert_eq!(place.stack.update(&template(&again)).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(shown(place), Some(FIRST.replacen('0', "1", 1)));
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(shown(place), None);
    });
}

#[test]
fn an_environment_with_something_of_others_in_it_stays() {
    at(async |place| {
        assert_eq!(place.stack.create(&template(&first())).await, Status::CreateComplete, "{}", place.reason());
        place.by_hand(&format!("{PATH}/secrets/THEIRS"), "theirs").await;
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(shown(place).is_some() && place.value(&format!("{PATH}/secrets/THEIRS")).is_some());
        assert!(place.log.text().contains("the environment stays"));
    });
}

#[test]
fn a_stack_makes_an_environment_and_puts_a_variable_into_it_and_both_go() {
    at(async |place| {
        let mut template = template(&first());
        let inside = json!({"Fn::GetAtt": ["Environment", "Name"]});
        template.push(declared("Variable", super::KIND, with(variable("v"), "Environment", inside)));
        assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(place.value(&format!("{PATH}/variables/AWS_ROLE_ARN")).as_deref(), Some("v"));
        assert_eq!(place.stack.resource("Variable").unwrap().attributes["Warning"], "");
        assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
        assert_eq!(shown(place), None);
    });
}

/// What the environment warns of.
fn warning(place: &Place) -> String {
    place.stack.resource("Environment").unwrap().attributes["Warning"].as_str().unwrap_or_default().to_owned()
}

/// The declaration of protected branches, another one each time.
fn protected(wait: u32) -> Template {
    template(&json!({"WaitTimer": wait, "DeploymentBranchPolicy": {"ProtectedBranches": true}}))
}

#[test]
fn protected_branches_of_a_repository_without_any_are_a_warning() {
    at(async |place| {
        place.cloud.state().account.github.unprotected.push("acme/app".to_owned());
        assert_eq!(place.stack.create(&protected(1)).await, Status::CreateComplete, "{}", place.reason());
        assert!(warning(place).starts_with("`ProtectedBranches` restricts nothing"), "{}", warning(place));
        place.cloud.state().account.github.unprotected.clear();
        assert_eq!(place.stack.update(&protected(2)).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(warning(place), "");
    });
}

#[test]
fn protected_branches_that_cannot_be_read_are_told_and_fail_nothing() {
    for status in [401, 403, 404, 429, 500] {
        at(async |place| {
            let refused = Answer { status, headers: Vec::new(), body: "{}".to_owned() };
            place.cloud.state().account.github.answers.insert("GET /repos/acme/app/branches".to_owned(), refused);
            assert_eq!(place.stack.create(&protected(1)).await, Status::CreateComplete, "{}", place.reason());
            assert!(warning(place).starts_with("`ProtectedBranches` may restrict nothing"), "{}", warning(place));
        });
    }
}

#[test]
fn a_reviewer_who_is_not_shown_stays_or_the_update_is_refused() {
    at(async |place| {
        let waits = |wait: u32| template(&json!({"WaitTimer": wait}));
        assert_eq!(place.stack.create(&waits(1)).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        by_hand(place, "reviewers", json!([{"type": "User", "id": 9}]));
        place.github(|github| github.hidden_reviewers.insert(9));
        let before = shown(place);
        let as_it_is = template(&json!({"WaitTimer": 1, "ServiceTimeout": 60}));
        assert_eq!(place.stack.update(&as_it_is).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.stack.update(&waits(5)).await, Status::UpdateRollbackComplete);
        let reason = place.reason();
        assert!(reason.contains("does not show a reviewer of environment \"live\" of acme/app"), "{reason}");
        assert_eq!(shown(place), before);
        let team = json!([{"Type": "Team", "Id": 7}]);
        let adopting = template(&json!({"WaitTimer": 5, "Reviewers": team, "OnExisting": "Adopt"}));
        assert_eq!(place.stack.update(&adopting).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(shown(place).as_deref(), Some(r#"5 [{"id":7,"type":"Team"}] false []"#));
    });
}

/// An environment under this logical id, and a role that trusts it.
fn trusted(logical_id: &str) -> Template {
    let name = json!({"Fn::GetAtt": [logical_id, "Name"]});
    let trust = json!([{"Repository": "acme/app", "Environments": [name]}]);
    let mut environment = template(&first());
    logical_id.clone_into(&mut environment[0].logical);
    vec![
        environment.remove(0),
        declared("Provider", "Custom::GitHubOidcProvider", json!({})),
        declared("Role", "Custom::GitHubRole", json!({"ProviderArn": {"Ref": "Provider"}, "Trust": trust})),
    ]
}

#[test]
fn an_environment_that_a_role_trusts_keeps_its_rules_at_every_moment() {
    at(async |place| {
        assert_eq!(place.stack.create(&trusted("One")).await, Status::CreateComplete, "{}", place.reason());
        let changes = place.changes();
        minutes(5).await;
        assert_eq!(place.stack.update(&trusted("Two")).await, Status::UpdateComplete, "{}", place.reason());
        minutes(90).await;
        let mut other = place.cloudformation.stack("other");
        assert_eq!(other.create(&template(&first())).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(other.delete_stack().await, Status::DeleteComplete, "{}", place.reason());
        assert_eq!((shown(place).as_deref(), place.changes()), (Some(FIRST), changes));
        assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
        assert_eq!(shown(place), None);
    });
}
