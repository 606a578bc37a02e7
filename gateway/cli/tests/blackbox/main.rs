//! The gateway as the outside meets it: the real binary, real upstreams, bytes on sockets.
//!
//! One crate, so that it is linked once. Each test names the rows of the checklist that it proves.
//! The support of these tests is in `../support`; nothing here knows the product's crates.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod credential_forms;
mod samples;
