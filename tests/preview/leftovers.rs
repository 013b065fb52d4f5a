//! A plan tells which objects go after a change.

use serde_json::json;

use super::{role, with, within};
use crate::simulation::expected_state::ROLE;

/// The new role of a replacement that died is left behind. The rollback removes it, by the properties of the other side.
#[test]
fn a_plan_tells_once_what_goes_after_a_replacement_and_its_rollback() {
    within(async |account| {
        let properties = |name: &str| {
            let provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
            with(role(), &json!({"RoleName": name, "ProviderArn": provider}))
        };
        let trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]});
        let tags = json!([
            {"Key": "github-trust:stack-id", "Value": account.stack}, {"Key": "github-trust:logical-id", "Value": "Role"},
        ]);
        let left = json!({"RoleName": "left", "AssumeRolePolicyDocument": trust.to_string(), "Tags": tags});
        account.someone("CreateRole", &left);
        for (name, before) in [("release", "deploy"), ("deploy", "left")] {
            let question = json!({
                "ResourceType": ROLE, "ResourceProperties": properties(name), "OldResourceProperties": properties(before),
                "PhysicalResourceId": "deploy", "StackId": account.stack, "LogicalResourceId": "Role",
            });
            let answer = account.plan(&question).await;
            let afterwards = answer["Resources"][0]["Afterwards"].as_array().unwrap();
            let deletions = afterwards.iter().filter(|line| line.as_str().unwrap().starts_with("delete the role"));
            assert_eq!(deletions.count(), 1, "{name}: {answer:#}");
        }
    });
}
