//! The admin API through its router, on a real embedded store in a folder of the test's own.
#![allow(clippy::unwrap_used)]

mod accounts;
mod callers;
mod columns;
mod document;
mod errors;
mod file;
mod gone;
mod lifecycle;
mod listing;
mod node;
mod secrecy;
mod served;
mod support;
mod usage;
