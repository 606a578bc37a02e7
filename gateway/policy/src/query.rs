//! Judges what a query may say, so that no parameter reaches a column that the answer hides.
//!
//! Sorting by a hidden column, or filtering on it, tells its values as surely as showing them. A
//! route either lists the names it takes, or a guard reads every name the way upstreams do. The
//! query itself is never touched: what is accepted goes on byte for byte (T6), and what an upstream
//! makes of `include_raw=true` is filtered afterwards all the same (C9).
//!
//! How the guard reads a name: percent codes and `+` undone once, then split at `__` and at all but
//! letters, digits and `_` into words, so `filter[email]`, `-email`, `email__icontains` and
//! `customer.name` are understood. Words are compared by their letters and digits alone, without
//! case, because frameworks take `userEmail` for `user_email`. A run of words that is the path of a
//! hidden column, its head, its tail or a part between is refused, unless a visible column has
//! exactly the same part, or the run lies in one that is exactly a visible column: with
//! `customer.name` visible and `agent.name` hidden, `name` and `customer.name` pass.
//!
//! The columns that rows are judged by are hidden ones here where the catalogue does not list them:
//! a private flag or an owner that one can filter by tells of rows that nobody may see.
//!
//! How it reads a value of a selecting parameter: a list at commas and spaces of visible columns,
//! each with an optional leading `-` or `+` and trailing `:asc` or `:desc`; `asc` and `desc` alone.
//! `filter[status]=open` names its column in the name, so its value is data; `fields[calls]=email`
//! does not, so its value is judged.
//!
//! Every piece between `&` is read whole and, where it has a `;`, also split there: some upstreams do.
//!
//! Not here: other columns that the catalogue does not list. The guard cannot know them, which is why
//! `check` warns about filtered routes without a list.
//!
//! Cost: nothing without a query; a list of names is one comparison a name. The guard goes over the
//! hidden columns once, and indexes the catalogue for the first name that begins like one of them or
//! selects; from then on it takes time in the length of the query, whatever is in it. A few
//! microseconds at 24 columns, some milliseconds for the longest query against the most columns.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use gateway_rewrite::{Catalogue, Shown};

mod words;

use words::{Hints, Kind, Name, Parts, Role};

/// Parameters whose values name columns, where `query_columns:` does not say otherwise.
pub const QUERY_COLUMNS_DEFAULT: [&str; 8] =
    ["fields", "select", "include", "sort", "order", "order_by", "group_by", "filter"];

/// Bytes of a parameter's name that a refusal repeats.
const PARAMETER_SHOWN_MAX: usize = 128;

/// What a route's query may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryRule {
    /// These names and no other, byte for byte as sent: `%6cimit` is another name than `limit`.
    Allow(Vec<Box<str>>),
    /// Any name that does not reach a hidden column; the values of these must be visible columns.
    Guard { columns: Vec<Box<str>> },
}

impl QueryRule {
    /// Judges `query`, the part behind the first `?`. A parameter called `team` names the request's
    /// team and is judged as such, later: from a list byte for byte, past the guard in any spelling.
    ///
    /// # Errors
    /// `UnknownParameter` from a list, `ColumnNotAllowed` from the guard, each for the first
    /// parameter that is refused.
    pub fn check(
        &self,
        query: Option<&str>,
        catalogue: &Catalogue,
        shown: &Shown,
        team: Option<&str>,
    ) -> Result<(), QueryError> {
        let Some(query) = query else { return Ok(()) };
        match self {
            QueryRule::Allow(names) => {
                for (name, _) in parameters(query) {
                    let listed = names.iter().map(|name| &**name).chain(team).any(|it| it == name);
                    if !listed {
                        return Err(QueryError::UnknownParameter { parameter: shortened(name) });
                    }
                }
            }
            QueryRule::Guard { .. } if catalogue.is_all() => {}
            QueryRule::Guard { columns } => {
                let mut guard = None;
                for (name, value) in parameters(query) {
                    if team.is_some_and(|team| spells(name, team) == Some(true)) {
                        continue;
                    }
                    let guard = guard.get_or_insert_with(|| Guard::new(columns, catalogue, shown));
                    if !guard.admits(name, value) {
                        return Err(QueryError::ColumnNotAllowed { parameter: shortened(name) });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Why a query does not pass. `parameter` is the name as sent, cut to 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the parameter `{parameter}` names a column that this key cannot see")]
    ColumnNotAllowed { parameter: String },
    #[error("the route has no parameter `{parameter}`")]
    UnknownParameter { parameter: String },
}

fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(PARAMETER_SHOWN_MAX)].to_owned()
}

/// Whether a raw name is `parameter` in some spelling: percent-coded, in another case, with other
/// separators or none, as a list (`team_id[]`, `team_id[0]`). `None` when it cannot be read.
pub(crate) fn spells(raw: &str, parameter: &str) -> Option<bool> {
    decode(raw).map(|name| words::spells(&name, parameter))
}

/// `(name, value)` in every reading, raw; empty pieces are left out.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .flat_map(|piece| {
            let inner = piece.contains(';').then(|| piece.split(';'));
            std::iter::once(piece).chain(inner.into_iter().flatten())
        })
        .filter(|piece| !piece.bytes().all(|byte| byte == b';'))
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// Undoes percent codes and `+` once. `None` when a `%` is left, or what came out is not UTF-8.
pub(crate) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = raw.bytes();
    let mut plain = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                // Two digits of base 16 are below 256.
                (digit()? << 4 | digit()?) as u8
            }
            other => other,
        });
    }
    let plain = String::from_utf8(plain).ok()?;
    (!plain.contains('%')).then_some(Cow::Owned(plain))
}

/// The catalogue as one key sees it, made for reading names.
struct Guard<'a> {
    selectors: &'a [Box<str>],
    catalogue: &'a Catalogue,
    shown: &'a Shown,
    hints: Hints,
    /// Made for the first name that the hints do not clear.
    parts: OnceCell<Parts<'a>>,
}

impl<'a> Guard<'a> {
    fn new(selectors: &'a [Box<str>], catalogue: &'a Catalogue, shown: &'a Shown) -> Guard<'a> {
        let mut hints = Hints::default();
        hidden(catalogue, shown).for_each(|path| hints.add_path(path));
        for selector in selectors {
            hints.add(selector);
        }
        Guard { selectors, catalogue, shown, hints, parts: OnceCell::new() }
    }

    fn parts(&self) -> &Parts<'a> {
        self.parts.get_or_init(|| {
            let visible = || self.catalogue.columns().filter(|(id, _)| self.shown.contains(*id));
            let hidden = || hidden(self.catalogue, self.shown);
            let all = visible().map(|(_, path)| path).chain(hidden());
            let expected: usize = all.map(Parts::count).sum();
            let mut parts = Parts::new(expected + self.selectors.len());
            visible().for_each(|(_, path)| parts.add_path(path, Kind::Visible));
            hidden().for_each(|path| parts.add_path(path, Kind::Hidden));
            for selector in self.selectors {
                parts.add(selector, Kind::Selector);
            }
            parts
        })
    }

    fn admits(&self, name: &str, value: &str) -> bool {
        let Some(text) = decode(name) else { return false };
        // Exactly a column, also one without a letter or digit: no other reading is meant.
        let exactly = self.catalogue.column(&text).map(|id| self.shown.contains(id));
        if exactly == Some(false) || self.catalogue.judged_only().any(|path| path == text) {
            return false;
        }
        let name = Name::read(&text);
        if !(0..name.len()).any(|first| self.hints.may_begin(&name, first)) {
            return true;
        }
        let reading = self.read(&name);
        if exactly.is_none() && reading.reaches_hidden() {
            return false;
        }
        match reading.selector {
            Some(selector) if !reading.names_its_column(&name, selector.end) => {
                self.lists_visible(value)
            }
            _ => true,
        }
    }

    fn read(&self, name: &Name<'_>) -> Reading {
        let mut reading = Reading::default();
        let parts = self.parts();
        for first in 0..name.len() {
            for (run, hash) in name.runs(first, parts.letters_max()) {
                if parts.like(name.raw(&run), hash).next().is_some() {
                    judge(parts, name, run, hash, &mut reading);
                }
            }
        }
        reading
    }

    fn lists_visible(&self, value: &str) -> bool {
        let Some(value) = decode(value) else { return false };
        value.split(|c: char| c == ',' || c.is_whitespace()).all(|item| {
            let path = item.strip_prefix(['-', '+']).unwrap_or(item);
            item.is_empty() || self.is_visible(without_direction(path)) || self.is_direction(path)
        })
    }

    fn is_visible(&self, path: &str) -> bool {
        self.catalogue.column(path).is_some_and(|id| self.shown.contains(id))
    }

    /// `asc` or `desc`, unless a hidden column is called so.
    fn is_direction(&self, word: &str) -> bool {
        let is = |text: &str| word.eq_ignore_ascii_case(text);
        (is("asc") || is("desc")) && !hidden(self.catalogue, self.shown).any(is)
    }
}

/// What no query may reach: columns that this key is not shown, and what rows are judged by alone.
fn hidden<'a>(catalogue: &'a Catalogue, shown: &'a Shown) -> impl Iterator<Item = &'a str> {
    let columns = catalogue.columns().filter(|(id, _)| !shown.contains(*id));
    columns.map(|(_, path)| path).chain(catalogue.judged_only())
}

/// Notes what a run is that some part is like.
fn judge(parts: &Parts<'_>, name: &Name<'_>, run: Range<usize>, hash: u64, reading: &mut Reading) {
    let raw = name.raw(&run);
    let like = || parts.like(raw, hash);
    // Written just like a hidden part, it is not taken for a visible one joined by dots.
    let verbatim = like().any(|part| matches!(part.kind, Kind::Hidden(_)) && part.text == raw);
    let exactly = |text: &str| text == raw || (!verbatim && name.is_joined(&run, text));
    let visible_as =
        |role: Role| like().any(|part| part.kind == Kind::Visible(role) && exactly(part.text));
    let whole = visible_as(Role::Whole);
    let doubtful = like().any(|part| match part.kind {
        Kind::Hidden(role) => !visible_as(role),
        Kind::Visible(_) | Kind::Selector => false,
    });
    if doubtful {
        reading.doubtful.push(run.clone());
    }
    if whole {
        reading.visible.push(run.clone());
    }
    let is_selector = like().any(|part| part.kind == Kind::Selector);
    // Of those that begin first, the longest.
    if is_selector && reading.selector.as_ref().is_none_or(|known| known.start == run.start) {
        reading.selector = Some(run);
    }
}

fn without_direction(item: &str) -> &str {
    match item.rsplit_once(':') {
        Some((path, end))
            if end.eq_ignore_ascii_case("asc") || end.eq_ignore_ascii_case("desc") =>
        {
            path
        }
        _ => item,
    }
}

/// What the runs of a name's words are, each list by where they begin.
#[derive(Debug, Default)]
struct Reading {
    /// Exactly a visible column.
    visible: Vec<Range<usize>>,
    /// Like a part of a hidden column that no visible one has.
    doubtful: Vec<Range<usize>>,
    /// A parameter whose values name columns.
    selector: Option<Range<usize>>,
}

impl Reading {
    /// Whether a doubtful run is not within a visible one.
    fn reaches_hidden(&self) -> bool {
        let mut visible = self.visible.iter().peekable();
        let mut covered = 0;
        self.doubtful.iter().any(|run| {
            while let Some(column) = visible.next_if(|column| column.start <= run.start) {
                covered = covered.max(column.end);
            }
            covered < run.end
        })
    }

    /// Whether the words from `behind` on, places in a list left out, begin with a visible column.
    fn names_its_column(&self, name: &Name<'_>, behind: usize) -> bool {
        let is_place = |index: &usize| name.word(*index).bytes().all(|byte| byte.is_ascii_digit());
        let column = (behind..name.len()).find(|index| !is_place(index));
        column.is_some_and(|column| self.visible.iter().any(|run| run.start == column))
    }
}

#[cfg(test)]
mod tests;
