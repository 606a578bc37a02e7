//! What can be read of a configuration that may have faults: enough to look at the files it names,
//! so that one `check` shows the faults of all of them.

use std::path::{Path as FilePath, PathBuf};

use crate::expand::{LookUp, expand};
use crate::node::{Expansion, Node, Value};
use crate::report::{Fault, Report};
use crate::settings::KeyForm;
use crate::{SETTINGS_BYTES_MAX, prefix_of, text};

/// What a configuration names, as far as it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// `store.file`.
    pub directory: Option<PathBuf>,
    /// With the prefix that keys have; the rest is as by default.
    pub keys: KeyForm,
}

/// Reads the outline; `None` when the text is no tree at all.
pub fn outline(text: &str, file: &FilePath, look_up: &dyn LookUp) -> Option<Outline> {
    let mut root = text::parse(text, SETTINGS_BYTES_MAX).ok()?;
    let base = file.parent().unwrap_or(FilePath::new(""));
    expand(&mut root, base, look_up);
    let keys = KeyForm { prefix: prefix_of(&root), ..KeyForm::default() };
    let named = root.find("store").and_then(|store| store.find("file"));
    let directory = named.and_then(scalar).map(|path| base.join(path));
    Some(Outline { directory, keys })
}

fn scalar(node: &Node) -> Option<&str> {
    let failed = matches!(node.expansion.as_deref(), Some(Expansion::Failed { .. }));
    match &node.value {
        Value::Scalar { text, .. } if !failed && !text.is_empty() => Some(text),
        _ => None,
    }
}

/// One step of a way into a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'s> {
    Key(&'s str),
    Item(usize),
}

/// A fault that another room found in what stands at the end of `way`: a file that cannot be used.
pub fn fault_at(
    text: &str,
    file: &FilePath,
    way: &[Step<'_>],
    message: String,
    help: &str,
) -> Fault {
    let name = file.display().to_string();
    let mut report = Report::new(&name, text);
    let root = text::parse(text, SETTINGS_BYTES_MAX).unwrap_or_else(|_| Node::empty());
    report.keys_begin_with(&prefix_of(&root));
    // They may share a line with the fault.
    for (section, key) in [("store", "postgres"), ("keys", "pepper"), ("cluster", "redis")] {
        if let Some(secret) = root.find(section).and_then(|section| section.find(key)) {
            report.secret(secret);
        }
    }
    let headers = ["telemetry", "traces", "headers"];
    let headers = headers.iter().try_fold(&root, |node, key| node.find(key));
    if let Some(Value::Map(headers)) = headers.map(|node| &node.value) {
        headers.iter().for_each(|header| report.secret(&header.node));
    }
    let (mut node, mut path) = (&root, String::new());
    for step in way {
        let (next, shown) = match (step, &node.value) {
            (Step::Key(key), _) if path.is_empty() => (node.find(key), (*key).to_owned()),
            (Step::Key(key), _) => (node.find(key), format!(".{key}")),
            (Step::Item(index), Value::Seq(items)) => (items.get(*index), format!("[{index}]")),
            (Step::Item(index), _) => (None, format!("[{index}]")),
        };
        path.push_str(&shown);
        node = next.unwrap_or(node);
    }
    report.add(node.at, path, message).help(help);
    report.finish().swap_remove(0)
}
