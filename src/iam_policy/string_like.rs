//! The values of conditions and the comparison `StringLike`: `*` and `?` are wildcards, `${…}` is a policy variable, and
//! `${*}`, `${?}` and `${$}` are the characters themselves.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.

use std::cell::Cell;

thread_local! {
    /// The steps of all comparisons, for those who stop after too many.
    pub(crate) static STEPS: Cell<usize> = const { Cell::new(0) };
}

fn count(steps: usize) {
    STEPS.set(STEPS.get().wrapping_add(steps));
}

/// A character of a pattern, or a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The character itself.
    Literal(char),
    /// `?`: any one character.
    One,
    /// `*`: any number of characters.
    Any,
}

/// Parses a pattern in which nothing but wildcards is special.
#[must_use]
pub fn wild(pattern: &str) -> Vec<Piece> {
    pattern.chars().map(piece).collect()
}

fn piece(character: char) -> Piece {
    match character {
        '*' => Piece::Any,
        '?' => Piece::One,
        other => Piece::Literal(other),
    }
}

/// Parses a value with variables, which `lookup` resolves. Returns `None` if one of them has no value: then the condition
/// is not met.
pub(super) fn with_variables(value: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        pieces.extend(rest[..start].chars().map(piece));
        let name = &rest[start + 2..start + length];
        // `${key, 'default'}`
        let (name, default) = match name.split_once(',') {
            Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\'').to_owned())),
            None => (name, None),
        };
        let text = match name {
            "*" | "?" | "$" => name.to_owned(),
            _ => lookup(name).or(default)?,
        };
        pieces.extend(text.chars().map(Piece::Literal));
        rest = &rest[start + length + 1..];
    }
    pieces.extend(rest.chars().map(piece));
    Some(pieces)
}

/// The value for an operator without wildcards.
pub(super) fn literal(pieces: &[Piece]) -> String {
    let character = |piece: &Piece| match piece {
        Piece::Literal(character) => *character,
        Piece::One => '?',
        Piece::Any => '*',
    };
    pieces.iter().map(character).collect()
}

/// `StringLike` of a whole pattern and a text.
#[must_use]
pub fn string_like(pattern: &str, text: &str) -> bool {
    like(&wild(pattern), text)
}

/// `StringLike`.
pub(super) fn like(pattern: &[Piece], text: &str) -> bool {
    compare(pattern, text, |_| true).0
}

/// Returns true if a pattern matches every text that another pattern matches, as far as their characters tell: a `?` does
/// not match the `*` of the other one.
pub(super) fn covers(pattern: &str, other: &str) -> bool {
    compare(&wild(pattern), other, |character| character != '*').0
}

/// Returns true if some text matches both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (wild(one), wild(other));
    count((one.len() + 1) * (other.len() + 1));
    // For each place in `other`, whether the rest of both overlaps.
    let mut rest: Vec<bool> = vec![false; other.len() + 1];
    for at in (0..=one.len()).rev() {
        let behind = std::mem::replace(&mut rest, vec![false; other.len() + 1]);
        for at_other in (0..=other.len()).rev() {
            let next = rest.get(at_other + 1).copied().unwrap_or_default();
            rest[at_other] = match (one.get(at), other.get(at_other)) {
                (None, None) => true,
                (Some(Piece::Any), _) | (_, Some(Piece::Any)) => behind[at_other] || next,
                (Some(Piece::Literal(one)), Some(Piece::Literal(other))) if one != other => false,
                (Some(_), Some(_)) => behind.get(at_other + 1).copied().unwrap_or_default(),
                (None, Some(_)) | (Some(_), None) => false,
            };
        }
    }
    rest[0]
}

/// Compares with one place to go back to: behind the last `*`, because an earlier `*` can take no character that the last
/// one cannot. So a comparison takes at most pattern × text steps, which are counted. `one` tells the characters that a `?`
/// stands for.
fn compare(pattern: &[Piece], text: &str, one: impl Fn(char) -> bool) -> (bool, usize) {
    let (fits, steps) = walk(pattern, text, one);
    count(steps);
    (fits, steps)
}

fn walk(pattern: &[Piece], text: &str, one: impl Fn(char) -> bool) -> (bool, usize) {
    let (mut at_pattern, mut rest, mut steps) = (0, text, 0);
    let mut last_any: Option<(usize, &str)> = None;
    while let Some((character, behind)) = split_first(rest) {
        steps += 1;
        let fits = match pattern.get(at_pattern) {
            Some(Piece::Any) => {
                at_pattern += 1;
                last_any = Some((at_pattern, rest));
                continue;
            }
            Some(Piece::One) => one(character),
            Some(Piece::Literal(literal)) => *literal == character,
            None => false,
        };
        if fits {
            (at_pattern, rest) = (at_pattern + 1, behind);
        } else {
            let Some((resume, reached)) = last_any else { return (false, steps) };
            // The `*` takes one character more.
            let (_, further) = split_first(reached).unwrap_or_default();
            last_any = Some((resume, further));
            (at_pattern, rest) = (resume, further);
        }
    }
    (pattern[at_pattern..].iter().all(|piece| *piece == Piece::Any), steps)
}

/// The first character of a text, and the rest.
fn split_first(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    Some((characters.next()?, characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_span_everything_and_may_be_empty() {
        for (pattern, text, matches) in [
            ("a*", "a", true),
            ("a*", "a/b:c", true),
            ("a?", "a", false),
            ("a?c", "abc", true),
            ("*b*b", "abab", true),
            ("*b*b", "aba", false),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("", "", true),
            ("*", "", true),
            ("**", "x", true),
            ("main", "main-x", false),
            ("M", "m", false),
            ("ä*", "äß", true),
            ("ä?", "äß", true),
            ("*/_services/token", "ghe.example.com/_services/token", true),
        ] {
            assert_eq!(string_like(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn the_steps_of_a_comparison_are_counted() {
        for (pattern, text, result) in
            [("abc", "abc", (true, 3)), ("abc", "abd", (false, 3)), ("*c", "abc", (true, 4)), ("", "a", (false, 1))]
        {
            STEPS.set(0);
            assert_eq!(compare(&wild(pattern), text, |_| true), result, "{pattern} {text}");
            assert_eq!(STEPS.get(), result.1, "{pattern} {text}");
        }
        STEPS.set(0);
        assert!(!overlap("ab", "cde"));
        assert_eq!(STEPS.get(), 3 * 4);
    }

    #[test]
    fn a_policy_full_of_stars_takes_pattern_times_text_steps_at_most() {
        let name = "octo-org/".to_owned() + &"a".repeat(100);
        for pattern in [
            "*".repeat(2048),
            format!("{}!", "*".repeat(2047)),
            format!("octo-org/{}b", "*a".repeat(1000)),
            format!("{}!", "*a?".repeat(682)),
            format!("{}b", "?*".repeat(1000)),
        ] {
            let (_, steps) = compare(&wild(&pattern), &name, |_| true);
            assert!(steps <= pattern.len() * name.len(), "{steps} steps for {pattern}");
        }
    }

    #[test]
    fn a_pattern_covers_another_one_as_text() {
        for (pattern, other, expected) in
            [("a*", "a/b*", true), ("a?", "a*", false), ("a?", "a?", true), ("*", "?", true)]
        {
            assert_eq!(covers(pattern, other), expected, "{pattern} {other}");
        }
    }

    #[test]
    fn patterns_overlap_where_one_text_matches_both() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("refs/heads/release/*", "refs/heads/*/1", true),
            ("refs/heads/*", "refs/tags/*", false),
            ("a?c", "abc", true),
            ("a?", "a", false),
            ("a?", "a*", true),
            ("a*", "a", true),
            ("*a", "b*", true),
            ("", "*", true),
            ("", "?", false),
            ("*", "*", true),
            ("a*b*c", "a?c", true),
            ("a*b*c", "adc", false),
            ("a*b*c", "ab?c", true),
        ] {
            assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn variables_are_replaced_and_an_unknown_one_meets_nothing() {
        let lookup = |name: &str| (name == "k").then(|| "v*".to_owned());
        assert_eq!(with_variables("a${k}b${$}{x}", lookup).map(|pieces| literal(&pieces)), Some("av*b${x}".to_owned()));
        assert!(like(&with_variables("${k}", lookup).unwrap(), "v*"));
        assert!(!like(&with_variables("${k}", lookup).unwrap(), "vx"));
        assert!(!like(&with_variables("${*}", lookup).unwrap(), "x"));
        assert_eq!(with_variables("${other}", lookup), None);
        assert_eq!(with_variables("${other, 'd'}", lookup).map(|pieces| literal(&pieces)), Some("d".to_owned()));
    }
}
