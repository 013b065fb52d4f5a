//! Answers of GitHub that no public source tells, in each way in which they may be.

use serde_json::json;

use super::{Place, at, minutes, variable, with};
use crate::simulation::cloudformation::{Status, declared};
use crate::simulation::faults::{At, Fault, When};

const ENVIRONMENT: &str = "Custom::GitHubEnvironment";
const PATH: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";
const LIVE: &str = "/repos/acme/app/environments/live";

fn patterns(place: &Place) -> usize {
    place.github(|github| github.environments.values().map(|environment| environment.patterns.len()).max().unwrap())
}

#[test]
fn a_pattern_whose_creation_was_not_answered_is_there_once() {
    for is_invalid in [false, true] {
        at(async |place| {
            place.github(|github| github.pattern_twice_is_invalid = is_invalid);
            let action = "POST /repos/acme/app/environments/live/deployment-branch-policies";
            let first = At::Action { action, from: 1, to: 1 };
            place.cloud.state().faults.plan(first, When::After, Fault::ServerError);
            let policy = json!({"Branches": ["main", "dev"]});
            let properties = json!({"Repository": "acme/app", "Name": "live", "DeploymentBranchPolicy": policy});
            let template = vec![declared("Environment", ENVIRONMENT, properties)];
            assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
            assert_eq!(patterns(place), 2);
        });
    }
}

#[test]
fn a_pattern_that_github_refuses_is_told() {
    at(async |place| {
        let path = "/repos/acme/app/environments/live/deployment-branch-policies";
        let refusal = json!({"message": "Validation Failed"}).to_string();
        let refused = crate::simulation::wire::Answer { status: 422, headers: Vec::new(), body: refusal };
        place.cloud.state().account.github.answers.insert(format!("POST {path}"), refused);
        let policy = json!({"Branches": ["main"]});
        let properties = json!({"Repository": "acme/app", "Name": "live", "DeploymentBranchPolicy": policy});
        let template = vec![declared("Environment", ENVIRONMENT, properties)];
        assert_eq!(place.stack.create(&template).await, Status::RollbackComplete);
        assert!(place.reason().contains("Validation Failed"), "{}", place.reason());
    });
}

/// A variable of ours whose date has changed cannot be told from somebody else's: it may change, and it stays.
#[test]
fn a_variable_whose_date_changes_is_changed_and_stays() {
    for dates_anew in [false, true] {
        at(async |place| {
            place.github(|github| github.changing_dates_anew = dates_anew);
            assert_eq!(place.create(variable("one")).await, Status::CreateComplete);
            minutes(90).await;
            assert_eq!(place.update(variable("two")).await, Status::UpdateComplete, "{}", place.reason());
            assert_eq!(place.value(PATH).as_deref(), Some("two"));
            minutes(90).await;
            let again = with(variable("two"), "ServiceTimeout", json!(60));
            assert_eq!(place.update(again).await, Status::UpdateComplete, "{}", place.reason());
            assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
            assert_eq!(place.value(PATH).as_deref(), dates_anew.then_some("two"));
        });
    }
}

/// Where GitHub lets administrators bypass after each PUT and takes no member against it, nothing can be done.
#[test]
fn an_environment_that_bars_administrators_does_so_after_an_update() {
    let waits = |wait: u32| {
        let properties = json!({"Repository": "acme/app", "Name": "live", "WaitTimer": wait});
        vec![declared("Environment", ENVIRONMENT, properties)]
    };
    for (resets, refuses) in [(false, false), (false, true), (true, false), (true, true)] {
        at(async |place| {
            place.github(|github| (github.resets_bypass, github.refuses_bypass) = (resets, refuses));
            assert_eq!(place.stack.create(&waits(5)).await, Status::CreateComplete, "{}", place.reason());
            minutes(90).await;
            place.github(|github| github.environments.get_mut(LIVE).expect("an environment").admins_bypass = false);
            assert_eq!(place.stack.update(&waits(10)).await, Status::UpdateComplete, "{}", place.reason());
            let (wait, admins_bypass) = place.github(|github| {
                let environment = &github.environments[LIVE];
                (environment.set["wait_timer"].clone(), environment.admins_bypass)
            });
            assert_eq!((wait, admins_bypass), (json!(10), resets && refuses), "{resets} {refuses}");
            let line = "GitHub does not take that administrators may not bypass the rules";
            assert_eq!(place.log.text().contains(line), refuses, "{}", place.log.text());
        });
    }
}

#[test]
fn a_list_without_end_is_given_up_and_told() {
    at(async |place| {
        let variable = |number| {
            let date = "2026-01-01T00:00:00Z";
            json!({"name": format!("V{number}"), "value": "1", "created_at": date, "updated_at": date})
        };
        let variables: Vec<_> = (0..30).map(variable).collect();
        let body = json!({"total_count": 1_000_000_000, "variables": variables}).to_string();
        let page = crate::simulation::wire::Answer { status: 200, headers: Vec::new(), body };
        let list = "GET /repos/acme/app/actions/variables".to_owned();
        place.cloud.state().account.github.answers.insert(list, page);
        assert_ne!(place.create(super::variable("one")).await, Status::CreateComplete);
        assert!(place.reason().contains("the list of variables has more than 100 pages"), "{}", place.reason());
        let calls = place.cloud.state().account.github.credentials.len();
        assert!((200..300).contains(&calls), "{calls}");
    });
}
