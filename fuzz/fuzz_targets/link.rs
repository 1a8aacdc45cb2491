//! See [`attestry_fuzz::inner::link`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::link(bytes));
