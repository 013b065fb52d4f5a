//! A plan beside requests that are under way: what another process is doing at this moment is told as not known yet.

use std::time::Duration;

use github_trust::settings::Settings;
use serde_json::{Value, json};

use super::{Place, entry, role, with, within};
use crate::simulation::account::Account;
use crate::simulation::cloudformation::{Status, declared};
use crate::simulation::eks::Status as ClusterStatus;
use crate::simulation::expected_state::{ENTRY, PROVIDER, ROLE};
use crate::simulation::plan::Setting;
use crate::simulation::world::world;

/// The values that are not known at each moment of ten seconds.
async fn not_known(account: &Place, question: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = account.plan(question).await;
        let unknown = answer["Resources"][0]["NotKnownYet"].as_array().unwrap();
        told.extend(unknown.iter().map(|one| one.as_str().unwrap().to_owned()));
    }
    told
}

#[test]
fn a_deletion_that_another_process_has_announced_is_told() {
    let furnish = |account: &mut Account, now| Setting::default().apply(account, now);
    world(Settings::default(), furnish, async |world| {
        let mut leaving = world.stack("team-c");
        let account = Place { world, stack: String::new() };
        let provider = vec![declared("Provider", PROVIDER, json!({}))];
        assert_eq!(leaving.create(&provider).await, Status::CreateComplete);
        let joining = account.cloudformation.stack("team-b").id;
        let question =
            json!({"ResourceType": PROVIDER, "ResourceProperties": {}, "StackId": joining, "LogicalResourceId": "P"});
        let (deleted, told) = tokio::join!(leaving.delete_stack(), not_known(&account, &question));
        assert_eq!(deleted, Status::DeleteComplete);
        assert!(told.iter().any(|one| one.starts_with("another process is deleting arn:aws:iam::")), "{told:?}");
        tokio::time::sleep(Duration::from_mins(5)).await;
        let answer = account.plan(&question).await;
        assert_eq!(answer["Resources"][0]["NotKnownYet"], json!([]), "{answer:#}");
    });
}

#[test]
fn a_cluster_that_is_being_created_leaves_the_plan_not_known_yet() {
    within(async |account| {
        account.cloud.change_now(|account, now| account.eks.add_cluster("new", "API", ClusterStatus::Creating, now));
        let properties = with(entry(&json!({"Type": "cluster"})), &json!({"ClusterName": "new"}));
        let answer = account.change("Entry", ENTRY, properties).await;
        let resource = &answer["Resources"][0];
        assert_eq!(resource["Refusals"], json!([]), "{answer:#}");
        let unknown = resource["NotKnownYet"].to_string();
        assert!(unknown.contains("was still being created when the time was up"), "{answer:#}");
    });
}

#[test]
fn a_change_that_cloudformation_is_making_is_told() {
    within(async |account| {
        let mut stack = account.cloudformation.stack("team-c");
        let properties = with(role(), &json!({"RoleName": "other"}));
        let template = |properties| vec![declared("Provider", PROVIDER, json!({})), declared("Role", ROLE, properties)];
        assert_eq!(stack.create(&template(properties.clone())).await, Status::CreateComplete);
        let wanted = with(
            properties,
            &json!({"Description": "new",
            "ProviderArn": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}),
        );
        let question = json!({"ResourceType": ROLE, "ResourceProperties": wanted, "StackId": stack.id, "LogicalResourceId": "Role"});
        let template = template(wanted.clone());
        let (updated, told) = tokio::join!(stack.update(&template), not_known(account, &question));
        assert_eq!(updated, Status::UpdateComplete);
        let expected = "the object of the stack: CloudFormation is changing it at this moment (UPDATE_IN_PROGRESS)";
        assert!(told.iter().any(|one| one == expected), "{told:?}");
        let answer = account.plan(&question).await;
        assert_eq!(answer["Resources"][0]["NotKnownYet"], json!([]), "{answer:#}");
    });
}
