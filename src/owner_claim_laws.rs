//! The laws of objects with claims, for each resource type by its own worlds:
//!
//! 1. No object is deleted that any stack still declares.
//! 2. An object that our stacks made is deleted with the last of them.
//! 3. An object that others made is never deleted.

use std::collections::BTreeSet;

use crate::github::ownership_by_creation::CreationWindow;
use crate::github::ownership_by_variables::{ClaimKey, ClaimState, OwnerClaim, OwnerClaims};
use crate::laws::{Coverage, PlanLaws, owner};
use crate::ownership::Owner;
use crate::reconcile::{Claimable, Claimed, ClaimedAction, ClaimedDesired, ClaimedObject, ClaimedOutput, Resource};

impl<K: PlanLaws + Claimable> PlanLaws for Claimed<K> {
    const VARIANTS: &'static [&'static str] = &["Claim", "Withdraw", "Object"];

    fn output(action: &ClaimedAction<K::Action>) -> ClaimedOutput<K::ApplyOutput> {
        let object = match action {
            ClaimedAction::Object { action, .. } => K::output(action),
            ClaimedAction::Claim { .. } | ClaimedAction::Withdraw { .. } => K::ApplyOutput::default(),
        };
        ClaimedOutput { object, at: 3 }
    }

    fn done(
        owner: &Owner,
        desired: Option<&Self::Desired>,
        before: Option<&Self::Observed>,
        after: Option<&Self::Observed>,
    ) -> Result<(), String> {
        let none = ClaimedObject { object: None, claims: OwnerClaims::default(), is_made_now: false };
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        let ours = after.claims.of(owner).map(|claim| claim.state);
        match desired {
            Some(_) if ours != Some(ClaimState::Declares) => Err("our claim is missing".into()),
            None if ours.is_some() => Err("our claim is left".into()),
            None if before.claims.of(owner).is_none() || is_needed_by_others(owner, before) => Ok(()),
            None if !after.claims.0.values().all(OwnerClaim::is_leaving) => {
                Err("claims of those who left are left".into())
            }
            Some(ClaimedDesired { object, .. }) => {
                // Who joins, joins an object of ours.
                let joined = before.object.clone().map(|object| K::recall(object, &after.claims.memories(), true));
                K::done(owner, Some(object), joined.as_ref(), after.object.as_ref())
            }
            None => K::done(owner, None, before.object.as_ref(), after.object.as_ref()),
        }
    }

    fn foreign(owner: &Owner, observed: Option<&Self::Observed>, deleting: bool) -> BTreeSet<String> {
        let Some(observed) = observed else { return BTreeSet::new() };
        // The claims of those who have left are ours together.
        let others = observed.claims.others(owner).filter(|(_, claim)| claim.state != ClaimState::Left);
        let mut foreign: BTreeSet<String> = others.map(|(key, claim)| format!("{key:?} {claim:?}")).collect();
        if deleting && is_needed_by_others(owner, observed) {
            foreign.extend(observed.object.clone().map(|object| format!("{:?}", K::recall(object, &[], false))));
        } else if deleting {
            foreign.extend(K::foreign(owner, observed.object.as_ref(), true));
        }
        foreign
    }

    fn granted(observed: Option<&Self::Observed>) -> BTreeSet<(String, String)> {
        K::granted(observed.and_then(|observed| observed.object.as_ref()))
    }

    fn keeps_common(desired: Option<&Self::Desired>, observed: Option<&Self::Observed>) -> bool {
        K::keeps_common(desired.map(|desired| &desired.object), observed.and_then(|observed| observed.object.as_ref()))
    }
}

fn is_needed_by_others<O>(owner: &Owner, observed: &ClaimedObject<O>) -> bool {
    observed.claims.others(owner).any(|(_, claim)| claim.needs_object())
}

/// The claims of us and of an owner that came later, in each state and with each memory.
fn all_claims(us: &Owner, memories: &BTreeSet<String>) -> Vec<OwnerClaims> {
    let mut claims = vec![None];
    for memory in memories {
        for state in [ClaimState::Declares, ClaimState::Leaving, ClaimState::Left] {
            for is_old in if state == ClaimState::Leaving { vec![false, true] } else { vec![false] } {
                claims.push(Some(OwnerClaim {
                    owner: "it".into(),
                    stack: "another".into(),
                    state,
                    memory: memory.clone(),
                    created: 1,
                    since: None,
                    is_old,
                }));
            }
        }
    }
    let (ours, theirs) = (ClaimKey::of(us), ClaimKey::of(&owner("Another")));
    let pair = |our: &Option<OwnerClaim>, their: &Option<OwnerClaim>| {
        let our = our.clone().map(|claim| (ours.clone(), OwnerClaim { stack: us.stack_id().to_owned(), ..claim }));
        let their = their.clone().map(|claim| (theirs.clone(), OwnerClaim { created: 2, ..claim }));
        OwnerClaims(our.into_iter().chain(their).collect())
    };
    claims.iter().flat_map(|our| claims.iter().map(|their| pair(our, their)).collect::<Vec<_>>()).collect()
}

/// A declaration and an object.
type World<K> = (Option<<K as Resource>::Desired>, Option<<K as Resource>::Observed>);

/// Checks each declaration on each object with all claims.
pub(crate) fn obey<K: PlanLaws<Desired: Clone> + Claimable>(worlds: &[World<K>], requested: i64) {
    let (owner, requested) = (owner("Ours"), CreationWindow::at(requested));
    let mut tally = Coverage::default();
    let objects = worlds.iter().map(|(_, object)| object.as_ref());
    let mut memories: BTreeSet<String> = objects.map(|object| K::memory(object, requested)).collect();
    memories.insert(CreationWindow::at(7).to_string());
    for (desired, object) in worlds {
        let desired = desired.clone().map(|object| ClaimedDesired { object, requested, stays: false });
        for claims in all_claims(&owner, &memories) {
            let is_owner = claims.are_of_stack(owner.stack_id());
            let object = object.clone().map(|object| K::recall(object, &claims.memories(), is_owner));
            let observed = (object.is_some() || !claims.0.is_empty()).then_some(ClaimedObject {
                object,
                claims,
                is_made_now: false,
            });
            tally.check::<Claimed<K>>(&owner, desired.as_ref(), observed.as_ref(), None);
        }
    }
    tally.covered::<Claimed<K>>();
    tally.report::<Claimed<K>>();
}
