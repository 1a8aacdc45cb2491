//! A certificate transparency log that promises and keeps nothing.
