//! The known names that are most like a name.

/// Returns a name without case and separators: `max_session_duration` and `MaxSessionDuration` are the same.
pub(crate) fn spelling(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).take(COMPARABLE_LENGTH).flat_map(char::to_lowercase).collect()
}

/// Returns the known name that is most similar, if one is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_few(name, known).into_iter().next()
}

/// Returns the known names that are similar, the most similar first; three at most. A name that is too long to be compared is
/// similar to none.
pub(crate) fn nearest_few<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const NEAR_ENOUGH: f64 = 0.8;
    if !is_comparable(name) {
        return Vec::new();
    }
    let lower = name.to_lowercase();
    let similarity = |candidate: &str| strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
    let mut near: Vec<(f64, &str)> = known
        .filter(|candidate| is_comparable(candidate))
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR_ENOUGH)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// Returns true if two names differ by at most so many letters, whatever their case. A name that is too long to be compared
/// differs by more.
pub(crate) fn differs_by_at_most(letters: usize, name: &str, other: &str) -> bool {
    is_comparable(name)
        && is_comparable(other)
        && strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase()) <= letters
}

/// Returns false for a name that is too long: the time of a comparison grows with the product of both lengths.
fn is_comparable(name: &str) -> bool {
    name.len() <= COMPARABLE_LENGTH
}

/// The names of properties, resource types and policies are not longer.
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

    #[test]
    fn a_megabyte_is_compared_with_no_name() {
        let name = "AmazonEKSViewPolicy";
        for (other, is_near) in [("amazonEKSVeiwPolicy", true), ("AmazonEKSEditPolicy", false), (name, true)] {
            assert_eq!(differs_by_at_most(2, other, name), is_near, "{other}");
        }
        let (longest, long) = ("n".repeat(COMPARABLE_LENGTH), "n".repeat(1_000_000));
        assert!(differs_by_at_most(0, &longest, &longest));
        assert!(!differs_by_at_most(usize::MAX, &long, name) && !differs_by_at_most(usize::MAX, name, &long));
    }
}
