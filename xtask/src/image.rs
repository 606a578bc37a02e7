//! What can be known of the Dockerfile without an engine to build it.
//!
//! The image's build sees what `.dockerignore` lets through, and nothing tells who adds an `include_str!`
//! that a file of it is kept out. So the context is laid out as a folder, cargo resolves each build of the
//! Dockerfile there, and `bare_path` builds the binary from it. What stages take from one another is looked
//! for in what the other makes.
//!
//! Not here: style (hadolint), base images, and the last stage at work (`deploy/check.sh`).
//! Sources: Docker's reference of `.dockerignore`, as far as ours goes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::Arguments;
use crate::workspace::{Verdict, Workspace, count, text_of, verdict};

/// Holds the Dockerfile to the tree.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let (context, files) = context(workspace)?;
    let instructions = instructions(&workspace.read("Dockerfile")?);
    let commands: Vec<Vec<String>> = instructions.iter().flat_map(commands).collect();
    let mut faults = stage_faults(&instructions);
    faults.extend(made_faults(&commands));
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cargo", "build", selection @ ..] => {
                faults.extend(build_fault(workspace, &context, selection));
            }
            ["cargo", "run", rest @ ..] => faults.extend(xtask_fault(rest)),
            _ => {}
        }
    }
    let _ = std::fs::remove_dir_all(&context);
    let measure = format!(
        "{} of the context, {} of the Dockerfile",
        count(files, "file"),
        count(commands.len(), "command")
    );
    verdict(&faults, measure)
}

/// Lays out what the image's build would see, in a folder of its own; its place, and how many files.
pub(crate) fn context(workspace: &Workspace) -> Result<(PathBuf, usize)> {
    let ignore = workspace.read(".dockerignore")?;
    let patterns = patterns(&ignore)?;
    let folder = workspace.target_dir()?.join("image-context");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot clear the image's context")?;
    }
    let mut files = workspace.files()?;
    files.retain(|file| !patterns.iter().any(|pattern| leaves_out(pattern, file)));
    for file in &files {
        let to = folder.join(file);
        let parent = to.parent().context("a file has no folder")?;
        std::fs::create_dir_all(parent).context("cannot make a folder of the image's context")?;
        std::fs::copy(workspace.path(file), &to).with_context(|| format!("cannot copy {file}"))?;
    }
    Ok((folder, files.len()))
}

fn patterns(ignore: &str) -> Result<Vec<&str>> {
    let lines = ignore.lines().map(str::trim);
    let patterns: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for pattern in &patterns {
        ensure!(
            !pattern.contains(['!', '[', '\\', '?']),
            ".dockerignore: `{pattern}` is more than this check knows"
        );
    }
    Ok(patterns)
}

/// A pattern leaves out what it matches, and all below it.
fn leaves_out(pattern: &str, file: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    let parts: Vec<&str> = file.split('/').collect();
    (1..=parts.len()).any(|length| matches(&pattern, &parts[..length]))
}

fn matches(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern, parts) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=parts.len()).any(|skipped| matches(rest, &parts[skipped..])),
        ([first, pattern @ ..], [part, parts @ ..]) => {
            matches_part(first, part) && matches(pattern, parts)
        }
        _ => false,
    }
}

fn matches_part(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((before, after)) => {
            let rest = part.strip_prefix(before);
            rest.is_some_and(|rest| {
                rest.char_indices()
                    .map(|(at, _)| at)
                    .chain([rest.len()])
                    .any(|at| matches_part(after, &rest[at..]))
            })
        }
    }
}

/// One instruction, its continuation lines joined, and the stage that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instruction {
    stage: String,
    name: String,
    rest: String,
}

fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    let mut stage = String::new();
    let mut line = String::new();
    for text in dockerfile.lines().filter(|text| !text.trim_start().starts_with('#')) {
        let (text, goes_on) = match text.trim_end().strip_suffix('\\') {
            Some(text) => (text, true),
            None => (text, false),
        };
        line.push_str(text);
        if goes_on {
            line.push(' ');
            continue;
        }
        let joined = std::mem::take(&mut line);
        let Some((name, rest)) = joined.trim().split_once(' ') else { continue };
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        if name == "FROM" {
            stage = rest.rsplit(' ').next().unwrap_or_default().to_owned();
        }
        instructions.push(Instruction { stage: stage.clone(), name: name.to_owned(), rest });
    }
    instructions
}

/// The commands of a RUN, without its own options.
fn commands(instruction: &Instruction) -> Vec<Vec<String>> {
    if instruction.name != "RUN" {
        return Vec::new();
    }
    let words = |command: &str| -> Vec<String> {
        command.split(' ').filter(|word| !word.is_empty()).map(String::from).collect()
    };
    let own = |word: &String| word.starts_with("--");
    instruction
        .rest
        .split("&&")
        .map(|command| words(command).into_iter().skip_while(own).collect())
        .collect()
}

/// A `COPY --from` takes what a RUN of that stage speaks of.
fn stage_faults(instructions: &[Instruction]) -> Vec<String> {
    let mut faults = Vec::new();
    for copy in instructions.iter().filter(|instruction| instruction.name == "COPY") {
        let words: Vec<&str> = copy.rest.split(' ').collect();
        let Some(stage) = words.iter().find_map(|word| word.strip_prefix("--from=")) else {
            continue;
        };
        let Some(taken) = words.iter().find(|word| !word.starts_with("--")) else { continue };
        let made = instructions
            .iter()
            .any(|other| other.stage == stage && other.name == "RUN" && other.rest.contains(taken));
        if !made {
            faults.push(format!("Dockerfile: no RUN of the stage `{stage}` makes {taken}"));
        }
    }
    faults
}

/// What is installed from `target/` is what a build has put there.
fn made_faults(commands: &[Vec<String>]) -> Vec<String> {
    let after = |words: &[String], flag: &str| {
        words.iter().skip_while(|word| *word != flag).nth(1).cloned()
    };
    let builds =
        commands.iter().filter(|words| words.starts_with(&["cargo".into(), "build".into()]));
    let made: Vec<String> = builds
        .filter_map(|words| {
            let profile = after(words, "--profile").unwrap_or_else(|| {
                if words.iter().any(|word| word == "--release") { "release" } else { "debug" }
                    .into()
            });
            Some(format!("target/{profile}/{}", after(words, "--package")?))
        })
        .collect();
    let taken = commands.iter().flatten().filter(|word| word.starts_with("target/"));
    taken
        .filter(|word| !made.contains(word))
        .map(|word| format!("Dockerfile: no `cargo build` makes {word}"))
        .collect()
}

/// `cargo clean` knows profiles and packages as `cargo build` does, and with `--dry-run` does nothing. Features
/// it does not know: `cargo tree` does.
fn build_fault(workspace: &Workspace, context: &Path, selection: &[&str]) -> Option<String> {
    if !selection.contains(&"--locked") {
        return Some("Dockerfile: a `cargo build` without --locked".into());
    }
    let mut clean = workspace.cargo(&["clean", "--dry-run", "--quiet"]);
    let place = selection.iter().position(|word| *word == "--features");
    let (before, featured) = selection.split_at(place.unwrap_or(selection.len()));
    let behind = featured.get(2..).unwrap_or_default();
    clean.args(before).args(behind).arg("--target-dir").arg(context.join("target"));
    let mut tree = workspace.cargo(&["tree", "--quiet", "--locked", "--depth", "0"]);
    let package = selection.iter().skip_while(|word| **word != "--package").take(2);
    tree.args(package).args(featured.get(..2).unwrap_or_default());
    let mut cargos = [clean, tree].into_iter();
    let error = cargos.find_map(|mut cargo| text_of(cargo.current_dir(context)).err())?;
    Some(format!(
        "Dockerfile: `cargo build {}` in the image's context: {error:#}",
        selection.join(" ")
    ))
}

fn xtask_fault(rest: &[&str]) -> Option<String> {
    let own = rest.iter().skip_while(|word| **word != "--").skip(1);
    let error = Arguments::try_parse_from(std::iter::once(&"xtask").chain(own)).err()?;
    Some(format!("Dockerfile: `cargo run {}`: {error}", rest.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_leaves_out_what_docker_leaves_out() {
        for (pattern, file, out) in [
            (".git", ".git/HEAD", true),
            (".git", "gateway/.git", false),
            ("docs", "docs/a.md", true),
            ("docs", "gateway/proxy/src/docs/page.css", false),
            ("**/*.md", "README.md", true),
            ("**/*.md", "docs/problems/README.md", true),
            ("**/*.md", "a.md5", false),
            ("**/target", "fuzz/target/debug/x", true),
            ("**/target", "target", true),
            ("**/target", "targets", false),
            ("*.db", "a.db", true),
            ("*.db", "a/b.db", false),
            ("Dockerfile", "Dockerfile", true),
        ] {
            assert_eq!(leaves_out(pattern, file), out, "{pattern} {file}");
        }
        assert!(patterns("# note\n\n.git\n!docs/a.md\n").is_err());
        assert_eq!(patterns("# note\n\n.git\n").unwrap_or_default(), [".git"]);
    }

    const GOOD: &str = "# syntax=docker/dockerfile:1\nFROM rust:1 AS build\n# why\nRUN --mount=type=cache,target=/src/target \\\n    \
        cargo build --locked --profile dist --package colonnade && \\\n    # in between\n    install target/dist/colonnade /out/colonnade\n\
        FROM scratch AS gateway\nCOPY --from=build --chown=1:1 /out/colonnade /colonnade\n";

    #[test]
    fn a_run_is_its_commands() {
        let commands: Vec<Vec<String>> = instructions(GOOD).iter().flat_map(commands).collect();
        assert_eq!(
            commands,
            [
                vec!["cargo", "build", "--locked", "--profile", "dist", "--package", "colonnade"],
                vec!["install", "target/dist/colonnade", "/out/colonnade"],
            ]
        );
        assert!(made_faults(&commands).is_empty());
    }

    #[test]
    fn a_stage_takes_what_another_makes() {
        for (from, to, stages, made) in [
            ("", "", 0, 0),
            ("COPY --from=build --chown=1:1 /out/colonnade", "COPY --from=build /out/other", 1, 0),
            ("COPY --from=build", "COPY --from=elsewhere", 1, 0),
            ("--profile dist", "--release", 0, 1),
            ("--package colonnade", "--package other", 0, 1),
        ] {
            let instructions = instructions(&GOOD.replace(from, to));
            let commands: Vec<_> = instructions.iter().flat_map(commands).collect();
            assert_eq!(stage_faults(&instructions).len(), stages, "{to}");
            assert_eq!(made_faults(&commands).len(), made, "{to}");
        }
    }

    #[test]
    fn a_command_of_ours_is_one_that_we_have() {
        assert_eq!(xtask_fault(&["--quiet", "--", "sbom", "--out", "/out/doc"]), None);
        assert!(xtask_fault(&["--", "sbom", "--into", "/out/doc"]).is_some());
        assert!(xtask_fault(&["--", "bom"]).is_some());
    }
}
