//! See [`attestry_fuzz::documents::base64`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::base64(bytes));
