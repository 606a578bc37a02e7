//! The workspace as the checks see it: its folder, its files, and children run inside it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What a check found when nothing was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds, and by what measure.
    Passed(String),
    /// It could not be looked at, and why.
    Skipped(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed(what) => write!(f, "ok: {what}"),
            Verdict::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// Fails with all faults of one check, or passes with its measure.
pub(crate) fn verdict(faults: &[String], measure: impl Into<String>) -> Result<Verdict> {
    ensure!(
        faults.is_empty(),
        "{} found:\n  {}",
        count(faults.len(), "fault"),
        faults.join("\n  ")
    );
    Ok(Verdict::Passed(measure.into()))
}

/// `1 fault`, `2 faults`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The folder of the root manifest, and the cargo that runs us.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// Finds the workspace around the current folder.
    pub(crate) fn find() -> Result<Workspace> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut locate = Command::new(&cargo);
        locate.args(["locate-project", "--workspace", "--message-format", "plain"]);
        let manifest = PathBuf::from(text_of(&mut locate)?.trim());
        let root = manifest.parent().context("the root manifest has no folder")?.to_path_buf();
        Ok(Workspace { root, cargo })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> Result<String> {
        let path = self.path(relative);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {relative}"))
    }

    /// `cargo` in the root, as if it had been called from the shell: what `cargo run` tells its
    /// child would otherwise make build scripts that watch it run again, and all above them.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let told_by_cargo = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            });
            if told_by_cargo {
                command.env_remove(name);
            }
        }
        command
    }

    /// Whether cargo has this subcommand (`fmt`, `clippy`, `deny`).
    pub(crate) fn has_cargo(&self, subcommand: &str) -> bool {
        let mut command = self.cargo(&[subcommand, "--version"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    pub(crate) fn metadata(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.cargo(&["metadata", "--format-version", "1"]);
        let text = text_of(command.args(arguments))?;
        serde_json::from_str(&text).context("cargo metadata wrote no JSON")
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target_dir(&self) -> Result<PathBuf> {
        let metadata = self.metadata(&["--no-deps"])?;
        let path = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?;
        Ok(PathBuf::from(path))
    }

    /// Builds the gateway's binary and says where it is.
    pub(crate) fn colonnade(&self) -> Result<PathBuf> {
        run(&mut self.cargo(&["build", "--quiet", "--package", "colonnade"]))?;
        Ok(self
            .target_dir()?
            .join("debug")
            .join(format!("colonnade{}", std::env::consts::EXE_SUFFIX)))
    }

    /// Files that are, or could be, committed; relative, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root);
        let listed = text_of(&mut git)?;
        let mut files: Vec<String> = listed.split_terminator('\0').map(String::from).collect();
        files.sort_unstable();
        files.dedup();
        // A file that was deleted and not yet committed is still listed.
        files.retain(|file| self.path(file).is_file());
        Ok(files)
    }
}

/// Runs a child on our own output; its failure is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

/// What a child wrote to its standard output.
pub(crate) fn text_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({})\n{}", shown(command), output.status, words.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote no UTF-8", shown(command)))
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
