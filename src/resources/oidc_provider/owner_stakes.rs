//! The stakes of the owners of a provider, as its tags record them.

use std::collections::{BTreeMap, BTreeSet};

use super::rotation::is_mark;
use super::{Declared, Thumbprints};
use crate::cloudformation::StackId;
use crate::deployment::Deployment;
use crate::ownership::{AppliedItems, Owner, Tags, digest};

/// Says that we made the provider; its value is the owner that did.
pub(super) const MADE_BY: &str = "github-trust:made-by";
/// On a provider that others made: the client ids that were there before the first of us came.
pub(super) const FOUND: &str = "github-trust:found";
/// Announces that the last owner is about to delete the provider; its value tells one announcement from the next.
pub(super) const LEAVING: &str = "github-trust:leaving";
/// An owner has left and wants the provider to stay; its value is that owner.
pub(super) const RETAINED: &str = "github-trust:retained-for";
/// Begins the key of a stake that owners without a claim of their own have together; a digest of the stake ends it.
const CROWD: &str = "github-trust:crowd:";
/// Begins the key of an owner's claim; a digest of the owner ends it.
const CLAIM: &str = "github-trust:owner:";
/// Begins the value of the claim of an owner that is about to leave.
const GOING: &str = "going ";
/// Begins the part of a claim that tells the owner's stack, together with the plain words at its end.
const STACK: &str = "i=";
/// Begins the key of an owner's pinned thumbprints; a digest of the owner ends it.
const PINS: &str = "github-trust:pins:";
/// The CA that an owner gave, for the scheduled looks: the number of its pieces and the first of them. Those that follow
/// have a number behind another colon.
const CA: &str = "github-trust:ca";
pub(super) const DIGEST: usize = 16;
/// A tag's value has 256 characters; the first piece shares it with the number of pieces.
pub(super) const PIECE: usize = 250;
pub(super) const PIECES: usize = 16;
const CA_DIGEST: usize = 8;

pub(super) type Items = AppliedItems<5>;

/// The stake of one owner: its client ids and tags, its CA, and true if the provider stays when it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnerStake {
    pub(super) client_ids: Items,
    pub(super) tags: Items,
    pub(super) ca: Option<String>,
    /// The one before: a rollback to it is accepted also when the issuer no longer shows what it signed.
    pub(super) ca_before: Option<String>,
    pub(super) retain: bool,
}

impl OwnerStake {
    pub(super) fn of(declared: &Declared) -> Self {
        Self {
            client_ids: Items::of(declared.client_ids.iter().map(String::as_str)),
            tags: Items::of(declared.tags.keys().map(String::as_str)),
            ca: declared.ca.as_deref().map(ca_digest),
            ca_before: None,
            retain: declared.retain,
        }
    }

    /// The claim that follows this one.
    pub(super) fn then(&self, next: Self) -> Self {
        let ca_before = if self.ca == next.ca { &self.ca_before } else { &self.ca };
        Self { ca_before: ca_before.clone(), ..next }
    }

    /// The stake while this one becomes the next.
    pub(super) fn union(&self, next: &Self) -> Self {
        let Self { client_ids, tags, ca, ca_before, retain } = next.clone();
        Self { client_ids: client_ids.union(&self.client_ids), tags: tags.union(&self.tags), ca, ca_before, retain }
    }

    fn read(value: &str) -> Self {
        let part = |name| value.split(' ').find_map(|part| part.strip_prefix(name)).map(str::to_owned);
        Self {
            client_ids: Items::read(part("c=").as_ref()),
            tags: Items::read(part("t=").as_ref()),
            ca: part("a="),
            ca_before: part("b="),
            retain: value.split(' ').any(|part| part == "retain"),
        }
    }

    /// The tag that an owner may have together with all that bring the same. Pins and a CA are one owner's only; and nobody
    /// has to retain a provider that stays for many.
    pub(super) fn shared_tag(declared: &Declared) -> Option<(String, String)> {
        let is_shared = declared.ca.is_none() && !matches!(declared.thumbprints, Thumbprints::Pinned(_));
        let value = Self { retain: false, ..Self::of(declared) }.text();
        is_shared.then(|| (format!("{CROWD}{}", digest(&[&value], DIGEST)), value))
    }

    fn text(&self) -> String {
        let Self { client_ids, tags, ca, ca_before, retain } = self;
        let part = |name, ca: &Option<String>| ca.as_ref().map(|ca| format!(" {name}={ca}")).unwrap_or_default();
        let retain = if *retain { " retain" } else { "" };
        format!("c={client_ids} t={tags}{}{}{retain}", part("a", ca), part("b", ca_before))
    }

    /// The tag's value; what is left of its 256 characters says in plain words whose claim it is.
    pub(super) fn write(&self, owner: &Owner) -> String {
        let stack = StackId::parse(owner.stack_id()).ok();
        let stack =
            stack.and_then(|stack| Some(format!(" {STACK}{}/{}", stack.account(), stack.as_str().rsplit('/').next()?)));
        let stack = stack.unwrap_or_default();
        format!("{}{stack} {owner}", self.text()).chars().take(256).collect()
    }
}

/// The claim of an owner that is about to leave.
pub(super) fn going(claim: &str) -> String {
    let claim = claim.strip_prefix(GOING).unwrap_or(claim);
    format!("{GOING}{claim}").chars().take(256).collect()
}

/// The owner of a claim, if the claim tells all of its name.
pub(super) fn owner_of(claim: &str, value: &str, here: &Deployment) -> Option<Owner> {
    let (account, id) = value.split(' ').find_map(|part| part.strip_prefix(STACK))?.split_once('/')?;
    let mut words = value.rsplit(' ').next()?.splitn(3, '/');
    let (region, name, logical_id) = (words.next()?, words.next()?, words.next()?);
    let arn = format!("arn:{}:cloudformation:{region}:{account}:stack/{name}/{id}", here.partition);
    let owner = Owner::new(&StackId::parse(&arn).ok()?, logical_id);
    (key(&owner) == claim).then_some(owner)
}

/// The keys of the tags that are an owner's own.
pub(super) fn keys_of(claim: &str) -> [String; 2] {
    [claim.to_owned(), claim.replacen(CLAIM, PINS, 1)]
}

/// The key of a claim among these tags, of one owner or of many, and true if its owner is about to leave.
pub(super) fn claim(tags: &Tags) -> Option<(&String, bool)> {
    tags.iter().find(|(key, _)| is_claim(key) || is_crowd(key)).map(|(key, value)| (key, value.starts_with(GOING)))
}

pub(super) fn is_claim(key: &str) -> bool {
    key.starts_with(CLAIM)
}

pub(super) fn is_crowd(key: &str) -> bool {
    key.starts_with(CROWD)
}

pub(super) fn key(owner: &Owner) -> String {
    format!("{CLAIM}{}", owner.digest(DIGEST))
}

pub(super) fn pins_key(owner: &Owner) -> String {
    format!("{PINS}{}", owner.digest(DIGEST))
}

/// Pinned thumbprints, as a tag's value: five of them fit.
pub(super) fn written(pins: &BTreeSet<String>) -> String {
    pins.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn ca_digest(ca: &str) -> String {
    digest(&[ca], CA_DIGEST)
}

/// The tags that hold a CA.
pub(super) fn ca_tags(ca: &str) -> Tags {
    let pieces: Vec<&[u8]> = ca.as_bytes().chunks(PIECE).collect();
    let piece = |(index, piece): (usize, &&[u8])| {
        let piece = String::from_utf8_lossy(piece).into_owned();
        if index == 0 { (CA.to_owned(), format!("{} {piece}", pieces.len())) } else { (format!("{CA}:{index}"), piece) }
    };
    pieces.iter().enumerate().map(piece).collect()
}

/// The CA that the tags hold, whole or not at all.
pub(super) fn stored_ca(tags: &Tags) -> Option<String> {
    let (pieces, first) = tags.get(CA)?.split_once(' ')?;
    let mut rest = (1..pieces.parse().ok()?).map(|index: usize| tags.get(&format!("{CA}:{index}")));
    rest.try_fold(first.to_owned(), |ca, piece| Some(ca + piece?))
}

/// Returns true for a tag with a piece of a CA.
pub(super) fn is_ca(key: &str) -> bool {
    key == CA || key.strip_prefix(CA).is_some_and(|rest| rest.starts_with(':'))
}

/// Returns true for a tag about the thumbprints.
pub(super) fn is_state(key: &str) -> bool {
    is_ca(key) || is_mark(key)
}

/// The claims on a provider: ours, and those of all others, also the ones that many have together.
pub(super) struct OwnerStakes {
    pub(super) ours: Option<OwnerStake>,
    pub(super) others: BTreeMap<String, OwnerStake>,
    pub(super) our_pins: BTreeSet<String>,
    pub(super) others_pins: BTreeSet<String>,
    /// True if each other owner pins.
    pub(super) all_others_pin: bool,
    /// The CA for scheduled looks.
    pub(super) ca: Option<String>,
}

impl OwnerStakes {
    pub(super) fn read(owner: &Owner, tags: &Tags) -> Self {
        let mut others: BTreeMap<String, OwnerStake> = tags
            .iter()
            .filter(|(key, _)| is_claim(key) || is_crowd(key))
            .map(|(key, value)| (key.clone(), OwnerStake::read(value)))
            .collect();
        let ours = others.remove(&key(owner));
        let pins = |ours: bool| {
            let tags = tags.iter().filter(|(key, _)| key.starts_with(PINS) && (**key == pins_key(owner)) == ours);
            let values = tags.flat_map(|(_, value)| value.split(' '));
            values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
        };
        let is_pinned = |claim: &String| is_claim(claim) && tags.contains_key(&claim.replacen(CLAIM, PINS, 1));
        let all_others_pin = others.keys().all(is_pinned);
        let (our_pins, others_pins) = (pins(true), pins(false));
        Self { ours, others, our_pins, others_pins, all_others_pin, ca: stored_ca(tags) }
    }

    /// The stakes for an owner who takes something away: other owners who are about to leave need nothing any more.
    pub(super) fn of_those_who_stay(owner: &Owner, tags: &Tags) -> Self {
        let ours = key(owner);
        let going = |claim: &str| claim != ours && tags.get(claim).is_some_and(|value| value.starts_with(GOING));
        let of = |pins: &str| pins.strip_prefix(PINS).map(|digest| format!("{CLAIM}{digest}"));
        let stays = |key: &str| !going(key) && !of(key).is_some_and(|claim| going(&claim));
        let staying = tags.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), value.clone()));
        Self::read(owner, &staying.collect())
    }

    /// Returns true if another owner wants the provider to stay, also after it leaves.
    pub(super) fn others_retain(&self) -> bool {
        self.others.values().any(|claim| claim.retain)
    }

    pub(super) fn others_need(&self, client_id: &str) -> bool {
        self.others.values().any(|claim| claim.client_ids.contains(client_id))
    }

    /// Returns true if no other owner needs the provider.
    pub(super) fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    pub(super) fn others_tagged(&self, key: &str) -> bool {
        self.others.values().any(|claim| claim.tags.contains(key))
    }

    /// The CA on the provider, if somebody needs it when our claim is `after`: others may rely on one that they did not
    /// give.
    pub(super) fn lasting_ca(&self, after: &OwnerStake) -> Option<&String> {
        self.ca.as_ref().filter(|ca| !self.is_alone() || after.ca.as_ref() == Some(&ca_digest(ca)))
    }
}
