//! Licences, banned crates and sources, by cargo-deny (`deny.toml`).
//!
//! Nothing here goes to the network: licences, bans and sources are read from the lock file and the
//! crates at hand; advisories only where a copy of their database is.

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::{Verdict, Workspace, run};

/// Runs what can be run offline.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if !workspace.has_cargo("deny") {
        return Ok(Verdict::Skipped("cargo-deny not installed".into()));
    }
    deny(workspace, &["licenses", "bans", "sources"])?;
    if !advisories_at_hand() {
        return Ok(Verdict::Passed(
            "licences, bans, sources; skipped: no advisory database at hand".into(),
        ));
    }
    deny(workspace, &["advisories"])?;
    Ok(Verdict::Passed("licences, bans, sources, advisories".into()))
}

fn deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let mut cargo =
        workspace.cargo(&["deny", "--offline", "--workspace", "check", "--hide-inclusion-graph"]);
    if checks.contains(&"advisories") {
        cargo.arg("--disable-fetch");
    }
    run(cargo.args(checks))
}

/// Where `cargo deny fetch` puts its databases.
fn advisories_at_hand() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let databases = home.map(|home| home.join("advisory-dbs"));
    databases
        .and_then(|path| path.read_dir().ok())
        .is_some_and(|mut entries| entries.next().is_some())
}
