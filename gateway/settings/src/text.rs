//! Text → tree. The only file that names the YAML parser.
//!
//! The parser's events are used, not its serde layer: they carry the place and the quoting of every
//! scalar, which faults and `${…}` need, and nothing is expanded behind our back. YAML here is the
//! part of it that people write by hand and that JSON is a part of: one document, mappings with
//! scalar keys, sequences, scalars. Anchors, aliases, merge keys, tags and directives are refused,
//! so a file cannot be larger in memory than it is on disk by more than a constant factor.
//!
//! More than YAML is one thing: inside `[…]` and `{…}` a brace may follow other text directly, so
//! that `{ match: GET /api/calls/{id}, port: ${PORT} }` reads as people mean it. YAML knows no
//! meaning for such a brace. Before parsing it is swapped for a character that no file may have, and
//! put back in the scalars; one character for one, so places stay what they are.
//!
//! Not here: what the words mean (`check`, `compile`).
//! Cost: one pass, no recursion; size and depth are bounded before anything is built.
//! Sources: YAML 1.2.2, RFC 8259.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_yaml::granit_parser::{self, Event, Marker, Parser, ScalarStyle, ScanError, Span};

use crate::node::{Entry, Kind, Node, Position, Value, kind_of_plain};

/// Deepest nesting of mappings and sequences that is read.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why a text is no tree at all. There is one of these: behind it nothing can be trusted.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) at: Position,
    /// The collection that was open, as a path.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// Reads one document of at most `bytes_max` bytes.
///
/// # Errors
/// [`Unreadable`], for the first place that is no YAML or no part of it that is read here.
pub(crate) fn parse(text: &str, bytes_max: usize) -> Result<Node, Unreadable> {
    if text.len() > bytes_max {
        let message = format!("the file has {} bytes; at most {bytes_max} are read", text.len());
        return Err(Unreadable {
            at: Position::START,
            path: String::new(),
            message,
            help: "keep records in a store, and this file small",
        });
    }
    refuse_control_characters(text)?;
    // A byte order mark at the very start is what some editors write; it says nothing in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = &hide_inner_brackets(text);
    let mut options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => builder.take(event, &span)?,
            Err(error) => return Err(builder.scan_error(&error, text)),
        }
    }
    let is_null = |root: &Node| matches!(root.value, Value::Scalar { kind: Kind::Null, .. });
    Ok(builder.root.filter(|root| !is_null(root)).unwrap_or_else(Node::empty))
}

fn refuse_control_characters(text: &str) -> Result<(), Unreadable> {
    let is_bad = |c: char| {
        (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r'))
            || matches!(c, '\u{feff}' | '\u{e000}'..='\u{e003}')
    };
    let Some((offset, found)) =
        text.char_indices().find(|(offset, c)| is_bad(*c) && (*offset > 0 || *c != '\u{feff}'))
    else {
        return Ok(());
    };
    let at = position_of(text, offset);
    let message = format!("the character U+{:04X} cannot stand in a file", u32::from(found));
    Err(Unreadable {
        at,
        path: String::new(),
        message,
        help: "write it as an escape in double quotes",
    })
}

/// Members of a mapping that are compared one by one; beyond them a table is cheaper.
const FEW_MEMBERS: usize = 16;

/// The first member with this key. `known` is filled once there are too many to compare.
fn find_first(entries: &[Entry], known: &mut HashMap<Box<str>, usize>, key: &str) -> Option<usize> {
    if entries.len() < FEW_MEMBERS {
        return entries.iter().position(|entry| &*entry.key == key);
    }
    // Once there is a table, only the member that was added last is not in it.
    let from = if known.is_empty() { 0 } else { entries.len() - 1 };
    for (index, entry) in entries.iter().enumerate().skip(from) {
        known.entry(entry.key.clone()).or_insert(index);
    }
    known.get(key).copied()
}

/// Stand-ins for `{ } [ ]` that belong to a word.
const STAND_INS: [(char, char); 4] =
    [('{', '\u{e000}'), ('}', '\u{e001}'), ('[', '\u{e002}'), (']', '\u{e003}')];

/// Swaps the brackets of `word{name}`, `${NAME:-default}` and `word[]`. A bracket that directly
/// follows a word opens nothing in YAML, so no other meaning is lost.
fn hide_inner_brackets(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find(['{', '[']).map(|at| from + at) {
        from = at + 1;
        let before = text[..at].chars().next_back();
        let follows_word = before.is_some_and(|c| {
            !c.is_whitespace() && !matches!(c, ',' | '[' | ']' | '{' | '}' | ':' | '"' | '\'')
        });
        let Some(length) = inner_length(&text[at..], before == Some('$')).filter(|_| follows_word)
        else {
            continue;
        };
        let end = at + length;
        hidden.push_str(&text[done..at]);
        for c in text[at..end].chars() {
            let stand_in = STAND_INS.iter().find(|(bracket, _)| *bracket == c);
            hidden.push(stand_in.map_or(c, |(_, stand_in)| *stand_in));
        }
        (done, from) = (end, end);
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    hidden.push_str(&text[done..]);
    Cow::Owned(hidden)
}

/// Bytes of the bracketed piece that `text` starts with, when it is one that a word may have.
fn inner_length(text: &str, expands: bool) -> Option<usize> {
    if text.starts_with("[]") {
        return Some(2);
    }
    let inside = text.strip_prefix('{')?;
    // Longer than any name or path; and what has no end is not looked for again and again.
    let inside = &inside[..inside.floor_char_boundary(4096)];
    let end = inside.find(['{', '}', '[', ']', ',', '"', '\'', '#', '\n', '\r'])?;
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let sound = inside[end..].starts_with('}') && (expands || inside[..end].chars().all(name));
    sound.then_some(end + 2)
}

fn restore_brackets(text: &str) -> Box<str> {
    if !text.contains(['\u{e000}', '\u{e001}', '\u{e002}', '\u{e003}']) {
        return text.into();
    }
    let restore = |c| {
        STAND_INS.iter().find(|(_, stand_in)| *stand_in == c).map_or(c, |(bracket, _)| *bracket)
    };
    text.chars().map(restore).collect::<String>().into()
}

/// A place as the parser and whoever cuts out its line count it: a line ends at `\n`, `\r\n` or `\r`, and
/// a mark at the start is no column.
fn position_of(text: &str, offset: usize) -> Position {
    let before = &text[..offset];
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    let last = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let pairs = before.matches("\r\n").count();
    let line = before.bytes().filter(|b| matches!(b, b'\n' | b'\r')).count() - pairs + 1;
    let column = before[last..].chars().count() + 1;
    Position { line: bounded(line), column: bounded(column) }
}

fn bounded(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn position(marker: &Marker) -> Position {
    Position { line: bounded(marker.line().max(1)), column: bounded(marker.col() + 1) }
}

/// A collection that is still open.
#[derive(Debug)]
enum Open {
    Seq {
        at: Position,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        entries: Vec<Entry>,
        known: HashMap<Box<str>, usize>,
        key: Option<(Box<str>, Position)>,
    },
}

#[derive(Debug, Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Unreadable> {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.refuse(
                        at,
                        "a second document starts; a file is one document",
                        "keep one of the two, and remove `---`",
                    ));
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => return Err(self.refuse_anchor(at)),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some())?;
                return self.scalar(&text, style, at, position(&span.end));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some())?;
                self.begin(Open::Seq { at, items: Vec::new() })?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some())?;
                let known = HashMap::new();
                self.begin(Open::Map { at, entries: Vec::new(), known, key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(position(&span.end)),
            _ => {}
        }
        Ok(())
    }

    fn refuse_properties(
        &self,
        at: Position,
        anchor: usize,
        tagged: bool,
    ) -> Result<(), Unreadable> {
        if anchor != 0 {
            return Err(self.refuse_anchor(at));
        }
        if tagged {
            return Err(self.refuse(
                at,
                "a tag (`!…`) stands here; tags are not read",
                "quote the value if it starts with `!`",
            ));
        }
        Ok(())
    }

    fn refuse_anchor(&self, at: Position) -> Unreadable {
        let help = "write the value out; quote it if it starts with `&` or `*`";
        self.refuse(at, "anchors (`&…`) and aliases (`*…`) are not read", help)
    }

    fn refuse(&self, at: Position, message: impl Into<String>, help: &'static str) -> Unreadable {
        Unreadable { at, path: self.path(), message: message.into(), help }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        at: Position,
        end: Position,
    ) -> Result<(), Unreadable> {
        let text = &*restore_brackets(text);
        let plain = matches!(style, ScalarStyle::Plain);
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            if plain && text == "<<" {
                return Err(self.refuse(
                    at,
                    "merge keys (`<<`) are not read",
                    "write the members out",
                ));
            }
            *key = Some((text.into(), at));
            return Ok(());
        }
        let kind = if plain { kind_of_plain(text) } else { Kind::String };
        self.put(Node::scalar(text, kind, at, end));
        Ok(())
    }

    fn begin(&mut self, open: Open) -> Result<(), Unreadable> {
        let at = match &open {
            Open::Seq { at, .. } | Open::Map { at, .. } => *at,
        };
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(self.refuse(
                at,
                "a list or mapping stands where a key should",
                "quote a value that starts with `{` or `[`",
            ));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(self.refuse(
                at,
                format!("nested deeper than {DEPTH_MAX} levels"),
                "nothing here is nested that deep",
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: Position) {
        let (value, at) = match self.open.pop() {
            Some(Open::Seq { at, items }) => (Value::Seq(items), at),
            Some(Open::Map { at, entries, .. }) => (Value::Map(entries), at),
            None => return,
        };
        self.put(Node { value, at, end, place: 0, expansion: None });
    }

    fn put(&mut self, mut node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => {
                node.place = bounded(items.len());
                items.push(node);
            }
            Some(Open::Map { entries, known, key, .. }) => {
                let Some((key, at)) = key.take() else { return };
                let first = find_first(entries, known, &key);
                let twin = first.map(|index| entries[index].at);
                if let Some(index) = first {
                    entries[index].twin.get_or_insert(at);
                }
                entries.push(Entry { key, at, twin, node });
            }
        }
    }

    /// The way to what is open now, for faults of the text itself.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Seq { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key: Some((key, _)), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn scan_error(&self, error: &ScanError, text: &str) -> Unreadable {
        let at = position(error.marker());
        let line = text.lines().nth(at.line as usize - 1).unwrap_or("");
        let help = if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
            "indent with spaces; a tab cannot"
        } else if line.contains(['\u{e000}', '\u{e002}']) {
            "inside `[…]` and `{…}`, put values that have brackets or commas in quotes"
        } else {
            "look at the brackets, quotes and indentation up to here"
        };
        Unreadable { at, path: self.path(), message: restore_brackets(&error.info()).into(), help }
    }
}
