//! The comments of `[workspace.dependencies]`: what each dependency is for, and who may use it.
//!
//! Read as lines, not as TOML: a TOML reader drops comments, and they are what is looked at. So a
//! dependency stands on one line, its comment behind it or on the line above.

use std::collections::HashMap;

/// A dependency line of the root manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The name that manifests use.
    pub(crate) name: String,
    pub(crate) comment: Option<String>,
    /// One of our own packages, by path.
    pub(crate) own: bool,
}

/// The lines of `[workspace.dependencies]`.
pub(crate) fn dependency_lines(manifest: &str) -> Vec<Line> {
    let section =
        manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let mut lines = Vec::new();
    let mut above = None;
    for line in section.take_while(|line| !line.starts_with('[')) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            above = Some(comment.trim().to_owned());
        } else if let Some((name, rest)) = line.split_once('=') {
            let (value, behind) = split_comment(rest);
            lines.push(Line {
                name: name.trim().to_owned(),
                comment: behind.or(above.take()),
                own: value.contains("path ="),
            });
            above = None;
        } else {
            above = None;
        }
    }
    lines
}

/// A value and the comment behind it. A `#` inside quotes is none.
fn split_comment(rest: &str) -> (&str, Option<String>) {
    let mut quoted = false;
    for (at, c) in rest.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => {
                let comment = rest[at + 1..].trim();
                return (&rest[..at], (!comment.is_empty()).then(|| comment.to_owned()));
            }
            _ => {}
        }
    }
    (rest, None)
}

/// Lines without a comment.
pub(crate) fn comment_faults(lines: &[Line]) -> Vec<String> {
    let bare = lines.iter().filter(|line| !line.own && line.comment.is_none());
    bare.map(|line| {
        format!("Cargo.toml: `{}` has no comment; say what it is for and who may use it", line.name)
    })
    .collect()
}

/// Who may use a dependency, where its comment ends in `; room, room`. A comment that ends in other
/// words restricts nobody.
pub(crate) fn users<'a>(lines: &'a [Line], known: &[&str]) -> HashMap<&'a str, Vec<&'a str>> {
    let restricted = |line: &'a Line| {
        let (_, words) = line.comment.as_deref()?.rsplit_once(';')?;
        let names: Vec<&str> = words.split(',').map(str::trim).collect();
        names.iter().all(|name| known.contains(name)).then_some((line.name.as_str(), names))
    };
    lines.iter().filter_map(restricted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r##"
[workspace]
members = ["a"]

[workspace.dependencies]
# ours
gateway-policy = { path = "gateway/policy" }
tokio  = { version = "1", features = ["#"] } # runtime; store, proxy
serde  = "1" # settings model; in tests too
# The line above counts; settings
serde_yaml = "2"
bare   = "1"

empty  = "1" #

[profile.dev]
debug = "line-tables-only"
"##;

    #[test]
    fn a_line_needs_a_comment_behind_it_or_above_it_unless_it_is_ours() {
        let faults = comment_faults(&dependency_lines(MANIFEST));
        let named: Vec<&str> = faults.iter().filter_map(|fault| fault.split('`').nth(1)).collect();
        assert_eq!(named, ["bare", "empty"]);
    }

    #[test]
    fn only_a_list_of_rooms_at_the_end_of_a_comment_restricts() {
        let lines = dependency_lines(MANIFEST);
        let users = users(&lines, &["store", "proxy", "settings"]);
        assert_eq!(users.get("tokio"), Some(&vec!["store", "proxy"]));
        assert_eq!(users.get("serde_yaml"), Some(&vec!["settings"]));
        assert_eq!(users.get("serde"), None);
    }
}
