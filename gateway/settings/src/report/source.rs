//! The source text as faults may show it: one line, cut and masked.
//!
//! Cost: line starts are found once; the lines of faults that come in the order of the file are
//! walked once, however long they are.

use super::discretion::{BEHIND_PREFIX_MIN, Discretion};
use crate::node::Position;

/// The text of a file, and what of it is never shown.
#[derive(Debug)]
pub(super) struct Source<'a> {
    lines: Lines<'a>,
    secrets: Vec<(Position, Position)>,
    /// What keys begin with.
    prefix: Vec<char>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Source<'a> {
        Source { lines: Lines::new(text), secrets: Vec::new(), prefix: Vec::new() }
    }

    /// Nothing from `from` to `to` is shown.
    pub(super) fn hide(&mut self, from: Position, to: Position) {
        self.secrets.push((from, to));
    }

    /// What begins with `prefix` and goes on is a key.
    pub(super) fn mask_behind(&mut self, prefix: &str) {
        self.prefix = prefix.chars().collect();
    }

    /// Masks keys and passwords in a text of a fault.
    pub(super) fn mask(&self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        self.mask_chars(&mut chars);
        chars.into_iter().collect()
    }

    fn mask_chars(&self, chars: &mut [char]) {
        mask_runs(chars);
        mask_userinfo(chars);
        mask_prefixed(chars, &self.prefix);
    }

    /// The last line.
    pub(super) fn end(&self) -> Position {
        Position { line: u32::try_from(self.lines.starts.len()).unwrap_or(u32::MAX), column: 1 }
    }

    /// To be called once all secrets are known.
    pub(super) fn settle(&mut self) {
        self.secrets.sort_unstable();
    }

    /// The part of the line around `at`, masked, and the caret's column in it.
    pub(super) fn show(&mut self, at: Position, discretion: Option<&Discretion>) -> (String, u32) {
        let column = at.column as usize;
        // What is left of the part that is shown is read too: a key must not be cut so short that
        // it no longer looks like one.
        let first = if column <= SHOWN_MAX { 1 } else { column - SHOWN_MAX / 2 };
        let read_from = first.saturating_sub(MARGIN).max(1);
        let rest = self.lines.tail(at.line, read_from);
        let read: String = rest.chars().take(first - read_from + SHOWN_MAX + MARGIN).collect();
        let mut chars: Vec<char> = printable(&read).chars().collect();
        self.mask_secrets(&mut chars, at.line, read_from);
        self.mask_chars(&mut chars);

        let start = (first - read_from).min(chars.len());
        let end = (start + SHOWN_MAX).min(chars.len());
        let (front, back) =
            (if first > 1 { "…" } else { "" }, if end < chars.len() { "…" } else { "" });
        let (shown, caret) = match discretion {
            Some(discretion) => discretion.line(&chars[start..end], column - first),
            None => (chars[start..end].iter().collect(), column - first),
        };
        (format!("{front}{shown}{back}"), (caret + 1 + front.chars().count()) as u32)
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
    fn tail(&mut self, line: u32, column: usize) -> &'a str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.starts.get(index).copied() else { return "" };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let (known_line, known_column, known_offset) = self.cursor;
        let (from_column, from_offset) = if known_line == line && known_column <= column {
            (known_column, known_offset)
        } else {
            (1, start)
        };
        let text = self.text[from_offset..end].trim_end_matches(['\n', '\r']);
        let skip = text.char_indices().nth(column - from_column).map_or(text.len(), |(at, _)| at);
        self.cursor = (line, column, from_offset + skip);
        &text[skip..]
    }
}

/// Longest part of a source line that is shown, in characters.
const SHOWN_MAX: usize = 160;

/// How far around the shown part keys and passwords are looked for. A run that reaches from the
/// shown part out of this margin fills it, and so is long enough to be masked.
const MARGIN: usize = 4 * KEY_RUN;

/// Nothing that moves a cursor or turns a line around reaches a terminal. One character for one.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if acts_on_terminal(c) => '·',
            c => c,
        })
        .collect()
}

/// Whether a terminal does something else with a character than showing it: control characters of both
/// sets, separators of lines and paragraphs, marks of direction, characters without a width.
pub fn acts_on_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
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

/// What begins with the prefix of keys, and goes on.
fn mask_prefixed(chars: &mut [char], prefix: &[char]) {
    if prefix.is_empty() {
        return;
    }
    let belongs = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '*');
    let mut from = 0;
    while let Some(at) = chars[from..].windows(prefix.len()).position(|part| part == prefix) {
        let start = from + at + prefix.len();
        let rest = chars[start..].iter().take_while(|c| belongs(c)).count();
        if rest >= BEHIND_PREFIX_MIN {
            chars[start..start + rest].fill('*');
        }
        from = start;
    }
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
