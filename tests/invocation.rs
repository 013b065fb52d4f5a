//! Recorded events through the handler.
