//! See [`attestry_fuzz::documents::cosign_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::cosign_key(bytes));
