//! Whose an object at GitHub is, through renames, moves, sharing and deletions by hand: an object that a stack declares is never
//! deleted, an object of ours that no stack declares is deleted in the end, and an object of others never is.

use serde_json::{Value, json};

use super::{Place, at, declared, minutes, secret, template, variable, with};
use crate::simulation::cloudformation::{Declared, Status, Template};

const VARIABLE: &str = "/repos/acme/app/actions/variables/AWS_ROLE_ARN";
const SECRET: &str = "/repos/acme/app/actions/secrets/AWS_ROLE_ARN";
const ENVIRONMENT: &str = "/repos/acme/app/environments/live";

/// A resource type, a declaration of it, and a look at its object.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) properties: Value,
    pub(super) is_there: fn(&Place) -> bool,
}

pub(super) fn kinds() -> [Kind; 4] {
    let environment =
        json!({"Repository": "acme/app", "Name": "live", "DeploymentBranchPolicy": {"Branches": ["main"]}});
    let opted_in = json!({"Repository": "acme/app", "UseImmutableSubject": true});
    [
        Kind { name: super::KIND, properties: variable("v"), is_there: |place| place.value(VARIABLE).is_some() },
        Kind { name: super::KIND, properties: secret("hunter"), is_there: |place| place.value(SECRET).is_some() },
        Kind {
            name: "Custom::GitHubEnvironment",
            properties: environment,
            is_there: |place| place.github(|github| github.environments.contains_key(ENVIRONMENT)),
        },
        Kind {
            name: "Custom::GitHubRepositoryOidc",
            properties: opted_in,
            is_there: |place| !place.cloud.state().account.github.opted_in.is_empty(),
        },
    ]
}

impl Kind {
    pub(super) fn can_adopt(&self) -> bool {
        self.name != "Custom::GitHubRepositoryOidc"
    }

    fn declared(&self, logical_id: &str) -> Template {
        vec![declared(logical_id, self.name, self.properties.clone())]
    }

    /// The declaration of another stack. Nobody can read a secret, so that it has to say that it may be overwritten.
    fn joining(&self) -> Template {
        let mut properties = self.properties.clone();
        if properties["Secret"] == true {
            properties["OnExisting"] = json!("Adopt");
        }
        vec![declared("It", self.name, properties)]
    }
}

/// Runs a test for each resource type, in a repository whose subjects have no ids yet.
fn for_each_kind(test: impl AsyncFn(&mut Place, &Kind) + Copy) {
    for kind in kinds() {
        at(async |place| {
            place.cloud.state().account.github.classic.push("acme/app".to_owned());
            test(place, &kind).await;
            let left = place.github(|github| github.claims());
            assert!(left.is_empty(), "{}: {left:?}", kind.name);
        });
    }
}

/// The number of objects and claims at GitHub, in all repositories.
fn count(place: &Place) -> usize {
    let choices = place.cloud.state().account.github.opted_in.len();
    choices + place.github(|github| github.items.len() + github.environments.len())
}

#[test]
fn a_stack_goes_with_its_object_after_a_repository_got_a_new_name() {
    for is_updated in [false, true] {
        for_each_kind(async |place, kind| {
            let before = count(place);
            assert_eq!(place.stack.create(&kind.declared("One")).await, Status::CreateComplete, "{}", place.reason());
            minutes(5).await;
            place.cloud.state().account.github.rename("acme/app", "acme/new");
            if is_updated {
                let properties = with(kind.properties.clone(), "Repository", json!("acme/new"));
                let renamed = vec![declared("One", kind.name, properties)];
                assert_eq!(place.stack.update(&renamed).await, Status::UpdateComplete, "{}", place.reason());
                assert_eq!(count(place), before + 2, "{}: {}", kind.name, place.cloud.story());
                minutes(5).await;
            }
            assert_eq!(place.stack.delete_stack().await, Status::DeleteComplete, "{}", place.reason());
            assert_eq!(count(place), before, "{}: {}", kind.name, place.cloud.story());
        });
    }
}

#[test]
fn a_new_logical_id_keeps_the_object_and_deletes_it_in_the_end() {
    for_each_kind(async |place, kind| {
        assert_eq!(place.stack.create(&kind.declared("One")).await, Status::CreateComplete, "{}", place.reason());
        for (wait, logical_id) in [(5, "Two"), (90, "Three")] {
            minutes(wait).await;
            let updated = place.stack.update(&kind.declared(logical_id)).await;
            assert_eq!(updated, Status::UpdateComplete, "{}", place.reason());
            assert!((kind.is_there)(place), "{} {logical_id}: {}", kind.name, place.cloud.story());
        }
        assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

#[test]
fn of_two_stacks_the_last_one_deletes_the_object_of_either() {
    for maker_leaves_first in [false, true] {
        for_each_kind(async |place, kind| {
            let mut other = place.cloudformation.stack("other");
            assert_eq!(place.stack.create(&kind.declared("It")).await, Status::CreateComplete, "{}", place.reason());
            minutes(90).await;
            assert_eq!(other.create(&kind.joining()).await, Status::CreateComplete, "{}", place.reason());
            minutes(90).await;
            let (first, last) =
                if maker_leaves_first { (&mut place.stack, &mut other) } else { (&mut other, &mut place.stack) };
            assert_eq!(first.delete_stack().await, Status::DeleteComplete);
            let declared = last.resource("It").is_some();
            assert!(declared && (kind.is_there)(place), "{}: maker first {maker_leaves_first}", kind.name);
            let last = if maker_leaves_first { &mut other } else { &mut place.stack };
            assert_eq!(last.delete_stack().await, Status::DeleteComplete);
            assert!(!(kind.is_there)(place), "{}: maker first {maker_leaves_first}", kind.name);
        });
    }
}

#[test]
fn an_object_moves_from_one_stack_to_another_and_stays() {
    for_each_kind(async |place, kind| {
        let mut template = kind.declared("It");
        template.push(declared("Other", super::KIND, with(variable("x"), "Name", json!("OTHER"))));
        assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
        minutes(10).await;
        let mut other = place.cloudformation.stack("other");
        assert_eq!(other.create(&kind.joining()).await, Status::CreateComplete, "{}", place.reason());
        let rest: Template = template.split_off(1);
        assert_eq!(place.stack.update(&rest).await, Status::UpdateComplete, "{}", place.reason());
        assert!((kind.is_there)(place), "{}", kind.name);
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!((kind.is_there)(place), "{}", kind.name);
        assert_eq!(other.delete_stack().await, Status::DeleteComplete);
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

#[test]
fn two_stacks_at_the_same_moment_lose_nothing_and_leave_nothing() {
    for_each_kind(async |place, kind| {
        let mut other = place.cloudformation.stack("other");
        let template = kind.joining();
        let created = tokio::join!(place.stack.create(&template), other.create(&template));
        assert_eq!(created, (Status::CreateComplete, Status::CreateComplete), "{}", place.reason());
        minutes(1).await;
        // One leaves while a third one joins.
        let mut third = place.cloudformation.stack("third");
        let both = tokio::join!(other.delete_stack(), third.create(&template));
        assert_eq!(both, (Status::DeleteComplete, Status::CreateComplete), "{}", place.reason());
        assert!((kind.is_there)(place), "{}", kind.name);
        let gone = tokio::join!(place.stack.delete_stack(), third.delete_stack());
        assert_eq!(gone, (Status::DeleteComplete, Status::DeleteComplete), "{}", place.reason());
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

#[test]
fn a_stack_that_joins_while_the_last_one_leaves_has_the_object() {
    for milliseconds in (0..3000).step_by(150) {
        for_each_kind(async |place, kind| {
            let mut other = place.cloudformation.stack("other");
            let template = kind.joining();
            assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
            minutes(5).await;
            let joins = async {
                tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
                other.create(&template).await
            };
            let both = tokio::join!(place.stack.delete_stack(), joins);
            assert_eq!(both, (Status::DeleteComplete, Status::CreateComplete), "{}", place.reason());
            assert!((kind.is_there)(place), "{} after {milliseconds} ms: {}", kind.name, place.cloud.story());
            assert_eq!(other.delete_stack().await, Status::DeleteComplete, "{}", place.reason());
            assert!(!(kind.is_there)(place), "{} after {milliseconds} ms", kind.name);
        });
    }
}

#[test]
fn an_object_that_was_deleted_by_hand_within_the_hour_is_made_again() {
    for_each_kind(async |place, kind| {
        assert_eq!(place.stack.create(&kind.declared("It")).await, Status::CreateComplete, "{}", place.reason());
        minutes(5).await;
        remove_by_hand(place);
        let same = with(kind.properties.clone(), "ServiceTimeout", json!(900));
        let updated = place.stack.update(&vec![declared("It", kind.name, same)]).await;
        assert_eq!(updated, Status::UpdateComplete, "{}", place.reason());
        assert!((kind.is_there)(place), "{}: {}", kind.name, place.cloud.story());
        minutes(90).await;
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

/// Somebody takes everything away but the claims.
pub(super) fn remove_by_hand(place: &Place) {
    place.github(|github| {
        github.environments.remove(ENVIRONMENT);
        github.items.remove(VARIABLE);
        github.items.remove(SECRET);
    });
    place.cloud.state().account.github.opted_in.clear();
}

/// Somebody makes all of them.
pub(super) async fn make_by_hand(place: &Place) {
    place.by_hand(VARIABLE, "v").await;
    place.by_hand(SECRET, "theirs").await;
    let now = place.cloud.now();
    place.github(|github| github.environment(ENVIRONMENT, true, now));
}

#[test]
fn an_object_that_one_of_two_stacks_made_again_goes_with_the_last() {
    for_each_kind(async |place, kind| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.stack.create(&kind.declared("It")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(other.create(&kind.joining()).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        remove_by_hand(place);
        let same = with(kind.joining()[0].properties.clone(), "ServiceTimeout", json!(900));
        assert_eq!(
            other.update(&vec![declared("It", kind.name, same)]).await,
            Status::UpdateComplete,
            "{}",
            place.reason()
        );
        assert_eq!(other.delete_stack().await, Status::DeleteComplete);
        assert!((kind.is_there)(place), "{}", kind.name);
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(!(kind.is_there)(place), "{}: {}", kind.name, place.cloud.story());
    });
}

#[test]
fn an_object_of_others_that_two_stacks_declare_stays() {
    for_each_kind(async |place, kind| {
        make_by_hand(place).await;
        place.cloud.state().account.github.opted_in.push("acme/app".to_owned());
        minutes(5).await;
        let mut other = place.cloudformation.stack("other");
        let mut adopting = kind.properties.clone();
        if kind.can_adopt() {
            adopting["OnExisting"] = json!("Adopt");
        }
        let template = vec![declared("It", kind.name, adopting)];
        assert_eq!(place.stack.create(&template).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(other.create(&template).await, Status::CreateComplete, "{}", place.reason());
        minutes(5).await;
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(other.delete_stack().await, Status::DeleteComplete);
        assert!((kind.is_there)(place), "{}", kind.name);
    });
}

/// The declaration of a kind with another content, which does not adopt.
fn other_content(kind: &Kind, number: u8) -> Template {
    let mut properties = with(kind.properties.clone(), "ServiceTimeout", json!(900 + u32::from(number)));
    match kind.name {
        super::KIND => properties["Value"] = json!(format!("hunter {number}")),
        "Custom::GitHubEnvironment" => properties["WaitTimer"] = json!(number),
        _ => properties["UseImmutableSubject"] = json!(number.is_multiple_of(2)),
    }
    vec![declared("It", kind.name, properties)]
}

/// The settings at GitHub, without the claims.
fn content(place: &Place) -> String {
    let opted_in = place.cloud.state().account.github.opted_in.clone();
    let environments =
        place.github(|github| github.environments.get(ENVIRONMENT).map(|environment| environment.set.clone()));
    format!("{:?} {:?} {environments:?} {opted_in:?}", place.value(VARIABLE), place.value(SECRET))
}

#[test]
fn a_stack_that_joined_changes_nothing_until_the_first_one_leaves() {
    for_each_kind(async |place, kind| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.stack.create(&kind.declared("It")).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        assert_eq!(other.create(&kind.joining()).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        let first = content(place);
        let refused = other.update(&other_content(kind, 1)).await;
        assert_eq!(refused, Status::UpdateRollbackComplete, "{}: {}", kind.name, place.reason());
        assert!(place.reason().contains("eu-west-1/team/It"), "{}: {}", kind.name, place.reason());
        assert_eq!(content(place), first, "{}", kind.name);
        // The first stack decides, also after the other one has tried.
        minutes(90).await;
        assert_eq!(place.stack.update(&other_content(kind, 3)).await, Status::UpdateComplete, "{}", place.reason());
        let second = content(place);
        assert_ne!(second, first, "{}", kind.name);
        let refused = other.update(&other_content(kind, 4)).await;
        assert_eq!(refused, Status::UpdateRollbackComplete, "{}: {}", kind.name, place.reason());
        // The rollback declares the first content, which is no longer there. Only of a secret it says that it adopts.
        if kind.properties["Secret"] != true {
            assert_eq!(content(place), second, "{}", kind.name);
        }
        assert_eq!(place.delete().await, Status::DeleteComplete);
        minutes(90).await;
        let decided = other.update(&other_content(kind, 6)).await;
        assert_eq!(decided, Status::UpdateComplete, "{}: {}", kind.name, place.reason());
        assert_ne!(content(place), second, "{}", kind.name);
        assert_eq!(other.delete_stack().await, Status::DeleteComplete);
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

#[test]
fn a_stack_keeps_its_right_to_decide_under_another_logical_id() {
    for_each_kind(async |place, kind| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.stack.create(&kind.declared("One")).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        assert_eq!(other.create(&kind.joining()).await, Status::CreateComplete, "{}", place.reason());
        minutes(90).await;
        assert_eq!(place.stack.update(&kind.declared("Two")).await, Status::UpdateComplete, "{}", place.reason());
        minutes(90).await;
        let refused = other.update(&other_content(kind, 1)).await;
        assert_eq!(refused, Status::UpdateRollbackComplete, "{}: {}", kind.name, place.reason());
        let mut decided = other_content(kind, 3);
        "Two".clone_into(&mut decided[0].logical);
        assert_eq!(place.stack.update(&decided).await, Status::UpdateComplete, "{}: {}", kind.name, place.reason());
        // A stack that leaves and comes again comes last.
        assert_eq!(place.stack.update(&vec![other_variable()]).await, Status::UpdateComplete, "{}", place.reason());
        minutes(90).await;
        assert_eq!(other.update(&other_content(kind, 5)).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(other.delete_stack().await, Status::DeleteComplete);
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

/// The one that comes later waits for the other one's object, and finds that it is declared otherwise.
#[test]
fn of_two_stacks_that_make_an_object_at_once_the_first_one_decides() {
    for milliseconds in (0..3000).step_by(250) {
        for_each_kind(async |place, kind| {
            let mut other = place.cloudformation.stack("other");
            let (one, two) = (other_content(kind, 1), other_content(kind, 2));
            let later = async {
                tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
                other.create(&two).await
            };
            let both = tokio::join!(place.stack.create(&one), later);
            let is_first = both == (Status::CreateComplete, Status::RollbackComplete);
            let is_second = both == (Status::RollbackComplete, Status::CreateComplete);
            assert!(is_first || is_second, "{} after {milliseconds} ms: {both:?}: {}", kind.name, place.cloud.story());
            let mut same = if is_first { one } else { two };
            same[0].properties["ServiceTimeout"] = json!(1000);
            minutes(20).await;
            let made = content(place);
            let stack = if is_first { &mut place.stack } else { &mut other };
            let updated = stack.update(&same).await;
            assert_eq!(updated, Status::UpdateComplete, "{}", place.reason());
            assert_eq!(content(place), made, "{} after {milliseconds} ms: {}", kind.name, place.cloud.story());
            let stack = if is_first { &mut place.stack } else { &mut other };
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete);
            assert!(!(kind.is_there)(place), "{}", kind.name);
        });
    }
}

/// A resource of no consequence, which keeps a stack from being empty.
fn other_variable() -> Declared {
    declared("Other", super::KIND, with(variable("x"), "Name", json!("OTHER")))
}

#[test]
fn a_stack_that_joined_changes_the_object_by_adoption() {
    at(async |place| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.create(variable("one")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(other.create(&template(variable("one"))).await, Status::CreateComplete, "{}", place.reason());
        let adopting = with(variable("two"), "OnExisting", json!("Adopt"));
        assert_eq!(other.update(&template(adopting)).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.value(VARIABLE).as_deref(), Some("two"));
        assert_eq!(place.update(variable("three")).await, Status::UpdateComplete, "{}", place.reason());
        assert_eq!(place.value(VARIABLE).as_deref(), Some("three"));
    });
}

#[test]
fn another_stack_with_another_value_is_told_whose_the_variable_is() {
    at(async |place| {
        let mut other = place.cloudformation.stack("other");
        assert_eq!(place.create(variable("one")).await, Status::CreateComplete, "{}", place.reason());
        let created = other.create(&vec![declared("It", super::KIND, variable("two"))]).await;
        assert_eq!(created, Status::RollbackComplete);
        assert!(place.reason().contains("eu-west-1/team/Variable"), "{}", place.reason());
        assert_eq!(place.value(VARIABLE).as_deref(), Some("one"));
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert_eq!(place.value(VARIABLE), None);
    });
}

/// Without a claim nobody can tell that no other stack declares the object.
#[test]
fn an_object_whose_claims_somebody_removed_stays_and_is_told() {
    for_each_kind(async |place, kind| {
        assert_eq!(place.stack.create(&kind.declared("It")).await, Status::CreateComplete, "{}", place.reason());
        minutes(5).await;
        place.github(|github| github.items.retain(|path, _| !path.contains("/TRUST_OWNER_")));
        assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
        assert!((kind.is_there)(place), "{}", kind.name);
        assert!(place.log.text().contains("no claim of this resource is on the object"), "{}", place.log.text());
    });
}

#[test]
fn claims_are_found_among_more_variables_than_a_page_holds() {
    for_each_kind(async |place, kind| {
        for index in 0..70 {
            place
                .by_hand(
                    &format!("/repos/acme/app/actions/variables/{}{index}", if index % 2 == 0 { "A" } else { "Z" }),
                    "x",
                )
                .await;
        }
        assert_eq!(place.stack.create(&kind.declared("One")).await, Status::CreateComplete, "{}", place.reason());
        assert_eq!(place.stack.update(&kind.declared("Two")).await, Status::UpdateComplete, "{}", place.reason());
        assert!((kind.is_there)(place), "{}", kind.name);
        assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
        assert!(!(kind.is_there)(place), "{}", kind.name);
    });
}

/// A variable that goes and one that comes between two pages move a third one past the reader, and the count stays the same.
#[test]
fn a_claim_that_is_passed_over_between_two_pages_still_counts() {
    for first_leaves in [false, true] {
        at(async |place| {
            let mut other = place.cloudformation.stack("other");
            assert_eq!(place.create(variable("v")).await, Status::CreateComplete, "{}", place.reason());
            assert_eq!(other.create(&template(variable("v"))).await, Status::CreateComplete, "{}", place.reason());
            // The first page ends before the claims.
            for index in 0..29 {
                place.by_hand(&format!("/repos/acme/app/actions/variables/A{index:02}"), "x").await;
            }
            place.github(|github| github.restless_lists = 2);
            let leaving = if first_leaves { &mut place.stack } else { &mut other };
            assert_eq!(leaving.delete_stack().await, Status::DeleteComplete);
            assert_eq!(place.value(VARIABLE).as_deref(), Some("v"), "{first_leaves}: {}", place.cloud.story());
        });
    }
}
