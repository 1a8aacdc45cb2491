//! See [`attestry_fuzz::inner::refusal`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::refusal(bytes));
