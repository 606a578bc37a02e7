//! The rewriter from outside: its rules by table, its cuts by exhaustion, and an oracle over random
//! documents.
#![allow(clippy::unwrap_used)]

mod assistants;
mod catalogue;
mod columns;
mod cuts;
mod documents;
mod envelope;
mod lengths;
mod lines;
mod members;
mod oracle;
mod properties;
mod refusals;
mod rows;
mod setting;
mod tree;
mod unlisted;
mod vectors;
