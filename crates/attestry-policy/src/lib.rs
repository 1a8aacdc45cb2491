//! Policy documents and the judgement of images by them.
//!
//! This crate is pure: documents, evidence and `now` come in, a review goes out. It knows no socket, file, clock or
//! environment.
//!
//! Where to start reading:
//!
//! 1. [`document`]: the documents as they are written, and their JSON Schema. [`source`] reads them from YAML.
//! 2. [`compile`]: documents to one immutable [`PolicySet`], named by its digest. [`pattern`], [`condition`] and
//!    [`base`] are the parts of it that match something.
//! 3. [`review`]: what evidence is needed, and the verdict over it. [`mod@answer`]: what follows from the verdict.
//!    [`mod@demand`]: what `verify --key` and `--identity` mean as a policy.
//! 4. [`lint`]: what is allowed but probably not meant. [`cases`]: the format of policy test cases.
//! 5. [`error`]: what is wrong with a document, with its place.

pub mod answer;
pub mod base;
pub mod cases;
pub mod compile;
pub mod condition;
pub mod demand;
pub mod document;
mod duration;
pub mod error;
pub mod lint;
pub mod pattern;
pub mod review;
pub mod source;

pub use answer::{NoPolicy, Strictness, Tagged, answer};
pub use compile::{Namespace, PolicySet};
pub use demand::{Demand, Signer};
pub use error::{PolicyErrors, Problem};
pub use review::{ReviewRequest, Session};
pub use source::SourceFile;
