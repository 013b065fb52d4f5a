//! A rule of a trust policy: a subject, and the claims that have to come with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use super::pattern::Pattern;

/// A claim beside `aud` and `sub` that conditions are written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are GitHub's")]
pub enum Claim {
    ActorId,
    EnterpriseId,
    Environment,
    JobWorkflowRef,
    Ref,
    Repository,
    RepositoryId,
    RepositoryOwnerId,
    Workflow,
}

impl Claim {
    /// The claims.
    pub const ALL: [Self; 9] = [
        Self::ActorId,
        Self::EnterpriseId,
        Self::Environment,
        Self::JobWorkflowRef,
        Self::Ref,
        Self::Repository,
        Self::RepositoryId,
        Self::RepositoryOwnerId,
        Self::Workflow,
    ];

    /// As tokens and condition keys name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActorId => "actor_id",
            Self::EnterpriseId => "enterprise_id",
            Self::Environment => "environment",
            Self::JobWorkflowRef => "job_workflow_ref",
            Self::Ref => "ref",
            Self::Repository => "repository",
            Self::RepositoryId => "repository_id",
            Self::RepositoryOwnerId => "repository_owner_id",
            Self::Workflow => "workflow",
        }
    }
}

/// The claims that have to come with a subject; each has to have one of its values.
/// Rules of one declaration share the values.
pub type Claims = BTreeMap<Claim, Rc<BTreeSet<Pattern>>>;

/// A rule: a subject, and the claims that have to come with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustRule {
    /// The claim `sub`.
    pub subject: Pattern,
    /// The other claims of the token.
    pub claims: Claims,
}

impl TrustRule {
    /// The rule for a subject alone.
    #[must_use]
    pub fn of(subject: Pattern) -> Self {
        Self { subject, claims: Claims::new() }
    }

    /// Returns true if this rule admits every token that `other` admits.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let Self { subject, claims } = self;
        subject.covers(&other.subject) && claims_cover(claims, &other.claims)
    }

    /// The rule for tokens that both admit. Two patterns that overlap without one covering the other count as disjoint,
    /// which admits too few for the moment and never too many.
    pub(super) fn intersect(&self, other: &Self) -> Option<Self> {
        let subject = self.subject.narrower(&other.subject)?;
        let mut claims = self.claims.clone();
        for (claim, theirs) in &other.claims {
            let values: BTreeSet<Pattern> = match self.claims.get(claim) {
                Some(ours) => ours.iter().flat_map(|a| theirs.iter().filter_map(move |b| a.narrower(b))).collect(),
                None => BTreeSet::clone(theirs),
            };
            if values.is_empty() {
                return None;
            }
            claims.insert(*claim, Rc::new(values));
        }
        Some(Self { subject, claims })
    }

    /// The same as several, none of which has an exact value and one with wildcards for the same claim.
    pub(super) fn split(self) -> Vec<Self> {
        let mixed = self.claims.iter().find_map(|(claim, values)| {
            let (wild, exact): (BTreeSet<Pattern>, BTreeSet<Pattern>) =
                values.iter().cloned().partition(Pattern::is_wild);
            (!wild.is_empty() && !exact.is_empty()).then_some((*claim, wild, exact))
        });
        let Some((claim, wild, exact)) = mixed else { return vec![self] };
        // What a pattern covers need not be said again.
        let exact: BTreeSet<Pattern> =
            exact.into_iter().filter(|value| !wild.iter().any(|wild| wild.covers(value))).collect();
        let with = |values| {
            let mut part = self.clone();
            part.claims.insert(claim, Rc::new(values));
            part.split()
        };
        let rest = if exact.is_empty() { Vec::new() } else { with(exact) };
        with(wild).into_iter().chain(rest).collect()
    }
}

/// Returns true if every token that has the other claims has these.
pub(super) fn claims_cover(claims: &Claims, others: &Claims) -> bool {
    let within = |values: &BTreeSet<Pattern>, others: &BTreeSet<Pattern>| {
        others.iter().all(|other| values.contains(other) || values.iter().any(|value| value.covers(other)))
    };
    claims.iter().all(|(claim, values)| others.get(claim).is_some_and(|others| within(values, others)))
}

impl fmt::Display for TrustRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, claims } = self;
        write!(f, "{subject}")?;
        for (index, (claim, values)) in claims.iter().enumerate() {
            let values: Vec<&str> = values.iter().map(Pattern::as_str).collect();
            write!(f, " {} {} {}", if index == 0 { "with" } else { "and" }, claim.name(), values.join(" or "))?;
        }
        Ok(())
    }
}
