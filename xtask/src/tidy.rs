//! What no compiler looks at: lengths and names of files, machine paths, unfinished code, dead
//! links. Looks at what is or could be committed, nothing else.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use crate::workspace::{Verdict, Workspace, count, verdict};

const LINES_MAX: usize = 600;
const LINES_WANTED: usize = 400;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "common", "helpers", "helper", "types", "misc", "stuff", "shared"];

/// Written in halves, so that this file does not find itself.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];
const UNFINISHED: [&str; 3] =
    [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME")];

/// Reads every file of the workspace once and reports all faults together.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let files = workspace.files()?;
    let folders: HashSet<&str> = files.iter().flat_map(|file| ancestors(file)).collect();
    let known = |path: &str| {
        path.is_empty() || files.iter().any(|file| file == path) || folders.contains(path)
    };
    let mut faults = Vec::new();
    for file in &files {
        faults.extend(name_fault(file));
        // What is not text has no lines to look at.
        let Ok(text) = std::fs::read_to_string(workspace.path(file)) else { continue };
        faults.extend(length_fault(file, &text));
        faults.extend(word_faults(file, &text));
        if file.ends_with(".md") {
            faults.extend(link_faults(file, &text, &known));
        }
    }
    verdict(&faults, count(files.len(), "file"))
}

fn ancestors(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').map(|(at, _)| &file[..at])
}

fn name_fault(file: &str) -> Option<String> {
    let empty = |part: &str| {
        let stem = part.split('.').next().unwrap_or(part);
        EMPTY_NAMES.contains(&stem.to_ascii_lowercase().as_str())
    };
    let part = file.split('/').find(|part| empty(part))?;
    Some(format!("{file}: `{part}` says nothing of what is inside"))
}

/// Sources only: data and reference pages are as long as what they list.
fn length_fault(file: &str, text: &str) -> Option<String> {
    let source = ["rs", "sh", "js", "ts", "css"].map(Some).contains(&extension(file));
    let lines = text.lines().count();
    if source && lines > LINES_WANTED && lines <= LINES_MAX {
        println!("warning: {file}: {lines} lines; over {LINES_WANTED} is rarely one subject");
    }
    (source && lines > LINES_MAX).then(|| format!("{file}: {lines} lines, more than {LINES_MAX}"))
}

fn extension(file: &str) -> Option<&str> {
    Path::new(file).extension().and_then(|extension| extension.to_str())
}

fn word_faults(file: &str, text: &str) -> Vec<String> {
    let unfinished: &[&str] =
        if extension(file) == Some("rs") { &UNFINISHED } else { &UNFINISHED[2..] };
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for path in MACHINE_PATHS {
            if holds_path(line, path) {
                faults.push(format!("{file}:{number}: a path of one machine: {path}"));
            }
        }
        for word in unfinished.iter().filter(|word| line.contains(**word)) {
            faults.push(format!("{file}:{number}: unfinished: {word}"));
        }
    }
    faults
}

/// The path stands alone: not in the middle of another path or of a URL.
fn holds_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '~')
        })
    })
}

/// Relative links of a Markdown page that lead nowhere.
fn link_faults(file: &str, text: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for target in links(line) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !elsewhere && !known(&joined(file, path)) {
                faults.push(format!("{file}:{number}: dead link: {target}"));
            }
        }
    }
    faults
}

/// Targets of `[text](target)`, outside of `code`.
fn links(line: &str) -> Vec<&str> {
    let spoken = |at: usize| line[..at].matches('`').count().is_multiple_of(2);
    line.match_indices("](")
        .filter(|(at, _)| spoken(*at))
        .filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target.trim()))
        .collect()
}

/// A path relative to the folder of `file`, relative to the root.
fn joined(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_at_most_six_hundred_lines() {
        for (file, lines, fault) in [
            ("gateway/a.rs", 600, false),
            ("gateway/a.rs", 601, true),
            ("docs/a.md", 601, false),
            ("loadtest/a.sh", 601, true),
        ] {
            let text = "x\n".repeat(lines);
            assert_eq!(length_fault(file, &text).is_some(), fault, "{file} {lines}");
        }
    }

    #[test]
    fn a_name_says_what_is_inside() {
        for (file, fault) in [
            ("gateway/proxy/src/utils.rs", true),
            ("gateway/proxy/src/common/mod.rs", true),
            ("gateway/cli/tests/Helpers.rs", true),
            ("gateway/proxy/src/types.rs", true),
            ("gateway/proxy/src/common_names.rs", false),
            ("gateway/proxy/src/head.rs", false),
        ] {
            assert_eq!(name_fault(file).is_some(), fault, "{file}");
        }
    }

    #[test]
    fn paths_of_a_machine_and_unfinished_code_are_found_with_their_line() {
        let [work, root, home] = MACHINE_PATHS;
        let [later, never, mend] = UNFINISHED;
        for (file, line, faults) in [
            ("a.md", format!("see {work}main"), 1),
            ("a.rs", format!("const P: &str = \"{root}x\";"), 1),
            ("a.yaml", format!("{home}x and {work}y"), 2),
            ("a.md", format!("https://example.test{work}x"), 0),
            ("a.sh", format!("rm -rf \"${{dir}}{work}x\""), 0),
            ("a.rs", format!("{later}\"x\")"), 1),
            ("a.rs", format!("{never})"), 1),
            ("a.md", format!("write {later}) never"), 0),
            ("a.md", mend.to_owned(), 1),
            ("a.rs", "let network = 1;".to_owned(), 0),
        ] {
            assert_eq!(word_faults(file, &line).len(), faults, "{file}: {line}");
        }
        assert!(word_faults("a.md", &format!("\n\n{mend}"))[0].starts_with("a.md:3: "));
    }

    #[test]
    fn relative_links_lead_somewhere() {
        let known = |path: &str| ["docs/glossary.md", "README.md", "docs"].contains(&path);
        for (line, faults) in [
            ("[words](glossary.md)", 0),
            ("[words](glossary.md#mask) and [up](../README.md)", 0),
            ("[folder](.)", 0),
            ("[gone](nowhere.md)", 1),
            ("[out](https://example.test/x) [here](#below)", 0),
            ("`[code](nowhere.md)`", 0),
        ] {
            assert_eq!(link_faults("docs/a.md", line, &known).len(), faults, "{line}");
        }
        assert!(link_faults("docs/a.md", "```\n[x](y.md)\n```", &known).is_empty());
    }
}
