//! See [`attestry_fuzz::inner::admission`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::admission(bytes));
