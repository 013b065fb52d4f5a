//! The known names that are most like a name.

/// Returns a name without case and separators: `max_session_duration` and `MaxSessionDuration` are the same.
pub(crate) fn spelling(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).take(COMPARABLE_LENGTH).flat_map(char::to_lowercase).collect()
}

/// Returns the known name that is most similar, if one is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_few(name, known).into_iter().next()
}

/// Returns the known names that are similar, the most similar first; three at most. A name of more than
/// `COMPARABLE_LENGTH` bytes is similar to none, because the time of a comparison grows with the product of both lengths.
pub(crate) fn nearest_few<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const NEAR_ENOUGH: f64 = 0.8;
    if name.len() > COMPARABLE_LENGTH {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let similarity = |candidate: &str| strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
    let mut near: Vec<(f64, &str)> = known
        .filter(|candidate| candidate.len() <= COMPARABLE_LENGTH)
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR_ENOUGH)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// The names of properties, resource types and access policies are shorter.
const COMPARABLE_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_unknown_without_a_comparison() {
        let mut compared = 0;
        let known = ["Repository"; 9].into_iter().inspect(|_| compared += 1);
        assert_eq!(nearest(&"Repository".repeat(100_000), known), None);
        assert_eq!(compared, 0);
        assert_eq!(nearest("Repositry", ["Repository"].into_iter()), Some("Repository"));
        let longest = "n".repeat(COMPARABLE_LENGTH);
        assert_eq!(nearest(&longest, [longest.as_str()].into_iter()), Some(longest.as_str()));
    }
}
