//! The tree that a file becomes before anything is known of its meaning: every scalar as text with
//! the kind it was written as, and every node with its place.
//!
//! One tree of our own, because faults need places, ids that are numbers must keep their digits
//! (`007` stays `007`), and no other file should know which YAML parser there is.
//!
//! Not here: parsing (`text`), `${…}` (`expand`), what belongs where (`check`).
//! Cost: 80 bytes a node and its text.

use std::fmt;

use serde_json::Value as Json;

/// A place in a file, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    pub(crate) const START: Position = Position { line: 1, column: 1 };
}

/// What a scalar was written as. Quoted ones are strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar { text: Box<str>, kind: Kind },
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Position,
    /// Just behind the last character; for collections the place of their end.
    pub(crate) end: Position,
    /// Place among its siblings of a sequence, as written.
    pub(crate) place: u32,
    pub(crate) expansion: Option<Box<Expansion>>,
}

/// One member of a mapping. The key is text whatever it was written as: `101` is `"101"`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) at: Position,
    /// Set when another member of the same mapping has the same key; where the first one stands.
    pub(crate) twin: Option<Position>,
    pub(crate) node: Node,
}

/// What `${…}` did to a scalar.
#[derive(Debug)]
pub(crate) enum Expansion {
    /// The node's text is the value; `written` is what faults show.
    Done { written: Box<str> },
    /// The node's text is still as written.
    Failed { message: String, help: Option<String> },
}

impl Node {
    pub(crate) fn scalar(text: &str, kind: Kind, at: Position, end: Position) -> Node {
        let value = Value::Scalar { text: text.into(), kind };
        Node { value, at, end, place: 0, expansion: None }
    }

    /// What a file without any content is.
    pub(crate) fn empty() -> Node {
        let at = Position::START;
        Node { value: Value::Map(Vec::new()), at, end: at, place: 0, expansion: None }
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar as the file has it: never what a variable expanded to.
    pub(crate) fn written(&self) -> Option<&str> {
        match (&self.expansion, &self.value) {
            (Some(expansion), Value::Scalar { text, .. }) => match &**expansion {
                Expansion::Done { written } => Some(written),
                Expansion::Failed { .. } => Some(text),
            },
            (None, Value::Scalar { text, .. }) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_expanded(&self) -> bool {
        matches!(self.expansion.as_deref(), Some(Expansion::Done { .. }))
    }

    /// The tree as serde reads it. Numbers that JSON cannot hold become strings.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar { text, kind } => scalar_to_json(text, *kind),
            Value::Seq(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.to_string(), entry.node.to_json())).collect(),
            ),
        }
    }
}

fn scalar_to_json(text: &str, kind: Kind) -> Json {
    match kind {
        Kind::Null => Json::Null,
        Kind::Bool => Json::Bool(text == "true"),
        Kind::String => Json::String(text.into()),
        Kind::Number => {
            let whole = text
                .parse::<u64>()
                .map(Json::from)
                .or_else(|_| text.parse::<i64>().map(Json::from));
            let any = whole.or_else(|_| text.parse::<f64>().map(Json::from));
            any.unwrap_or_else(|_| Json::String(text.into()))
        }
    }
}

/// Reads a plain scalar by YAML 1.2's core schema, of which only `true`, `false`, `null`, `~` and
/// decimal numbers are taken: `yes`, `off` and `0x10` are strings.
pub(crate) fn kind_of_plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" => Kind::Null,
        "true" | "false" => Kind::Bool,
        _ if is_number(text) => Kind::Number,
        _ => Kind::String,
    }
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(unsigned);
    let mut rest = &unsigned[whole..];
    let mut fraction = 0;
    if let Some(behind) = rest.strip_prefix('.') {
        fraction = digits(behind);
        rest = &behind[fraction..];
    }
    if whole + fraction == 0 {
        return false;
    }
    if let Some(behind) = rest.strip_prefix(['e', 'E']) {
        let exponent = behind.strip_prefix(['-', '+']).unwrap_or(behind);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// The way from the root to a node, kept on the stack while a tree is walked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn key<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path::Key(self, key)
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    fn parent(&self) -> Option<&'a Path<'a>> {
        match self {
            Path::Root => None,
            Path::Key(parent, _) | Path::Index(parent, _) => Some(parent),
        }
    }

    /// Follows this path through `root` as far as the tree goes. Indices count the items that the
    /// tree still has; the text shows them as they were written.
    pub(crate) fn resolve<'n>(&self, root: &'n Node) -> Resolved<'n> {
        let Some(parent) = self.parent() else {
            return Resolved { deepest: root, key_at: root.at, whole: true, text: String::new() };
        };
        let mut found = parent.resolve(root);
        let next = match (self, &found.deepest.value) {
            (Path::Key(_, key), Value::Map(_)) => {
                found.deepest.entry(key).map(|entry| (entry.at, &entry.node))
            }
            (Path::Index(_, index), Value::Seq(items)) => {
                items.get(*index).map(|item| (item.at, item))
            }
            _ => None,
        };
        match self {
            Path::Key(_, key) => push_key(&mut found.text, key),
            Path::Index(_, index) => {
                let place = next.map_or(*index, |(_, item)| item.place as usize);
                found.text.push_str(&format!("[{place}]"));
            }
            Path::Root => {}
        }
        match next.filter(|_| found.whole) {
            Some((key_at, node)) => Resolved { deepest: node, key_at, ..found },
            None => Resolved { whole: false, ..found },
        }
    }
}

fn push_key(text: &mut String, key: &str) {
    if !text.is_empty() {
        text.push('.');
    }
    text.push_str(key);
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Resolved<'n> {
    pub(crate) deepest: &'n Node,
    /// Where the deepest node's key stands (its own place, for an item of a sequence).
    pub(crate) key_at: Position,
    /// Whether the tree has all of the path.
    pub(crate) whole: bool,
    pub(crate) text: String,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_a_number_only_in_decimal_and_a_boolean_only_as_true_or_false() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("null", Kind::Null),
            ("Null", Kind::String),
            ("true", Kind::Bool),
            ("yes", Kind::String),
            ("off", Kind::String),
            ("0", Kind::Number),
            ("007", Kind::Number),
            ("-1", Kind::Number),
            ("1.5", Kind::Number),
            (".5", Kind::Number),
            ("1e3", Kind::Number),
            ("1e", Kind::String),
            (".", Kind::String),
            ("-", Kind::String),
            ("0x10", Kind::String),
            ("1_000", Kind::String),
            ("5s", Kind::String),
            ("127.0.0.1", Kind::String),
        ] {
            assert_eq!(kind_of_plain(text), kind, "{text}");
        }
    }
}
