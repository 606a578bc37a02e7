//! Every configuration that we show is one that the gateway accepts.

use std::process::Stdio;

use anyhow::{Context, Result};

use crate::workspace::{Verdict, Workspace, count, verdict};

/// A certificate and its key, for the examples that name some: `check` opens them.
const TLS_FOLDER: &str = "gateway/cli/tests/support/tls";

/// Runs `colonnade check` on each configuration file of `config/`.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let mut files = workspace.files()?;
    files.retain(|file| {
        is_shown(file) && workspace.read(file).is_ok_and(|text| !is_directory(&text))
    });
    let binary = workspace.colonnade()?;
    let mut faults = Vec::new();
    for file in &files {
        let mut command = std::process::Command::new(&binary);
        command
            .args(["check", "--config", file])
            .env("TLS_FOLDER", workspace.root().join(TLS_FOLDER))
            .current_dir(workspace.root())
            .stdin(Stdio::null());
        let output =
            command.output().with_context(|| format!("cannot run {}", binary.display()))?;
        if !output.status.success() {
            let words = [output.stdout, output.stderr].concat();
            faults.push(format!(
                "{file}: {}\n{}",
                output.status,
                String::from_utf8_lossy(&words).trim_end()
            ));
        }
    }
    verdict(&faults, count(files.len(), "configuration"))
}

/// `config/*.yaml` and `config/examples/*.yaml`.
fn is_shown(file: &str) -> bool {
    let inside =
        file.strip_prefix("config/").map(|rest| rest.strip_prefix("examples/").unwrap_or(rest));
    inside.is_some_and(|name| name.ends_with(".yaml") && !name.contains('/'))
}

/// Accounts and keys, not a configuration: checked with the configuration that names them.
fn is_directory(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("accounts:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_show_lies_in_two_folders() {
        for (file, expected) in [
            ("config/gateway.yaml", true),
            ("config/examples/avoca.yaml", true),
            ("config/gateway.schema.json", false),
            ("config/examples/parts/routes.yaml", false),
            ("gateway/settings/tests/bad/a.yaml", false),
        ] {
            assert_eq!(is_shown(file), expected, "{file}");
        }
    }

    #[test]
    fn a_directory_is_known_by_its_accounts() {
        assert!(is_directory("version: 1\naccounts:\n  acme: {}\n"));
        assert!(!is_directory("version: 1\nstore: { file: accounts.yaml }\n# accounts: no\n"));
    }
}
