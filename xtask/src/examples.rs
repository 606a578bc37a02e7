//! Every configuration that we show or ship is one that the gateway accepts.
//!
//! What is shipped names its secrets by where a container or systemd puts them; for the check they are
//! stand-ins beside a copy of the file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::workspace::{Verdict, Workspace, count, verdict};

/// A certificate and its key, for the examples that name some: `check` opens them.
const TLS_FOLDER: &str = "gateway/cli/tests/support/tls";

/// What others put into place, their secrets beside it.
const SHIPPED: &str = "deploy/";

/// The beginning of a reference to a secret that somebody else puts in its place.
const SECRET: &str = "${file:/run/";

/// Runs `colonnade check` on each configuration file of `config/` and `deploy/`.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let mut files = workspace.files()?;
    files.retain(|file| {
        is_shown(file) && workspace.read(file).is_ok_and(|text| !is_directory(&text))
    });
    let binary = workspace.colonnade()?;
    let copies = workspace.target_dir()?.join("examples");
    let mut faults = Vec::new();
    for file in &files {
        let read = with_secrets(workspace, file, &copies)?;
        let mut command = std::process::Command::new(&binary);
        command
            .args(["check", "--config"])
            .arg(&read)
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
    let _ = std::fs::remove_dir_all(&copies);
    verdict(&faults, count(files.len(), "configuration"))
}

/// `config/*.yaml`, `config/examples/*.yaml`, and every `gateway.yaml` of `deploy/`.
fn is_shown(file: &str) -> bool {
    if file.starts_with(SHIPPED) {
        return file.ends_with("/gateway.yaml");
    }
    let inside =
        file.strip_prefix("config/").map(|rest| rest.strip_prefix("examples/").unwrap_or(rest));
    inside.is_some_and(|name| name.ends_with(".yaml") && !name.contains('/'))
}

/// Accounts and keys, not a configuration: checked with the configuration that names them.
fn is_directory(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("accounts:"))
}

/// The file itself; of what is shipped, its copy beside stand-ins of the secrets that it names.
fn with_secrets(workspace: &Workspace, file: &str, copies: &Path) -> Result<PathBuf> {
    let text = workspace.read(file)?;
    let names = secrets(&text);
    if names.is_empty() || !file.starts_with(SHIPPED) {
        return Ok(PathBuf::from(file));
    }
    let folder = copies.join(Path::new(file).parent().context("a file has no folder")?);
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(name), text))
            .with_context(|| format!("cannot write the stand-in {name}"))
    };
    let mut beside = text.clone();
    for path in names {
        let name = path.rsplit('/').next().unwrap_or(path);
        beside = beside.replace(&format!("${{file:{path}}}"), &format!("${{file:{name}}}"));
        write(name, stand_in(name))?;
    }
    write("gateway.yaml", &beside)?;
    Ok(folder.join("gateway.yaml"))
}

/// The paths of the secrets that a file names, outside of comments.
fn secrets(text: &str) -> Vec<&str> {
    let spoken = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let named = spoken.flat_map(|line| {
        line.match_indices(SECRET).filter_map(|(at, _)| {
            let path = &line[at + "${file:".len()..];
            path.split_once('}').map(|(path, _)| path)
        })
    });
    named.collect()
}

/// Something of the form that the value must have.
fn stand_in(name: &str) -> &'static str {
    if name.ends_with("digest") {
        "0000000000000000000000000000000000000000000000000000000000000000\n"
    } else if name.ends_with("url") {
        "postgres://colonnade:stand-in@localhost/colonnade\n"
    } else {
        "stand-in\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_show_lies_in_three_folders() {
        for (file, expected) in [
            ("config/gateway.yaml", true),
            ("config/examples/avoca.yaml", true),
            ("config/gateway.schema.json", false),
            ("config/examples/parts/routes.yaml", false),
            ("deploy/kubernetes/gateway.yaml", true),
            ("deploy/kubernetes/service.yaml", false),
            ("deploy/compose.yaml", false),
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

    #[test]
    fn secrets_are_found_where_somebody_else_puts_them() {
        for (text, expected) in [
            ("a: \"sha256:${file:/run/secrets/digest}\"\n", vec!["/run/secrets/digest"]),
            ("a: ${file:/run/a} ${file:/run/b}\n", vec!["/run/a", "/run/b"]),
            ("# a: ${file:/run/a}\n", vec![]),
            ("a: ${file:beside}\nb: ${NAME}\n", vec![]),
            ("a: ${file:/run/a\n", vec![]),
        ] {
            assert_eq!(secrets(text), expected, "{text}");
        }
    }
}
