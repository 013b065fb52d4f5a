//! Decisions about a provider. Claims are written before what they claim is added, and taken back after it is removed,
//! so that whoever comes after an interruption knows what is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Desired, Observed};
use crate::error::Refusal;
use crate::owner::{Applied, Owner, PREFIX, Tags, authored};
use crate::reconcile::{Announced, Leave, Plan};

/// Says that we made the provider; its value is the owner that did.
const MADE_BY: &str = "github-trust:made-by";
/// On a provider that others made: the client ids that were there before the first of us came.
const FOUND: &str = "github-trust:found";
/// Begins the key of an owner's claim; a digest of the owner ends it.
const CLAIM: &str = "github-trust:owner:";
const DIGEST: usize = 16;

/// Begins the value of the claim of an owner that is leaving.
const GOING: &str = "going ";
/// Announces that the last owner is about to delete the provider; its value tells one announcement from the next.
const LEAVING: &str = "github-trust:leaving";

type Items = Applied<5>;

/// One change to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are IAM's")]
pub enum Action {
    Create { url: String, arn: String, client_ids: BTreeSet<String>, thumbprints: Vec<String>, tags: Tags },
    AddClientId(String),
    RemoveClientId(String),
    SetThumbprints(Vec<String>),
    Tag(Tags),
    Untag(BTreeSet<String>),
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { url, arn: _, client_ids, thumbprints, tags } => {
                write!(
                    f,
                    "create a provider for {url} with client ids {client_ids:?}, thumbprints {thumbprints:?}, tags {tags:?}"
                )
            }
            Self::AddClientId(client_id) => write!(f, "add client id {client_id}"),
            Self::RemoveClientId(client_id) => write!(f, "remove client id {client_id}"),
            Self::SetThumbprints(thumbprints) => write!(f, "set thumbprints {thumbprints:?}"),
            Self::Tag(tags) => write!(f, "tag {tags:?}"),
            Self::Untag(keys) => write!(f, "untag {keys:?}"),
            Self::Delete => f.write_str("delete the provider"),
        }
    }
}

/// What one owner needs: the client ids and the author's tags that it brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Claim {
    client_ids: Items,
    tags: Items,
}

impl Claim {
    fn of(desired: &Desired) -> Self {
        Self {
            client_ids: Items::of(desired.client_ids.iter().map(String::as_str)),
            tags: Items::of(desired.tags.keys().map(String::as_str)),
        }
    }

    fn union(&self, other: &Self) -> Self {
        let Self { client_ids, tags } = self;
        Self { client_ids: client_ids.union(&other.client_ids), tags: tags.union(&other.tags) }
    }

    fn read(value: &str) -> Self {
        let part = |name| value.split(' ').find_map(|part| part.strip_prefix(name)).map(str::to_owned);
        Self { client_ids: Items::read(part("c=").as_ref()), tags: Items::read(part("t=").as_ref()) }
    }

    /// The tag's value; what is left of its 256 characters says in plain words whose claim it is.
    fn write(&self, owner: &Owner) -> String {
        let Self { client_ids, tags } = self;
        Self::fit(&format!("c={client_ids} t={tags} {owner}"))
    }

    fn fit(value: &str) -> String {
        value.chars().take(256).collect()
    }
}

fn key(owner: &Owner) -> String {
    format!("{CLAIM}{}", owner.digest(DIGEST))
}

/// The claims on a provider: ours, and those of all others.
struct Claims {
    ours: Option<Claim>,
    others: BTreeMap<String, Claim>,
}

impl Claims {
    fn read(owner: &Owner, tags: &Tags) -> Self {
        let ours = key(owner);
        let others = tags
            .iter()
            .filter(|(claim, _)| claim.starts_with(CLAIM) && **claim != ours)
            .map(|(claim, value)| (claim.clone(), Claim::read(value)))
            .collect();
        Self { ours: tags.get(&ours).map(|value| Claim::read(value)), others }
    }

    /// For whoever takes away: who is leaving needs nothing any more.
    fn of_those_who_stay(owner: &Owner, tags: &Tags) -> Self {
        let mut claims = Self::read(owner, tags);
        claims.others.retain(|claim, _| !tags[claim].starts_with(GOING));
        claims
    }

    fn others_need(&self, client_id: &str) -> bool {
        self.others.values().any(|claim| claim.client_ids.contains(client_id))
    }

    fn others_tagged(&self, key: &str) -> bool {
        self.others.values().any(|claim| claim.tags.contains(key))
    }
}

/// Decides; see the module.
pub(super) fn plan(
    owner: &Owner,
    desired: Option<&Desired>,
    observed: Option<&Observed>,
) -> Result<Plan<Action>, Refusal> {
    match (desired, observed) {
        (None, None) => Ok(Plan::nothing()),
        (Some(desired), None) => Ok(Plan::nothing().then([create(owner, desired)])),
        (None, Some(observed)) => Ok(release(owner, observed)),
        (Some(desired), Some(observed)) => join(owner, desired, observed),
    }
}

fn create(owner: &Owner, desired: &Desired) -> Action {
    let Desired { arn, url, client_ids, thumbprints, tags } = desired.clone();
    let claim = Claim::of(desired).write(owner);
    let ours = [(MADE_BY.to_owned(), owner.to_string()), (key(owner), claim)];
    let tags = tags.into_iter().chain(ours).collect();
    Action::Create { url, arn, client_ids, thumbprints: thumbprints.unwrap_or_default(), tags }
}

fn join(owner: &Owner, desired: &Desired, observed: &Observed) -> Result<Plan<Action>, Refusal> {
    let Desired { arn: _, url, client_ids, thumbprints, tags } = desired;
    let claims = Claims::read(owner, &observed.tags);
    let made_by_us = observed.tags.contains_key(MADE_BY);
    let (before, after) = (claims.ours.clone().unwrap_or_default(), Claim::of(desired));
    let between = before.union(&after);

    let set_thumbprints = match thumbprints {
        Some(thumbprints) if !same(thumbprints, &observed.thumbprints) => {
            if !made_by_us {
                return Err(Refusal::Unfit {
                    what: format!(
                        "the provider of {url} was made by somebody else and has other thumbprints ({}) than `ThumbprintList`",
                        observed.thumbprints.join(", ")
                    ),
                    remedy: "Leave `ThumbprintList` out to share the provider as it is".to_owned(),
                });
            }
            Some(Action::SetThumbprints(thumbprints.clone()))
        }
        _ => None,
    };

    let mut claimed = tags.clone();
    if !made_by_us {
        if let Some((key, value)) = tags.iter().find(|(key, value)| {
            let theirs = observed.tags.get(*key);
            theirs.is_some_and(|theirs| theirs != *value) && !before.tags.contains(key) && !claims.others_tagged(key)
        }) {
            return Err(Refusal::Unfit {
                what: format!(
                    "the provider of {url} was made by somebody else and has the tag {key:?} with another value than {value:?}"
                ),
                remedy: "Leave that tag out".to_owned(),
            });
        }
        // Only the first of us can tell what was there before.
        if !observed.tags.keys().any(|key| key.starts_with(PREFIX)) {
            let found = Items::of(observed.client_ids.iter().map(String::as_str));
            claimed.insert(FOUND.to_owned(), found.to_string());
        }
    }
    claimed.insert(key(owner), between.write(owner));
    claimed.retain(|key, value| observed.tags.get(key) != Some(value));

    let superfluous = |client_id: &&String| {
        before.client_ids.contains(client_id)
            && !client_ids.contains(*client_id)
            && !needed(&claims, observed, client_id)
    };
    let add = client_ids.difference(&observed.client_ids).cloned().map(Action::AddClientId);
    let remove = observed.client_ids.iter().filter(superfluous).cloned().map(Action::RemoveClientId);
    let untag: BTreeSet<String> = authored(&observed.tags)
        .map(|(key, _)| key)
        .filter(|key| before.tags.contains(key) && !tags.contains_key(*key) && !claims.others_tagged(key))
        .cloned()
        .collect();
    let settled = (between != after).then(|| Action::Tag([(key(owner), after.write(owner))].into()));

    Ok(Plan::nothing()
        .then((!claimed.is_empty()).then_some(Action::Tag(claimed)))
        .then(add.chain(set_thumbprints))
        .then(remove.chain((!untag.is_empty()).then_some(Action::Untag(untag))))
        .then(settled))
}

/// Tells others that we are about to leave. IAM has no change that depends on what is there, and its reads lag behind its
/// writes; so who joins has to hear of a deletion, and of all who leave at the same moment one has to know that it is the
/// last.
pub(super) fn announce(owner: &Owner, observed: &Observed, nonce: &str) -> Option<Leave<Action>> {
    let deletes = release(owner, observed).stages().iter().flatten().any(|action| *action == Action::Delete);
    if deletes {
        let leaving = format!("{} {nonce}", owner.digest(DIGEST));
        return Some(Leave::Deleting(Action::Tag([(LEAVING.to_owned(), leaving)].into())));
    }
    let claim = observed
        .tags
        .get(&key(owner))
        .filter(|_| !Claims::of_those_who_stay(owner, &observed.tags).others.is_empty())?;
    let going = if claim.starts_with(GOING) { claim.clone() } else { Claim::fit(&format!("{GOING}{claim}")) };
    Some(Leave::Staying(Action::Tag([(key(owner), going)].into())))
}

/// Gives a client id back that somebody claimed while we removed it.
pub(super) fn regret(owner: &Owner, action: &Action, observed: &Observed) -> Option<Action> {
    let Action::RemoveClientId(client_id) = action else { return None };
    let needed = Claims::of_those_who_stay(owner, &observed.tags).others_need(client_id);
    (needed && !observed.client_ids.contains(client_id)).then(|| Action::AddClientId(client_id.clone()))
}

/// The announcement of a deletion, and how to take it back.
pub(super) fn announced(owner: &Owner, observed: &Observed) -> Option<Announced<Action>> {
    let nonce = observed.tags.get(LEAVING)?.clone();
    let by_us = nonce.starts_with(&owner.digest(DIGEST));
    Some(Announced { nonce, by_us, retract: Action::Untag([LEAVING.to_owned()].into()) })
}

/// Whether a client id stays although we no longer need it.
fn needed(claims: &Claims, observed: &Observed, client_id: &str) -> bool {
    claims.others_need(client_id)
        || observed.tags.get(FOUND).is_some_and(|found| Items::read(Some(found)).contains(client_id))
}

fn release(owner: &Owner, observed: &Observed) -> Plan<Action> {
    let claims = Claims::of_those_who_stay(owner, &observed.tags);
    let Some(ours) = &claims.ours else { return Plan::nothing() };
    let made_by_us = observed.tags.contains_key(MADE_BY);
    if claims.others.is_empty() && made_by_us {
        return Plan::nothing().then([Action::Delete]);
    }
    let superfluous =
        |client_id: &&String| ours.client_ids.contains(client_id) && !needed(&claims, observed, client_id);
    let remove = observed.client_ids.iter().filter(superfluous).cloned().map(Action::RemoveClientId);
    let untag: BTreeSet<String> = authored(&observed.tags)
        .map(|(key, _)| key)
        .filter(|key| ours.tags.contains(key) && !claims.others_tagged(key))
        .cloned()
        .collect();
    let mut last: BTreeSet<String> = [key(owner)].into();
    if announced(owner, observed).is_some_and(|announced| announced.by_us) {
        last.insert(LEAVING.to_owned());
    }
    if claims.others.is_empty() {
        last.insert(FOUND.to_owned());
    }
    Plan::nothing().then(remove.chain((!untag.is_empty()).then_some(Action::Untag(untag)))).then([Action::Untag(last)])
}

/// IAM keeps thumbprints in the order given, which means nothing.
fn same(a: &[String], b: &[String]) -> bool {
    let set = |list: &[String]| list.iter().map(|item| item.to_ascii_lowercase()).collect::<BTreeSet<_>>();
    set(a) == set(b)
}

/// What an action does. The receipt of a creation are the thumbprints that IAM chose.
pub(super) fn step(observed: Option<Observed>, action: &Action, receipt: Option<Vec<String>>) -> Option<Observed> {
    if let Action::Create { url: _, arn, client_ids, thumbprints, tags } = action {
        return Some(Observed {
            arn: arn.clone(),
            client_ids: client_ids.clone(),
            thumbprints: receipt.unwrap_or_else(|| thumbprints.clone()),
            tags: tags.clone(),
        });
    }
    let mut observed = observed?;
    match action {
        Action::Create { .. } => {}
        Action::AddClientId(client_id) => {
            observed.client_ids.insert(client_id.clone());
        }
        Action::RemoveClientId(client_id) => {
            observed.client_ids.remove(client_id);
        }
        Action::SetThumbprints(thumbprints) => observed.thumbprints.clone_from(thumbprints),
        Action::Tag(tags) => observed.tags.extend(tags.clone()),
        Action::Untag(keys) => observed.tags.retain(|key, _| !keys.contains(key)),
        Action::Delete => return None,
    }
    Some(observed)
}
