//! Roles whose provider does not take their audience.

use serde_json::json;

use super::{ISSUER, at};
use crate::simulation::account::{ACCOUNT, PARTITION, REGION};

#[test]
fn a_role_whose_provider_lacks_its_audience_warns_of_it() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        let warning = "The provider takes other and sts.amazonaws.com, and not vault, the role's `Audience`: no job can assume \
                       the role before the provider has that in its `ClientIdList`";
        let properties =
            json!({"RoleName": "deploy", "ProviderArn": place.provider_arn(), "Audience": "vault", "Trust": trust});
        let question = json!({"ResourceType": "Custom::GitHubRole", "ResourceProperties": properties});
        let plan = place.invoke(&json!({"Plan": question})).await;
        assert_eq!(plan["Resources"][0]["Warnings"], json!([warning]), "{plan:#}");
        for request in ["Create", "Update"] {
            let outcome = place.request(request, properties.clone()).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert_eq!(outcome.attributes["Warning"], warning);
            assert!(place.log.text().contains(warning), "{}", place.log.text());
        }
        let client_id = json!({"OpenIDConnectProviderArn": place.provider_arn(), "ClientID": "vault"});
        place.someone("AddClientIDToOpenIDConnectProvider", &client_id);
        let outcome = place.request("Update", properties).await;
        assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")));
    });
}

#[test]
fn a_role_whose_provider_is_gone_warns_of_it_in_plan_and_update() {
    at(async |place| {
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        let arn = place.provider_arn();
        let properties = json!({"RoleName": "deploy", "ProviderArn": arn, "Trust": trust, "Description": "new"});
        assert!(place.create(trust).await.succeeded);
        place.someone("DeleteOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": arn}));
        let warning = format!(
            "There is no provider {arn} in this account: no job can assume the role before a Custom::GitHubOidcProvider is \
             declared for its issuer"
        );
        let question = json!({"ResourceType": "Custom::GitHubRole", "ResourceProperties": properties,
            "PhysicalResourceId": "deploy", "LogicalResourceId": "Role",
            "StackId": format!("arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT}:stack/s/1")});
        let plan = place.invoke(&json!({"Plan": question})).await;
        assert_eq!(plan["Resources"][0]["Warnings"], json!([warning]), "{plan:#}");
        let outcome = place.request("Update", properties.clone()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(outcome.attributes["Warning"], warning);
        assert!(place.log.text().contains(&warning), "{}", place.log.text());
        let again = json!({"Url": format!("https://{ISSUER}"), "ClientIDList": ["sts.amazonaws.com"]});
        place.someone("CreateOpenIDConnectProvider", &again);
        let outcome = place.request("Update", properties).await;
        assert_eq!((outcome.succeeded, &outcome.attributes["Warning"]), (true, &json!("")));
    });
}
