//! What is written by a program and committed: the schema, and the reference made of it.
//!
//! Committed, so that editors find the schema and readers the reference without a build; checked by
//! the gate, so that they cannot fall behind.

use anyhow::{Context, Result};

use crate::reference;
use crate::workspace::{Verdict, Workspace, count, text_of, verdict};

const SCHEMA: &str = "config/gateway.schema.json";
const REFERENCE: &str = "docs/configuration.md";

/// Writes the generated files, or finds the first line at which one is behind.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<Verdict> {
    let binary = workspace.colonnade()?;
    let mut command = std::process::Command::new(binary);
    let schema = text_of(command.arg("schema").current_dir(workspace.root()))?;
    let parsed = serde_json::from_str(&schema).context("`colonnade schema` wrote no JSON")?;
    let files = [(SCHEMA, with_final_newline(schema)), (REFERENCE, reference::markdown(&parsed)?)];
    let mut faults = Vec::new();
    for (file, wanted) in &files {
        if check {
            let found = workspace.read(file).unwrap_or_default();
            faults.extend(difference(&found, wanted).map(|line| {
                format!("{file}:{line}: is not what would be generated; run `cargo xtask generate`")
            }));
        } else {
            std::fs::write(workspace.path(file), wanted)
                .with_context(|| format!("cannot write {file}"))?;
        }
    }
    verdict(&faults, count(files.len(), "generated file"))
}

fn with_final_newline(text: String) -> String {
    format!("{}\n", text.trim_end())
}

/// The first line that differs, from 1.
fn difference(found: &str, wanted: &str) -> Option<usize> {
    if found == wanted {
        return None;
    }
    let same =
        found.lines().zip(wanted.lines()).take_while(|(found, wanted)| found == wanted).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_behind_is_named_with_its_first_line() {
        for (found, wanted, line) in [
            ("a\nb\n", "a\nb\n", None),
            ("a\nb\n", "a\nc\n", Some(2)),
            ("a\n", "a\nb\n", Some(2)),
            ("", "a\n", Some(1)),
            ("a\nb", "a\nb\n", Some(3)),
        ] {
            assert_eq!(difference(found, wanted), line, "{found:?}");
        }
    }
}
