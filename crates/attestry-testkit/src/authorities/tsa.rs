//! A timestamp authority (RFC 3161).
