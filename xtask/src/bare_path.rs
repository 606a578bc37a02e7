//! The promise that the tree builds on a machine with Rust and a C compiler, and nothing else; and that
//! what the image's build gets of it is enough.
//!
//! A crate that quietly starts cmake, make, perl or pkg-config builds here and fails there. So the
//! PATH of this build is one folder of links, and its target directory is its own: what another
//! build left behind would hide a build script that fails.
//!
//! Cost: the whole tree once more, without optimisation, which changes nothing about what is started.
//! Offline: the crates must be at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::image;
use crate::workspace::{Verdict, Workspace, count, run, text_of};

/// What may be on the PATH. `as` is cc's own: it looks for it there when it compiles C.
const TOOLS: [&str; 6] = ["cargo", "rustc", "cc", "ar", "ld", "as"];

/// Variables that cargo and cc cannot do without.
const KEPT: [&str; 7] = [
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "TMPDIR",
    "CARGO_BUILD_JOBS",
    "CARGO_INCREMENTAL",
    "CARGO_TERM_COLOR",
];

/// Builds the binary with the bare PATH, from the image's context.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    run(&mut workspace.cargo(&["fetch", "--quiet", "--locked"]))?;
    let target = workspace.target_dir()?.join("bare-path");
    let (context, files) = image::context(workspace)?;
    let path = target.join("path");
    let tools = tools()?;
    link(&path, &tools)?;
    // From nothing: only so does every build script run.
    let built = target.join("build");
    if built.exists() {
        std::fs::remove_dir_all(&built)
            .context("cannot clear the target directory of the bare build")?;
    }
    let mut command = Command::new(path.join("cargo"));
    command.args([
        "build",
        "--quiet",
        "--package",
        "colonnade",
        "--features",
        "otel",
        "--locked",
        "--offline",
        "--target-dir",
    ]);
    command.arg(&built).current_dir(&context).stdin(Stdio::null());
    command.args([
        "--config",
        "profile.dev.debug=false",
        "--config",
        "profile.dev.package.\"*\".opt-level=0",
    ]);
    command.env_clear().env("PATH", &path);
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let result = run(&mut command);
    // Half a gigabyte that nobody needs again.
    let _ = std::fs::remove_dir_all(&target);
    let _ = std::fs::remove_dir_all(&context);
    result?;
    let tools = TOOLS.join(", ");
    Ok(Verdict::Passed(format!("built from {} with {tools}", count(files, "file"))))
}

/// Where each tool is. The toolchain's own cargo and rustc, not a proxy that changes the PATH.
fn tools() -> Result<BTreeMap<&'static str, PathBuf>> {
    let sysroot = text_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    let toolchain = PathBuf::from(sysroot.trim()).join("bin");
    let search = std::env::var_os("PATH").context("PATH is not set")?;
    let mut tools = BTreeMap::new();
    for tool in TOOLS {
        let folders = std::iter::once(toolchain.clone()).chain(std::env::split_paths(&search));
        let found = folders.map(|folder| folder.join(tool)).find(|path| path.is_file());
        tools.insert(tool, found.with_context(|| format!("`{tool}` is not on the PATH"))?);
    }
    Ok(tools)
}

/// A folder that holds nothing but links to the tools.
#[cfg(unix)]
fn link(folder: &Path, tools: &BTreeMap<&str, PathBuf>) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    for (tool, place) in tools {
        std::os::unix::fs::symlink(place, folder.join(tool))
            .with_context(|| format!("cannot link `{tool}`"))?;
    }
    let entries = folder.read_dir()?.count();
    ensure!(entries == tools.len(), "the bare PATH holds {entries} entries");
    Ok(())
}

#[cfg(not(unix))]
fn link(_: &Path, _: &BTreeMap<&str, PathBuf>) -> Result<()> {
    anyhow::bail!("the bare PATH is a matter of Unix")
}
