//! A certificate authority in the shape of Fulcio.
