//! See [`attestry_fuzz::keys::cosign_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::keys::cosign_key(bytes));
