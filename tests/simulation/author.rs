//! Who did it. The simulation knows independently of any tag: by which stack's event was being handled.

/// The cause of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Author {
    /// A person, another tool, AWS itself.
    Someone,
    /// Our function, handling an event of this resource.
    Resource { stack: String, logical: String },
    /// Our function, on its schedule.
    Upkeep,
}

impl Author {
    pub(crate) fn resource(stack: &str, logical: &str) -> Self {
        Self::Resource { stack: stack.to_owned(), logical: logical.to_owned() }
    }

    /// Whether our function did it.
    pub(crate) fn is_ours(&self) -> bool {
        *self != Self::Someone
    }
}
