//! The whole of it together, on a day on which nothing goes wrong.

use std::time::Duration;

use serde_json::json;

use super::cloud::Cloud;
use super::cloudformation::{CloudFormation, Status, declared};
use super::eks;
use super::function::github_trust;
use super::lambda::Lambda;
use super::sdk::in_virtual_time;

#[test]
fn a_stack_of_all_three_kinds_comes_and_changes_and_goes() {
    in_virtual_time(async {
        let cloud = Cloud::new(1);
        cloud.change_now(|account, now| account.eks.add_cluster("prod", "API", eks::Status::Active, now));
        let lambda = Lambda::new(&cloud, &github_trust(&cloud), Duration::from_mins(5));
        let cloudformation = CloudFormation::new(&cloud, &lambda);
        let mut stack = cloudformation.stack("team");
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
        let story = || cloud.story();
        tokio::task::LocalSet::new()
            .run_until(async {
                assert_eq!(
                    stack.create(&template("main")).await,
                    Status::CreateComplete,
                    "{:#?}\n{}",
                    cloudformation.sent(),
                    story()
                );
                assert_eq!(stack.update(&template("next")).await, Status::UpdateComplete, "{}", story());
                assert_eq!(stack.delete_stack().await, Status::DeleteComplete, "{}", story());
            })
            .await;
        assert!(cloud.snapshot().objects.is_empty());
        print!("{}", story());
    });
}
