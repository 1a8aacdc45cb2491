//! See [`attestry_fuzz::inner::timestamp_response`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::timestamp_response(bytes));
