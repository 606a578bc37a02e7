//! Faults: collected while a file is read, sorted, shown with their source line, a caret and a
//! remedy.
//!
//! What is shown was written by people, and may hold a secret by mistake. So lines are masked when
//! they are cut out: spans that the reader called secret, passwords in URLs, and any run of 32
//! letters and digits, which is what keys look like. A value that a variable expanded to is never
//! shown; its `${…}` is.
//!
//! Cost: linear in the faults; line starts are found once.

use std::collections::HashSet;
use std::fmt;

use crate::node::{Node, Path, Position, Value};

/// One thing that is wrong with a file, with its place and remedy.
///
/// `Display` gives the place and message, the source line, a caret, and the remedy, without a line
/// end behind the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file as it was named to the reader.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Way from the root, `routes[2].scope`; `document` for the text as a whole.
    pub path: String,
    pub message: String,
    /// The source line, masked, and cut when it is very long.
    pub source: String,
    /// Column of the caret within `source`, from 1.
    pub caret: u32,
    pub help: Option<String>,
    /// A warning does not keep a file from being used.
    pub warning: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, column, path, message, source, .. } = self;
        let warning = if self.warning { "warning: " } else { "" };
        writeln!(f, "{file}:{line}:{column}: {path}: {warning}{message}")?;
        let number = line.to_string();
        writeln!(f, "  {number} | {source}")?;
        let gutter = " ".repeat(number.len());
        write!(f, "  {gutter} | {}^", " ".repeat(self.caret.saturating_sub(1) as usize))?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// A fault before its source line is cut out: by then all secrets of the file are known.
#[derive(Debug)]
pub(crate) struct Draft {
    at: Position,
    path: String,
    message: String,
    help: Option<String>,
    warning: bool,
    /// What the node's `${…}` expanded to, and the text that is shown instead.
    hidden: Option<(String, String)>,
}

impl Draft {
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Draft {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(&mut self, help: Option<impl Into<String>>) -> &mut Draft {
        self.help = help.map(Into::into);
        self
    }

    pub(crate) fn warning(&mut self) -> &mut Draft {
        self.warning = true;
        self
    }
}

/// The faults of one file.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    lines: Lines<'a>,
    file: &'a str,
    drafts: Vec<Draft>,
    /// Paths that were reported already and taken out of the tree: what is missing there is no news.
    spoiled: HashSet<String>,
    secrets: Vec<(Position, Position)>,
    discarded: Draft,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Report<'a> {
        Report {
            lines: Lines::new(text),
            file,
            drafts: Vec::new(),
            spoiled: HashSet::new(),
            secrets: Vec::new(),
            discarded: Draft::new(Position::START, String::new(), String::new()),
        }
    }

    /// A fault at a place that the caller knows.
    pub(crate) fn add(&mut self, at: Position, path: String, message: impl Into<String>) -> &mut Draft {
        let path = if path.is_empty() { "document".into() } else { path };
        self.drafts.push(Draft::new(at, path, message.into()));
        self.drafts.last_mut().unwrap_or(&mut self.discarded)
    }

    /// A fault of the value at `path`, or of its absence.
    pub(crate) fn at(&mut self, root: &Node, path: &Path<'_>, message: impl Into<String>) -> &mut Draft {
        let found = path.resolve(root);
        if !found.whole && self.is_spoiled(&found.text) {
            return &mut self.discarded;
        }
        let (at, hidden) = (found.deepest.at, expansion(found.deepest));
        let draft = self.add(at, found.text, message);
        draft.hidden = hidden;
        draft
    }

    /// A fault of a node, whatever is wrong with it.
    pub(crate) fn about(&mut self, node: &Node, at: Position, path: String, message: &str) -> &mut Draft {
        let draft = self.add(at, path, message);
        draft.hidden = expansion(node);
        draft
    }

    /// A fault of the key that ends `path`: a name, or what its section as a whole says.
    pub(crate) fn at_key(&mut self, root: &Node, path: &Path<'_>, message: impl Into<String>) -> &mut Draft {
        let found = path.resolve(root);
        if !found.whole && self.is_spoiled(&found.text) {
            return &mut self.discarded;
        }
        let at = if found.whole { found.key_at } else { found.deepest.at };
        self.add(at, found.text, message)
    }

    /// Says that what stood at `path` was reported and is gone from the tree.
    pub(crate) fn spoil(&mut self, path: String) {
        self.spoiled.insert(path);
    }

    /// Whether `path`, or something that it is in, was reported already.
    pub(crate) fn is_spoiled(&self, path: &str) -> bool {
        if self.spoiled.is_empty() {
            return false;
        }
        let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| self.spoiled.contains(&path[..end]))
    }

    /// The text from `from` to `to` is never shown.
    pub(crate) fn secret(&mut self, node: &Node) {
        self.secrets.push((node.at, node.end));
    }

    pub(crate) fn has_faults(&self) -> bool {
        self.drafts.iter().any(|draft| !draft.warning)
    }

    pub(crate) fn len(&self) -> usize {
        self.drafts.len()
    }

    /// All faults in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        self.drafts.sort_by_key(|draft| draft.at);
        self.secrets.sort_unstable();
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().map(|draft| self.render(draft)).collect()
    }

    fn render(&mut self, draft: Draft) -> Fault {
        let (source, caret) = self.source(draft.at);
        let shown = |text: &str| mask_keys(&printable(&without_values(text, draft.hidden.as_ref())));
        Fault {
            file: self.file.into(),
            line: draft.at.line,
            column: draft.at.column,
            path: mask_keys(&printable(&draft.path)),
            message: shown(&draft.message),
            source,
            caret,
            help: draft.help.as_deref().map(shown),
            warning: draft.warning,
        }
    }

    /// The part of the line around `at`, masked, and the caret's column in it.
    fn source(&mut self, at: Position) -> (String, u32) {
        let column = at.column as usize;
        // What is left of the part that is shown is read too: a key must not be cut so short that
        // it no longer looks like one.
        let first = if column <= SHOWN_MAX { 1 } else { column - SHOWN_MAX / 2 };
        let read_from = first.saturating_sub(MARGIN).max(1);
        let rest = self.lines.from_column(at.line, read_from);
        let read: String = rest.chars().take(first - read_from + SHOWN_MAX + MARGIN).collect();
        let mut chars: Vec<char> = printable(&read).chars().collect();
        self.mask_secrets(&mut chars, at.line, read_from);
        mask_runs(&mut chars);
        mask_userinfo(&mut chars);

        let start = (first - read_from).min(chars.len());
        let end = (start + SHOWN_MAX).min(chars.len());
        let (front, back) = (if first > 1 { "…" } else { "" }, if end < chars.len() { "…" } else { "" });
        let shown: String = chars[start..end].iter().collect();
        let caret = column - first + 1 + front.chars().count();
        (format!("{front}{shown}{back}"), caret as u32)
    }

    fn mask_secrets(&self, chars: &mut [char], line: u32, first_column: usize) {
        let begin = Position { line, column: first_column as u32 };
        let end = Position { line, column: (first_column + chars.len()) as u32 };
        // Scalars do not overlap: sorted by their starts, they are sorted by their ends.
        let behind = self.secrets.partition_point(|(from, _)| *from < end);
        let reaching = self.secrets[..behind].iter().rev().take_while(|(_, to)| *to > begin);
        for (from, to) in reaching {
            let from = if *from > begin { from.column as usize - first_column } else { 0 };
            let to = if to.line == line { to.column as usize - first_column } else { chars.len() };
            let to = to.min(chars.len());
            chars[from.min(to)..to].fill('*');
        }
    }
}

impl Draft {
    fn new(at: Position, path: String, message: String) -> Draft {
        Draft { at, path, message, help: None, warning: false, hidden: None }
    }
}

/// Where each line starts; `\r\n`, `\n` and `\r` end one.
#[derive(Debug)]
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The last column that was looked for, and its offset: faults come in the order of the file,
    /// so that a file of one long line is walked once.
    cursor: (u32, usize, usize),
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let bytes = text.as_bytes();
        let ends = |at: usize| match bytes[at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let behind = (0..bytes.len()).filter(|at| ends(*at)).map(|at| at + 1);
        Lines { text, starts: std::iter::once(0).chain(behind).collect(), cursor: (0, 1, 0) }
    }

    /// What the line has from a column on.
    fn from_column(&mut self, line: u32, column: usize) -> &'a str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.starts.get(index).copied() else { return "" };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let (known_line, known_column, known_offset) = self.cursor;
        let (from_column, from_offset) =
            if known_line == line && known_column <= column { (known_column, known_offset) } else { (1, start) };
        let text = self.text[from_offset..end].trim_end_matches(['\n', '\r']);
        let skip = text.char_indices().nth(column - from_column).map_or(text.len(), |(at, _)| at);
        self.cursor = (line, column, from_offset + skip);
        &text[skip..]
    }
}

/// Longest part of a source line that is shown, in characters.
const SHOWN_MAX: usize = 160;

/// How far around the shown part keys are looked for.
const MARGIN: usize = 512;

/// Nothing that moves a cursor or turns a line around reaches a terminal. One character for one.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() || turns(c) => '·',
            c => c,
        })
        .collect()
}

/// Shortest run of letters and digits that is taken for a key or a digest.
const KEY_RUN: usize = 32;

fn mask_runs(chars: &mut [char]) {
    let mut start = 0;
    for at in 0..=chars.len() {
        if chars.get(at).is_some_and(char::is_ascii_alphanumeric) {
            continue;
        }
        if at - start >= KEY_RUN {
            chars[start..at].fill('*');
        }
        start = at + 1;
    }
}

fn mask_keys(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    mask_runs(&mut chars);
    mask_userinfo(&mut chars);
    chars.into_iter().collect()
}

/// `scheme://user:password@host`: what stands between `//` and `@`.
fn mask_userinfo(chars: &mut [char]) {
    let mut from = 0;
    while let Some(at) = chars[from..].windows(3).position(|three| three == [':', '/', '/']) {
        let start = from + at + 3;
        let ends = |c: &char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ',' | '`');
        let end = chars[start..].iter().position(ends).map_or(chars.len(), |len| start + len);
        if let Some(len) = chars[start..end].iter().rposition(|c| *c == '@') {
            chars[start..start + len].fill('*');
        }
        from = start;
    }
}

/// What a node expanded to, and what was written.
fn expansion(node: &Node) -> Option<(String, String)> {
    match (&node.value, node.written()) {
        (Value::Scalar { text, .. }, Some(written)) if node.is_expanded() => {
            Some((text.to_string(), written.into()))
        }
        _ => None,
    }
}

/// Puts the written `${…}` where `text` quotes what it expanded to, or a part of that.
fn without_values(text: &str, hidden: Option<&(String, String)>) -> String {
    let Some((value, written)) = hidden else { return text.into() };
    let mut quoted = false;
    let parts = text.split('`').map(|part| {
        let reveals = quoted && !part.is_empty() && (value.contains(part) || part.contains(value.as_str()));
        quoted = !quoted;
        if reveals { written } else { part }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// The nearest of `known` to `word`, when it is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = fold(word);
    let far = 1 + folded.chars().count() / 4;
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= far && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are what people get wrong most.
fn fold(word: &str) -> String {
    word.chars().take(128).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// `did you mean …?`, or all that is known when nothing is near and the list is short.
pub(crate) fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if known.is_empty() || known.len() > 24 {
        return None;
    }
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("known here: {}", names.join(", ")))
}
