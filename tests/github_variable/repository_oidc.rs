//! Opting in to subjects that carry ids: trust both, switch, trust one; and back again.

use serde_json::json;

use super::{Place, at};
use crate::simulation::cloudformation::{Status, Template, declared};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::github::immutable;

const KIND: &str = "Custom::GitHubRepositoryOidc";
const PUT: &str = "PUT /repos/acme/app/actions/oidc/customization/sub";

/// A role that trusts in this format, and the switch where there is one.
fn template(format: &str, switched: Option<bool>) -> Template {
    let role = json!({"ProviderArn": {"Ref": "Provider"}, "RoleName": "deploy",
        "Trust": [{"Repository": "acme/app", "Branches": ["main"], "SubjectFormat": format}]});
    let mut all = vec![
        declared("Provider", "Custom::GitHubOidcProvider", json!({})),
        declared("Role", "Custom::GitHubRole", role),
    ];
    if let Some(switched) = switched {
        all.push(declared("Oidc", KIND, json!({"Repository": "acme/app", "UseImmutableSubject": switched})));
    }
    all
}

/// Whether the repository's workflows can assume the role.
fn assumable(place: &Place) -> bool {
    let state = place.cloud.state();
    let role = state.account.iam.roles.all().next().map(|(_, role)| role.trust.clone()).unwrap_or_default();
    let sent = if state.account.github.opted_in.is_empty() { "acme/app".to_owned() } else { immutable("acme/app") };
    role.contains(&format!("repo:{sent}:"))
}

fn switched(place: &Place) -> bool {
    !place.cloud.state().account.github.opted_in.is_empty()
}

fn old_repository(place: &Place) {
    place.cloud.state().account.github.classic.push("acme/app".to_owned());
}

#[test]
fn trust_both_switch_trust_one_and_no_workflow_is_locked_out() {
    at(async |place| {
        old_repository(place);
        assert_eq!(place.stack.create(&template("Auto", None)).await, Status::CreateComplete, "{}", place.reason());
        assert!(assumable(place));
        // Too early: the role trusts names only.
        assert_eq!(place.stack.update(&template("Auto", Some(true))).await, Status::UpdateRollbackComplete);
        assert!(
            place.reason().contains("could no longer assume deploy. Let these trust both forms first"),
            "{}",
            place.reason()
        );
        assert!(!switched(place) && assumable(place));
        assert_eq!(
            place.stack.update(&template("Both", Some(true))).await,
            Status::UpdateComplete,
            "{}",
            place.reason()
        );
        assert!(switched(place) && assumable(place));
        assert_eq!(
            place.stack.update(&template("Auto", Some(true))).await,
            Status::UpdateComplete,
            "{}",
            place.reason()
        );
        assert!(switched(place) && assumable(place));
        // The way back in one step would lock it out.
        assert_eq!(place.stack.update(&template("Auto", Some(false))).await, Status::UpdateRollbackComplete);
        assert!(switched(place) && assumable(place));
        assert_eq!(place.stack.update(&template("Both", Some(true))).await, Status::UpdateComplete);
        assert_eq!(place.stack.update(&template("Both", None)).await, Status::UpdateComplete, "{}", place.reason());
        assert!(!switched(place) && assumable(place), "restored when the resource goes");
    });
}

#[test]
fn jobs_of_which_one_form_is_trusted_are_locked_out_by_no_switch() {
    for whose in [json!({"Repository": "acme/app"}), json!({"Organization": "acme"})] {
        at(async |place| {
            old_repository(place);
            let mut all = template("Both", None);
            let entry = |context: &str, name: &str, format: &str| json!({"Repository": "acme/app", context: [name], "SubjectFormat": format});
            all[1].properties["Trust"] =
                json!([entry("Branches", "main", "Classic"), entry("Environments", "prod", "Immutable")]);
            assert_eq!(place.stack.create(&all).await, Status::CreateComplete, "{}", place.reason());
            let mut oidc = whose.clone();
            oidc["UseImmutableSubject"] = json!(true);
            all.push(declared("Oidc", KIND, oidc));
            assert_eq!(place.stack.update(&all).await, Status::UpdateRollbackComplete, "{whose}");
            assert!(place.reason().contains("could no longer assume deploy"), "{}", place.reason());
            assert!(!switched(place));
        });
    }
}

/// GitHub takes a name in any case; conditions do not.
#[test]
fn a_role_is_seen_in_whatever_case_the_repository_is_declared() {
    at(async |place| {
        old_repository(place);
        place.cloud.state().account.github.classic.push("Acme/App".to_owned());
        assert_eq!(place.stack.create(&template("Classic", None)).await, Status::CreateComplete, "{}", place.reason());
        let mut all = template("Classic", None);
        all.push(declared("Oidc", KIND, json!({"Repository": "Acme/App", "UseImmutableSubject": true})));
        assert_eq!(place.stack.update(&all).await, Status::UpdateRollbackComplete, "{}", place.cloud.story());
        assert!(place.reason().contains("could no longer assume deploy"), "{}", place.reason());
        assert!(!switched(place));
    });
}

#[test]
fn a_deletion_that_would_lock_a_role_out_leaves_the_switch() {
    at(async |place| {
        old_repository(place);
        assert_eq!(place.stack.create(&template("Both", Some(true))).await, Status::CreateComplete);
        assert_eq!(place.stack.update(&template("Immutable", Some(true))).await, Status::UpdateComplete);
        assert_eq!(
            place.stack.update(&template("Immutable", None)).await,
            Status::UpdateComplete,
            "{}",
            place.reason()
        );
        assert!(switched(place) && assumable(place));
        let line = "as the roles are, a deletion leaves the subjects switched";
        assert!(place.log.text().contains(line), "{}", place.log.text());
    });
}

#[test]
fn what_was_switched_before_stays_switched() {
    at(async |place| {
        old_repository(place);
        place.cloud.state().account.github.opted_in.push("acme/app".to_owned());
        assert_eq!(
            place.stack.create(&template("Auto", Some(true))).await,
            Status::CreateComplete,
            "{}",
            place.reason()
        );
        assert_eq!(place.delete().await, Status::DeleteComplete);
        assert!(switched(place));
    });
}

/// A choice that nobody made is unmade again, so that a later choice of the organisation counts.
#[test]
fn a_choice_that_was_unset_is_unset_again_or_off_where_github_keeps_it() {
    for (keeps_choices, refuses_off) in [(false, false), (false, true), (true, false), (true, true)] {
        at(async |place| {
            old_repository(place);
            place.cloud.state().account.github.keeps_choices = keeps_choices;
            place.cloud.state().account.github.refuses_switching_off = refuses_off;
            assert_eq!(place.stack.create(&template("Both", Some(true))).await, Status::CreateComplete);
            assert!(switched(place));
            assert_eq!(place.delete().await, Status::DeleteComplete, "{}", place.reason());
            let state = place.cloud.state();
            // The stack goes in any case.
            assert_eq!(!state.account.github.opted_in.is_empty(), keeps_choices && refuses_off);
            let off = if keeps_choices && !refuses_off { vec!["acme/app".to_owned()] } else { Vec::new() };
            assert_eq!(state.account.github.opted_out, off);
        });
    }
}

/// GitHub describes `use_default` as required, of an answer and of a request.
#[test]
fn a_template_of_which_github_says_nothing_stays_as_it_is() {
    for is_demanded in [false, true] {
        at(async |place| {
            old_repository(place);
            {
                let mut state = place.cloud.state();
                let github = &mut state.account.github;
                (github.hides_use_default, github.demands_use_default) = (true, is_demanded);
                let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned);
                github.templates.insert("acme".to_owned(), keys.into());
            }
            let ended = place.stack.create(&template("Both", Some(true))).await;
            let expected = if is_demanded { Status::RollbackComplete } else { Status::CreateComplete };
            assert_eq!(ended, expected, "{}", place.reason());
            assert_eq!(switched(place), !is_demanded);
            assert!(!is_demanded || place.reason().contains("wasn't supplied"), "{}", place.reason());
            let (_, keys) = place.cloud.state().account.github.form("acme/app");
            assert_eq!(keys, ["repo", "context"]);
        });
    }
}

#[test]
fn the_rollback_of_a_stack_switches_back() {
    at(async |place| {
        old_repository(place);
        let mut all = template("Both", Some(true));
        all.push(declared("Wrong", super::KIND, json!({"Repository": "acme/app", "Name": "GITHUB_X", "Value": "v"})));
        assert_eq!(place.stack.create(&all).await, Status::RollbackComplete);
        assert!(!switched(place), "{}", place.cloud.story());
    });
}

#[test]
fn a_new_repository_needs_no_switch() {
    at(async |place| {
        assert_eq!(
            place.stack.create(&template("Auto", Some(true))).await,
            Status::CreateComplete,
            "{}",
            place.reason()
        );
        assert!(!place.cloud.story().contains(PUT) && place.delete().await == Status::DeleteComplete);
    });
}

#[test]
fn wherever_a_process_dies_no_role_is_locked_out() {
    for call in 1..=9 {
        for when in [When::Before, When::After] {
            at(async |place| {
                old_repository(place);
                assert_eq!(place.stack.create(&template("Both", None)).await, Status::CreateComplete);
                let invocation = place.cloudformation.lambda.attempts().len() as u64 + 3;
                place.cloud.state().faults.plan(At::OfInvocation { invocation, call }, when, Fault::Kill);
                assert_eq!(place.stack.update(&template("Both", Some(true))).await, Status::UpdateComplete);
                place.cloudformation.lambda.settle().await;
                assert!(switched(place) && assumable(place), "{when:?} call {call}");
                assert_eq!(place.delete().await, Status::DeleteComplete);
                assert!(!switched(place), "{when:?} call {call}: what was chosen before is chosen again");
            });
        }
    }
}

/// The same for an organisation, whose choice counts for repositories without one of their own.
fn organisation(format: &str, switched: Option<bool>) -> Template {
    let mut all = template(format, None);
    all.extend(
        switched
            .map(|switched| declared("Oidc", KIND, json!({"Organization": "acme", "UseImmutableSubject": switched}))),
    );
    all
}

#[test]
fn an_organisation_opts_in_when_all_roles_trust_both_forms() {
    at(async |place| {
        old_repository(place);
        place.by_hand("/orgs/acme/actions/variables/ROLE", "arn:aws:iam::444455556666:role/github/deploy").await;
        let keys = vec!["repo".to_owned(), "context".to_owned(), "ref".to_owned()];
        place.cloud.state().account.github.templates.insert("acme".to_owned(), keys.clone());
        assert_eq!(place.stack.create(&organisation("Auto", None)).await, Status::CreateComplete);
        assert_eq!(place.stack.update(&organisation("Auto", Some(true))).await, Status::UpdateRollbackComplete);
        let told = "with immutable subjects, workflows of the organisation acme could no longer assume deploy (acme/app). Let these trust both forms first";
        assert!(place.reason().contains(told), "{}", place.reason());
        assert!(!switched(place) && assumable(place));
        for format in ["Both", "Auto", "Both"] {
            let status = place.stack.update(&organisation(format, Some(true))).await;
            assert_eq!(status, Status::UpdateComplete, "{}", place.reason());
            assert!(switched(place) && assumable(place));
        }
        let oidc = place.stack.resource("Oidc").unwrap().clone();
        assert_eq!(oidc.physical, "github.com/orgs/acme/oidc");
        let warning = oidc.attributes["Warning"].as_str().unwrap();
        assert!(warning.contains("Not seen: roles of other accounts"), "{warning}");
        assert!(warning.contains("arn:aws:iam::444455556666:role/github/deploy: look there first"), "{warning}");
        assert_eq!(place.stack.update(&organisation("Both", None)).await, Status::UpdateComplete, "{}", place.reason());
        assert!(!switched(place) && assumable(place), "restored when the resource goes");
        assert_eq!(place.cloud.state().account.github.templates["acme"], keys, "the template stays");
    });
}

#[test]
fn an_organisation_stays_switched_if_its_roles_trust_ids_only() {
    at(async |place| {
        old_repository(place);
        assert_eq!(place.stack.create(&organisation("Both", Some(true))).await, Status::CreateComplete);
        assert_eq!(place.stack.update(&organisation("Immutable", Some(true))).await, Status::UpdateComplete);
        assert_eq!(place.stack.update(&organisation("Immutable", None)).await, Status::UpdateComplete);
        assert!(switched(place) && assumable(place));
    });
}

/// Other accounts cannot be read; the variables beside the switch tell where to look.
#[test]
fn roles_of_other_accounts_that_variables_name_are_listed() {
    at(async |place| {
        old_repository(place);
        let variables = "/repos/acme/app/actions/variables";
        place.by_hand(&format!("{variables}/ROLE"), "arn:aws:iam::444455556666:role/github/deploy").await;
        place.by_hand(&format!("{variables}/OURS"), "arn:aws:iam::111122223333:role/deploy").await;
        let both = r#"{"eu": "arn:aws:iam::444455556666:role/eu", "cn": "arn:aws-cn:iam::777788889999:role/cn"}"#;
        place.by_hand(&format!("{variables}/ROLES"), both).await;
        let stack = r#"{"stack": "arn:aws:cloudformation:eu-west-1:999900001111:stack/team/1"}"#;
        place.by_hand(&format!("{variables}/TRUST_OWNER_X_Y"), stack).await;
        let status = place.stack.create(&template("Both", Some(true))).await;
        assert_eq!(status, Status::CreateComplete, "{}", place.reason());
        let warning = place.stack.resource("Oidc").unwrap().attributes["Warning"].as_str().unwrap().to_owned();
        insta::assert_snapshot!(warning, @"The roles of this account were checked. Not seen: roles of other accounts and other clouds that trust acme/app. Its variables of Actions name account 999900001111, arn:aws-cn:iam::777788889999:role/cn, arn:aws:iam::444455556666:role/eu, arn:aws:iam::444455556666:role/github/deploy: look there first");
    });
}

fn choice(switched: bool) -> Template {
    vec![declared("Oidc", KIND, json!({"Repository": "acme/app", "UseImmutableSubject": switched}))]
}

#[test]
fn a_choice_that_was_made_by_hand_and_is_declared_stays_as_declared() {
    at(async |place| {
        old_repository(place);
        // Somebody has made it by hand.
        place.cloud.state().account.github.opted_in.push("acme/app".to_owned());
        assert_eq!(place.stack.create(&choice(true)).await, Status::CreateComplete, "{}", place.reason());
        let mut other = place.cloudformation.stack("other");
        assert_eq!(other.create(&choice(false)).await, Status::RollbackComplete);
        assert!(place.reason().contains("it belongs to eu-west-1/team/Oidc"), "{}", place.reason());
        assert!(switched(place));
    });
}

#[test]
fn immutable_subjects_that_were_chosen_by_hand_are_not_given_up() {
    for declares_first in [false, true] {
        at(async |place| {
            old_repository(place);
            place.cloud.state().account.github.opted_in.push("acme/app".to_owned());
            let status = if declares_first {
                assert_eq!(place.stack.create(&choice(true)).await, Status::CreateComplete, "{}", place.reason());
                place.stack.update(&choice(false)).await
            } else {
                place.stack.create(&choice(false)).await
            };
            let refused = if declares_first { Status::UpdateRollbackComplete } else { Status::RollbackComplete };
            assert_eq!(status, refused);
            assert!(place.reason().contains("choose classic subjects at GitHub by hand first"), "{}", place.reason());
            assert!(switched(place));
        });
    }
}

/// The repository sends ids by itself, so that the first stack makes no choice.
#[test]
fn a_stack_that_joins_does_not_give_up_the_ids_that_another_one_declares() {
    at(async |place| {
        assert_eq!(place.stack.create(&choice(true)).await, Status::CreateComplete, "{}", place.reason());
        let mut other = place.cloudformation.stack("other");
        assert_eq!(other.create(&choice(false)).await, Status::RollbackComplete);
        assert!(place.reason().contains("it belongs to eu-west-1/team/Oidc"), "{}", place.reason());
        assert_eq!(other.create(&choice(true)).await, Status::CreateComplete, "{}", place.reason());
    });
}
