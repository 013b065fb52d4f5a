//! Names in a sentence. The attribute `Warning` has room for so much, and a sentence that has none is lost.

/// The number of names in a sentence; the log names all.
const MOST: usize = 3;
/// The length of a name in a sentence, in characters.
const LONGEST: usize = 160;

/// Joins the first names, the last two of all by `last`, and counts the others, which the log names.
pub(super) fn named(names: &[String], separator: &str, last: &str) -> String {
    let shown: Vec<String> = names.iter().take(MOST).map(|name| shortened(name)).collect();
    if names.len() > MOST || shown != names {
        tracing::warn!(?names, "a sentence has no room for all of these names");
    }
    match &shown[..] {
        first if names.len() > MOST => {
            format!("{}, and {} more (see the function's log)", first.join(separator), names.len() - MOST)
        }
        [first @ .., end] if !first.is_empty() => format!("{}{last}{end}", first.join(separator)),
        one => one.concat(),
    }
}

/// A name as a sentence has room for it: the beginning and the end of a long one.
pub(super) fn shortened(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= LONGEST {
        return name.to_owned();
    }
    let (beginning, end) = (LONGEST / 2, characters.len() - (LONGEST - LONGEST / 2 - 1));
    characters[..beginning].iter().chain(&['…']).chain(&characters[end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_names_stand_in_a_sentence_and_the_others_are_counted() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let told: Vec<String> = (0..6).map(|count| named(&names[..count.min(5)], ", ", " and ")).collect();
        let more = "a, b, c, and 2 more (see the function's log)";
        assert_eq!(told, ["", "a", "a and b", "a, b and c", "a, b, c, and 1 more (see the function's log)", more]);
    }

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end() {
        assert_eq!(shortened("repo:o/r:pull_request"), "repo:o/r:pull_request");
        let long = shortened(&format!("begin{}end", "ä".repeat(1024)));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.starts_with("beginä") && long.ends_with("äend") && long.contains('…'), "{long}");
    }
}
