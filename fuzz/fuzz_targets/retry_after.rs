//! See [`attestry_fuzz::documents::retry_after`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::retry_after(bytes));
