//! The licences of what is in the binary: which are allowed, and their texts on one page.
//!
//! A binary may go out when each piece can be had under a licence of `deny.toml`'s list; cargo-deny checks
//! the same and more, and is not on every machine.
//! Sources: SPDX licence expressions, annex D.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// One piece of others' software.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
    /// Its repository, or what it lies inside of.
    pub(crate) from: String,
    /// As the package brings them.
    pub(crate) texts: Vec<String>,
}

/// Beginnings of names of files with a licence or what it asks to be kept with it.
const NAMES: [&str; 6] = ["license", "licence", "copying", "unlicense", "copyright", "notice"];

/// Before expressions there was `MIT/Apache-2.0`.
pub(crate) fn spelled(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// `allow = [...]` of deny.toml.
pub(crate) fn allowed(deny: &str) -> Vec<String> {
    let list = deny.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']'));
    let list = list.map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// Pieces that cannot be had under an allowed licence.
pub(crate) fn faults(pieces: &[Piece], allowed: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for Piece { name, version, licence, .. } in pieces {
        // SQLite's blessing asks for nothing and is no licence that a crate of ours would have.
        if licence != "blessing" && !may_go_out(licence, allowed) {
            faults.push(format!("{name} {version}: `{licence}` is not allowed by deny.toml"));
        }
    }
    faults
}

/// `AND` binds closer than `OR`; what cannot be read is not allowed.
fn may_go_out(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at, allowed) == Some(true) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> Option<bool> {
    let mut good = both(words, at, allowed)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        good |= both(words, at, allowed)?;
    }
    Some(good)
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> Option<bool> {
    let mut good = one(words, at, allowed)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        good &= one(words, at, allowed)?;
    }
    Some(good)
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    if word == "(" {
        let good = either(words, at, allowed)?;
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return closed.then_some(good);
    }
    let mut name = word.to_owned();
    if words.get(*at) == Some(&"WITH") {
        write!(name, " WITH {}", words.get(*at + 1)?).ok()?;
        *at += 2;
    }
    Some(allowed.contains(&name))
}

/// The texts that lie at the top of a package, by their names.
pub(crate) fn texts(folder: &Path) -> Result<Vec<String>> {
    let entries = folder.read_dir().context("a package is not at hand; `cargo fetch` brings it")?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.to_ascii_lowercase();
        path.is_file() && NAMES.iter().any(|beginning| name.starts_with(beginning))
    });
    files.sort();
    files.iter().map(|path| text(path)).collect()
}

pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    Ok(lines.join("\n").trim_matches('\n').to_owned())
}

/// A list of all pieces, then each text once with whom it is of.
pub(crate) fn page(title: &str, pieces: &[Piece]) -> String {
    let mut list = String::new();
    let mut owners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Piece { name, version, licence, from, texts } in pieces {
        let bare = if texts.is_empty() { "; its package brings no text" } else { "" };
        let _ = writeln!(list, "{name} {version}: {licence}{bare}\n    {from}");
        for text in texts {
            owners.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    let mut texts: Vec<_> = owners.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    let mut page = format!("{title}\n\n{list}");
    for (text, owners) in texts {
        let rule = "-".repeat(100);
        let _ = write!(page, "\n{rule}\n{}\n{rule}\n\n{text}\n", owners.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(name: &str, licence: &str, texts: &[&str]) -> Piece {
        Piece {
            name: name.into(),
            version: "1.0.0".into(),
            licence: licence.into(),
            from: "https://example.test".into(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn the_list_of_deny_toml_is_read() {
        let deny = "[licenses]\n# Permissive.\nallow = [\n    \"MIT\",\n    \"Apache-2.0 WITH LLVM-exception\",\n]\nother = [\"GPL-3.0\"]\n";
        assert_eq!(allowed(deny), ["MIT", "Apache-2.0 WITH LLVM-exception"]);
        assert!(allowed("[bans]\n").is_empty());
    }

    #[test]
    fn a_piece_goes_out_when_it_can_be_had_under_an_allowed_licence() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(String::from);
        for (licence, good) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT AND ISC", true),
            ("GPL-3.0-only OR MIT AND ISC", true),
            ("(GPL-3.0-only OR MIT) AND ISC", true),
            ("(GPL-3.0-only OR MIT) AND GPL-3.0-only", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT WITH LLVM-exception", false),
            ("(MIT", false),
            ("MIT ISC", false),
            ("MIT OR", false),
            ("", false),
        ] {
            assert_eq!(may_go_out(licence, &allowed), good, "{licence}");
        }
    }

    #[test]
    fn an_old_spelling_is_an_expression() {
        for (written, expression) in [
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("Apache-2.0 / MIT", "Apache-2.0 OR MIT"),
            ("MIT", "MIT"),
        ] {
            assert_eq!(spelled(written), expression);
        }
    }

    #[test]
    fn a_text_that_two_have_stands_once() {
        let pieces = [
            piece("a", "MIT", &["same"]),
            piece("b", "MIT", &["same", "own"]),
            piece("c", "ISC", &[]),
        ];
        let page = page("Title", &pieces);
        assert!(
            page.starts_with("Title\n\na 1.0.0: MIT\n    https://example.test\nb 1.0.0: MIT\n"),
            "{page}"
        );
        assert!(page.contains("c 1.0.0: ISC; its package brings no text\n"), "{page}");
        assert_eq!((page.matches("same").count(), page.matches("own").count()), (1, 1));
        assert!(page.contains("a 1.0.0, b 1.0.0\n"), "{page}");
    }
}
