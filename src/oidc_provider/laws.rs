//! The worlds in which a provider's plans are checked: one provider, several owners, with and without somebody who was
//! there before.

use std::collections::BTreeSet;

use super::plan::Action;
use super::{Desired, Observed, OidcProviders};
use crate::laws::{Lawful, Tally, after, owner};
use crate::owner::{Owner, Tags};

const ARN: &str = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
/// Client id and tag of whoever made the provider before us, and of what was added by hand later.
const FOREIGN: &str = "foreign";

/// The claims of those who stay.
fn claims(tags: &Tags) -> BTreeSet<&String> {
    let stays =
        |(key, value): &(&String, &String)| key.starts_with("github-trust:owner:") && !value.starts_with("going ");
    tags.iter().filter(stays).map(|(key, _)| key).collect()
}

fn claim(owner: &Owner) -> String {
    format!("github-trust:owner:{}", owner.digest(16))
}

impl Lawful for OidcProviders {
    const VARIANTS: &'static [&'static str] =
        &["Create", "AddClientId", "RemoveClientId", "SetThumbprints", "Tag", "Untag", "Delete"];

    fn variant(action: &Action) -> &'static str {
        match action {
            Action::Create { .. } => "Create",
            Action::AddClientId(_) => "AddClientId",
            Action::RemoveClientId(_) => "RemoveClientId",
            Action::SetThumbprints(_) => "SetThumbprints",
            Action::Tag(_) => "Tag",
            Action::Untag(_) => "Untag",
            Action::Delete => "Delete",
        }
    }

    fn receipt(_: &Action) -> Option<Vec<String>> {
        None
    }

    fn done(
        owner: &Owner,
        desired: Option<&Desired>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        match (desired, after) {
            (None, None) => {
                let others = before.is_some_and(|before| claims(&before.tags).iter().any(|key| **key != claim(owner)));
                check(!others, "final: deleted although others need it")?;
                check(before.is_none_or(|before| before.tags.contains_key("github-trust:made-by")), "final: not ours")
            }
            (None, Some(after)) => {
                check(!after.tags.contains_key(&claim(owner)), "final: the claim is still there")?;
                let ours = after.tags.contains_key("github-trust:made-by");
                let claimed = before.is_some_and(|before| before.tags.contains_key(&claim(owner)));
                check(
                    !(ours && claimed && claims(&after.tags).is_empty()),
                    "final: the last one out leaves ours behind",
                )
            }
            (Some(_), None) => Err("the provider is not there".into()),
            (Some(desired), Some(after)) => {
                let Desired { arn, url: _, client_ids, thumbprints, tags } = desired;
                check(after.arn == *arn, "arn")?;
                check(after.tags.contains_key(&claim(owner)), "claim")?;
                check(client_ids.is_subset(&after.client_ids), "client ids")?;
                check(thumbprints.as_ref().is_none_or(|wanted| *wanted == after.thumbprints), "thumbprints")?;
                check(tags.iter().all(|(key, value)| after.tags.get(key) == Some(value)), "tags")?;
                // Whoever is alone with a provider of ours has exactly what it asks for.
                let owners = after.tags.keys().filter(|key| key.starts_with("github-trust:owner:")).count();
                let alone = owners == 1 && after.tags.contains_key("github-trust:made-by");
                let ours = |name: &&String| *name != FOREIGN;
                check(!alone || after.client_ids.iter().filter(ours).eq(client_ids), "client ids that nobody needs")
            }
        }
    }

    fn foreign(owner: &Owner, observed: Option<&Observed>, deleting: bool) -> BTreeSet<String> {
        let Some(observed) = observed else { return BTreeSet::new() };
        let ours = observed.tags.contains_key("github-trust:made-by");
        let alone = claims(&observed.tags) == BTreeSet::from([&claim(owner)]);
        if deleting && ours && alone {
            return BTreeSet::new();
        }
        let staying = claims(&observed.tags);
        let others = observed.tags.iter().filter(|(key, _)| staying.contains(key) && **key != claim(owner));
        let tags =
            observed.tags.get_key_value(FOREIGN).into_iter().chain(others).map(|(key, value)| format!("{key}={value}"));
        let client_ids = observed.client_ids.get(FOREIGN).cloned();
        let thumbprints = (!ours).then(|| observed.thumbprints.join(","));
        tags.chain(client_ids).chain(thumbprints).collect()
    }

    /// An audience lets tokens in; nothing else of a provider grants anything.
    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        observed.into_iter().flat_map(|provider| &provider.client_ids).map(|id| (id.clone(), "assume".into())).collect()
    }
}

fn desired(client_ids: &[&str], thumbprints: Option<&[&str]>, tags: &[(&str, &str)]) -> Desired {
    Desired {
        arn: ARN.into(),
        url: "https://token.actions.githubusercontent.com".into(),
        client_ids: client_ids.iter().map(|&id| id.to_owned()).collect(),
        thumbprints: thumbprints.map(|list| list.iter().map(|&item| item.to_owned()).collect()),
        tags: tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

/// Made by hand, before any of us came.
fn foreign() -> Observed {
    Observed {
        arn: ARN.into(),
        client_ids: [FOREIGN.to_owned(), "a".to_owned()].into(),
        thumbprints: vec!["t0".into()],
        tags: [(FOREIGN.to_owned(), "v".to_owned())].into(),
    }
}

fn declarations() -> Vec<Desired> {
    let mut all = Vec::new();
    for client_ids in [&["a"][..], &["b"], &["a", "b"]] {
        for thumbprints in [None, Some(&["t1"][..]), Some(&["t1", "t2"])] {
            for tags in [&[][..], &[("k", "v")], &[("k", "v"), ("l", "v")]] {
                all.push(desired(client_ids, thumbprints, tags));
            }
        }
    }
    all
}

/// Every state that some of the others leave, from nothing and from a foreign provider.
fn companies(others: &[Owner]) -> Vec<Option<Observed>> {
    let joined = |state: Option<Observed>, owner: &Owner, declaration: &Desired| {
        after::<OidcProviders>(owner, Some(declaration), state)
    };
    let mut states = vec![None, Some(foreign())];
    let first = [desired(&["a"], None, &[]), desired(&["b"], None, &[("k", "v")]), desired(&["a", "b"], None, &[])];
    let mut more = Vec::new();
    for start in [None, Some(foreign())] {
        for one in &first {
            let alone = joined(start.clone(), &others[0], one);
            for two in &first {
                more.push(joined(alone.clone(), &others[1], two));
            }
            more.push(alone);
        }
    }
    states.extend(more);
    // One whose other owner has told that it leaves.
    let mut left = joined(None, &others[0], &first[0]).expect("a provider");
    let going = left.tags[&claim(&others[0])].clone();
    left.tags.insert(claim(&others[0]), format!("going {going}"));
    states.push(Some(left));
    // One that we made, whose claims are gone: nobody's, and nobody's to delete.
    let mut orphan = joined(None, &others[0], &first[0]).expect("a provider");
    orphan.tags.retain(|key, _| !key.starts_with("github-trust:owner:"));
    orphan.client_ids = [FOREIGN.to_owned()].into();
    states.push(Some(orphan));
    states
}

#[test]
fn a_providers_plans_obey_the_laws() {
    let us = owner("Provider");
    let others = [owner("Other"), owner("Third")];
    let mut tally = Tally::default();
    for company in companies(&others) {
        tally.check::<OidcProviders>(&us, None, company.as_ref(), None);
        for old in declarations() {
            tally.check::<OidcProviders>(&us, Some(&old), company.as_ref(), None);
            if OidcProviders::plan_is_refused(&us, &old, company.as_ref()) {
                continue;
            }
            let state = after::<OidcProviders>(&us, Some(&old), company.clone()).expect("a provider");
            tally.check::<OidcProviders>(&us, None, Some(&state), None);
            let mut touched = state.clone();
            touched.client_ids.insert(FOREIGN.into());
            touched.tags.insert(FOREIGN.into(), "v".into());
            for new in declarations() {
                // Thumbprints are the provider's, not an owner's: who leaves them out does not take them back.
                let previous = (old.thumbprints.is_some() || new.thumbprints.is_none()).then_some(&old);
                tally.check::<OidcProviders>(&us, Some(&new), Some(&state), previous);
                tally.check::<OidcProviders>(&us, Some(&new), Some(&touched), previous);
            }
        }
    }
    tally.covered::<OidcProviders>();
    tally.report::<OidcProviders>();
}

impl OidcProviders {
    fn plan_is_refused(owner: &Owner, desired: &Desired, observed: Option<&Observed>) -> bool {
        super::plan::plan(owner, Some(desired), observed).is_err()
    }
}

/// Three owners come in every order and leave in every order; after each step everyone who is there has its client id.
#[test]
fn three_owners_share_a_provider_in_every_order() {
    let owners = [owner("A"), owner("B"), owner("C")];
    let declarations = [desired(&["a"], None, &[]), desired(&["b"], None, &[]), desired(&["a", "b"], None, &[])];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for start in [None, Some(foreign())] {
        for coming in orders {
            for leaving in orders {
                let mut state = start.clone();
                let mut present = BTreeSet::new();
                let check = |state: &Option<Observed>, present: &BTreeSet<usize>| {
                    let needed: BTreeSet<String> =
                        present.iter().flat_map(|&index: &usize| declarations[index].client_ids.clone()).collect();
                    let found = start.as_ref().map(|start| start.client_ids.clone()).unwrap_or_default();
                    let expected: BTreeSet<String> = needed.union(&found).cloned().collect();
                    let have = state.as_ref().map(|state| state.client_ids.clone()).unwrap_or_default();
                    assert_eq!(have, expected, "{coming:?} {leaving:?} {present:?}");
                };
                for index in coming {
                    state = after::<OidcProviders>(&owners[index], Some(&declarations[index]), state);
                    present.insert(index);
                    check(&state, &present);
                }
                for index in leaving {
                    state = after::<OidcProviders>(&owners[index], None, state);
                    present.remove(&index);
                    check(&state, &present);
                }
                assert_eq!(state, start, "what was there before is as it was");
            }
        }
    }
}
