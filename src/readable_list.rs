//! Lists as people read them, in log lines and reasons.

use std::collections::BTreeMap;
use std::fmt::Display;

/// The items after one another, or `none`.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// Tags as `key=value`, or `none`.
pub(crate) fn tag_list(tags: &BTreeMap<String, String>) -> String {
    list(tags.iter().map(|(key, value)| format!("{key}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_none_and_tags_are_pairs() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(Vec::<String>::new()), "none");
        assert_eq!(tag_list(&BTreeMap::from([("a".to_owned(), "1".to_owned())])), "a=1");
    }
}
