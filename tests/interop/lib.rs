//! Nothing: the tests are in `interop.rs`.
