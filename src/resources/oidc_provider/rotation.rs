//! The rotation of a provider's thumbprints. Old and new ones overlap, and a new one is not listed at first sight. A
//! value that is listed but was not observed, and one that was observed but is not listed, is marked with the time; the
//! marks stand in two tags of the provider, which are absent without marks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::ownership::{PREFIX, Tags};

/// The number of thumbprints that IAM keeps.
pub(super) const LIMIT: usize = 5;
/// Listed, but missing in each look since.
pub(super) const UNSEEN: &str = "github-trust:unseen";
/// Seen, but not listed yet.
pub(super) const CANDIDATES: &str = "github-trust:candidates";
/// Of the 40 digits of a thumbprint as many tell it from the others; six marks fit a tag.
const DIGITS: usize = 20;
const MARKS: usize = 6;
const FORMAT: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A moment, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The second that a moment is in.
    #[must_use]
    pub fn of(moment: OffsetDateTime) -> Self {
        Self(moment.unix_timestamp())
    }

    fn read(text: &str) -> Option<Self> {
        Some(Self::of(PrimitiveDateTime::parse(text, FORMAT).ok()?.assume_utc()))
    }

    /// Moments from `earlier` to this one.
    fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        f.write_str(&moment.format(FORMAT).unwrap_or_default())
    }
}

/// The settings of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// In seconds: how long a value that is no longer seen stays.
    pub overlap: u64,
    /// In seconds: how far the second look at a new value is from the first.
    pub confirmation_interval: u64,
}

/// The result of one probe of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedThumbprints {
    /// Thumbprints, and whose certificates these are.
    pub values: BTreeMap<String, String>,
    /// The time of the probe.
    pub at: Timestamp,
    /// The settings of the rotation.
    pub rotation_policy: RotationPolicy,
}

impl ObservedThumbprints {
    /// The same without some values.
    pub(super) fn without(&self, pins: &BTreeSet<String>) -> Self {
        let values = self.values.iter().filter(|(value, _)| !pins.contains(*value));
        let values = values.map(|(value, subject)| (value.clone(), subject.clone())).collect();
        Self { values, ..self.clone() }
    }
}

type Since = BTreeMap<String, Timestamp>;

/// The values that were missing and those that were new, each with the time since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RotationState {
    unseen: Since,
    candidates: Since,
}

fn short(value: &str) -> String {
    value.chars().take(DIGITS).collect()
}

impl RotationState {
    pub(super) fn read(tags: &Tags) -> Self {
        let read = |key: &str| {
            let marks = tags.get(key).map(String::as_str).unwrap_or_default().split(' ');
            marks
                .filter_map(|mark| mark.split_once('@'))
                .filter_map(|(value, since)| Some((value.to_owned(), Timestamp::read(since)?)))
                .collect()
        };
        Self { unseen: read(UNSEEN), candidates: read(CANDIDATES) }
    }

    /// The same without the marks of some values.
    pub(super) fn without(mut self, pins: &BTreeSet<String>) -> Self {
        for value in pins {
            self.unseen.remove(&short(value));
            self.candidates.remove(&short(value));
        }
        self
    }

    /// The tags that say so; none for nothing.
    pub(super) fn write(&self) -> Tags {
        let Self { unseen, candidates } = self;
        let written = |marks: &Since| {
            let marks: Vec<String> =
                marks.iter().take(MARKS).map(|(value, since)| format!("{value}@{since}")).collect();
            marks.join(" ")
        };
        let tags = [(UNSEEN, written(unseen)), (CANDIDATES, written(candidates))];
        tags.into_iter().filter(|(_, marks)| !marks.is_empty()).map(|(key, marks)| (key.to_owned(), marks)).collect()
    }
}

/// Returns true for a tag with marks.
pub(super) fn is_mark(key: &str) -> bool {
    debug_assert!(UNSEEN.starts_with(PREFIX) && CANDIDATES.starts_with(PREFIX), "authors may not write these");
    key == UNSEEN || key == CANDIDATES
}

/// Returns the list of at most `limit` values and the marks after an observation. `at_once` takes new values without a second observation: the list is
/// new, or the author has just asked for another source.
pub(super) fn rotate(
    listed: &BTreeSet<String>,
    marks: &RotationState,
    latest: &ObservedThumbprints,
    limit: usize,
    at_once: bool,
) -> (BTreeSet<String>, RotationState) {
    let ObservedThumbprints { values, at, rotation_policy: RotationPolicy { overlap, confirmation_interval } } = latest;
    let mut after = RotationState::default();
    let (known, missing): (BTreeSet<String>, BTreeSet<String>) =
        listed.iter().cloned().partition(|value| values.contains_key(value));
    let mut ripe = Vec::new();
    for value in values.keys().filter(|value| !listed.contains(*value)) {
        let first = marks.candidates.get(&short(value)).copied();
        if at_once || first.is_some_and(|first| first < *at && at.since(first) >= *confirmation_interval) {
            ripe.push((value.clone(), first.unwrap_or(*at)));
        } else {
            after.candidates.insert(short(value), first.unwrap_or(*at));
        }
    }
    // Values that are missing for the longest come first; those of the observation before this one do not count.
    let earlier = |value: &String| marks.unseen.get(&short(value)).copied().filter(|since| since < at);
    let mut gone: Vec<(Timestamp, String)> =
        missing.iter().filter_map(|value| Some((earlier(value)?, value.clone()))).collect();
    gone.sort();
    let mut list = listed.clone();
    // An observed value stays in any case, so that the list never holds past values only.
    if !known.is_empty() || !ripe.is_empty() {
        let room = limit.saturating_sub(ripe.len());
        for (since, value) in gone {
            if at.since(since) >= *overlap || list.len() > room {
                list.remove(&value);
            }
        }
    }
    for (value, first) in ripe {
        if list.len() < limit {
            list.insert(value);
        } else {
            after.candidates.insert(short(&value), first);
        }
    }
    for value in missing.intersection(&list) {
        let since = marks.unseen.get(&short(value)).copied().unwrap_or(*at);
        after.unseen.insert(short(value), since);
    }
    (list, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn value(letter: char) -> String {
        letter.to_string().repeat(40)
    }

    fn list(letters: &str) -> BTreeSet<String> {
        letters.chars().map(value).collect()
    }

    fn letters(list: &BTreeSet<String>) -> String {
        list.iter().filter_map(|value| value.chars().next()).collect()
    }

    fn seen(letters: &str, day: i64) -> ObservedThumbprints {
        let rotation_policy = RotationPolicy { overlap: 30 * 24 * 60 * 60, confirmation_interval: 60 * 60 };
        ObservedThumbprints {
            values: list(letters).into_iter().map(|value| (value, String::new())).collect(),
            at: Timestamp(1_800_000_000 + day * DAY),
            rotation_policy,
        }
    }

    /// Returns a list over days, each with its observations; the marks go through their tags on the way.
    fn history(start: &str, looks: &[(i64, &str)]) -> Vec<String> {
        let (mut listed, mut tags) = (list(start), Tags::new());
        let mut lists = Vec::new();
        for (day, look) in looks {
            let (after, marks) = rotate(&listed, &RotationState::read(&tags), &seen(look, *day), LIMIT, false);
            (listed, tags) = (after, marks.write());
            assert!(tags.values().all(|value| value.len() <= 256));
            lists.push(letters(&listed));
        }
        lists
    }

    #[test]
    fn a_second_look_takes_a_new_value_and_the_overlap_ends_the_old_one() {
        let looks = [(0, "a"), (1, "b"), (2, "b"), (30, "b"), (31, "b"), (32, "b")];
        assert_eq!(history("a", &looks), ["a", "a", "ab", "ab", "b", "b"]);
    }

    #[test]
    fn what_is_seen_only_once_is_never_taken() {
        assert_eq!(history("a", &[(1, "ab"), (2, "a"), (3, "ab"), (4, "a")]), ["a", "a", "a", "a"]);
    }

    #[test]
    fn two_intermediates_in_turns_are_both_kept_for_good() {
        let mut looks = vec![(0, "ab"), (1, "ab")];
        looks.extend((2..100).map(|day| (day, if day % 2 == 0 { "a" } else { "b" })));
        assert!(history("a", &looks)[1..].iter().all(|list| list == "ab"));
    }

    #[test]
    fn a_second_look_too_soon_is_not_one() {
        let mut tags = Tags::new();
        for (minute, expected) in [(0, "a"), (59, "a"), (60, "ab")] {
            let mut look = seen("b", 0);
            look.at.0 += minute * 60;
            let (list, marks) = rotate(&list("a"), &RotationState::read(&tags), &look, LIMIT, false);
            tags = marks.write();
            assert_eq!(letters(&list), expected, "after {minute} min");
        }
    }

    #[test]
    fn nothing_is_marked_while_the_list_is_what_is_seen() {
        let (after, marks) = rotate(&list("ab"), &RotationState::default(), &seen("ab", 0), LIMIT, false);
        assert_eq!((letters(&after).as_str(), marks.write()), ("ab", Tags::new()));
    }

    #[test]
    fn the_last_value_stays_however_long_it_was_not_seen() {
        let looks: Vec<(i64, &str)> = (0..90).map(|day| (day * 10, if day % 2 == 0 { "b" } else { "c" })).collect();
        assert!(history("a", &looks).iter().all(|list| list == "a"));
    }

    #[test]
    fn room_is_made_by_what_was_missing_for_the_longest() {
        let looks = [(0, "abcd"), (1, "abc"), (2, "abcf"), (3, "abcf"), (4, "abcfg"), (5, "abcfg")];
        assert_eq!(history("abcde", &looks), ["abcde", "abcde", "abcde", "abcdf", "abcdf", "abcfg"]);
    }

    /// Every list of up to five out of seven values, every set seen, every way to be marked.
    #[test]
    fn no_look_empties_or_overfills_a_list_or_drops_a_recent_value() {
        let all = "abcdefg";
        let subsets = |limit: usize| {
            (1_u32..1 << all.len()).filter(move |bits| bits.count_ones() as usize <= limit).map(move |bits| {
                all.chars().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| c).collect::<String>()
            })
        };
        let mut checked = 0;
        for listed in subsets(LIMIT) {
            for before in subsets(LIMIT).step_by(5) {
                // The marks of any earlier look, and those of the look before this one.
                for first in ["a", "bg", "cdef"] {
                    let (list0, marks) =
                        rotate(&list(&listed), &RotationState::default(), &seen(first, 0), LIMIT, false);
                    let (list1, marks) = rotate(&list0, &marks, &seen(&before, 20), LIMIT, false);
                    for now in subsets(LIMIT).step_by(7) {
                        for at_once in [false, true] {
                            let (list2, marks2) = rotate(&list1, &marks, &seen(&now, 40), LIMIT, at_once);
                            checked += 1;
                            assert!((1..=LIMIT).contains(&list2.len()), "{listed} {before} {now}");
                            let known: BTreeSet<String> = list1.union(&list(&now)).cloned().collect();
                            assert!(list2.is_subset(&known), "only what was listed or is seen");
                            let kept: BTreeSet<String> = list1
                                .iter()
                                .filter(|value| list(&before).union(&list(&now)).any(|v| v == *value))
                                .cloned()
                                .collect();
                            assert!(kept.is_subset(&list2), "{listed} {before} {now}: {} lost some", letters(&list2));
                            assert_eq!(
                                rotate(&list2, &marks2, &seen(&now, 40), LIMIT, false),
                                (list2, marks2),
                                "quiet"
                            );
                        }
                    }
                }
            }
        }
        assert!(checked > 10_000, "{checked}");
    }
}
