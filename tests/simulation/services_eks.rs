//! Simulated EKS, asked by the real SDK: each test is a sentence of its documentation.

use std::time::Duration;

use aws_sdk_eks::types::AccessScope;
use aws_sdk_iam::error::ProvideErrorMetadata;

use super::cloud::Cloud;
use super::eks::Status;
use super::faults::{At, Fault, When};
use super::sdk::{self, simulate};
use super::services::{refusal, role};

const ROLE: &str = "arn:aws:iam::111122223333:role/deployer";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

async fn cluster(cloud: &Cloud) -> aws_sdk_eks::Client {
    role(&sdk::iam(cloud)).await;
    cloud.change_now(|account, now| account.eks.add_cluster("prod", "API", Status::Active, now));
    sdk::eks(cloud)
}

#[test]
fn an_entry_is_one_per_principal_and_gets_a_username_of_its_own() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        let create = || eks.create_access_entry().cluster_name("prod").principal_arn(ROLE).tags("owner", "us");
        let made = create().send().await.unwrap();
        let made = made.access_entry().unwrap();
        assert_eq!(made.username(), Some("arn:aws:sts::111122223333:assumed-role/deployer/{{SessionName}}"));
        assert!(
            made.access_entry_arn()
                .unwrap()
                .starts_with("arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/deployer/")
        );
        assert_eq!(
            refusal!(create()),
            "ResourceInUseException: The specified access entry resource is already in use on this cluster."
        );
        let shown = eks.describe_access_entry().cluster_name("prod").principal_arn(ROLE).send().await.unwrap();
        assert_eq!(shown.access_entry(), Some(made));
        let arn = made.access_entry_arn().unwrap();
        eks.tag_resource().resource_arn(arn).tags("more", "").send().await.unwrap();
        eks.untag_resource().resource_arn(arn).tag_keys("owner").send().await.unwrap();
        let tags = eks.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
        assert_eq!(tags.tags().unwrap().keys().collect::<Vec<_>>(), ["more"]);
        assert!(
            refusal!(eks.tag_resource().resource_arn(format!("{arn}0")).tags("a", "b"))
                .starts_with("NotFoundException")
        );
    });
}

#[test]
fn a_repeated_creation_is_recognised_by_its_token_or_is_in_use() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        let create = || eks.create_access_entry().cluster_name("prod").principal_arn(ROLE);
        cloud.state().faults.plan(At::nth("CreateAccessEntry", 1), When::After, Fault::Reset);
        create().send().await.unwrap();
        eks.delete_access_entry().cluster_name("prod").principal_arn(ROLE).send().await.unwrap();
        cloud.state().account.eks.settings.honours_client_tokens = false;
        cloud.state().faults.plan(At::nth("CreateAccessEntry", 1), When::After, Fault::ServerError);
        assert!(refusal!(create()).starts_with("ResourceInUseException"), "the SDK repeated what had been done");
    });
}

#[test]
fn a_young_role_is_an_invalid_principal_and_a_young_entry_cannot_be_found() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        {
            let settings = &mut cloud.state().account.eks.settings;
            (settings.role_lag, settings.entry_lag) = (Duration::from_secs(90), Duration::from_secs(30));
        }
        let create = || eks.create_access_entry().cluster_name("prod").principal_arn(ROLE);
        assert_eq!(
            refusal!(create()),
            "InvalidParameterException: The specified principalArn is invalid: invalid principal"
        );
        tokio::time::sleep(Duration::from_secs(90)).await;
        create().send().await.unwrap();
        let scope = AccessScope::builder().r#type("cluster".into()).build();
        let associate = || {
            eks.associate_access_policy()
                .cluster_name("prod")
                .principal_arn(ROLE)
                .policy_arn(VIEW)
                .access_scope(scope.clone())
        };
        assert!(
            refusal!(associate())
                .starts_with("ResourceNotFoundException: The specified principalArn could not be found.")
        );
        tokio::time::sleep(Duration::from_secs(30)).await;
        associate().send().await.unwrap();
    });
}

#[test]
fn associating_again_changes_the_scope_or_does_not() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        eks.create_access_entry().cluster_name("prod").principal_arn(ROLE).send().await.unwrap();
        let associate = |namespace: &str| {
            let scope = AccessScope::builder().r#type("namespace".into()).namespaces(namespace).build();
            eks.associate_access_policy().cluster_name("prod").principal_arn(ROLE).policy_arn(VIEW).access_scope(scope)
        };
        let list = || eks.list_associated_access_policies().cluster_name("prod").principal_arn(ROLE);
        associate("a").send().await.unwrap();
        associate("b-*").send().await.unwrap();
        let listed = list().send().await.unwrap();
        assert_eq!(listed.associated_access_policies()[0].access_scope().unwrap().namespaces(), ["b-*"]);
        cloud.state().account.eks.settings.associating_again_changes_scope = false;
        associate("c").send().await.unwrap();
        let listed = list().send().await.unwrap();
        assert_eq!(listed.associated_access_policies()[0].access_scope().unwrap().namespaces(), ["b-*"]);
        eks.disassociate_access_policy()
            .cluster_name("prod")
            .principal_arn(ROLE)
            .policy_arn(VIEW)
            .send()
            .await
            .unwrap();
        assert!(list().send().await.unwrap().associated_access_policies().is_empty());
        cloud.state().account.eks.settings.page = 4;
        let all = eks.list_access_policies().into_paginator().items().send().collect::<Vec<_>>().await;
        assert_eq!(all.len(), 33);
    });
}

#[test]
fn types_usernames_and_principals_are_checked() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        let create = |principal: &str| eks.create_access_entry().cluster_name("prod").principal_arn(principal);
        for (entry, expected) in [
            (create(ROLE).r#type("LINUX"), "type LINUX is invalid"),
            (create(ROLE).username("system:admin"), "cannot start with system:"),
            (create(ROLE).username("me{{SessionName}}"), "must have a colon"),
            (create(ROLE).r#type("EC2_LINUX").username("me"), "cannot specify username"),
            (create("arn:aws:iam::111122223333:role/absent"), "invalid principal"),
            (create("arn:aws:sts::111122223333:assumed-role/deployer/x"), "invalid format"),
            (create("arn:aws:iam::111122223333:role/aws-service-role/x/y"), "Service Linked Role"),
        ] {
            let refused = refusal!(entry);
            assert!(refused.starts_with("InvalidParameterException") && refused.contains(expected), "{refused}");
        }
        create("arn:aws:iam::999988887777:role/elsewhere").send().await.unwrap();
        create(ROLE).r#type("EC2_LINUX").send().await.unwrap();
        let list = eks.list_associated_access_policies().cluster_name("prod").principal_arn(ROLE);
        assert!(refusal!(list).starts_with("InvalidRequestException"));
    });
}

#[test]
fn a_cluster_must_be_active_and_know_access_entries() {
    simulate(|cloud| async move {
        let eks = cluster(&cloud).await;
        cloud.change_now(|account, now| {
            account.eks.add_cluster("old", "CONFIG_MAP", Status::Active, now);
            account.eks.add_cluster("new", "API", Status::Creating, now);
            account.eks.clusters.get_mut("new").unwrap().becomes =
                Some((now + Duration::from_mins(10), Some(Status::Active)));
        });
        let create = |cluster: &str| eks.create_access_entry().cluster_name(cluster).principal_arn(ROLE);
        assert_eq!(refusal!(create("none")), "ResourceNotFoundException: No cluster found for name: none.");
        assert!(refusal!(create("old")).contains("must be set to one of [API, API_AND_CONFIG_MAP]"));
        assert!(refusal!(create("new")).starts_with("InvalidRequestException"));
        tokio::time::sleep(Duration::from_mins(10)).await;
        create("new").send().await.unwrap();
        let shown = eks.describe_cluster().name("new").send().await.unwrap();
        assert_eq!(shown.cluster().unwrap().status().unwrap().as_str(), "ACTIVE");
    });
}
