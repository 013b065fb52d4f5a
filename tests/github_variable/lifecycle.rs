//! What comes, changes and goes, and what stays because it is somebody else's.

use serde_json::json;

use super::{ENVIRONMENT, ORGANISATION, REPOSITORY, at, minutes, secret, variable, with};
use crate::simulation::cloudformation::Status;
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

const PATH: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";
const SECRET: &str = "/repos/acme/app/actions/secrets/AWS_ROLE_ARN";

#[test]
fn a_variable_comes_changes_under_one_id_and_goes() {
    at(async |place| {
        assert_eq!(place.create(variable("one")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(place.value(PATH).as_deref(), Some("one"));
        let id = place.physical();
        assert_eq!(id, "github.com/repos/acme/app/variables/AWS_ROLE_ARN");
        minutes(200).await;
        assert_eq!(place.update(variable("two")).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!((place.value(PATH).as_deref(), place.physical()), (Some("two"), id.clone()));
        let changes = place.changes();
        assert_eq!(place.update(with(variable("two"), "ServiceTimeout", json!(60))).await, Status::UpdateComplete);
        assert_eq!((place.changes(), place.physical()), (changes, id), "nothing to change");
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(place.value(PATH), None);
        assert!(!place.log.text().contains("no tag of this resource"), "{}", place.log.text());
    });
}

#[test]
fn a_secret_is_opened_by_github_only_and_written_with_each_update() {
    at(async |place| {
        assert_eq!(place.create(secret("hunter1")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(place.value(SECRET).as_deref(), Some("hunter1"));
        let id = place.physical();
        minutes(200).await;
        let now = place.cloud.now();
        place.github(|github| github.set(SECRET, "changed by hand", now));
        assert_eq!(place.update(secret("hunter2")).await, Status::UpdateComplete);
        assert_eq!((place.value(SECRET).as_deref(), place.physical()), (Some("hunter2"), id));
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(place.value(SECRET), None);
    });
}

#[test]
fn each_place_has_its_variables_and_secrets() {
    let environment = with(variable("hunter"), "Environment", json!("eu: live/a"));
    let mut organisation = json!({"Organization": "acme", "Visibility": "private", "Name": "X", "Value": "hunter"});
    for (properties, path) in [
        (environment.clone(), format!("{ENVIRONMENT}/variables/AWS_ROLE_ARN")),
        (with(environment, "Secret", json!(true)), format!("{ENVIRONMENT}/secrets/AWS_ROLE_ARN")),
        (organisation.clone(), format!("{ORGANISATION}/variables/X")),
        (with(organisation.take(), "Secret", json!(true)), format!("{ORGANISATION}/secrets/X")),
    ] {
        at(async |place| {
            assert_eq!(place.create(properties.clone()).await, Status::CreateComplete, "{}", place.reason());
            assert_eq!(place.value(&path).as_deref(), Some("hunter"), "{path}");
            minutes(90).await;
            let again = with(properties, "Value", json!("hunter too"));
            assert_eq!(place.update(again).await, Status::UpdateComplete, "{}", place.reason());
            assert_eq!(place.value(&path).as_deref(), Some("hunter too"));
            assert_eq!(place.delete().await, Status::DeleteComplete);
            assert_eq!(place.value(&path), None);
        });
    }
}

#[test]
fn an_organisation_s_value_is_for_the_selected_repositories_only() {
    at(async |place| {
        let all: Vec<String> = (0..130).map(|index| format!("r{index}")).collect();
        let properties = |repositories: &[String]| {
            json!({"Organization": "acme", "Visibility": "selected", "SelectedRepositories": repositories,
                   "Name": "X", "Value": "v"})
        };
        let path = format!("{ORGANISATION}/variables/X");
        let selected = |place: &super::Place| place.github(|github| github.items[&path].selected.clone());
        let expected = |names: &[String]| {
            let mut ids: Vec<u64> = names.iter().map(|name| ids(&format!("acme/{name}")).1).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(place.create(properties(&all)).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(selected(place), expected(&all));
        let changes = place.changes();
        let again = with(properties(&all), "ServiceTimeout", json!(60));
        assert_eq!(place.update(again).await, Status::UpdateComplete);
        assert_eq!(place.changes(), changes, "130 are more than a page, and all are seen");
        assert_eq!(place.update(properties(&all[..2])).await, Status::UpdateComplete);
        assert_eq!(selected(place), expected(&all[..2]));
    });
}

#[test]
fn what_was_there_before_is_neither_overwritten_nor_deleted() {
    for (properties, path) in [(variable("ours"), PATH), (secret("hunter"), SECRET)] {
        at(async |place| {
            place.by_hand(path, "theirs").await;
            assert_eq!(place.create(properties).await, Status::RollbackComplete);
            let reason = place.reason();
            assert!(reason.contains("exists already") && reason.contains("`OnExisting: Adopt`"), "{reason}");
            assert!(!reason.contains("it belongs to"), "{reason}");
            assert_eq!((place.value(path).as_deref(), place.changes()), (Some("theirs"), 0));
        });
    }
}

#[test]
fn a_variable_that_holds_the_value_already_is_left_to_its_maker() {
    at(async |place| {
        place.by_hand(PATH, "same").await;
        assert_eq!(place.create(variable("same")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(place.update(variable("other")).await, Status::UpdateRollbackComplete);
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!((place.value(PATH).as_deref(), place.changes()), (Some("same"), 0));
    });
}

#[test]
fn what_is_adopted_is_written_and_stays() {
    for (properties, path) in [(variable("hunter"), PATH), (secret("hunter"), SECRET)] {
        at(async |place| {
            place.by_hand(path, "theirs").await;
            let adopting = with(properties, "OnExisting", json!("Adopt"));
            assert_eq!(place.create(adopting.clone()).await, Status::CreateComplete, "{}", place.reason());
            assert_eq!(place.value(path).as_deref(), Some("hunter"));
            minutes(10).await;
            let next = with(adopting, "Value", json!("hunter 2"));
            assert_eq!(place.update(next).await, Status::UpdateComplete, "{}", place.reason());
            assert_eq!(place.delete().await, Status::DeleteComplete);
            assert_eq!(place.value(path).as_deref(), Some("hunter 2"), "released");
        });
    }
}

#[test]
fn an_update_repairs_a_changed_value_and_a_delete_leaves_it() {
    at(async |place| {
        assert_eq!(place.create(variable("ours")).await, Status::CreateComplete);
        place.by_hand(PATH, "theirs").await;
        assert_eq!(place.update(with(variable("ours"), "ServiceTimeout", json!(60))).await, Status::UpdateComplete);
        assert_eq!(place.value(PATH).as_deref(), Some("ours"));
        place.by_hand(PATH, "theirs").await;
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(place.value(PATH).as_deref(), Some("theirs"));
    });
}

#[test]
fn what_somebody_deleted_and_made_again_is_theirs() {
    for (properties, path) in [(variable("hunter"), PATH), (secret("hunter"), SECRET)] {
        at(async |place| {
            assert_eq!(place.create(properties.clone()).await, Status::CreateComplete);
            minutes(300).await;
            place.github(|github| github.items.remove(path));
            place.by_hand(path, "theirs").await;
            let next = with(properties, "Value", json!("hunter 2"));
            assert_eq!(place.update(next).await, Status::UpdateRollbackComplete);
            assert!(place.log.text().contains("the stack rolls back: the object stays as it is"));
            assert_eq!(place.delete().await, Status::DeleteComplete);
            assert_eq!(place.value(path).as_deref(), Some("theirs"));
        });
    }
}

#[test]
fn a_deleted_value_is_made_again_under_the_same_id() {
    for (properties, path) in [(variable("hunter"), PATH), (secret("hunter"), SECRET)] {
        at(async |place| {
            assert_eq!(place.create(properties.clone()).await, Status::CreateComplete);
            let first = place.physical();
            minutes(300).await;
            place.github(|github| github.items.remove(path));
            let next = with(properties, "Value", json!("hunter 2"));
            assert_eq!(place.update(next).await, Status::UpdateComplete, "{}", place.reason());
            assert_eq!((place.value(path).as_deref(), place.physical()), (Some("hunter 2"), first));
            minutes(300).await;
            assert_eq!(place.delete().await, Status::DeleteComplete);
            assert_eq!(place.value(path), None);
        });
    }
}

#[test]
fn another_name_or_place_is_a_replacement_and_another_case_is_not() {
    at(async |place| {
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete);
        let id = place.physical();
        let same = json!({"Repository": "Acme/App", "Name": "aws_role_arn", "Value": "w"});
        assert_eq!(place.update(same).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.physical(), id);
        let renamed = with(variable("w"), "Name", json!("ROLE"));
        assert_eq!(place.update(renamed).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.value(PATH), None, "the old one is gone");
        assert_eq!(place.value(&format!("{REPOSITORY}/variables/ROLE")).as_deref(), Some("w"));
        let sealed = with(with(variable("hunter"), "Name", json!("ROLE")), "Secret", json!(true));
        assert_eq!(place.update(sealed).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.value(&format!("{REPOSITORY}/variables/ROLE")), None);
        assert_eq!(place.value(&format!("{REPOSITORY}/secrets/ROLE")).as_deref(), Some("hunter"));
    });
}

#[test]
fn an_environment_without_protection_is_a_warning() {
    at(async |place| {
        let properties = with(variable("v"), "Environment", json!("eu: live/a"));
        assert_eq!(place.create(properties.clone()).await, Status::CreateComplete);
        let warning = |place: &super::Place| place.stack.resource("Variable").unwrap().attributes["Warning"].clone();
        assert_eq!(warning(place), "");
        let now = place.cloud.now();
        place.github(|github| github.environment(ENVIRONMENT, false, now));
        assert_eq!(place.update(with(properties, "Value", json!("w"))).await, Status::UpdateComplete);
        assert!(warning(place).as_str().unwrap().contains("has no protection: a person who can push a workflow"));
        assert!(place.log.text().contains("an environment without protection"));
    });
}

#[test]
fn protected_branches_of_none_are_a_warning_of_a_variable() {
    at(async |place| {
        let now = place.cloud.now();
        place.github(|github| github.environment(ENVIRONMENT, true, now));
        place.cloud.state().account.github.unprotected.push("acme/app".to_owned());
        let properties = with(variable("v"), "Environment", json!("eu: live/a"));
        assert_eq!(place.create(properties.clone()).await, Status::CreateComplete, "{}", place.reason());
        let warning = |place: &super::Place| place.stack.resource("Variable").unwrap().attributes["Warning"].clone();
        let told = "is for protected branches, and no branch is protected";
        assert!(warning(place).as_str().unwrap().contains(told), "{}", warning(place));
        let refused = Answer { status: 403, headers: Vec::new(), body: "{}".to_owned() };
        place.cloud.state().account.github.answers.insert("GET /repos/acme/app/branches".to_owned(), refused);
        let next = with(properties, "Value", json!("w"));
        assert_eq!(place.update(next).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(warning(place), "");
    });
}

#[test]
fn with_its_repository_a_variable_is_gone() {
    at(async |place| {
        assert_eq!(place.create(variable("v")).await, Status::CreateComplete);
        place.github(|github| github.gone.push("acme/app".to_owned()));
        assert_eq!(place.delete().await, Status::DeleteComplete);
    });
}
