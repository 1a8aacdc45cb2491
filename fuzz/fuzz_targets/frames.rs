//! See [`attestry_fuzz::inner::frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::frames(bytes));
