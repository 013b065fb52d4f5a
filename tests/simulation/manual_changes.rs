//! What a person with a console does to objects that are ours.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::account::Account;
use super::author::Author;
use super::iam::Role;
use super::plan::ManualChange;

const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

impl ManualChange {
    /// Does it to the first object that it can be done to; nothing, if there is none.
    pub(crate) fn apply(self, account: &mut Account, now: SystemTime) {
        let role = account.iam.roles.all().map(|(_, role)| role.as_ref().clone()).find(|role| role.made_by.is_ours());
        let provider = account.iam.providers.all().map(|(arn, _)| arn.to_owned()).next();
        let entry = account.eks.clusters.iter().find_map(|(cluster, about)| {
            let entry = about.entries.values().find(|entry| entry.made_by.is_ours())?;
            Some((cluster.clone(), entry.clone()))
        });
        let mut iam = |action: &str, input: Value| {
            // Some of it cannot be done just then, as when a policy is attached already.
            let _ = account.iam_as(&Author::Someone, now, action, &input);
        };
        match self {
            Self::AddClientId | Self::RemoveClientIds => {
                let Some(arn) = provider else { return };
                let (action, client_id) = match self {
                    Self::AddClientId => ("AddClientIDToOpenIDConnectProvider", "by-hand"),
                    _ => ("RemoveClientIDFromOpenIDConnectProvider", "sts.amazonaws.com"),
                };
                iam(action, json!({"OpenIDConnectProviderArn": arn, "ClientID": client_id}));
            }
            Self::DeleteEntry | Self::DisassociatePolicies | Self::ChangeGroups => {
                let Some((cluster, entry)) = entry else { return };
                let mut eks = |action: &str, more: Value| {
                    let mut input = json!({"clusterName": cluster, "principalArn": entry.principal});
                    input.as_object_mut().expect("members").extend(more.as_object().cloned().unwrap_or_default());
                    let _ = account.eks_as(&Author::Someone, now, action, &input);
                };
                match self {
                    Self::DeleteEntry => eks("DeleteAccessEntry", json!({})),
                    Self::ChangeGroups => eks("UpdateAccessEntry", json!({"kubernetesGroups": ["by-hand"]})),
                    _ => {
                        for arn in entry.policies.keys() {
                            eks("DisassociateAccessPolicy", json!({"policyArn": arn}));
                        }
                    }
                }
            }
            Self::PutIntoInstanceProfile => {
                let Some(role) = role else { return };
                account.iam.instance_profiles.insert("by-hand".to_owned(), Some(role.name));
            }
            _ => {
                let Some(role) = role else { return };
                self.change_role(&role, &mut iam);
            }
        }
    }

    fn change_role(self, role: &Role, iam: &mut impl FnMut(&str, Value)) {
        let name = role.name.as_str();
        match self {
            Self::AttachPolicy => iam("AttachRolePolicy", json!({"RoleName": name, "PolicyArn": ADMIN})),
            Self::DetachPolicies => {
                for arn in &role.attached {
                    iam("DetachRolePolicy", json!({"RoleName": name, "PolicyArn": arn}));
                }
            }
            Self::WriteInlinePolicy => {
                let document = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}).to_string();
                iam("PutRolePolicy", json!({"RoleName": name, "PolicyName": "by-hand", "PolicyDocument": document}));
            }
            Self::OpenTrust => {
                let trust = role.trust.replace("repo:acme@", "repo:mallory@");
                iam("UpdateAssumeRolePolicy", json!({"RoleName": name, "PolicyDocument": trust}));
            }
            Self::TagRole => {
                iam("TagRole", json!({"RoleName": name, "Tags": [{"Key": "by-hand", "Value": "yes"}]}));
            }
            Self::DeleteRole | Self::RecreateRole => {
                for arn in &role.attached {
                    iam("DetachRolePolicy", json!({"RoleName": name, "PolicyArn": arn}));
                }
                for policy in role.inline.keys() {
                    iam("DeleteRolePolicy", json!({"RoleName": name, "PolicyName": policy}));
                }
                iam("DeleteRole", json!({"RoleName": name}));
                if self == Self::RecreateRole {
                    // One with our trust would pass for the role that lost its tags: see fault_matrix/hand_over.rs.
                    let trust = json!({"Version": "2012-10-17", "Statement": {
                        "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}});
                    let trust = trust.to_string();
                    iam("CreateRole", json!({"RoleName": name, "Path": role.path, "AssumeRolePolicyDocument": trust}));
                }
            }
            other => panic!("{other:?} was handled above"),
        }
    }
}
