//! Whole behaviours, in one binary: it links the SDK once.

mod invocation;
