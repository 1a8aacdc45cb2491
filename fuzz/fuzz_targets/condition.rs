//! See [`attestry_fuzz::policies::condition`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::policies::condition(bytes));
