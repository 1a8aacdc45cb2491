//! See [`attestry_fuzz::documents::statement`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::statement(bytes));
