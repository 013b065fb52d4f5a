//! Reads the providers, roles, policies and access entries of an account. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::Role;
use serde_json::Value;

use super::clusters::access;
use super::grade::{Provider, grade};
use super::permissions::groups;
use super::report::{AuditedRole, Report};
use crate::arn::issuer_of_provider;

use crate::aws::{CallError, Deadline, ErrorKind, iam, marker, pages};
use crate::github::Issuer;
use crate::iam_policy::document::{decode, providers as federated};

/// The audit of an account.
pub struct Audit<'a> {
    /// IAM.
    pub iam: &'a aws_sdk_iam::Client,
    /// EKS of the region whose clusters are read.
    pub eks: &'a aws_sdk_eks::Client,
    /// The time for all calls.
    pub deadline: Deadline,
    /// Told after each role: the number of roles that are done, and of all.
    pub progress: &'a dyn Fn(usize, usize),
}

/// A role that names an OIDC provider.
struct Candidate {
    arn: String,
    name: String,
    trust: Value,
    /// The providers of GitHub's issuers, by ARN.
    providers: BTreeMap<String, Issuer>,
    /// The other OIDC providers.
    others: BTreeSet<String>,
}

impl Audit<'_> {
    /// Audits the account.
    ///
    /// # Errors
    /// When IAM does not answer, or denies a call.
    pub async fn run(&self) -> Result<Report, CallError> {
        let providers = github_providers(self.iam, &self.deadline).await?;
        let mut candidates = iam::list_roles(self.iam, &self.deadline, candidate).await?;
        candidates.sort_by(|a, b| a.arn.cmp(&b.arn));
        let mut documents = BTreeMap::new();
        let (mut roles, mut not_judged) = (Vec::new(), Vec::new());
        for (done, candidate) in candidates.iter().enumerate() {
            (self.progress)(done, candidates.len());
            not_judged.extend(candidate.others.iter().map(|provider| (candidate.arn.clone(), provider.clone())));
            if candidate.providers.is_empty() {
                continue;
            }
            let findings = candidate
                .providers
                .iter()
                .flat_map(|(arn, issuer)| grade(&candidate.trust, arn, issuer, providers.get(&arn.to_lowercase())));
            let mut role = AuditedRole::new(candidate.arn.clone(), candidate.trust.clone(), findings.collect());
            self.add_rights(&mut role, &candidate.name, &mut documents).await?;
            roles.push(role);
        }
        (self.progress)(candidates.len(), candidates.len());
        roles.sort_by(|a, b| a.grade().cmp(&b.grade()).then(a.arn.cmp(&b.arn)));
        let not_read = self.clusters(&mut roles).await.err().map(|error| format!("Access entries: {error}"));
        let providers = providers.into_values().map(|provider| provider.arn).collect();
        Ok(Report { providers, roles, not_judged, not_read: not_read.into_iter().collect() })
    }

    /// Adds the access entries.
    async fn clusters(&self, roles: &mut [AuditedRole]) -> Result<(), CallError> {
        let arns = roles.iter().map(|role| role.arn.clone()).collect::<Vec<_>>();
        let arns = arns.iter().map(String::as_str).collect();
        let mut found = access(self.eks, &self.deadline, &arns).await?;
        for role in roles {
            role.clusters = found.remove(&role.arn).unwrap_or_default();
        }
        Ok(())
    }

    /// Adds the permissions of a role.
    async fn add_rights(
        &self,
        audited: &mut AuditedRole,
        role: &str,
        documents: &mut BTreeMap<String, Option<Value>>,
    ) -> Result<(), CallError> {
        let attached: Vec<String> = pages(async |token| {
            let request = self.iam.list_attached_role_policies().role_name(role).set_marker(token);
            let page = self.deadline.call("iam:ListAttachedRolePolicies", role, || request.clone().send()).await?;
            let arns = page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn);
            Ok((arns.collect(), marker(page.is_truncated, page.marker)))
        })
        .await?;
        let inline: Vec<String> = pages(async |token| {
            let request = self.iam.list_role_policies().role_name(role).set_marker(token);
            let page = self.deadline.call("iam:ListRolePolicies", role, || request.clone().send()).await?;
            Ok((page.policy_names, marker(page.is_truncated, page.marker)))
        })
        .await?;
        let mut policies = Vec::new();
        for arn in &attached {
            policies.extend(self.managed(arn, documents).await?);
        }
        for name in &inline {
            let request = self.iam.get_role_policy().role_name(role).policy_name(name);
            let found = self.deadline.call("iam:GetRolePolicy", role, || request.clone().send()).await?;
            policies.extend(decode(&found.policy_document));
        }
        let request = self.iam.get_role().role_name(role);
        let shown = self.deadline.call("iam:GetRole", role, || request.clone().send()).await?.role;
        let boundary = shown.and_then(|role| role.permissions_boundary?.permissions_boundary_arn);
        let limit = match &boundary {
            Some(arn) => self.managed(arn, documents).await?,
            None => None,
        };
        audited.permissions = groups(&policies, limit.as_ref());
        audited.policies = attached.into_iter().chain(inline).collect();
        audited.boundary = boundary;
        Ok(())
    }

    /// The document of a managed policy, read once.
    async fn managed(
        &self,
        arn: &str,
        documents: &mut BTreeMap<String, Option<Value>>,
    ) -> Result<Option<Value>, CallError> {
        if let Some(known) = documents.get(arn) {
            return Ok(known.clone());
        }
        let request = self.iam.get_policy().policy_arn(arn);
        let policy = match self.deadline.call("iam:GetPolicy", arn, || request.clone().send()).await {
            Ok(found) => found.policy,
            // It was deleted a moment ago.
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut document = None;
        if let Some(version) = policy.and_then(|policy| policy.default_version_id) {
            let request = self.iam.get_policy_version().policy_arn(arn).version_id(version);
            let found = self.deadline.call("iam:GetPolicyVersion", arn, || request.clone().send()).await?;
            document = found.policy_version.and_then(|version| version.document).as_deref().and_then(decode);
        }
        documents.insert(arn.to_owned(), document.clone());
        Ok(document)
    }
}

/// Reads the providers of GitHub's issuers, by ARN in lower case.
///
/// # Errors
/// When IAM does not answer, or denies a call.
pub async fn github_providers(
    iam: &aws_sdk_iam::Client,
    deadline: &Deadline,
) -> Result<BTreeMap<String, Provider>, CallError> {
    let request = iam.list_open_id_connect_providers();
    let page = deadline.call("iam:ListOpenIDConnectProviders", "*", || request.clone().send()).await?;
    let mut providers = BTreeMap::new();
    for arn in page.open_id_connect_provider_list.unwrap_or_default().into_iter().filter_map(|entry| entry.arn) {
        if github_issuer(&arn).is_none() {
            continue;
        }
        let request = iam.get_open_id_connect_provider().open_id_connect_provider_arn(&arn);
        let found = deadline.call("iam:GetOpenIDConnectProvider", &arn, || request.clone().send()).await?;
        let client_ids = found.client_id_list.unwrap_or_default().into_iter().collect();
        providers.insert(arn.to_lowercase(), Provider { arn, client_ids });
    }
    Ok(providers)
}

fn github_issuer(provider_arn: &str) -> Option<Issuer> {
    Issuer::parse_without_scheme(issuer_of_provider(provider_arn)?).ok()
}

/// Returns a role that a token of an OIDC provider may assume.
fn candidate(role: Role) -> Option<Candidate> {
    let trust = decode(role.assume_role_policy_document.as_deref()?)?;
    let (mut providers, mut others) = (BTreeMap::new(), BTreeSet::new());
    for arn in federated(&trust).filter(|arn| arn.contains(":oidc-provider/")) {
        match github_issuer(arn) {
            Some(issuer) => {
                providers.insert(arn.to_owned(), issuer);
            }
            None => {
                others.insert(arn.to_owned());
            }
        }
    }
    let is_federated = !providers.is_empty() || !others.is_empty();
    is_federated.then_some(Candidate { arn: role.arn, name: role.role_name, trust, providers, others })
}
