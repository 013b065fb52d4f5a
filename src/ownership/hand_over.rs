//! The change of an object's owner, after CloudFormation was asked.

use super::owner::{Owner, Tags, owner_tags, stack_of};

/// The tag of an object that an owner has taken over from another one.
const TAKEN_OVER: &str = "github-trust:taken-over";
/// The value of that tag where the stack had the object before.
const OF_OWN_STACK: &str = "true";
/// The value of that tag where another stack had the object, or nobody can tell.
const OF_OTHERS: &str = "of others";

/// The former owner of an object that a stack makes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// A resource of the stack.
    OwnStack,
    /// Another stack, or nobody of whom the tags tell.
    Others,
}

impl Takeover {
    /// The take-over that these tags record.
    #[must_use]
    pub fn of(tags: &Tags) -> Option<Self> {
        tags.get(TAKEN_OVER).map(|value| if value == OF_OTHERS { Self::Others } else { Self::OwnStack })
    }
}

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
    /// The object was this owner's before. Its stack had left it (`Retain`), and declares it again.
    Retained,
    /// CloudFormation shows an object of this name as this owner's, and this one is another, or was changed beyond recognition.
    Replaced,
}

impl HandOver {
    /// The tags that make an object this owner's, if it may become so.
    #[must_use]
    pub fn claim(&self, owner: &Owner, observed: &Tags) -> Option<Tags> {
        match self {
            Self::LetGo { from } | Self::Lost { from } if *from == owner_tags(observed) => {
                let is_of_stack = stack_of(from).is_some_and(|stack| stack.as_str() == owner.stack_id());
                let value = match self {
                    // The stack's tag is left: only IAM can have written it, and nobody but the stack takes it for its own.
                    Self::Lost { .. } if is_of_stack => return Some(owner.tags()),
                    _ if is_of_stack => OF_OWN_STACK,
                    _ => OF_OTHERS,
                };
                Some(claim_of(owner, value))
            }
            Self::Retained if owner.owns(observed) && Takeover::of(observed).is_none() => {
                Some(claim_of(owner, OF_OWN_STACK))
            }
            _ => None,
        }
    }

    /// The reason for which the object is not free.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        match self {
            Self::Held { from: _, why } => Some(why),
            Self::LetGo { .. } | Self::Lost { .. } | Self::Retained | Self::Replaced => None,
        }
    }
}

/// The tags of an owner that has taken over an object.
fn claim_of(owner: &Owner, from: &str) -> Tags {
    let taken_over = [(TAKEN_OVER.to_owned(), from.to_owned())];
    owner.tags().into_iter().chain(taken_over).collect()
}

#[cfg(test)]
mod tests {
    use super::super::owner::tests::owner;
    use super::*;
    use crate::cloudformation::StackId;

    #[test]
    fn an_object_whose_tags_changed_since_the_question_keeps_its_owner() {
        let (before, other, new) = (owner("Old").tags(), owner("Other").tags(), owner("New"));
        for hand_over in [HandOver::LetGo { from: before.clone() }, HandOver::Lost { from: before.clone() }] {
            assert!(hand_over.claim(&new, &before).is_some_and(|claim| new.owns(&claim)), "{hand_over:?}");
            assert_eq!(hand_over.claim(&new, &other), None, "{hand_over:?}");
        }
        assert_eq!(HandOver::Retained.claim(&new, &before), None);
        let held = HandOver::Held { from: before.clone(), why: String::new() };
        assert_eq!(held.claim(&new, &before), None);
    }

    #[test]
    fn a_claim_records_whether_the_object_was_of_the_stack() {
        let (old, new) = (owner("Old"), owner("New"));
        let other = StackId::parse("arn:aws:cloudformation:us-east-1:123456789012:stack/team-b/9c").unwrap();
        let of_others = Owner::new(&other, "Old").tags();
        let let_go = |from: &Tags| HandOver::LetGo { from: from.clone() }.claim(&new, from);
        let lost = |from: &Tags| HandOver::Lost { from: from.clone() }.claim(&new, from);
        let recorded = |claim: Option<Tags>| claim.map(|claim| Takeover::of(&claim));
        assert_eq!(recorded(let_go(&old.tags())), Some(Some(Takeover::OwnStack)));
        assert_eq!(recorded(let_go(&of_others)), Some(Some(Takeover::Others)));
        assert_eq!(recorded(lost(&of_others)), Some(Some(Takeover::Others)));
        assert_eq!(recorded(lost(&Tags::new())), Some(Some(Takeover::Others)));
        assert_eq!(lost(&old.tags()), Some(new.tags()));
        let retained = HandOver::Retained.claim(&new, &new.tags());
        assert_eq!(recorded(retained.clone()), Some(Some(Takeover::OwnStack)));
        assert_eq!(HandOver::Retained.claim(&new, &retained.unwrap()), None);
    }
}
