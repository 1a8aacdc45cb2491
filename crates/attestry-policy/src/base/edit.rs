//! Changing a catalog file: `attestry base add` and `attestry base set-status`.
//!
//! Only the catalog's own document is written anew; other documents of the file stay as they are, byte for byte.
//! Comments inside the catalog's document are lost, those before its first field are kept.
