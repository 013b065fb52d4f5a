//! Exemptions: a guardrail that does not hold for some stacks, or one of their resources, until a date, because the platform
//! team said so.

use std::fmt;
use std::time::SystemTime;

use aws_sdk_iam::types::Role;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::{GuardrailCheck, Guardrails};
use crate::aws::iam;
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::iam_policy::string_like::string_like;
use crate::ownership::{Owner, stack_of};

/// The guardrails that only the function holds. IAM holds the others, too, for the case that the function is wrong about a stack.
const EXEMPTIBLE: [&str; 6] = [
    "AllowBroadTrust",
    "AllowGitHubAdoption",
    "AllowThumbprintPins",
    "AllowedAudiences",
    "AllowedGitHubOwners",
    "MaxSessionDuration",
];

/// The guardrail of a check, if a stack can be exempt from it.
fn exemptible(check: &GuardrailCheck) -> Option<&'static str> {
    match check {
        GuardrailCheck::Broad { .. } => Some("AllowBroadTrust"),
        GuardrailCheck::GitHubAdoption(_) => Some("AllowGitHubAdoption"),
        GuardrailCheck::ThumbprintPins => Some("AllowThumbprintPins"),
        GuardrailCheck::Audience(_) => Some("AllowedAudiences"),
        GuardrailCheck::Owner { .. } => Some("AllowedGitHubOwners"),
        GuardrailCheck::Session(_) => Some("MaxSessionDuration"),
        _ => None,
    }
}
const DAY: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]");

/// An exemption: `<guardrail>:[<account>/]<stack>[/<logical id>]:<last day>`. A stack's name begins with a letter, and an
/// account's number does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exemption {
    guardrail: &'static str,
    /// The stacks or resources that it is for, as they are written.
    asker: String,
    account: Option<String>,
    stack: String,
    logical_id: Option<String>,
    last_day: Date,
}

impl Exemption {
    /// Reads an entry of the list. What cannot be read exempts nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let [guardrail, asker, last_day] = text.split(':').collect::<Vec<_>>()[..] else { return None };
        let guardrail = EXEMPTIBLE.into_iter().find(|name| *name == guardrail)?;
        let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let (account, stack, logical_id) = match asker.split('/').collect::<Vec<_>>()[..] {
            [stack] => (None, stack, None),
            [account, stack] if is_account(account) => (Some(account), stack, None),
            [stack, logical_id] => (None, stack, Some(logical_id)),
            [account, stack, logical_id] if is_account(account) => (Some(account), stack, Some(logical_id)),
            _ => return None,
        };
        if stack.is_empty() || logical_id == Some("") {
            return None;
        }
        let (account, logical_id) = (account.map(str::to_owned), logical_id.map(str::to_owned));
        let (asker, stack, last_day) = (asker.to_owned(), stack.to_owned(), Date::parse(last_day, DAY).ok()?);
        Some(Self { guardrail, asker, account, stack, logical_id, last_day })
    }

    /// Returns true until the end of the last day, in UTC.
    pub(super) fn is_in_force(&self, now: SystemTime) -> bool {
        OffsetDateTime::from(now).date() <= self.last_day
    }

    /// Returns true if a stack is exempt from a guardrail.
    pub(super) fn exempts(&self, guardrail: &str, stack: &StackId) -> bool {
        self.guardrail == guardrail && self.names(stack)
    }

    /// Returns true if the exemption is for a stack or one of its resources.
    fn names(&self, stack: &StackId) -> bool {
        self.account.as_ref().is_none_or(|account| account == stack.account()) && string_like(&self.stack, stack.name())
    }

    /// Returns true if the exemption is for all resources of its stacks, or for those of this logical id.
    fn is_for(&self, logical_id: &str) -> bool {
        self.logical_id.as_ref().is_none_or(|pattern| string_like(pattern, logical_id))
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guardrail, asker, last_day, .. } = self;
        write!(f, "{guardrail}:{asker}:{last_day}")
    }
}

impl Guardrails {
    /// The guardrails of a moment for a resource, with the exemptions that are in force for its logical id.
    #[must_use]
    pub fn at(&self, now: SystemTime, logical_id: &str) -> Self {
        let is_in_force = |exemption: &&Exemption| exemption.is_in_force(now) && exemption.is_for(logical_id);
        Self { in_force: self.exemptions.iter().filter(is_in_force).cloned().collect(), ..self.clone() }
    }

    /// Returns the parts of a declaration that only an exemption allows, each with that exemption.
    #[must_use]
    pub fn exempted(
        &self,
        guardrail_checks: &[GuardrailCheck],
        stack: &StackId,
        deployment: &Deployment,
    ) -> Vec<String> {
        let exempted = |(reason, exemption): (String, Option<&Exemption>)| {
            exemption.map(|exemption| format!("{reason}: allowed by the exemption {exemption}"))
        };
        self.reasons(guardrail_checks, stack, deployment).filter_map(exempted).collect()
    }

    /// Returns the exemptions of a role and its stack, also those that are over.
    #[must_use]
    pub fn exemptions_of(&self, role: &Role, now: SystemTime) -> Vec<String> {
        let tags = iam::tags_of(role.tags.clone());
        let (Some(stack), Some(owner)) = (stack_of(&tags), Owner::of_tags(&tags)) else { return Vec::new() };
        let of_role = |exemption: &&Exemption| exemption.names(&stack) && exemption.is_for(owner.logical_id());
        let told = |exemption: &Exemption| {
            let end = if exemption.is_in_force(now) { "until" } else { "was until" };
            let kind = if exemption.logical_id.is_some() { "resource" } else { "stack" };
            format!("{}, {end} {} ({kind} {})", exemption.guardrail, exemption.last_day, exemption.asker)
        };
        self.exemptions.iter().filter(of_role).map(told).collect()
    }

    /// Returns the exemption of a stack from the guardrail of a check.
    pub(super) fn exemption(&self, check: &GuardrailCheck, stack: &StackId) -> Option<&Exemption> {
        let guardrail = exemptible(check)?;
        self.in_force.iter().find(|exemption| exemption.exempts(guardrail, stack))
    }
}

/// The guardrail that a reason names behind the words of the author.
pub(crate) fn guardrail_of(reason: &str) -> Option<&str> {
    let (_, rest) = reason.rsplit_once("(guardrail")?;
    rest.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_exemption_holds_for_its_stacks_until_the_end_of_its_day() {
        let stack = StackId::parse("arn:aws:cloudformation:us-east-1:111122223333:stack/team-a-ci/1").unwrap();
        // 2027-03-31T23:59:59Z, and a second later.
        let (last, over) = (1_806_537_599, 1_806_537_600);
        for (entry, guardrail, now, exempts) in [
            ("AllowBroadTrust:team-a-*:2027-03-31", "AllowBroadTrust", last, true),
            ("AllowBroadTrust:team-a-*:2027-03-31", "AllowBroadTrust", over, false),
            ("AllowBroadTrust:team-a-*:2027-03-31", "MaxSessionDuration", last, false),
            ("AllowBroadTrust:111122223333/team-a-ci:2027-03-31", "AllowBroadTrust", last, true),
            ("AllowBroadTrust:444455556666/team-a-ci:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a-ci/Role:2027-03-31", "AllowBroadTrust", last, true),
            ("AllowBroadTrust:team-a-ci/Role:2027-03-31", "AllowBroadTrust", over, false),
            ("AllowBroadTrust:team-a-*/R*:2027-03-31", "AllowBroadTrust", last, true),
            ("AllowBroadTrust:111122223333/team-a-ci/Role:2027-03-31", "AllowBroadTrust", last, true),
            ("AllowBroadTrust:444455556666/team-a-ci/Role:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a-ci/Other:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a-ci/role:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:other/Role:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a-ci/:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:*/team-a-ci/Role:2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:111122223333/team-a-ci/Role/*:2027-03-31", "AllowBroadTrust", last, false),
            ("RolePath:team-a-ci:2027-03-31", "RolePath", last, false),
            ("AllowBroadTrust:team-a-ci", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:team-a-ci:never", "AllowBroadTrust", last, false),
            ("AllowBroadTrust::2027-03-31", "AllowBroadTrust", last, false),
            ("AllowBroadTrust:1/team-a-ci:2027-03-31", "AllowBroadTrust", last, false),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            let holds = |exemption: &Exemption| exemption.is_in_force(now) && exemption.is_for("Role");
            let exemption = Exemption::read(entry).filter(holds);
            assert_eq!(exemption.as_ref().is_some_and(|one| one.exempts(guardrail, &stack)), exempts, "{entry}");
            assert!(exemption.is_none_or(|one| one.to_string() == entry), "{entry}");
        }
    }
}
