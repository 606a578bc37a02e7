//! What the fuzz targets do with their bytes, each held against something that was written another way.
//!
//! A target in `fuzz_targets` is one call of a `run` here, so that the seeds, and whatever was ever
//! found, run as plain tests too: `cargo test --manifest-path fuzz/Cargo.toml --lib`.
//!
//! The rewriter is held against the oracle of its own tests (`oracle.rs`: parse everything, delete,
//! print) and against a second one that also reads hidden values (`lenient`). `docs/architecture.md` has
//! the table of targets and the commands.
//!
//! Not here: parsers that no crate makes public, such as the proxy's for heads and chunks; their
//! properties are tested beside them.

pub mod catalogue;
pub mod directory;
pub mod hidden;
pub mod lines;
pub mod query;
pub mod request;
pub mod rewrite;
pub mod settings;
pub mod target;
pub mod visibility;

mod cuts;
mod draw;
mod faults;
mod lenient;
#[cfg(test)]
mod seeds;

#[path = "../../gateway/rewrite/tests/rewrite/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../../gateway/rewrite/tests/rewrite/setting.rs"]
mod setting;
#[path = "../../gateway/rewrite/tests/rewrite/tree.rs"]
mod tree;
#[allow(dead_code)]
#[path = "../../gateway/policy/tests/admission/world.rs"]
mod world;

/// What a target does with one input.
pub type Run = fn(&[u8]);

/// Every target, by the name of its binary and of its folder of seeds.
pub const TARGETS: [(&str, Run); 10] = [
    ("catalogue", catalogue::run),
    ("directory", directory::run),
    ("hidden", hidden::run),
    ("lines", lines::run),
    ("query", query::run),
    ("request", request::run),
    ("rewrite", rewrite::run),
    ("settings", settings::run),
    ("target", target::run),
    ("visibility", visibility::run),
];
