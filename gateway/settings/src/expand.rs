//! `${NAME}`, `${NAME:-default}` and `${file:PATH}` in scalar values.
//!
//! Expansion happens in the tree, never in the text: what a variable holds can become a scalar and
//! nothing else, whatever brackets, quotes or line ends are in it. A literal dollar is `$$`; a `$`
//! before anything but `{` or `$` stays as it is. Keys are never expanded.
//!
//! An expanded scalar, quoted or not, is read as what its place asks for (`check`), so that
//! `weight: ${WEIGHT:-2}` is a number, and a name that happens to be digits stays a name.

use std::path::Path;

use crate::node::{Expansion, Node, Value};
use crate::report::quotable;

/// Where variables and files are looked up: the environment and the disk in the program, a map in
/// tests. This crate touches neither.
pub trait LookUp {
    /// The value of an environment variable; `None` when it is unset or no text.
    fn variable(&self, name: &str) -> Option<String>;

    /// The whole text of a file. `path` is relative to the directory of the file that names it
    /// already.
    ///
    /// # Errors
    /// As the operating system gave it; or of the kind `InvalidInput`, and then with a text that may
    /// be shown.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// Longest text that `${file:…}` may bring in: 64 KiB.
pub const FILE_BYTES_MAX: usize = 64 << 10;

/// Expands every scalar below `node`. Failures stay in the tree, each where it happened.
pub(crate) fn expand(node: &mut Node, directory: &Path, look_up: &dyn LookUp) {
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| expand(item, directory, look_up)),
        Value::Map(entries) => {
            entries.iter_mut().for_each(|entry| expand(&mut entry.node, directory, look_up));
        }
        Value::Scalar { text, .. } if text.contains('$') => {
            let outcome = match expand_text(text, directory, look_up) {
                // Nothing but literal dollars: there is nothing to hide from faults.
                Ok(Expanded { value, looked_up: false }) => {
                    *text = value.into();
                    return;
                }
                Ok(Expanded { value, .. }) => {
                    Expansion::Done { written: std::mem::replace(text, value.into()) }
                }
                Err(error) => Expansion::Failed { message: error.to_string(), help: error.help() },
            };
            node.expansion = Some(Box::new(outcome));
        }
        Value::Scalar { .. } => {}
    }
}

struct Expanded {
    value: String,
    looked_up: bool,
}

fn expand_text(
    text: &str,
    directory: &Path,
    look_up: &dyn LookUp,
) -> Result<Expanded, ExpandError> {
    let mut value = String::with_capacity(text.len());
    let mut looked_up = false;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        value.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            value.push('$');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix('{') {
            let (inside, behind) = behind.split_once('}').ok_or(ExpandError::Unclosed)?;
            value.push_str(&look_up_one(inside, directory, look_up)?);
            looked_up = true;
            rest = behind;
        } else {
            value.push('$');
            rest = behind;
        }
    }
    value.push_str(rest);
    Ok(Expanded { value, looked_up })
}

fn look_up_one(
    inside: &str,
    directory: &Path,
    look_up: &dyn LookUp,
) -> Result<String, ExpandError> {
    if let Some(path) = inside.strip_prefix("file:") {
        return read_file(path, directory, look_up);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(ExpandError::Name { inside: quotable(inside).into() });
    }
    // As in shells, `:-` stands in for an empty variable too.
    let set = look_up.variable(name).filter(|value| default.is_none() || !value.is_empty());
    set.or_else(|| default.map(String::from))
        .ok_or_else(|| ExpandError::Unset { name: quotable(name).into() })
}

fn read_file(path: &str, directory: &Path, look_up: &dyn LookUp) -> Result<String, ExpandError> {
    if path.is_empty() {
        return Err(ExpandError::Name { inside: "file:".into() });
    }
    let mut text = look_up.file(&directory.join(path)).map_err(|error| ExpandError::File {
        path: quotable(path).into(),
        reason: match error.kind() {
            std::io::ErrorKind::InvalidInput => error.to_string(),
            kind => kind.to_string(),
        }
        .into(),
    })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(ExpandError::FileSize { path: quotable(path).into(), bytes: text.len() });
    }
    // Editors and `echo` end a file with a line end that is no part of the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Why a `${…}` has no value. Only what the file says is repeated, never what was looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ExpandError {
    #[error("the environment variable `{name}` is not set")]
    Unset { name: Box<str> },
    #[error("the file `{path}` cannot be read: {reason}")]
    File { path: Box<str>, reason: Box<str> },
    #[error("the file `{path}` has {bytes} bytes; a value has at most {FILE_BYTES_MAX}")]
    FileSize { path: Box<str>, bytes: usize },
    #[error("`${{{inside}}}` names no variable")]
    Name { inside: Box<str> },
    #[error("a `${{` is not closed")]
    Unclosed,
}

impl ExpandError {
    fn help(&self) -> Option<String> {
        match self {
            ExpandError::Unset { name } => {
                Some(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            ExpandError::Name { .. } | ExpandError::Unclosed => Some(
                "write `${NAME}`, `${NAME:-default}` or `${file:PATH}`; a literal `$` is `$$`"
                    .into(),
            ),
            ExpandError::File { .. } => {
                Some("a relative path is relative to the file that names it".into())
            }
            ExpandError::FileSize { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io;

    struct Table;

    impl LookUp for Table {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "NAME" => Some("value".into()),
                "EMPTY" => Some(String::new()),
                "NASTY" => Some("a\nevil: [true]".into()),
                _ => None,
            }
        }

        fn file(&self, path: &Path) -> io::Result<String> {
            match path.to_str() {
                Some("etc/one") => Ok("secret\r\n".into()),
                Some("/abs") => Ok("two\n\n".into()),
                Some("etc/huge") => Ok("x".repeat(FILE_BYTES_MAX + 2)),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    fn expanded(text: &str) -> Result<String, ExpandError> {
        expand_text(text, Path::new("etc"), &Table).map(|expanded| expanded.value)
    }

    #[test]
    fn variables_defaults_files_and_literal_dollars_expand() {
        for (text, value) in [
            ("${NAME}", "value"),
            ("a-${NAME}-${NAME}-b", "a-value-value-b"),
            ("${UNSET:-fall back}", "fall back"),
            ("${UNSET:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-default}", "default"),
            ("${NASTY}", "a\nevil: [true]"),
            ("${file:one}", "secret"),
            ("${file:/abs}", "two\n"),
            ("$$", "$"),
            ("$${NAME}", "${NAME}"),
            ("$NAME costs 5$", "$NAME costs 5$"),
        ] {
            assert_eq!(expanded(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_cannot_expand_says_why_without_repeating_a_value() {
        for (text, message) in [
            ("${UNSET}", "the environment variable `UNSET` is not set"),
            ("${NAME", "a `${` is not closed"),
            ("${}", "`${}` names no variable"),
            ("${A B}", "`${A B}` names no variable"),
            ("${1A:-x}", "`${1A:-x}` names no variable"),
            ("${file:}", "`${file:}` names no variable"),
            ("${file:none}", "the file `none` cannot be read: entity not found"),
            ("${file:huge}", "the file `huge` has 65538 bytes; a value has at most 65536"),
        ] {
            assert_eq!(expanded(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
