//! See [`attestry_fuzz::documents::strict_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::strict_json(bytes));
