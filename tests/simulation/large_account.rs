//! A large account: many copies of the one provider, role and entry that the function made in it.

use std::time::SystemTime;

use github_trust::iam_policy::document::canonical;
use github_trust::ownership::digest;

use super::account::{ACCOUNT, Account, PARTITION, REGION};
use super::eks::Status;
use super::github::immutable;

/// How large an account is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) providers: usize,
    pub(crate) roles: usize,
    pub(crate) clusters: usize,
    /// One role of so many was made again, and its entries have to be.
    pub(crate) stale: usize,
}

impl Size {
    pub(crate) fn entries(self) -> usize {
        self.roles * self.clusters
    }

    fn is_stale(self, index: usize) -> bool {
        index.is_multiple_of(self.stale)
    }
}

pub(crate) fn provider_arn(index: usize) -> String {
    format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com/e-{index:03}")
}

pub(crate) fn role_arn(index: usize) -> String {
    format!("arn:{PARTITION}:iam::{ACCOUNT}:role/{}", role_name(index))
}

pub(crate) fn role_name(index: usize) -> String {
    format!("deploy-{index:04}")
}

pub(crate) fn cluster_name(index: usize) -> String {
    format!("c-{index}")
}

/// What every role trusts that is copied.
pub(crate) const REPOSITORY: &str = "acme/app";

/// The digest of a trust policy as the function records it.
fn digest_of(trust: &str) -> String {
    let trust: serde_json::Value = serde_json::from_str(trust).expect("JSON");
    digest(&[&canonical(&trust).to_string()], 13)
}

/// There is the provider 0 in this account, the role 0 for [`REPOSITORY`], and an entry of it in some cluster,
/// which is where the others are afterwards.
pub(crate) fn multiply(account: &mut Account, size: Size, now: SystemTime) {
    for name in (0..size.clusters).map(cluster_name) {
        if !account.eks.clusters.contains_key(&name) {
            account.eks.add_cluster(&name, "API", Status::Active, now);
        }
    }
    let (iam, clusters, stacks) = (&mut account.iam, &mut account.eks.clusters, &mut account.stacks);
    let provider = iam.providers.primary(&provider_arn(0)).expect("the first provider").as_ref().clone();
    for arn in (1..size.providers).map(provider_arn) {
        let mut provider = provider.clone();
        arn.split_once('/').expect("an ARN").1.clone_into(&mut provider.url);
        iam.providers.write(&arn, Some(provider), now, now);
    }
    let role = iam.roles.primary(&role_name(0)).expect("the first role").as_ref().clone();
    let entry = clusters.values_mut().find_map(|cluster| cluster.entries.remove(&role_arn(0))).expect("its entry");
    for index in 0..size.roles {
        let mut role = role.clone();
        role.name = role_name(index);
        role.id = format!("AROAFIRST{index:012}");
        let ours = immutable(&format!("{REPOSITORY}-{index}"));
        role.trust = role.trust.replace(&immutable(REPOSITORY), &ours);
        assert!(role.trust.contains(&ours), "{}", role.trust);
        let stack = role.tags["github-trust:stack-id"].clone();
        let logical = if index == 0 { role.tags["github-trust:logical-id"].clone() } else { format!("Role{index}") };
        let maker = digest(&[stack.rsplit_once('/').expect("an ARN").0, &logical], 20);
        role.tags.insert("github-trust:logical-id".to_owned(), logical.clone());
        stacks.begin((&stack, &logical), "Custom::GitHubRole", &role.name, "Create", now);
        stacks.end((&stack, &logical), "Create", true, &role.name, now);
        let settings = role.tags.get_mut("github-trust:settings").expect("the digests of the first role");
        let words = settings.split(' ').filter(|word| !word.starts_with("Trust="));
        *settings =
            words.map(str::to_owned).chain([format!("Trust={}", digest_of(&role.trust))]).collect::<Vec<_>>().join(" ");
        for name in (0..size.clusters).map(cluster_name) {
            let mut entry = entry.clone();
            entry.principal = role_arn(index);
            entry.arn =
                format!("arn:{PARTITION}:eks:{REGION}:{ACCOUNT}:access-entry/{name}/role/{ACCOUNT}/{}/1", role.name);
            entry.bound_to = Some(role.id.clone());
            entry.tags.insert("github-trust:role-id".to_owned(), format!("{} {maker}", role.id));
            let cluster = clusters.get_mut(&name).expect("a cluster");
            cluster.entries.insert(entry.principal.clone(), entry);
        }
        if size.is_stale(index) {
            role.id = format!("AROAAGAIN{index:012}");
            role.created = now;
        }
        iam.roles.write(&role.name.clone(), Some(role), now, now);
    }
}
