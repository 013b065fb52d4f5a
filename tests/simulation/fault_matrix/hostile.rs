//! Input and answers of somebody who means harm: large declarations, invented ids, answers that cannot be read.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::cloudformation::{CloudFormation, RequestType, Status};
use super::super::expected_state::ROLE;
use super::super::faults::{At, Fault, When};
use super::super::function::github_trust;
use super::super::lambda::{Ended, Lambda};
use super::super::wire::Refusal;
use super::fixtures::{alone, but, world};

fn trust(changes: &Value) -> super::super::cloudformation::Declared {
    but(alone(ROLE, 1), json!({"Trust": changes}))
}

#[test]
fn row_29_a_trust_past_the_quota_is_refused_before_github_is_asked() {
    for wild in [None, Some(json!({"Repository": "acme/site", "Branches": ["*"]}))] {
        world(async |world| {
            let repositories = (0..300).map(|n| json!({"Repository": format!("acme/app-{n:03}"), "Branches": ["b"]}));
            let repositories: Value = repositories.chain(wild.clone()).collect();
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![trust(&repositories)]).await, Status::RollbackComplete, "{}", world.story());
            let create = world.last_of(RequestType::Create);
            let asked: Vec<String> = world.calls_for(&create).iter().map(|call| call.service.to_owned()).collect();
            assert!(!asked.iter().any(|service| service.contains("github")), "{} calls to GitHub", asked.len());
            let (reason, _) = world.failure(&create);
            let expected =
                "`Trust` takes the trust policy to at least 9300 characters, past the account's quota of 2048";
            assert!(reason.starts_with(expected) || reason.contains("8192 characters together"), "{reason}");
        });
    }
}

#[test]
fn row_29_sixty_branches_and_actors_are_refused_with_the_quota_before_github_is_asked() {
    world(async |world| {
        let branches: Vec<String> = (0..80).map(|n| format!("branch-{n:02}")).collect();
        let mut stack = world.stack("s");
        let declared = trust(&json!([{"Repository": "acme/app", "Branches": branches, "Actors": ["mona"]}]));
        assert_eq!(stack.create(&vec![declared]).await, Status::RollbackComplete, "{}", world.story());
        let create = world.last_of(RequestType::Create);
        let calls = world.calls_for(&create);
        assert!(calls.iter().all(|call| !call.service.contains("github")), "{}", world.story());
        let (reason, _) = world.failure(&create);
        assert!(reason.contains("past the account's quota of 2048 (AssumeRolePolicySizeQuota)"), "{reason}");
    });
}

/// The role of a Create that no attempt answered, and then a Delete with this id.
fn is_left(id: &str) -> bool {
    world(async |world| {
        let mut stack = world.stack("quickstart");
        let declared = but(alone(ROLE, 1), json!({"RoleName": null}));
        assert_eq!(stack.create(&vec![declared]).await, Status::CreateComplete, "{}", world.story());
        world.cloud.state().account.stacks.forget_events(&stack.id);
        stack.resources.iter_mut().for_each(|(_, resource)| id.clone_into(&mut resource.physical));
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        world.lambda.settle().await;
        !world.ours().is_empty()
    })
}

#[test]
fn row_06_an_invented_id_of_any_form_leads_to_the_role() {
    for id in [
        "quickstart-Role-1A2B3C4D5E6F",
        "quickstart-Role-1A2B3C4D5E6FG",
        "quickstart-Role-aBcDeFgHiJ12",
        "quickstart-Role-abcdefghijk1",
        "quickstart-Role-1",
        "an-id-of-another-form",
    ] {
        assert!(!is_left(id), "{id} leaves the role");
    }
}

#[test]
fn row_19_an_answer_that_cannot_be_read_is_no_refusal() {
    for body in ["", "<html><body>Welcome</body></html>", "<CreateRoleResponse>"] {
        world(async |world| {
            world.fault(At::nth("CreateRole", 1), When::After, Fault::Garbage(body.to_owned()));
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{body}: {}", world.story());
            assert_eq!(stack.delete_stack().await, Status::DeleteComplete);
            world.nothing_left_but(&[]).await;
        });
    }
}

#[test]
fn row_19_an_answer_without_the_role_is_no_proof_that_it_is_gone() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
        let empty = "<GetRoleResponse><GetRoleResult/></GetRoleResponse>";
        world.fault(At::every("GetRole"), When::After, Fault::Garbage(empty.to_owned()));
        assert_eq!(stack.delete_stack().await, Status::DeleteFailed, "{}", world.story());
        assert_eq!(world.ours().len(), 1);
    });
}

#[test]
fn row_17_words_of_others_in_a_reason_turn_no_text() {
    world(async |world| {
        let refusal = Refusal::new("ValidationError", 400, "a\u{202e}b\nc");
        world.fault(At::every("CreateRole"), When::Before, Fault::Refuse(refusal));
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::RollbackComplete, "{}", world.story());
        let (reason, _) = world.failure(&world.last_of(RequestType::Create));
        assert!(reason.contains("a\u{fffd}b c"), "{reason:?}");
    });
}

/// Hung calls, `PutObject` aside.
const HUNG: [&str; 3] = ["Get*", "List*", "Describe*"];

#[test]
fn row_15_lambdas_own_end_before_cloudformations_is_kept() {
    world(async |world| {
        let lambda = Lambda::new(&world.cloud, &github_trust(&world.cloud), Duration::from_mins(1));
        for action in HUNG {
            world.fault(At::every(action), When::Before, Fault::Hang);
        }
        let mut stack = CloudFormation::new(&world.cloud, &lambda).stack("s");
        let began = world.cloud.now();
        stack.create(&vec![alone(ROLE, 1)]).await;
        lambda.settle().await;
        let uploads = world.cloud.state().account.s3.uploads.clone();
        let first = uploads.first().expect("an answer");
        let answer: Value = serde_json::from_slice(&first.body).unwrap();
        assert_eq!(answer["Status"], "FAILED");
        assert!(first.at.duration_since(began).unwrap() < Duration::from_mins(1), "{}", world.story());
        assert_eq!(lambda.attempts().first().map(|attempt| attempt.ended.clone()), Some(Some(Ended::Returned(Ok(())))));
    });
}

#[test]
fn row_25_a_boundary_that_is_missing_is_told_at_once() {
    world(async |world| {
        let mut stack = world.stack("s");
        assert_eq!(stack.create(&vec![alone(ROLE, 1)]).await, Status::CreateComplete, "{}", world.story());
        let began = world.cloud.now();
        let missing = json!({"PermissionsBoundary": "arn:aws:iam::111122223333:policy/missing"});
        assert_eq!(stack.update(&vec![but(alone(ROLE, 1), missing)]).await, Status::UpdateRollbackComplete);
        let update = world.sent().into_iter().find(|sent| sent.kind == RequestType::Update).unwrap();
        let (reason, _) = world.failure(&update);
        assert!(reason.contains("Scope ARN: arn:aws:iam::111122223333:policy/missing does not exist"), "{reason}");
        let tries = world.calls_for(&update).iter().filter(|call| call.action == "PutRolePermissionsBoundary").count();
        assert_eq!(tries, 1, "after {:?}: {}", world.cloud.now().duration_since(began), world.story());
    });
}
