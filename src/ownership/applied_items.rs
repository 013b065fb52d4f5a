//! The items that we applied to an object, recorded in one of its tags.

use std::collections::BTreeSet;
use std::fmt;

use super::owner::digest;

/// A record of the items that we applied to an object, in one tag: a fixed number of characters for each item.
///
/// Others may attach policies to our role or tag it; what they did is not ours to undo, and the request does not say
/// reliably what we did before (`OldResourceProperties` is wrong after a skipped rollback). So it stands on the object.
///
/// `WIDTH` characters of five bits each: wide enough that a stranger's item is not taken for ours by chance. More items than
/// fit a tag like that are cut to what does, with a number that says so in front of them: while many policies are being
/// exchanged for as many others, the record names both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedItems<const WIDTH: usize> {
    /// None of them begins another one.
    items: BTreeSet<String>,
}

/// The longest value of a tag.
const VALUE: usize = 256;
/// Stands behind the number; no item holds it.
const CUT: char = '.';

impl<const WIDTH: usize> AppliedItems<WIDTH> {
    /// Records these items.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self { items: items.into_iter().map(|item| digest(&[item], WIDTH)).collect() }
    }

    /// Reads a tag's value; what is not a whole item is not read.
    #[must_use]
    pub fn read(value: Option<&String>) -> Self {
        let value = value.map_or("", String::as_str);
        let cut = value.split_once(CUT).and_then(|(width, items)| Some((width.parse().ok()?, items)));
        let (width, items) = cut.filter(|(width, _)| (1..=WIDTH).contains(width)).unwrap_or((WIDTH, value));
        let items = items.as_bytes().chunks_exact(width);
        Self { items: items.filter_map(|item| String::from_utf8(item.to_vec()).ok()).collect() }
    }

    /// Returns true if we applied the item.
    #[must_use]
    pub fn contains(&self, item: &str) -> bool {
        let item = digest(&[item], WIDTH);
        // Of all items that could begin it, the last one before it is the only one that may.
        self.items.range(..=item.clone()).next_back().is_some_and(|known| item.starts_with(known.as_str()))
    }

    /// Both together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut items: Vec<String> = self.items.union(&other.items).cloned().collect();
        // The same item may be cut in one of both only; what begins another stands right before it.
        items.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        Self { items: items.into_iter().collect() }
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns true if there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<const WIDTH: usize> fmt::Display for AppliedItems<WIDTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = self.items.iter().map(String::len).min().unwrap_or(WIDTH);
        let fits = if self.items.len() * WIDTH <= VALUE { WIDTH } else { (VALUE - 2) / self.items.len() };
        let width = fits.min(shortest).max(1);
        if width < WIDTH {
            write!(f, "{width}{CUT}")?;
        }
        let cut: BTreeSet<&str> = self.items.iter().filter_map(|item| item.get(..width)).collect();
        cut.into_iter().try_for_each(|item| f.write_str(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_survives_the_tag() {
        let applied = AppliedItems::<8>::of((0..32).map(|index| ["a", "b", "c", "d"][index % 4]).chain(["e"]));
        let read = AppliedItems::read(Some(&applied.to_string()));
        assert_eq!(read, applied);
        assert!(read.contains("a") && !read.contains("f") && !read.is_empty());
        assert!(AppliedItems::<8>::of([]).is_empty());
        assert_eq!(AppliedItems::read(None), AppliedItems::<8>::default());
    }

    #[test]
    fn more_items_than_fit_a_tag_are_cut_and_known_all_the_same() {
        let names = |from: usize, to: usize| (from..to).map(|index| format!("policy-{index}")).collect::<Vec<_>>();
        let applied = |names: &[String]| AppliedItems::<8>::of(names.iter().map(String::as_str));
        let (old, new) = (names(0, 25), names(25, 50));
        let both = applied(&old).union(&applied(&new));
        let written = both.to_string();
        assert!(written.starts_with("5.") && written.len() <= 256, "{written}");
        let read = AppliedItems::<8>::read(Some(&written));
        assert_eq!((read.len(), read.to_string()), (50, written));
        assert!(old.iter().chain(&new).all(|name| read.contains(name)));
        assert!(!names(50, 1000).iter().any(|name| read.contains(name)));
        // An interruption, and a third declaration: those that are known by their beginnings stay known once.
        let third = read.union(&applied(&names(40, 75)));
        assert_eq!(third.len(), 75);
        assert!(names(0, 75).iter().all(|name| third.contains(name)));
        let written = third.to_string();
        assert!(written.starts_with("3.") && written.len() <= 256, "{written}");
        assert!(names(0, 75).iter().all(|name| AppliedItems::<8>::read(Some(&written)).contains(name)));
        for count in 33..300 {
            assert!(applied(&names(0, count)).to_string().len() <= 256, "{count} items");
        }
        // As many as fit are written as ever.
        assert_eq!(applied(&names(0, 32)).to_string().len(), 256);
    }
}
