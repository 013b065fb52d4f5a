//! The role that EKS binds an entry to, and the resource that made it.

use super::Wanted;
use super::applied_record::ROLE_ID;
use super::state::{EntryContent, ObservedEntry, described_entry};
use crate::error::Refusal;
use crate::ownership::{Owner, Tags};

/// The possible difference between the clocks of IAM and EKS, in seconds.
const CLOCK_SKEW: i64 = 60;

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
    /// For people.
    pub(crate) name: String,
    pub(crate) digest: String,
}

impl RoleMaker {
    /// The maker that the tags of a role name.
    pub(super) fn of_tags(tags: &Tags) -> Option<Self> {
        let owner = Owner::of_tags(tags)?;
        Some(Self { name: owner.to_string(), digest: owner.lasting_digest(20) })
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
    /// Returns true if another resource has made this role than the one that the entry was made for. A role that nobody
    /// recorded counts as one that was made by hand.
    pub(super) fn is_for_another_maker(&self, role: &Principal) -> bool {
        let maker = self.tags.get(ROLE_ID).and_then(|recorded| recorded.split(' ').nth(1));
        self.role_id() != Some(role.role_id.as_str()) && maker != role.maker.as_ref().map(|maker| maker.digest.as_str())
    }
}

/// Refuses to bind an entry to a role that another resource has made: its name was free, and is somebody else's now. An
/// adoption asks for it.
pub(super) fn check_maker(wanted: &Wanted, role: Option<&Principal>, content: &EntryContent) -> Result<(), Refusal> {
    let is_asked_for = matches!(wanted, Wanted::Declared(spec) if spec.adopt);
    let Some(role) = role.filter(|role| !is_asked_for && content.is_for_another_maker(role)) else { return Ok(()) };
    let now = match &role.maker {
        Some(maker) => format!("the role of {}", maker.name),
        None => "a role that was made by hand".to_owned(),
    };
    Err(Refusal::PreconditionFailed {
        what: format!(
            "{} was made for a role that is gone; the principal is {now} now, and does not get the entry",
            described_entry(content)
        ),
        remedy: "If it is meant for this role, declare `OnExisting: Adopt`, or remove the entry and declare it again"
            .to_owned(),
    })
}
