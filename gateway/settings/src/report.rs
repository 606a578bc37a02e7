//! Faults: collected while a file is read, sorted, shown with their source line, a caret and a
//! remedy.
//!
//! What is shown was written by people, and may hold a secret by mistake. So lines are masked when
//! they are cut out: spans that the reader called secret, passwords in URLs, and any run of 32
//! letters and digits, which is what keys look like, or that begins as keys do. A value that a
//! variable expanded to is never shown; its `${…}` is. Of a directory only what is harmless is
//! shown at all (`discretion`).
//!
//! Cost: linear in the faults, whose number is bounded.

mod discretion;
mod source;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use crate::node::{Node, Path, Position, Value};
pub(crate) use discretion::Discretion;
pub use source::acts_on_terminal;
use source::{Source, printable};

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
    /// Names in the message may be shown when they read as ids do.
    plain_names: bool,
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

    /// What the message quotes is the name of a variable or file.
    pub(crate) fn quotes_names(&mut self) -> &mut Draft {
        self.plain_names = true;
        self
    }

    pub(crate) fn warning(&mut self) -> &mut Draft {
        self.warning = true;
        self
    }
}

/// For a fault whose finder had no better word.
const REMEDY_OF_LAST_RESORT: &str = "`colonnade schema` says what may stand here";

/// The faults of one file.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    source: Source<'a>,
    file: &'a str,
    drafts: Vec<Draft>,
    /// Paths that were reported already and taken out of the tree: what is missing there is no news.
    spoiled: HashSet<String>,
    discarded: Draft,
    /// What of the file may be shown, where not everything may.
    discretion: Option<Discretion>,
    /// Faults beyond [`FAULTS_SHOWN_MAX`].
    more: usize,
}

/// Most faults that are shown of one file.
const FAULTS_SHOWN_MAX: usize = 1_000;

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Report<'a> {
        Report {
            source: Source::new(text),
            file,
            drafts: Vec::new(),
            spoiled: HashSet::new(),
            discarded: Draft::new(Position::START, String::new(), String::new()),
            discretion: None,
            more: 0,
        }
    }

    /// Shows only what is harmless.
    pub(crate) fn discreet(self, discretion: Discretion) -> Report<'a> {
        Report { discretion: Some(discretion), ..self }
    }

    /// Keys begin with this; what does is masked.
    pub(crate) fn keys_begin_with(&mut self, prefix: &str) {
        self.source.mask_behind(prefix);
    }

    /// The text of the file is not taken apart further than this: nothing more would be shown.
    pub(crate) fn is_full(&self) -> bool {
        self.drafts.len() >= FAULTS_SHOWN_MAX
    }

    /// A name in a path, as it may be shown.
    pub(crate) fn name<'n>(&self, name: &'n str, at: Position) -> Cow<'n, str> {
        match &self.discretion {
            Some(discretion) => discretion.name(name, at),
            None => Cow::Borrowed(name),
        }
    }

    /// The name of a member that nobody knows, as it may be shown.
    pub(crate) fn unknown_name<'n>(&self, name: &'n str, at: Position) -> Cow<'n, str> {
        match &self.discretion {
            // Of those that are not shown it does not matter, and there may be very many of them.
            Some(discretion) if !self.is_full() => discretion.unknown(name, at),
            Some(_) => Cow::Owned(format!("<{}:{}>", at.line, at.column)),
            None => Cow::Borrowed(name),
        }
    }

    /// A path that is known as text alone, as it may be shown.
    pub(crate) fn path_text(&self, path: String) -> String {
        match &self.discretion {
            Some(discretion) => discretion.path(&path),
            None => path,
        }
    }

    /// A fault at a place that the caller knows.
    pub(crate) fn add(
        &mut self,
        at: Position,
        path: String,
        message: impl Into<String>,
    ) -> &mut Draft {
        if self.is_full() {
            self.more += 1;
            return &mut self.discarded;
        }
        let path = if path.is_empty() { "document".into() } else { path };
        self.drafts.push(Draft::new(at, path, message.into()));
        self.drafts.last_mut().unwrap_or(&mut self.discarded)
    }

    /// A fault of the value at `path`, or of its absence.
    pub(crate) fn at(
        &mut self,
        root: &Node,
        path: &Path<'_>,
        message: impl Into<String>,
    ) -> &mut Draft {
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
    pub(crate) fn about(
        &mut self,
        node: &Node,
        at: Position,
        path: String,
        message: &str,
    ) -> &mut Draft {
        let draft = self.add(at, path, message);
        draft.hidden = expansion(node);
        draft
    }

    /// A fault of the key that ends `path`: a name, or what its section as a whole says.
    pub(crate) fn at_key(
        &mut self,
        root: &Node,
        path: &Path<'_>,
        message: impl Into<String>,
    ) -> &mut Draft {
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

    /// What stands at `node` is never shown.
    pub(crate) fn secret(&mut self, node: &Node) {
        self.source.hide(node.at, node.end);
    }

    pub(crate) fn has_faults(&self) -> bool {
        self.more > 0 || self.drafts.iter().any(|draft| !draft.warning)
    }

    /// How many faults were reported, those that are not shown included.
    pub(crate) fn count(&self) -> usize {
        self.drafts.len() + self.more
    }

    /// All faults in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        self.drafts.sort_by_key(|draft| draft.at);
        if self.more > 0 {
            let message = format!("and {} more faults", self.more);
            let mut more = Draft::new(self.source.end(), "document".into(), message);
            more.help("mend those that are shown, and check again");
            self.drafts.push(more);
        }
        self.source.settle();
        let drafts = std::mem::take(&mut self.drafts);
        drafts.into_iter().map(|draft| self.render(draft)).collect()
    }

    fn render(&mut self, draft: Draft) -> Fault {
        let (source, caret) = self.source.show(draft.at, self.discretion.as_ref());
        let masked = |text: &str| self.source.mask(&printable(text));
        let written = |text: &str| without_values(text, draft.hidden.as_ref());
        let (mut message, mut help) = (
            written(&draft.message),
            written(draft.help.as_deref().unwrap_or(REMEDY_OF_LAST_RESORT)),
        );
        if let Some(discretion) = &self.discretion {
            message = discretion.message(&message, draft.plain_names);
            if draft.plain_names {
                help = discretion.message(&help, true);
            }
        }
        Fault {
            file: printable(self.file),
            line: draft.at.line,
            column: draft.at.column,
            path: masked(&cut(&draft.path)),
            message: masked(&message),
            source,
            caret,
            help: Some(masked(&help)),
            warning: draft.warning,
        }
    }
}

impl Draft {
    fn new(at: Position, path: String, message: String) -> Draft {
        Draft { at, path, message, help: None, warning: false, hidden: None, plain_names: false }
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
        let reveals =
            quoted && !part.is_empty() && (value.contains(part) || part.contains(value.as_str()));
        quoted = !quoted;
        if reveals { written } else { part }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Longest path that is shown, in characters.
const PATH_SHOWN_MAX: usize = 400;

fn cut(path: &str) -> String {
    let more = path.chars().nth(PATH_SHOWN_MAX).map(|_| '…');
    path.chars().take(PATH_SHOWN_MAX).chain(more).collect()
}

/// Longest part of a scalar or name that a message quotes, in characters.
const QUOTED_MAX: usize = 80;

/// A text to be put into backquotes: it has none of its own, and fits a line.
pub(crate) fn quotable(text: &str) -> String {
    let quoted = text.chars().take(QUOTED_MAX).map(|c| if c == '`' { '\'' } else { c });
    let more = text.chars().nth(QUOTED_MAX).map(|_| '…');
    quoted.chain(more).collect()
}

/// The nearest of `known` to `word`, when it is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded = fold(word);
    let length = folded.chars().count();
    let far = 1 + length / 4;
    known
        .into_iter()
        // Words that differ more in length than they may differ at all are not looked at.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= far)
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= far && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash are what people get wrong most.
fn fold(word: &str) -> String {
    word.chars().take(128).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// `did you mean …?`, or all that is known when nothing is near and the list is short.
pub(crate) fn suggestion<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
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
