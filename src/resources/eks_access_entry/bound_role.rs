//! The role that EKS binds an entry to, and the resource that made it.

use std::time::{Duration, UNIX_EPOCH};

use super::applied_record::ROLE_ID;
use super::state::{EntryContent, Observed, ObservedEntry, described_entry};
use super::{AccessEntries, Desired, Spec, Wanted};
use crate::arn::Arn;
use crate::aws::CallError;
use crate::error::Refusal;
use crate::ownership::{Owner, Tags};

/// The possible difference between the clocks of IAM and EKS, in seconds.
const CLOCK_SKEW: i64 = 60;
/// The type of the resources that make roles.
const ROLE_TYPE: &str = "Custom::GitHubRole";

/// The current state of a role. EKS binds an entry to the unique id of its role. A role that is recreated under the same name
/// has another id, and the entry, which looks right, lets nobody in.
/// <https://github.com/aws/containers-roadmap/issues/2441>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub(crate) role_id: String,
    /// The resource that made the role, if one of this function did.
    pub(crate) maker: Option<RoleMaker>,
    /// In seconds since 1970.
    pub(crate) created: i64,
}

/// The resource that made a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMaker {
    pub(crate) owner: Owner,
    pub(crate) digest: String,
}

impl RoleMaker {
    /// The maker that the tags of a role name.
    pub(super) fn of_tags(tags: &Tags) -> Option<Self> {
        let owner = Owner::of_tags(tags)?;
        Some(Self { digest: owner.lasting_digest(20), owner })
    }
}

impl Principal {
    /// The text by which an entry remembers its role: the role's id, and the digest of its maker.
    pub(super) fn remembered(&self) -> String {
        let maker = self.maker.iter().map(|maker| format!(" {}", maker.digest));
        std::iter::once(self.role_id.clone()).chain(maker).collect()
    }
}

/// Returns true if the entry is bound to a role that is no longer there. The recorded id proves it; without one, an entry that
/// is older than its role is stale. IAM may also show the previous role, which is older than the entry.
pub(super) fn is_stale(role: &Principal, entry: &ObservedEntry) -> bool {
    let Some(created) = entry.created else { return false };
    match entry.content.role_id() {
        Some(known) => known != role.role_id.as_str() && role.created + CLOCK_SKEW >= created,
        None => role.created > created,
    }
}

impl EntryContent {
    /// Returns true if the resource that made this role is the one that made the role of the entry. Of two roles that were
    /// made by hand nothing tells that.
    fn has_maker_of(&self, role: &Principal) -> bool {
        let maker = self.tags.get(ROLE_ID).and_then(|recorded| recorded.split(' ').nth(1));
        role.maker.as_ref().is_some_and(|of_role| maker == Some(of_role.digest.as_str()))
    }
}

/// The role that an entry has to be bound to, if that is another one than now.
fn new_role<'a>(role: Option<&'a Principal>, Observed { entry, record }: &Observed) -> Option<&'a Principal> {
    let is_new = |role: &&Principal| match (entry, record) {
        (Some(entry), _) => is_stale(role, entry),
        (None, Some(record)) => record.content.role_id() != Some(role.role_id.as_str()),
        (None, None) => false,
    };
    role.filter(is_new)
}

impl AccessEntries {
    /// Asks CloudFormation about the role that an entry has to be bound to: the right to make roles is enough to give one any tags. The
    /// stacks of other regions and accounts cannot be asked, and their tags are believed.
    pub(super) async fn ask_about_maker(&self, desired: &mut Desired, observed: &Observed) -> Result<(), CallError> {
        let Some(content) = observed.content() else { return Ok(()) };
        let role = new_role(desired.role.as_ref(), observed).filter(|role| content.has_maker_of(role)).cloned();
        let Some(Principal { maker: Some(RoleMaker { owner: maker, digest: _ }), created, .. }) = role else {
            return Ok(());
        };
        let name = Arn::parse(&content.principal).and_then(|arn| arn.role_name()).unwrap_or_default();
        let created = UNIX_EPOCH + Duration::from_secs(created.try_into().unwrap_or_default());
        if !self.witness().shows(&self.deployment, &maker, ROLE_TYPE, (name, created)).await? {
            tracing::warn!(principal = content.principal, %maker, "CloudFormation does not show that its maker made the role");
            desired.role = desired.role.take().map(|role| Principal { maker: None, ..role });
        }
        Ok(())
    }
}

/// Refuses a role that is not the declared one.
pub(super) fn check_declared_role(spec: &Spec, role: Option<&Principal>) -> Result<(), Refusal> {
    let Some(declared) = &spec.role_id else { return Ok(()) };
    let shown = role.map_or("none", |role| role.role_id.as_str());
    if declared == shown {
        return Ok(());
    }
    Err(Refusal::PreconditionFailed {
        what: format!("`RoleId`: the role {} has the id {shown}, the template {declared}", spec.principal),
        remedy:
            "Somebody has made the role again: find out who, before you declare another id. `!GetAtt Role.RoleId` is \
                 the id of a role of this stack"
                .to_owned(),
    })
}

/// Refuses a role that the entry must not be bound to.
pub(super) fn check_role(wanted: &Wanted, role: Option<&Principal>, observed: &Observed) -> Result<(), Refusal> {
    if let Wanted::Declared(spec) = wanted
        && spec.role_id.is_some()
    {
        return check_declared_role(spec, role);
    }
    let (Some(role), Some(content)) = (new_role(role, observed), observed.content()) else { return Ok(()) };
    if content.has_maker_of(role) {
        return Ok(());
    }
    // The name of the former role was free, and is somebody else's now.
    let now = match &role.maker {
        Some(maker) => format!("the role of {}", maker.owner),
        None => "a role that was made by hand".to_owned(),
    };
    Err(Refusal::PreconditionFailed {
        what: format!(
            "{} was made for a role that is gone; the principal is {now} now, and does not get the entry",
            described_entry(content)
        ),
        remedy: format!("If it is meant for this role, declare `RoleId: {}`", role.role_id),
    })
}
