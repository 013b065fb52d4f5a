//! The refs of the jobs of a context, within those that the entry is narrowed to.

use std::collections::{BTreeMap, BTreeSet};

use super::trust_declaration::{JobContext, TrustEntry};
use super::void_subjects::either;
use crate::github::Issuer;
use crate::github::events::{self, OF_PULL_REQUESTS};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::Claim;

/// The refs of a context.
pub(super) struct ContextRefs {
    /// The refs that a subject or the claim says.
    pub(super) own: BTreeSet<Pattern>,
    /// The refs of the entry that the job is on, too, where they overlap the own ones in part only.
    within: Option<BTreeSet<Pattern>>,
}

impl ContextRefs {
    /// Returns the refs of a context; `None` for any.
    ///
    /// # Errors
    /// With the refs, where no job is on both.
    pub(super) fn of(entry: &TrustEntry, context: &JobContext, keys: &[String]) -> Result<Option<Self>, String> {
        let declared = &entry.refs;
        let own = match context {
            JobContext::Branch(name) => vec![format!("refs/heads/{name}")],
            JobContext::Tag(name) => vec![format!("refs/tags/{name}")],
            // Without a context in the template, `refs/*` is also the ref of a pull request. A repository of `owner/*` may have
            // such a template.
            JobContext::AnyRef => ["refs/heads/*", "refs/tags/*"].map(str::to_owned).into(),
            // Nothing but its ref, or its event, tells a pull request there.
            JobContext::PullRequest
                if !says(keys, "context") && (declared.is_empty() || !has_own_events(entry, keys)) =>
            {
                vec!["refs/pull/*/merge".to_owned()]
            }
            JobContext::PullRequest if !declared.is_empty() => OF_PULL_REQUESTS.map(str::to_owned).into(),
            JobContext::PullRequest | JobContext::Environment(_) | JobContext::AllJobs => Vec::new(),
        };
        if own.is_empty() {
            let own = Some(declared.clone()).filter(|declared| !declared.is_empty());
            return Ok(own.map(|own| Self { own, within: None }));
        }
        let own: BTreeSet<Pattern> = own.iter().map(|own| Pattern::written(own)).collect();
        if declared.is_empty() {
            return Ok(Some(Self { own, within: None }));
        }
        let pairs = || own.iter().flat_map(|own| declared.iter().map(move |declared| (own, declared)));
        if !pairs().any(|(own, declared)| own.overlaps(declared)) {
            return Err(format!("`Refs`: no job is on {} and on {}", either(&own), either(declared)));
        }
        // They stand beside the subject as they are.
        if *context == JobContext::PullRequest && says(keys, "context") {
            return Ok(Some(Self { own: declared.clone(), within: None }));
        }
        if pairs().any(|(own, declared)| own.overlaps(declared) && own.narrower(declared).is_none()) {
            let own = own.iter().filter(|own| declared.iter().any(|declared| own.overlaps(declared)));
            return Ok(Some(Self { own: own.cloned().collect(), within: Some(declared.clone()) }));
        }
        let both = pairs().filter_map(|(own, declared)| own.narrower(declared)).collect();
        Ok(Some(Self { own: both, within: None }))
    }

    /// Returns the refs that the claim is compared with.
    ///
    /// # Errors
    /// Where the claim would have to be compared with two lists.
    pub(super) fn beside(&self, is_said: bool, issuer: &Issuer) -> Result<Option<&BTreeSet<Pattern>>, String> {
        match &self.within {
            None => Ok((!is_said).then_some(&self.own)),
            Some(within) if is_said && issuer.has_key(Claim::Ref.name()) => Ok(Some(within)),
            Some(within) => Err(format!(
                "`Refs`: {} and {} overlap in part, and no policy can compare both with a job of the repository's subject \
                 template: write the refs that are meant",
                either(within),
                either(&self.own)
            )),
        }
    }
}

/// Returns true if the subject says an event that only jobs of pull requests have.
fn has_own_events(entry: &TrustEntry, keys: &[String]) -> bool {
    let events = entry.template_claims.get("event_name").filter(|_| says(keys, "event_name"));
    events.is_some_and(|events| events.iter().all(|event| !events::can_say(event, false)))
}

/// Returns the contexts on no ref of the entry, each with the reason.
pub(super) fn void_contexts<'a>(entry: &'a TrustEntry, keys: &[String]) -> BTreeMap<&'a JobContext, String> {
    let void = |context| Some((context, ContextRefs::of(entry, context, keys).err()?));
    entry.contexts.iter().filter_map(void).collect()
}

/// Returns true if the subject carries a claim itself.
pub(super) fn says(keys: &[String], claim: &str) -> bool {
    keys.iter().any(|key| key == claim)
}
