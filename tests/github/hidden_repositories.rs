//! Repositories that GitHub does not show: their owners are asked for, and the declared ids count before the remembered ones.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::changed_names::refuses;
use super::{Outcome, Place, at};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

const SUBJECT: &str = "repo:acme/none:environment:prod";

fn hide(place: &Place, repository: &str) {
    place.github(|github| github.private.push(repository.to_owned()));
}

fn take(place: &Place, names: &[(&str, u64)]) {
    place.github(|github| github.taken = names.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect());
}

fn pins(place: &Place, claim: &str, id: u64) {
    let pin = format!(":{claim}\":\"{id}\"");
    assert!(place.policy().to_string().contains(&pin), "{pin}: {}", place.policy());
}

fn refused(outcome: &Outcome, why: &str) {
    assert!(!outcome.succeeded && outcome.reason.contains(why), "{why}: {}", outcome.reason);
}

fn with(entry: &Value, members: &Value) -> Value {
    let mut entry = entry.clone();
    let more = members.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(more);
    json!([entry])
}

/// Entries about a repository that trust it by its name.
fn by_name(repository: &str) -> [Value; 4] {
    [
        json!({"Repository": repository, "Branches": ["main"], "SubjectFormat": "Classic"}),
        json!({"Repository": repository, "Branches": ["main"], "SubjectFormat": "Classic", "Actors": ["octocat"]}),
        json!({"Subjects": [format!("repo:{repository}:environment:prod")]}),
        json!({"Repository": repository, "Subjects": [format!("repo:{repository}:environment:prod")]}),
    ]
}

#[test]
fn the_owner_of_a_hidden_repository_is_pinned_and_compared() {
    for entry in by_name("acme/none") {
        at(async |place| {
            hide(place, "acme/none");
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", ids("acme").0);
            let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
            let told = "The role trusts by name and by the owner's id: acme/none. A person who makes a repository of such a name \
                        for that owner gets in: declare `RepositoryId`";
            assert!(warning.contains(told), "{warning}");
            take(place, &[("acme", 777)]);
            refuses(place, &json!([entry]), &["acme with id", "write `OwnerId: 777`"]).await;
            refused(&place.update(with(&entry, &json!({"OwnerId": "5"}))).await, "GitHub says 777, the template 5");
            let outcome = place.update(with(&entry, &json!({"OwnerId": "777"}))).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", 777);
            // The policy remembers the owner.
            take(place, &[("acme", 888)]);
            refuses(place, &json!([entry]), &["acme with id 777", "write `OwnerId: 888`"]).await;
            let outcome = place.update(with(&entry, &json!({"OwnerId": "888", "RepositoryId": "5"}))).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_id", 5);
        });
    }
}

#[test]
fn a_new_hidden_repository_of_a_taken_owner_is_refused() {
    for entry in by_name("acme/none") {
        at(async |place| {
            assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
            hide(place, "acme/none");
            take(place, &[("acme", 777)]);
            refuses(place, &json!([entry]), &["acme with id", "write `OwnerId: 777`"]).await;
        });
    }
}

#[test]
fn declared_ids_of_a_hidden_repository_are_held_against_its_owner() {
    at(async |place| {
        hide(place, "acme/none");
        take(place, &[("acme", 777)]);
        let whole = json!({"Repository": "acme/none", "Branches": ["main"], "OwnerId": "5", "RepositoryId": "7"});
        for (entry, why) in [
            (whole, "`OwnerId`: GitHub says 777, the template 5"),
            (json!({"Subjects": ["repo:acme@5/none@7:environment:prod"]}), "GitHub says that acme has id 777"),
            (json!({"Subjects": [format!("{SUBJECT}:repository_owner_id:5")]}), "GitHub says that acme has id 777"),
        ] {
            refused(&place.create(json!([entry])).await, why);
        }
        let body = json!({"login": "Acme", "id": 777}).to_string();
        let named = Answer { status: 200, headers: Vec::new(), body };
        place.github(|github| drop(github.answers.insert("GET /users/acme".into(), named)));
        refused(&place.create(json!([{"Subjects": [SUBJECT]}])).await, "GitHub writes it Acme");
    });
}

#[test]
fn a_hidden_repository_of_an_owner_whom_nobody_is_is_refused() {
    let auto = json!({"Repository": "ghost/app", "Branches": ["main"]});
    for entry in by_name("ghost/app").into_iter().chain([auto]) {
        at(async |place| {
            let nobody = || Answer { status: 404, headers: Vec::new(), body: "{}".into() };
            place.github(|github| drop(github.answers.insert("GET /users/ghost".into(), nobody())));
            hide(place, "ghost/app");
            let outcome = place.create(json!([entry])).await;
            refused(&outcome, "ghost: there is no user or organisation of that name");
            refused(&outcome, "Correct the name, or declare `OwnerId`");
            let outcome = place.create(with(&entry, &json!({"OwnerId": "5", "SubjectFormat": "Classic"}))).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", 5);
            // An organisation that is deleted later takes no role along.
            let again = with(&entry, &json!({"SubjectFormat": "Classic"}));
            let outcome = place.request("Update", json!({"Trust": again, "Description": "other"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", 5);
        });
    }
}

#[test]
fn a_declared_id_counts_before_the_pinned_one() {
    let owner = "repository_owner:ghost:environment:prod";
    for (entry, member, claim) in [
        (json!({"Subjects": [SUBJECT]}), "RepositoryId", "repository_id"),
        (json!({"Subjects": [SUBJECT]}), "OwnerId", "repository_owner_id"),
        (json!({"Subjects": [owner]}), "OwnerId", "repository_owner_id"),
        (json!({"Repository": "ghost/*", "Subjects": [owner]}), "OwnerId", "repository_owner_id"),
    ] {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            let nobody = || Answer { status: 404, headers: Vec::new(), body: "{}".into() };
            place.github(|github| {
                github.answers.insert("GET /users/ghost".into(), nobody());
                github.answers.insert("GET /users/acme".into(), Answer { status: 500, ..nobody() });
                github.private.push("acme/none".into());
            });
            for id in [5, 6] {
                let outcome = place.update(with(&entry, &json!({member: id.to_string()}))).await;
                assert!(outcome.succeeded, "{}", outcome.reason);
                pins(place, claim, id);
            }
            assert!(place.request("Update", json!({"Trust": [entry], "Description": "more"})).await.succeeded);
            pins(place, claim, 6);
        });
    }
}

#[test]
fn a_rollback_brings_back_an_id_that_stood_beside_whole_subjects() {
    let by_owner = json!({"Subjects": ["repository_owner:acme:environment:prod"]});
    let by_name = json!({"Subjects": ["repo:acme/app:environment:prod"]});
    for (entry, member, old, claim) in [
        (by_name, "RepositoryId", ids("acme/app").1, "repository_id"),
        (by_owner, "OwnerId", ids("acme").0, "repository_owner_id"),
    ] {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            let of = |id: u64| with(&entry, &json!({member: id.to_string()}));
            assert!(place.create(of(old)).await.succeeded);
            take(place, &[("acme", 777), ("acme/app", 777)]);
            assert!(place.update(with(&entry, &json!({"OwnerId": "777", "RepositoryId": "777"}))).await.succeeded);
            place.rolls_back = true;
            let outcome = place.update(of(old)).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, claim, old);
        });
    }
}

#[test]
fn the_scheduled_run_tells_of_the_taken_owner_of_a_hidden_repository() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        hide(place, "acme/app");
        let log = super::drift::scheduled(place).await;
        assert!(log.contains("\"drifted\":0,\"unknown\":1"), "{log}");
        take(place, &[("acme", 777)]);
        let log = super::drift::scheduled(place).await;
        assert!(log.contains("\"drifted\":1,\"unknown\":0") && log.contains("its owner has id 777"), "{log}");
    });
}
