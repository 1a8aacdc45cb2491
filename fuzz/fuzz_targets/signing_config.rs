//! See [`attestry_fuzz::keys::signing_config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::keys::signing_config(bytes));
