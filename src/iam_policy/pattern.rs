//! A value that a condition of a trust policy compares with a claim: to the letter, unless the author wrote wildcards.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

use std::fmt;

use super::string_like::{covers, overlap};

#[cfg(test)]
thread_local! {
    /// The comparisons of two values, for the worst cases of [`super::trust_policy`].
    pub(crate) static COMPARISONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A value with which a claim is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    text: String,
    wild: bool,
    /// True if no wildcard stands for a colon.
    within_words: bool,
}

impl Pattern {
    /// A value whose `*` and `?` are wildcards.
    #[must_use]
    pub fn written(text: &str) -> Self {
        Self { text: text.to_owned(), wild: text.contains(['*', '?']), within_words: false }
    }

    /// A value of a claim, of which only a `*` is a wildcard.
    #[must_use]
    pub fn of_claim(text: &str) -> Self {
        Self { text: text.to_owned(), wild: text.contains('*'), within_words: false }
    }

    /// A subject whose wildcards stay within one of the words between its colons.
    #[must_use]
    pub fn within_words(text: &str) -> Self {
        let written = Self::written(text);
        Self { within_words: written.wild, ..written }
    }

    /// The value as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true for a value with wildcards.
    #[must_use]
    pub fn is_wild(&self) -> bool {
        self.wild
    }

    /// The pattern that a text must not match if no wildcard of this value stands for a colon: one of more colons.
    #[must_use]
    pub fn too_many_words(&self) -> Option<String> {
        self.within_words.then(|| "*:".repeat(self.colons() + 1) + "*")
    }

    fn colons(&self) -> usize {
        self.text.bytes().filter(|byte| *byte == b':').count()
    }

    /// As a condition's value: IAM would read `${` as the beginning of a policy variable.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
    #[must_use]
    pub fn condition_value(&self) -> String {
        self.text.replace("${", "${$}{")
    }

    /// Reads a condition's value.
    #[must_use]
    pub fn from_condition(value: &str, wild: bool) -> Self {
        Self { text: value.replace("${$}", "$"), wild, within_words: false }
    }

    /// The same, but its wildcards stand for no colon.
    #[must_use]
    pub(super) fn kept_within_words(self) -> Self {
        Self { within_words: self.wild, ..self }
    }

    /// Returns true if this value matches every value that `other` matches. A pattern is compared with a pattern as
    /// text, which can miss some, but never claims too much.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        #[cfg(test)]
        COMPARISONS.set(COMPARISONS.get() + 1);
        self == other || (self.wild && self.has_room_for(other) && covers(&self.text, &other.text))
    }

    /// The values that both match, where one of the two covers the other.
    #[must_use]
    pub fn narrower(&self, other: &Self) -> Option<Self> {
        if self.covers(other) { Some(other.clone()) } else { other.covers(self).then(|| self.clone()) }
    }

    /// Returns true if some value matches both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self == other || ((self.wild || other.wild) && overlap(&self.text, &other.text))
    }

    /// Returns true if the colons of `other` are where this value has them.
    fn has_room_for(&self, other: &Self) -> bool {
        let is_fixed = !other.wild || other.within_words;
        !self.within_words || (is_fixed && self.colons() == other.colons())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_variable_is_not_read_into_a_branch_name() {
        let subject = Pattern::written("repo:o/r:ref:refs/heads/${aws:username}");
        assert_eq!(subject.condition_value(), "repo:o/r:ref:refs/heads/${$}{aws:username}");
        assert_eq!(Pattern::from_condition(&subject.condition_value(), false), subject);
    }

    #[test]
    fn a_pattern_covers_what_it_matches_and_an_exact_value_only_itself() {
        for (wide, narrow, covered) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("a/*c", "a/bcbc", true),
            ("a/*c", "a/bcb", false),
            ("a/?", "a/b", true),
            ("a/?", "a/*", false),
            ("a/*", "a/b/*", true),
            ("a/b/*", "a/*", false),
            ("a/b", "a/*", false),
        ] {
            assert_eq!(Pattern::written(wide).covers(&Pattern::written(narrow)), covered, "{wide} {narrow}");
        }
    }

    #[test]
    fn wildcards_within_words_cover_no_further_word() {
        let (open, kept) = (Pattern::written("repo:o/*:ref:x"), Pattern::within_words("repo:o/*:ref:x"));
        for (narrow, covered) in [("repo:o/r:ref:x", true), ("repo:o/r:environment:e:ref:x", false)] {
            assert_eq!(kept.covers(&Pattern::written(narrow)), covered, "{narrow}");
            assert!(open.covers(&Pattern::written(narrow)), "{narrow}");
        }
        assert!(open.covers(&kept) && !kept.covers(&open));
        assert_eq!(kept.too_many_words().as_deref(), Some("*:*:*:*:*"));
        assert_eq!((open.too_many_words(), Pattern::within_words("a:b").too_many_words()), (None, None));
    }
}
