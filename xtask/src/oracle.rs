//! The rewriter against a reader of another make: Python's `json` (`gateway/rewrite/tests/second_oracle.py`).
//!
//! An example of the rewriter draws random bodies and says what it makes of them; the script filters
//! each its own way and compares. The seed is fixed, so the gate asks the same every time; the
//! example and the script take other seeds and counts by hand.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::{Verdict, Workspace, run, text_of};

const DOCUMENTS: &str = "10000";
const SEED: &str = "1";
const SCRIPT: &str = "gateway/rewrite/tests/second_oracle.py";

/// Draws the tasks into cargo's temporary folder, where they can be looked at after a failure.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if !has_python() {
        return Ok(Verdict::Skipped("python3 not installed".into()));
    }
    let folder = workspace.target_dir()?.join("tmp");
    fs::create_dir_all(&folder).context("cannot make cargo's temporary folder")?;
    let path = folder.join("random_tasks.jsonl");
    let tasks = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let example = ["run", "--quiet", "-p", "gateway-rewrite", "--example", "random_tasks"];
    let mut draw = workspace.cargo(&example);
    run(draw.args(["--", DOCUMENTS, SEED]).stdout(tasks))?;
    let summary = text_of(Command::new("python3").arg(workspace.path(SCRIPT)).arg(&path))?;
    Ok(Verdict::Passed(summary.trim_end().to_owned()))
}

fn has_python() -> bool {
    let mut command = Command::new("python3");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
