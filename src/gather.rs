//! What `collect` does for a map or a set, in less code: `collect` sorts first, with a sort of 4 KB for each place that it is
//! written at. All that is gathered here is small.

pub(crate) trait Gather: Iterator + Sized {
    /// Puts in one after the other; of what is there already, the last one stays.
    fn gather<B: Default + Extend<Self::Item>>(self) -> B {
        let mut all = B::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> Gather for I {}
