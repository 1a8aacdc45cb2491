//! See [`attestry_fuzz::keys::identity_token`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::keys::identity_token(bytes));
