//! The names that leave a role's trust are remembered, however many they are.

use std::ops::Range;

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Place, at, immutable};
use crate::simulation::github::ids;

fn name(number: usize) -> String {
    format!("acme/repository-number-{number:03}")
}

/// Entries for these repositories.
fn trust(numbers: Range<usize>) -> Vec<Value> {
    numbers.map(|number| json!({"Repository": name(number), "Branches": ["main"]})).collect()
}

fn with_a_large_quota(place: &Place) {
    place.cloud.change_now(|account, _| account.iam.settings.quotas.trust_policy = 8192);
}

/// Replaces the trust.
async fn becomes(place: &mut Place, entries: Vec<Value>) {
    let outcome = place.update(json!(entries)).await;
    assert!(outcome.succeeded, "{}", outcome.reason);
}

#[test]
fn many_names_that_leave_at_once_are_refused_to_strangers_each() {
    at(async |place| {
        with_a_large_quota(place);
        assert!(place.create(json!(trust(0..60))).await.succeeded);
        becomes(place, trust(100..101)).await;
        let before = place.policy();
        for number in 0..60 {
            place.github(|github| github.taken = [(name(number), 999)].into());
            let outcome = place.update(json!(trust(number..number + 1))).await;
            let told = outcome.reason.contains("write `RepositoryId: 999`");
            assert!(!outcome.succeeded && told, "{number}: {}", outcome.reason);
            assert_eq!(place.policy(), before, "{number}");
        }
    });
}

#[test]
fn a_role_that_had_to_forget_names_wants_the_ids_of_new_ones() {
    at(async |place| {
        with_a_large_quota(place);
        assert!(place.create(json!(trust(0..60))).await.succeeded);
        becomes(place, trust(300..360)).await;
        becomes(place, trust(100..160)).await;
        becomes(place, trust(200..201)).await;
        // A rollback brings back names that left a moment ago.
        place.rolls_back = true;
        place.github(|github| github.taken = [(name(100), 999)].into());
        becomes(place, trust(100..160)).await;
        let subjects = place.subjects();
        assert!(subjects.contains(&immutable(&name(100), "ref:refs/heads/main")), "{subjects:?}");
        assert!(!subjects.iter().any(|subject| subject.contains("@999:")), "{subjects:?}");
        place.rolls_back = false;
        place.github(|github| github.taken.clear());
        becomes(place, trust(200..201)).await;
        let new = || json!([{"Repository": "acme/fresh", "Branches": ["main"]}]);
        let outcome = place.update(new()).await;
        let (owner, id) = ids("acme/fresh");
        for told in [
            "the role's tags no longer hold all names that it has trusted, of which acme/fresh may be one",
            &format!("If the repository, owner or user is meant that has the name now, write `RepositoryId: {id}`"),
        ] {
            assert!(outcome.reason.contains(told), "{told}: {}", outcome.reason);
        }
        let mut declared = new();
        (declared[0]["RepositoryId"], declared[0]["OwnerId"]) = (json!(id.to_string()), json!(owner.to_string()));
        becomes(place, declared.as_array().unwrap().clone()).await;
    });
}

#[test]
fn more_names_than_can_be_remembered_leave_in_several_updates() {
    at(async |place| {
        with_a_large_quota(place);
        let short = |numbers: Range<usize>| -> Vec<Value> {
            numbers.map(|number| json!({"Repository": format!("a/r{number}"), "Branches": ["main"]})).collect()
        };
        let outcome = place.create(json!(short(0..150))).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let before = place.policy();
        let outcome = place.update(json!(trust(0..1))).await;
        assert!(outcome.reason.contains("leave the role's trust at once"), "{}", outcome.reason);
        assert!(outcome.reason.contains("Take them out in several updates, at most "), "{}", outcome.reason);
        assert_eq!(place.policy(), before);
        becomes(place, short(90..150)).await;
        becomes(place, trust(0..1)).await;
    });
}

#[test]
fn a_role_that_had_to_forget_names_takes_none_by_itself() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        with_a_large_quota(place);
        assert!(place.create(json!(trust(0..60))).await.succeeded);
        for numbers in [300..360, 100..160, 200..201] {
            becomes(place, trust(numbers)).await;
        }
        let before = place.policy();
        place.github(|github| github.down = true);
        let new = [
            json!({"Repository": "fresh/app", "Branches": ["main"], "SubjectFormat": "Classic"}),
            json!({"Repository": "acme/fresh", "Branches": ["main"], "SubjectFormat": "Classic"}),
            json!({"Subjects": ["repo:fresh/app:environment:prod"]}),
            json!({"Subjects": ["repository_owner:fresh:environment:prod"]}),
        ];
        for entry in new {
            let outcome = place.update(json!([entry])).await;
            assert!(!outcome.succeeded, "{entry}: {}", place.policy());
            let told = ["no longer hold all names that it has trusted, of which ", "GitHub does not tell its id"];
            assert!(told.iter().all(|told| outcome.reason.contains(told)), "{entry}: {}", outcome.reason);
            assert_eq!(place.policy(), before);
        }
        becomes(place, trust(200..201)).await;
        becomes(
            place,
            vec![json!({"Repository": "fresh/app", "Branches": ["main"], "SubjectFormat": "Classic",
            "OwnerId": "5", "RepositoryId": "6"})],
        )
        .await;
    });
}
