//! Decisions about a provider. Claims are written before what they claim is added, and taken back after it is removed,
//! so that the next process after an interruption knows the owner of each part.

use std::collections::BTreeSet;

use super::action::Action;
use super::gone_owners::collected;
use super::owner_stakes::{DIGEST, FOUND, Items, LEAVING, MADE_BY, OwnerStake, OwnerStakes, RETAINED};
use super::owner_stakes::{ca_tags, is_ca, is_crowd, is_state, key, pins_key, written};
use super::owner_tag_room::{crowd_tags, fits, no_room};
use super::rotation::LIMIT;
use super::thumbprint_list::{Listing, listed};
use super::{Declared, Desired, Observed, OidcProviders, ThumbprintUse, Thumbprints};
use super::{effect, native_equivalent};
use crate::arn::issuer_of_provider;
use crate::cloudformation::Attributes;
use crate::error::Refusal;
use crate::ownership::{Owner, PREFIX, Tags, authored, twin};
use crate::reconcile::{NativeResource, Plan, Planner};

fn create(owner: &Owner, declared: &Declared) -> Result<Action, Refusal> {
    let Declared { arn, url, client_ids, thumbprints, use_of_thumbprints: _, ca, tags, share: _, .. } =
        declared.clone();
    let mut ours: Tags = [(MADE_BY.to_owned(), owner.to_string())].into();
    ours.insert(key(owner), OwnerStake::of(declared).write(owner));
    let thumbprints = match thumbprints {
        Thumbprints::Pinned(pins) => {
            ours.insert(pins_key(owner), written(&pins));
            pins
        }
        Thumbprints::Observed(latest) => latest.values.into_keys().collect(),
        Thumbprints::Unknown(why) => return Err(unverified(&url, &why)),
    };
    ours.extend(ca.iter().flat_map(|ca| ca_tags(ca)));
    let tags = tags.into_iter().chain(ours).collect();
    Ok(Action::Create { url, arn, client_ids, thumbprints: thumbprints.into_iter().collect(), tags })
}

pub(super) fn unverified(url: &str, why: &str) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!("the certificates of {url} could not be verified, so nothing was changed: {why}"),
        remedy: "Mend that, or give `ThumbprintList`, which pins thumbprints without a look".to_owned(),
    }
}

/// The plan of a scheduled run: claims and the providers of others stay as they are.
fn maintain(owner: &Owner, thumbprints: &Thumbprints, observed: &Observed) -> Plan<Action> {
    if !observed.tags.contains_key(MADE_BY) {
        return Plan::nothing();
    }
    let owner_stakes = OwnerStakes::read(owner, &observed.tags);
    let only_pins = owner_stakes.all_others_pin;
    let pins = pinned(observed, owner_stakes);
    let listing = if only_pins && !pins.is_empty() {
        Listing::pinned(pins)
    } else {
        Listing::new(observed, &pins, thumbprints, false)
    };
    let (set, gone) = listing.tag_changes(observed);
    Plan::nothing().then(listing.change(observed)).then(tagged(set)).then(untagged(gone))
}

/// More than IAM takes were never pinned together; should the tags say so, the list is left alone.
fn pinned(observed: &Observed, owner_stakes: OwnerStakes) -> BTreeSet<String> {
    let pins: BTreeSet<String> = owner_stakes.our_pins.into_iter().chain(owner_stakes.others_pins).collect();
    if pins.len() > LIMIT { observed.thumbprints.iter().cloned().collect() } else { pins }
}

fn tagged(tags: Tags) -> Option<Action> {
    (!tags.is_empty()).then_some(Action::Tag(tags))
}

fn untagged(keys: BTreeSet<String>) -> Option<Action> {
    (!keys.is_empty()).then_some(Action::Untag(keys))
}

fn join(owner: &Owner, declared: &Declared, observed: &Observed) -> Result<Plan<Action>, Refusal> {
    let Declared { arn: _, url, client_ids, thumbprints: _, use_of_thumbprints: _, ca: _, tags, share, .. } = declared;
    let (observed, plan) = collected(observed, &declared.gone);
    let observed = &observed;
    let owner_stakes = OwnerStakes::read(owner, &observed.tags);
    let is_ours = observed.tags.contains_key(MADE_BY);
    if !share && owner_stakes.ours.is_none() {
        return Err(exists_already(url, observed));
    }
    let before = owner_stakes.ours.clone().unwrap_or_default();
    let after = before.then(OwnerStake::of(declared));
    let between = before.union(&after);

    let OwnChanges { mut claimed, set_thumbprints, mut last, mut gone } = if is_ours {
        own_changes(owner, declared, observed, &owner_stakes, [&before, &after])?
    } else {
        respect(declared, observed, &before, &owner_stakes)?;
        OwnChanges { claimed: found(observed), ..OwnChanges::default() }
    };
    let mut room = twins(url, tags, observed, &before, &owner_stakes)?;
    let mut untag: BTreeSet<String> = authored(&observed.tags)
        .map(|(key, _)| key)
        .filter(|key| before.tags.contains(key) && !tags.contains_key(*key) && !owner_stakes.others_tagged(key))
        .filter(|key| !room.contains(*key))
        .cloned()
        .collect();
    claimed.extend(tags.clone());
    claimed.insert(key(owner), between.write(owner));
    claimed.retain(|key, value| observed.tags.get(key) != Some(value));
    let add = client_ids.difference(&observed.client_ids).cloned().map(Action::AddClientId);
    let fits_without = |keys: &BTreeSet<String>| fits(&without(observed, keys), &claimed);
    if fits(observed, &claimed) {
        // Nothing is missing for a moment.
    } else if fits_without(&untag) {
        room.append(&mut untag);
    } else if fits_without(&untag.union(&gone).cloned().collect()) {
        room.append(&mut untag);
        room.append(&mut gone);
    } else {
        let Some(tags) = crowd_tags(declared, observed, &owner_stakes, &claimed) else {
            return Err(no_room(url, observed, &claimed));
        };
        return Ok(plan.then(tagged(tags)).then(add));
    }

    let superfluous = |client_id: &&String| {
        before.client_ids.contains(client_id)
            && !client_ids.contains(*client_id)
            && !needed(&owner_stakes, observed, client_id)
    };
    let remove = observed.client_ids.iter().filter(superfluous).cloned().map(Action::RemoveClientId);
    if between != after {
        last.insert(key(owner), after.write(owner));
    }

    Ok(plan
        .then(untagged(room))
        .then(tagged(claimed))
        .then(add.chain(set_thumbprints))
        .then(remove.chain(untagged(untag)))
        .then(tagged(last))
        .then(untagged(gone)))
}

/// Returns the tag of what others have made. Only the first of us can tell what was there before.
fn found(observed: &Observed) -> Tags {
    let is_first = !observed.tags.keys().any(|key| key.starts_with(PREFIX));
    let found = || Items::of(observed.client_ids.iter().map(String::as_str)).to_string();
    is_first.then(|| (FOUND.to_owned(), found())).into_iter().collect()
}

fn without(observed: &Observed, keys: &BTreeSet<String>) -> Observed {
    let mut left = observed.clone();
    left.tags.retain(|key, _| !keys.contains(key));
    left
}

/// Returns the tags of this owner that differ from declared ones in their case only. IAM takes both for one tag, so that one
/// of somebody else's would be replaced.
fn twins(
    url: &str,
    tags: &Tags,
    observed: &Observed,
    before: &OwnerStake,
    owner_stakes: &OwnerStakes,
) -> Result<BTreeSet<String>, Refusal> {
    let mut twins = BTreeSet::new();
    for (key, _) in authored(&observed.tags).filter(|(key, _)| !tags.contains_key(*key)) {
        let Some((declared, _)) = twin(tags, key) else { continue };
        if !before.tags.contains(key) || owner_stakes.others_tagged(key) {
            return Err(Refusal::PreconditionFailed {
                what: format!(
                    "the provider of {url} has the tag {key:?} of somebody else, and IAM takes {declared:?} for the same key"
                ),
                remedy: "Write the key in the same case, or leave that tag out".to_owned(),
            });
        }
        twins.insert(key.clone());
    }
    Ok(twins)
}

/// The changes that only a provider of ours takes.
#[derive(Default)]
struct OwnChanges {
    claimed: Tags,
    set_thumbprints: Option<Action>,
    /// Tags that are set last.
    last: Tags,
    /// The keys of tags that are removed last.
    gone: BTreeSet<String>,
}

fn own_changes(
    owner: &Owner,
    declared: &Declared,
    observed: &Observed,
    owner_stakes: &OwnerStakes,
    [before, after]: [&OwnerStake; 2],
) -> Result<OwnChanges, Refusal> {
    let Declared { url, thumbprints, ca, .. } = declared;
    let new_ca = ca.as_ref().filter(|ca| after.ca != before.ca && owner_stakes.ca.as_ref() != Some(ca));
    if let (Thumbprints::Unknown(why), Some(_)) = (thumbprints, new_ca)
        && after.ca != before.ca_before
    {
        return Err(unverified(url, why));
    }
    let our_pins = if let Thumbprints::Pinned(pins) = thumbprints { pins.clone() } else { BTreeSet::new() };
    let pins: BTreeSet<String> = our_pins.union(&owner_stakes.others_pins).cloned().collect();
    // The author has just asked for another source of thumbprints.
    let at_once = new_ca.is_some() || (!owner_stakes.our_pins.is_empty() && our_pins.is_empty());
    let only_pins = !our_pins.is_empty() && owner_stakes.all_others_pin;
    // Pins make no room for themselves: others rely on what is listed.
    let reached: BTreeSet<String> =
        if only_pins { pins.clone() } else { listed(observed).union(&pins).cloned().collect() };
    if !our_pins.is_empty() && reached.len() > LIMIT {
        return Err(too_many_pins(url, &reached));
    }
    let listing = if only_pins { Listing::pinned(pins) } else { Listing::new(observed, &pins, thumbprints, at_once) };
    let (last, mut gone) = listing.tag_changes(observed);
    let mut claimed = Tags::new();
    if our_pins.is_empty() {
        gone.extend((!owner_stakes.our_pins.is_empty()).then(|| pins_key(owner)));
    } else {
        claimed.insert(pins_key(owner), written(&our_pins));
    }
    let ca = new_ca.or(owner_stakes.lasting_ca(after)).map(|ca| ca_tags(ca)).unwrap_or_default();
    gone.extend(observed.tags.keys().filter(|key| is_ca(key) && !ca.contains_key(*key)).cloned());
    claimed.extend(ca);
    Ok(OwnChanges { claimed, set_thumbprints: listing.change(observed), last, gone })
}

fn exists_already(url: &str, observed: &Observed) -> Refusal {
    let maker = observed.tags.get(MADE_BY).map_or("somebody else", String::as_str);
    Refusal::PreconditionFailed {
        what: format!(
            "a provider for {url} exists already, made by {maker}, and `OnExisting` is Fail; it was left untouched"
        ),
        remedy: "Use `OnExisting: Share` to share it".to_owned(),
    }
}

fn too_many_pins(url: &str, pins: &BTreeSet<String>) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "the stacks that share the provider for {url} need {} thumbprints together, and IAM keeps {LIMIT}: {}",
            pins.len(),
            pins.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
        remedy: "Agree on one `ThumbprintList`, or leave it out".to_owned(),
    }
}

/// Refuses changes to a provider of others: it keeps its thumbprints and its tags.
fn respect(
    declared: &Declared,
    observed: &Observed,
    before: &OwnerStake,
    owner_stakes: &OwnerStakes,
) -> Result<(), Refusal> {
    let Declared { url, thumbprints, tags, .. } = declared;
    if let Thumbprints::Pinned(pins) = thumbprints
        && !same(pins, &observed.thumbprints)
    {
        return Err(Refusal::PreconditionFailed {
            what: format!(
                "the provider of {url} was made by somebody else and has other thumbprints ({}) than `ThumbprintList`",
                observed.thumbprints.join(", ")
            ),
            remedy: format!("Leave `ThumbprintList` out to share the provider as it is, {OR_LOST}"),
        });
    }
    let conflict = tags.iter().find(|(key, value)| {
        let theirs = observed.tags.get(*key);
        theirs.is_some_and(|theirs| theirs != *value) && !before.tags.contains(key) && !owner_stakes.others_tagged(key)
    });
    match conflict {
        None => Ok(()),
        Some((key, value)) => Err(Refusal::PreconditionFailed {
            what: format!(
                "the provider of {url} was made by somebody else and has the tag {key:?} with another value than {value:?}"
            ),
            remedy: format!("Leave that tag out, {OR_LOST}"),
        }),
    }
}

/// The way out for a provider that is taken for one of others since somebody removed its tags.
const OR_LOST: &str = "or, if this function made it, put the tag `github-trust:made-by` back that it has lost";

/// Returns true if a client id stays although this owner no longer needs it.
fn needed(owner_stakes: &OwnerStakes, observed: &Observed, client_id: &str) -> bool {
    owner_stakes.others_need(client_id)
        || observed.tags.get(FOUND).is_some_and(|found| Items::read(Some(found)).contains(client_id))
}

/// Returns true if the announced deletion is the one of this owner.
pub(super) fn deletes(owner: &Owner, observed: &Observed) -> bool {
    observed.tags.get(LEAVING).is_some_and(|nonce| nonce.starts_with(&owner.digest(DIGEST)))
}

/// Returns true if nobody but this owner needs a provider of ours. It deletes the provider, unless a role trusts that.
pub(super) fn is_last(owner: &Owner, observed: &Observed) -> bool {
    let owner_stakes = OwnerStakes::of_those_who_stay(owner, &observed.tags);
    let retained = observed.tags.contains_key(RETAINED) || OwnerStakes::read(owner, &observed.tags).others_retain();
    owner_stakes.ours.as_ref().is_some_and(|ours| !ours.retain && !retained)
        && owner_stakes.is_alone()
        && observed.tags.contains_key(MADE_BY)
}

fn release(owner: &Owner, observed: &Observed) -> Plan<Action> {
    let owner_stakes = OwnerStakes::of_those_who_stay(owner, &observed.tags);
    let Some(ours) = &owner_stakes.ours else { return Plan::nothing() };
    let is_ours = observed.tags.contains_key(MADE_BY);
    let alone = owner_stakes.is_alone();
    let mut last: BTreeSet<String> = [key(owner), pins_key(owner)].into();
    last.extend(deletes(owner, observed).then(|| LEAVING.to_owned()));
    let remember = is_ours && ours.retain;
    let remember = remember.then(|| Action::Tag([(RETAINED.to_owned(), owner.to_string())].into()));
    if is_last(owner, observed) && observed.trusted_by.as_ref().is_some_and(Vec::is_empty) {
        return Plan::nothing().then([Action::Delete]);
    }
    if alone && is_ours {
        // It stays as it is, for the roles that trust it; only nobody answers for it any more.
        last.retain(|key| observed.tags.contains_key(key));
        return Plan::nothing().then(remember).then(untagged(last));
    }
    let superfluous =
        |client_id: &&String| ours.client_ids.contains(client_id) && !needed(&owner_stakes, observed, client_id);
    let remove = observed.client_ids.iter().filter(superfluous).cloned().map(Action::RemoveClientId);
    let untag: BTreeSet<String> = authored(&observed.tags)
        .map(|(key, _)| key)
        .filter(|key| ours.tags.contains(key) && !owner_stakes.others_tagged(key))
        .cloned()
        .collect();
    // Where all others pin, what only we pinned goes; otherwise rotation takes care of it.
    let others_pin = owner_stakes.all_others_pin && !owner_stakes.others_pins.is_empty();
    let repin = (is_ours && !owner_stakes.our_pins.is_empty() && others_pin)
        .then(|| Listing::pinned(owner_stakes.others_pins.clone()).change(observed))
        .flatten();
    if alone {
        last.insert(FOUND.to_owned());
        last.extend(observed.tags.keys().filter(|key| is_state(key)).cloned());
    }
    last.retain(|key| observed.tags.contains_key(key));
    Plan::nothing().then(remember).then(remove.chain(repin).chain(untagged(untag))).then(untagged(last))
}

/// IAM keeps thumbprints in the order given, which means nothing.
fn same(a: &BTreeSet<String>, b: &[String]) -> bool {
    b.iter().map(|item| item.to_ascii_lowercase()).collect::<BTreeSet<_>>() == *a
}

impl Planner for OidcProviders {
    fn plan(owner: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        match (desired, observed) {
            (None | Some(Desired::Maintained(_) | Desired::Collected(_)), None) => Ok(Plan::nothing()),
            (Some(Desired::Declared(declared)), None) => Ok(Plan::nothing().then([create(owner, declared)?])),
            (None, Some(observed)) => Ok(release(owner, observed)),
            (Some(Desired::Declared(declared)), Some(observed)) => join(owner, declared, observed),
            (Some(Desired::Collected(gone)), Some(observed)) => Ok(collected(observed, gone).1),
            (Some(Desired::Maintained(thumbprints)), Some(observed)) => Ok(maintain(owner, thumbprints, observed)),
        }
    }

    fn step(observed: Option<Observed>, action: &Action, (): ()) -> Option<Observed> {
        if let Action::Create { url: _, arn, client_ids, thumbprints, tags } = action {
            return Some(Observed {
                arn: arn.clone(),
                client_ids: client_ids.clone(),
                thumbprints: thumbprints.clone(),
                tags: tags.clone(),
                trusted_by: None,
            });
        }
        // The roles were read for one decision.
        let mut observed = Observed { trusted_by: None, ..observed? };
        match action {
            Action::Create { .. } => {}
            Action::AddClientId(client_id) => {
                observed.client_ids.insert(client_id.clone());
            }
            Action::RemoveClientId(client_id) => {
                observed.client_ids.remove(client_id);
            }
            Action::SetThumbprints { old: _, new, subjects: _ } => observed.thumbprints.clone_from(new),
            Action::Tag(tags) => observed.tags.extend(tags.clone()),
            Action::Untag(keys) => observed.tags.retain(|key, _| !keys.contains(key)),
            Action::Delete => return None,
        }
        Some(observed)
    }

    fn property(action: &Action, _words: &str) -> Option<String> {
        match action {
            Action::AddClientId(client_id) => Some(format!("`ClientIdList`: {client_id}")),
            Action::Tag(tags) => authored(tags).next().map(|_| "`Tags`".to_owned()),
            _ => None,
        }
    }

    fn claims(action: &Action) -> bool {
        matches!(action, Action::Create { .. })
    }

    fn is_unmarked(owner: &Owner, observed: &Observed) -> bool {
        // An owner that shares a claim has none of its own.
        !observed.tags.keys().any(|tag| *tag == key(owner) || is_crowd(tag))
    }

    fn attributes(desired: &Desired, observed: &Observed) -> Attributes {
        let issuer = issuer_of_provider(&observed.arn).unwrap_or_default();
        let use_of_thumbprints = match desired {
            Desired::Declared(declared) => declared.use_of_thumbprints,
            Desired::Maintained(_) | Desired::Collected(_) => ThumbprintUse::Unknown,
        };
        [
            ("Arn", observed.arn.clone()),
            ("Url", format!("https://{issuer}")),
            ("Issuer", issuer.to_owned()),
            ("ThumbprintList", observed.thumbprints.join(",")),
            ("ThumbprintUse", format!("{use_of_thumbprints:?}")),
        ]
        .into()
    }

    fn native(desired: &Desired) -> Option<NativeResource> {
        native_equivalent::of(desired)
    }

    fn effect(before: Option<&Observed>, action: &Action) -> String {
        effect::of(before, action)
    }
}
