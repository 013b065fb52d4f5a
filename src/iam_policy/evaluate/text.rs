//! A condition's value as IAM reads it: `*` and `?` are wildcards to some operators, `${…}` is a policy variable, and
//! `${*}`, `${?}` and `${$}` are the characters themselves.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>.

/// One character of a value, or a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This character.
    Literal(char),
    /// Any one character.
    One,
    /// Any characters, or none.
    Any,
}

/// Reads a value in which nothing but wildcards is special.
pub(super) fn wild(value: &str) -> Vec<Piece> {
    value.chars().map(piece).collect()
}

fn piece(character: char) -> Piece {
    match character {
        '*' => Piece::Any,
        '?' => Piece::One,
        other => Piece::Literal(other),
    }
}

/// Reads a value with variables, which `lookup` resolves. Nothing where one of them has no value: then the condition is
/// not met.
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

/// The value to an operator that knows no wildcards.
pub(super) fn literal(pieces: &[Piece]) -> String {
    let character = |piece: &Piece| match piece {
        Piece::Literal(character) => *character,
        Piece::One => '?',
        Piece::Any => '*',
    };
    pieces.iter().map(character).collect()
}

/// `StringLike`: every state that the pattern can be in is followed through the text, so that no pattern takes long.
pub(super) fn like(pattern: &[Piece], text: &str) -> bool {
    let close = |states: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if states[at] && pattern[at] == Piece::Any {
                states[at + 1] = true;
            }
        }
    };
    let mut states = vec![false; pattern.len() + 1];
    states[0] = true;
    close(&mut states);
    for character in text.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (at, piece) in pattern.iter().enumerate().filter(|(at, _)| states[*at]) {
            match piece {
                Piece::Any => next[at] = true,
                Piece::One => next[at + 1] = true,
                Piece::Literal(literal) => next[at + 1] |= *literal == character,
            }
        }
        close(&mut next);
        states = next;
    }
    states[pattern.len()]
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
            ("", "", true),
            ("**", "x", true),
            ("main", "main-x", false),
            ("M", "m", false),
        ] {
            assert_eq!(like(&wild(pattern), text), matches, "{pattern} {text}");
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
