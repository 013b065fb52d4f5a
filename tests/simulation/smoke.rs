//! The whole of it together, on a day on which nothing goes wrong.

use github_trust::settings::Settings;
use serde_json::json;

use super::account::Account;
use super::cloudformation::{Status, declared};
use super::eks;
use super::world::world;

#[test]
fn a_stack_of_all_three_kinds_comes_and_changes_and_goes() {
    let furnish = |account: &mut Account, now| account.eks.add_cluster("prod", "API", eks::Status::Active, now);
    world(Settings::default(), furnish, async |world| {
        let mut stack = world.stack("team");
        let template = |branch: &str| {
            vec![
                declared("Provider", "Custom::GitHubOidcProvider", json!({})),
                declared(
                    "Role",
                    "Custom::GitHubRole",
                    json!({"ProviderArn": {"Ref": "Provider"}, "Trust": [{"Repository": "acme/app", "Branches": [branch]}]}),
                ),
                declared(
                    "Entry",
                    "Custom::EksAccessEntry",
                    json!({"ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]},
                           "AccessPolicies": [{"PolicyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                                               "AccessScope": {"Type": "namespace", "Namespaces": ["a"]}}]}),
                ),
            ]
        };
        assert_eq!(stack.create(&template("main")).await, Status::CreateComplete, "{}", world.story());
        assert_eq!(stack.update(&template("next")).await, Status::UpdateComplete, "{}", world.story());
        assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", world.story());
        assert!(world.cloud.snapshot().objects.is_empty());
        world.close().await;
    });
}
