//! The change of an object's owner, after CloudFormation was asked.

use super::owner::{Owner, Tags, owner_tags};

/// The tag of an object that an owner has taken over from another one.
pub const TAKEN_OVER: &str = "github-trust:taken-over";

/// The answer to the question of whether an object may become another owner's. It holds for the owner's tags that it was
/// asked about, and for no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// The former owner is gone, or has let go.
    LetGo {
        /// The owner's tags.
        from: Tags,
    },
    /// Somebody holds it.
    Held {
        /// The owner's tags.
        from: Tags,
        /// The reason.
        why: String,
    },
    /// The object is this owner's, and has lost its owner's tags.
    Lost {
        /// The owner's tags that are left.
        from: Tags,
    },
    /// CloudFormation shows an object of this name as this owner's, and this one is another, or was changed beyond recognition.
    Replaced,
}

impl HandOver {
    /// The tags that make an object this owner's, if it may become so.
    #[must_use]
    pub fn claim(&self, owner: &Owner, observed: &Tags) -> Option<Tags> {
        match self {
            Self::LetGo { from } if *from == owner_tags(observed) => {
                let mut claim = owner.tags();
                claim.insert(TAKEN_OVER.to_owned(), "true".to_owned());
                Some(claim)
            }
            Self::Lost { from } if *from == owner_tags(observed) => Some(owner.tags()),
            _ => None,
        }
    }

    /// The reason for which the object is not free.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        match self {
            Self::Held { from: _, why } => Some(why),
            Self::LetGo { .. } | Self::Lost { .. } | Self::Replaced => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::owner;
    use super::*;

    #[test]
    fn an_object_whose_tags_changed_since_the_question_keeps_its_owner() {
        let (before, other, new) = (owner("Old").tags(), owner("Other").tags(), owner("New"));
        for hand_over in [HandOver::LetGo { from: before.clone() }, HandOver::Lost { from: before.clone() }] {
            assert!(hand_over.claim(&new, &before).is_some_and(|claim| new.owns(&claim)), "{hand_over:?}");
            assert_eq!(hand_over.claim(&new, &other), None, "{hand_over:?}");
        }
        let held = HandOver::Held { from: before.clone(), why: String::new() };
        assert_eq!(held.claim(&new, &before), None);
    }
}
