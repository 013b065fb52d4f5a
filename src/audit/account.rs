//! Reads the providers, roles, policies and access entries of an account. Nothing is changed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use aws_sdk_iam::types::Role;
use futures_util::future::{join, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::clusters::{MAX_CONCURRENT_CALLS, access};
use super::grade::{Provider, Work, grade};
use super::permission_groups::groups;
use super::report::{AuditedRole, Report};
use crate::arn::issuer_of_provider;

use crate::aws::{CallError, Deadline, ErrorKind, iam, marker, pages};
use crate::github::Issuer;
use crate::iam_policy::document::{UNREADABLE, decode, providers as federated};

/// The documents of managed policies, by ARN. Roles that have one in common share its read.
type Documents = RefCell<BTreeMap<String, Rc<OnceCell<Option<Value>>>>>;

/// The audit of an account.
pub struct Audit<'a> {
    /// IAM.
    pub iam: &'a aws_sdk_iam::Client,
    /// EKS of the region whose clusters are read.
    pub eks: &'a aws_sdk_eks::Client,
    /// The time for all calls.
    pub deadline: Deadline,
    /// Tells the changes that somebody made by hand to a role of a stack, with its managed and inline policies.
    pub changes: &'a dyn Fn(Role, BTreeSet<String>, BTreeMap<String, Value>) -> Vec<String>,
    /// Tells the exemptions from guardrails that a role or its stack has or had.
    pub exemptions: &'a dyn Fn(&Role) -> Vec<String>,
    /// Told after each role: the number of roles that are done, and of all.
    pub progress: &'a dyn Fn(usize, usize),
}

/// A role that names an OIDC provider, or may do so.
enum Listed {
    Candidate(Candidate),
    /// The ARN of a role whose trust policy cannot be read.
    Unreadable(String),
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
        let (mut candidates, mut not_read) = (Vec::new(), Vec::new());
        for role in iam::list_roles(self.iam, &self.deadline, listed).await? {
            match role {
                Listed::Candidate(candidate) => candidates.push(candidate),
                Listed::Unreadable(arn) => not_read.push(format!("The trust policy of {arn}: {UNREADABLE}")),
            }
        }
        candidates.sort_by(|a, b| a.arn.cmp(&b.arn));
        let others = |candidate: &Candidate| {
            candidate.others.iter().map(|provider| (candidate.arn.clone(), provider.clone())).collect::<Vec<_>>()
        };
        let not_judged = candidates.iter().flat_map(others).collect();
        candidates.retain(|candidate| !candidate.providers.is_empty());
        let arns = candidates.iter().map(|candidate| candidate.arn.as_str()).collect();
        let clusters = access(self.eks, &self.deadline, &arns);
        let (roles, clusters) = join(self.roles(&candidates, &providers), clusters).await;
        let (mut roles, unreadable): (Vec<_>, Vec<_>) = roles?.into_iter().unzip();
        not_read.extend(unreadable.into_iter().flatten());
        let mut clusters = clusters.unwrap_or_else(|error| {
            not_read.push(format!("Access entries: {error}"));
            BTreeMap::new()
        });
        for role in &mut roles {
            role.clusters = clusters.remove(&role.arn).unwrap_or_default();
        }
        roles.sort_by(|a, b| a.grade().cmp(&b.grade()).then(a.arn.cmp(&b.arn)));
        let providers = providers.into_values().map(|provider| provider.arn).collect();
        Ok(Report { providers, roles, not_judged, not_read })
    }

    /// Grades the roles, a few at a time, each beside the reasons for which some of its policies are not read.
    async fn roles(
        &self,
        candidates: &[Candidate],
        providers: &BTreeMap<String, Provider>,
    ) -> Result<Vec<(AuditedRole, Vec<String>)>, CallError> {
        let (documents, done) = (Documents::default(), Cell::new(0));
        (self.progress)(0, candidates.len());
        let roles = candidates.iter().map(async |candidate| {
            let graded = candidate.providers.iter().flat_map(|(arn, issuer)| {
                grade(&candidate.trust, arn, issuer, providers.get(&arn.to_lowercase()), &Work::default())
            });
            let mut role = AuditedRole::new(candidate.arn.clone(), candidate.trust.clone(), graded.collect());
            let unreadable = self.add_rights(&mut role, &candidate.name, &documents).await?;
            let reason = |policy| format!("The policy {policy} of {}: {UNREADABLE}", candidate.arn);
            done.set(done.get() + 1);
            (self.progress)(done.get(), candidates.len());
            Ok((role, unreadable.into_iter().map(reason).collect()))
        });
        stream::iter(roles).buffered(MAX_CONCURRENT_CALLS).try_collect().await
    }

    /// Adds the permissions of a role, and returns the policies that cannot be read.
    async fn add_rights(
        &self,
        audited: &mut AuditedRole,
        role: &str,
        documents: &Documents,
    ) -> Result<Vec<String>, CallError> {
        let (attached, inline, shown) = try_join3(self.attached(role), self.inline(role), self.shown(role)).await?;
        let mut read: Vec<(&String, Value)> = inline.iter().map(|(name, policy)| (name, policy.clone())).collect();
        for arn in &attached {
            read.extend(self.managed(arn, documents).await?.map(|policy| (arn, policy)));
        }
        let unreadable = |(name, policy): &(&String, Value)| policy.is_null().then(|| (*name).clone());
        let mut unreadable: Vec<String> = read.iter().filter_map(unreadable).collect();
        let policies: Vec<Value> = read.into_iter().map(|(_, policy)| policy).collect();
        let boundary = shown.as_ref().and_then(|role| role.permissions_boundary.clone()?.permissions_boundary_arn);
        let limit = match &boundary {
            Some(arn) => self.managed(arn, documents).await?,
            None => None,
        };
        if limit.as_ref().is_some_and(Value::is_null) {
            unreadable.extend(boundary.clone());
        }
        audited.permissions = groups(&policies, limit.as_ref().filter(|limit| !limit.is_null()));
        audited.policies = attached.iter().chain(inline.keys()).cloned().collect();
        audited.boundary = boundary;
        if let Some(shown) = shown {
            audited.exemptions = (self.exemptions)(&shown);
            audited.changed = (self.changes)(shown, attached.into_iter().collect(), inline);
        }
        Ok(unreadable)
    }

    async fn attached(&self, role: &str) -> Result<Vec<String>, CallError> {
        pages(async |token| {
            let request = self.iam.list_attached_role_policies().role_name(role).set_marker(token);
            let page = self.deadline.call("iam:ListAttachedRolePolicies", role, || request.clone().send()).await?;
            let arns = page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn);
            Ok((arns.collect(), marker(page.is_truncated, page.marker)))
        })
        .await
    }

    /// The inline policies of a role, by name; null for one that cannot be read.
    async fn inline(&self, role: &str) -> Result<BTreeMap<String, Value>, CallError> {
        let names: Vec<String> = pages(async |token| {
            let request = self.iam.list_role_policies().role_name(role).set_marker(token);
            let page = self.deadline.call("iam:ListRolePolicies", role, || request.clone().send()).await?;
            Ok((page.policy_names, marker(page.is_truncated, page.marker)))
        })
        .await?;
        let mut policies = BTreeMap::new();
        for name in names {
            let request = self.iam.get_role_policy().role_name(role).policy_name(&name);
            let found = self.deadline.call("iam:GetRolePolicy", role, || request.clone().send()).await?;
            policies.insert(name, decode(&found.policy_document).unwrap_or(Value::Null));
        }
        Ok(policies)
    }

    /// The role with its boundary and its tags, which the list lacks.
    async fn shown(&self, role: &str) -> Result<Option<Role>, CallError> {
        let request = self.iam.get_role().role_name(role);
        Ok(self.deadline.call("iam:GetRole", role, || request.clone().send()).await?.role)
    }

    /// The document of a managed policy, looked up once; null if it cannot be read.
    async fn managed(&self, arn: &str, documents: &Documents) -> Result<Option<Value>, CallError> {
        let document = Rc::clone(documents.borrow_mut().entry(arn.to_owned()).or_default());
        document.get_or_try_init(|| self.read_managed(arn)).await.cloned()
    }

    async fn read_managed(&self, arn: &str) -> Result<Option<Value>, CallError> {
        let request = self.iam.get_policy().policy_arn(arn);
        let policy = match self.deadline.call("iam:GetPolicy", arn, || request.clone().send()).await {
            Ok(found) => found.policy,
            // It was deleted a moment ago.
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(version) = policy.and_then(|policy| policy.default_version_id) else { return Ok(None) };
        let request = self.iam.get_policy_version().policy_arn(arn).version_id(version);
        let found = self.deadline.call("iam:GetPolicyVersion", arn, || request.clone().send()).await?;
        let document = found.policy_version.and_then(|version| version.document);
        Ok(document.map(|document| decode(&document).unwrap_or(Value::Null)))
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

/// Returns a role that a token of an OIDC provider may assume, as far as its trust policy can be read.
fn listed(role: Role) -> Option<Listed> {
    let Some(trust) = decode(role.assume_role_policy_document.as_deref()?) else {
        return Some(Listed::Unreadable(role.arn));
    };
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
    let candidate = Candidate { arn: role.arn, name: role.role_name, trust, providers, others };
    is_federated.then_some(Listed::Candidate(candidate))
}
