//! Mistakes in the properties of a request: the property, the allowed values, and the value that was found.

use std::collections::BTreeSet;
use std::fmt;

/// One mistake in the properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A required property is absent.
    #[error("`{path}` is required: {expected}")]
    Missing {
        /// The property, from the top.
        path: String,
        /// The allowed values.
        expected: String,
    },
    /// A value that is not allowed.
    #[error("`{path}`: expected {expected}, found {found}")]
    Invalid {
        /// The property, from the top.
        path: String,
        /// The allowed values.
        expected: String,
        /// The value, cut to a readable length.
        found: String,
    },
    /// A property that the resource type does not have.
    #[error("unknown property `{path}`; {}", match (meant, nearest) { (Some(name), _) => format!("use `{name}`"), (None, Some(name)) => format!("did you mean `{name}`?"), (None, None) => format!("allowed are {}", known.join(", ")) })]
    Unknown {
        /// The property, from the top.
        path: String,
        /// The property that the word of another tool stands for.
        meant: Option<&'static str>,
        /// The allowed name that is most similar.
        nearest: Option<&'static str>,
        /// The allowed names.
        known: Vec<&'static str>,
    },
}

impl PropertyError {
    /// The property, from the top.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Missing { path, .. } | Self::Invalid { path, .. } | Self::Unknown { path, .. } => path,
        }
    }

    /// The property to use in place of an unknown one.
    fn suggestion(&self) -> Option<&'static str> {
        let Self::Unknown { meant, nearest, .. } = self else { return None };
        (*meant).or(*nearest)
    }
}

/// The mistakes of one request. The first [`Self::LIMIT`] are kept and the others counted, because an event of a few megabytes
/// can hold a million of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct PropertyErrors {
    first: Vec<PropertyError>,
    omitted: usize,
}

impl PropertyErrors {
    /// The number of mistakes that are kept. A response has room for fewer.
    pub const LIMIT: usize = 50;

    /// The mistakes that are kept.
    #[must_use]
    pub fn kept(&self) -> &[PropertyError] {
        &self.first
    }

    /// Adds a mistake. `error` is called only for a mistake that is kept.
    pub(super) fn push(&mut self, error: impl FnOnce() -> PropertyError) {
        if self.first.len() < Self::LIMIT {
            self.first.push(error());
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        for error in other.first {
            self.push(|| error);
        }
        self.omitted += other.omitted;
    }

    /// Removes the absences of an object that follow from its misspelt names: of a property that is suggested, and of one that
    /// this property can stand for.
    pub(super) fn remove_followers(&mut self, path: &str, any_of: &[&[&str]]) {
        let is_of_object = |error: &&PropertyError| error.path().rfind('.').map_or(0, |dot| dot + 1) == path.len();
        let suggested = self.first.iter().filter(is_of_object).filter_map(PropertyError::suggestion);
        let followers: BTreeSet<String> = suggested
            .flat_map(|name| {
                let groups = any_of.iter().filter(move |group| group.contains(&name));
                groups.flat_map(|group| group.iter().copied()).chain([name])
            })
            .map(|name| format!("{path}{name}"))
            .collect();
        self.first.retain(|error| !matches!(error, PropertyError::Missing { path, .. } if followers.contains(path)));
    }

    /// Puts the misspelt properties first: the other mistakes may follow from them.
    pub(super) fn put_misspelt_first(&mut self) {
        self.first.sort_by_key(|error| error.suggestion().is_none());
    }

    pub(super) fn contains(&self, error: &PropertyError) -> bool {
        self.first.contains(error)
    }

    /// The number of mistakes.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.omitted
    }
}

impl fmt::Display for PropertyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.first.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        if self.omitted > 0 {
            write!(f, "; and {} more mistakes", self.omitted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_mistakes_are_counted_but_not_kept() {
        let (mut errors, mut calls) = (PropertyErrors::default(), 0);
        for _ in 0..1_000_000 {
            errors.push(|| {
                calls += 1;
                PropertyError::Missing { path: "A".to_owned(), expected: "a thing".to_owned() }
            });
        }
        assert_eq!((errors.first.len(), calls, errors.len()), (50, 50, 1_000_000));
        assert!(errors.to_string().ends_with("`A` is required: a thing; and 999950 more mistakes"));
        let mut both = PropertyErrors::default();
        both.append(errors.clone());
        both.append(errors);
        assert_eq!(both.len(), 2_000_000);
    }
}
