//! The rules once more, slowly: parse everything, delete, compare.
//!
//! Works on path lists, not on a trie, and on a tree, not on a stream. Where the rewriter passes
//! something as it came, so does this, by slices of the body.

use std::ops::Range;

use gateway_rewrite::{RowRule, Unmapped};

use crate::setting::{Column, Setting};
use crate::tree::{Kind, Member, Value, parse};

/// What should come of a well-formed body: its output, or None for a refusal.
pub(crate) fn expect(setting: &Setting, body: &[u8]) -> Option<Vec<u8>> {
    if setting.rows == LINES {
        return expect_lines(setting, body);
    }
    let oracle = Oracle { setting, body };
    let root = parse(body)?;
    if deepest(&root) > usize::from(setting.bounds.depth) {
        return None;
    }
    let path = setting.rows.trim_end_matches("[]");
    let path: Vec<&str> =
        if path.is_empty() || path == "$" { Vec::new() } else { path.split('.').collect() };
    let mut found = false;
    let out = oracle.envelope(&root, Some(&path), &setting.beside, &mut found)?;
    found.then_some(out)
}

/// How [`Setting::rows`] is written where each line is a row.
pub(crate) const LINES: &str = "$*";

/// The lines that are not blank.
pub(crate) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = body.split(|byte| *byte == b'\n');
    lines.filter(|line| line.iter().any(|byte| !b" \t\r".contains(byte)))
}

fn expect_lines(setting: &Setting, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for line in lines(body) {
        let (oracle, row) = (Oracle { setting, body: line }, parse(line)?);
        if !matches!(row.kind, Kind::Object(_)) || deepest(&row) > usize::from(setting.bounds.depth)
        {
            return None;
        }
        if oracle.is_visible(&row) {
            out.extend(oracle.row(&row));
            out.push(b'\n');
        }
    }
    Some(out)
}

/// Whether what came out is whole: one document, or rows of which each is followed by a line feed.
pub(crate) fn is_whole(setting: &Setting, out: &[u8]) -> bool {
    if setting.rows != LINES {
        return parse(out).is_some();
    }
    let Some(rows) = out.strip_suffix(b"\n") else { return out.is_empty() };
    rows.split(|byte| *byte == b'\n')
        .all(|row| parse(row).is_some_and(|row| matches!(row.kind, Kind::Object(_))))
}

fn deepest(value: &Value) -> usize {
    match &value.kind {
        Kind::Object(members) => {
            1 + members.iter().map(|member| deepest(&member.value)).max().unwrap_or(0)
        }
        Kind::Array(elements) => 1 + elements.iter().map(deepest).max().unwrap_or(0),
        _ => 0,
    }
}

struct Oracle<'a> {
    setting: &'a Setting,
    body: &'a [u8],
}

/// A column seen from somewhere in its row: what is left of its path.
#[derive(Clone)]
struct Rest<'a> {
    path: Vec<&'a str>,
    column: &'a Column,
}

impl Oracle<'_> {
    fn raw(&self, at: &Range<usize>) -> Vec<u8> {
        self.body[at.clone()].to_vec()
    }

    /// A value around the rows. `way`: what is left of the path to the rows, if they can be in here.
    fn envelope(
        &self,
        value: &Value,
        way: Option<&[&str]>,
        beside: &[String],
        found: &mut bool,
    ) -> Option<Vec<u8>> {
        if way == Some(&[]) {
            *found = true;
            return self.rows(value);
        }
        match (&value.kind, way) {
            (Kind::Object(members), _) if self.setting.pass_envelope => {
                let mut edits = Vec::new();
                for member in members {
                    if let Some(inner) = step(way, &member.name) {
                        let text = self.envelope(&member.value, Some(inner), &[], found)?;
                        edits.push((member.value.at.clone(), text));
                    }
                }
                Some(self.edited(&value.at, edits))
            }
            (Kind::Object(members), _) => {
                let mut kept = Vec::new();
                for member in members {
                    let inner: Vec<String> =
                        beside.iter().filter_map(|path| inside(path, &member.name)).collect();
                    let way = step(way, &member.name);
                    let text = if beside.contains(&member.name) {
                        Some(self.raw(&member.value.at))
                    } else if way.is_some() || !inner.is_empty() {
                        match self.envelope(&member.value, way, &inner, found) {
                            None if way.is_some() => return None,
                            text => text,
                        }
                    } else {
                        None
                    };
                    kept.extend(text.map(|text| self.member(member, &text)));
                }
                Some(object(kept))
            }
            (_, Some(_)) => None,
            (Kind::Array(elements), None) => Some(array(
                elements.iter().filter_map(|e| self.envelope(e, None, beside, found)).collect(),
            )),
            (Kind::Null, None) => Some(b"null".to_vec()),
            _ => None,
        }
    }

    fn member(&self, member: &Member, text: &[u8]) -> Vec<u8> {
        [&self.body[member.name_at.clone()], b":", text].concat()
    }

    /// The bytes of a range, with some ranges in it replaced.
    fn edited(&self, at: &Range<usize>, edits: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut from = at.start;
        for (range, text) in edits {
            out.extend_from_slice(&self.body[from..range.start]);
            out.extend(text);
            from = range.end;
        }
        out.extend_from_slice(&self.body[from..at.end]);
        out
    }

    /// The array of rows, or the one row.
    fn rows(&self, value: &Value) -> Option<Vec<u8>> {
        let is_single = !self.setting.rows.ends_with("[]");
        match &value.kind {
            Kind::Null if is_single => Some(b"null".to_vec()),
            Kind::Object(_) if is_single => {
                Some(if self.is_visible(value) { self.row(value) } else { b"null".to_vec() })
            }
            Kind::Array(elements) if !is_single => {
                if elements.iter().any(|row| !matches!(row.kind, Kind::Object(_))) {
                    return None;
                }
                Some(array(
                    elements
                        .iter()
                        .filter(|row| self.is_visible(row))
                        .map(|row| self.row(row))
                        .collect(),
                ))
            }
            _ => None,
        }
    }

    fn row(&self, row: &Value) -> Vec<u8> {
        let rests: Vec<Rest> = (self.setting.columns.iter())
            .filter(|column| !self.setting.all || column.spec.assistant)
            .map(|column| Rest { path: column.spec.path.split('.').collect(), column })
            .collect();
        if self.setting.all { self.whole(row, &rests) } else { self.filtered_object(row, &rests) }
    }

    /// A value that `rests` lead to or into, in so many arrays; None if it is dropped.
    fn filtered(&self, value: &Value, rests: &[Rest], arrays: usize) -> Option<Vec<u8>> {
        let leaf = rests
            .iter()
            .find(|rest| rest.path.is_empty() && rest.column.shown)
            .map(|rest| &rest.column.spec);
        let below = rests.iter().any(|rest| !rest.path.is_empty() && rest.column.shown);
        if leaf.is_none() && !below && arrays == 0 {
            return None;
        }
        if leaf.is_some_and(|spec| spec.whole && !spec.assistant) {
            return Some(self.whole(value, rests));
        }
        if leaf.is_some_and(|spec| spec.assistant) && arrays < 2 {
            return Some(match &value.kind {
                Kind::Object(_) if below => self.filtered_object(value, rests),
                Kind::Array(elements) if arrays == 0 => array(
                    elements
                        .iter()
                        .filter_map(|element| self.filtered(element, rests, 1))
                        .collect(),
                ),
                _ => self.mapped(value),
            });
        }
        match &value.kind {
            Kind::Null => Some(self.raw(&value.at)),
            Kind::Object(_) => below.then(|| self.filtered_object(value, rests)),
            Kind::Array(elements) if below || (leaf.is_some() && arrays == 0) => Some(array(
                elements.iter().filter_map(|e| self.filtered(e, rests, arrays + 1)).collect(),
            )),
            Kind::Array(_) => None,
            _ => (leaf.is_some() && arrays < 2).then(|| self.raw(&value.at)),
        }
    }

    fn filtered_object(&self, value: &Value, rests: &[Rest]) -> Vec<u8> {
        let Kind::Object(members) = &value.kind else {
            return Vec::new();
        };
        let kept = members.iter().filter_map(|member| {
            let text = self.filtered(&member.value, &below(rests, &member.name), 0)?;
            Some(self.member(member, &text))
        });
        object(kept.collect())
    }

    /// A value that passes as it is, but for the assistants in it.
    fn whole(&self, value: &Value, rests: &[Rest]) -> Vec<u8> {
        let mut edits = Vec::new();
        self.whole_edits(value, rests, 0, &mut edits);
        self.edited(&value.at, edits)
    }

    fn whole_edits(
        &self,
        value: &Value,
        rests: &[Rest],
        arrays: usize,
        edits: &mut Vec<(Range<usize>, Vec<u8>)>,
    ) {
        let assistants = || rests.iter().filter(|rest| rest.column.spec.assistant);
        let is_assistant = assistants().any(|rest| rest.path.is_empty());
        let goes_on = assistants().any(|rest| !rest.path.is_empty());
        match &value.kind {
            Kind::Object(members) if goes_on || !is_assistant => {
                for member in members {
                    self.whole_edits(&member.value, &below(rests, &member.name), 0, edits);
                }
            }
            Kind::Array(elements) if !is_assistant || arrays == 0 => {
                elements
                    .iter()
                    .for_each(|element| self.whole_edits(element, rests, arrays + 1, edits));
            }
            _ if is_assistant => edits.push((value.at.clone(), self.mapped(value))),
            _ => {}
        }
    }

    fn mapped(&self, value: &Value) -> Vec<u8> {
        let id = match &value.kind {
            Kind::Text(text) => text.as_str(),
            Kind::Number => std::str::from_utf8(&self.body[value.at.clone()]).unwrap(),
            _ => return b"null".to_vec(),
        };
        // Of an id given twice the later name holds.
        let name =
            self.setting.names.iter().rev().find(|(known, _)| known == id).map(|(_, name)| name);
        match name.or(self.setting.fallback.as_ref()) {
            Some(name) => serde_json::to_vec(name).unwrap(),
            None if self.setting.unmapped == Unmapped::Keep => self.raw(&value.at),
            None => b"null".to_vec(),
        }
    }

    fn is_visible(&self, row: &Value) -> bool {
        let RowRule { hide_private, owner, teams } = &self.setting.rule;
        let paths = &self.setting.visibility;
        let is_public = || {
            let found = paths.private.as_deref().map(|path| find(row, path)).unwrap_or_default();
            !found.is_odd()
                && found.values.len() == 1
                && matches!(found.values[0].kind, Kind::False)
        };
        let is_owned = |known: [Option<&String>; 2]| {
            let found: Vec<Found> = paths.owner.iter().map(|path| find(row, path)).collect();
            let values =
                found.iter().flat_map(|found| found.values.iter().flat_map(|value| flat(value)));
            let is_known = |text: String| !text.is_empty() && known.contains(&Some(&text));
            !found.iter().any(|found| found.doubled)
                && values.filter_map(|value| self.text(value)).any(is_known)
        };
        let is_in = |teams: &[String]| {
            let found = paths.team.as_deref().map(|path| find(row, path)).unwrap_or_default();
            let values: Vec<&Value> = found.values.iter().flat_map(|value| flat(value)).collect();
            let is_known =
                |value: &&Value| self.text(value).is_some_and(|text| teams.contains(&text));
            !found.is_odd() && !values.is_empty() && values.iter().all(is_known)
        };
        (!hide_private || is_public())
            && owner.as_ref().is_none_or(|owner| is_owned([Some(&owner.id), owner.email.as_ref()]))
            && teams.as_ref().is_none_or(|teams| is_in(teams))
    }

    fn text(&self, value: &Value) -> Option<String> {
        match &value.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number => Some(String::from_utf8(self.raw(&value.at)).unwrap()),
            _ => None,
        }
    }
}

/// What lies at a path, and what was odd on the way.
#[derive(Default)]
struct Found<'a> {
    values: Vec<&'a Value>,
    doubled: bool,
    missing: bool,
}

impl Found<'_> {
    fn is_odd(&self) -> bool {
        self.doubled || self.missing
    }
}

fn find<'a>(row: &'a Value, path: &str) -> Found<'a> {
    let mut found = Found::default();
    collect(row, &path.split('.').collect::<Vec<_>>(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &[&str], found: &mut Found<'a>) {
    match (&value.kind, path) {
        (_, []) => found.values.push(value),
        (Kind::Array(elements), _) => {
            elements.iter().for_each(|element| collect(element, path, found))
        }
        (Kind::Object(members), [name, rest @ ..]) => {
            let named: Vec<&Member> =
                members.iter().filter(|member| member.name == *name).collect();
            found.missing |= named.is_empty();
            found.doubled |= named.len() > 1;
            named.iter().for_each(|member| collect(&member.value, rest, found));
        }
        _ => found.missing = true,
    }
}

/// The elements of an array of whatever depth, or the value itself.
fn flat(value: &Value) -> Vec<&Value> {
    match &value.kind {
        Kind::Array(elements) => elements.iter().flat_map(flat).collect(),
        _ => vec![value],
    }
}

fn step<'a, 'p>(way: Option<&'p [&'a str]>, name: &str) -> Option<&'p [&'a str]> {
    let (first, rest) = way?.split_first()?;
    (*first == name).then_some(rest)
}

fn inside(path: &str, name: &str) -> Option<String> {
    let (first, rest) = path.split_once('.')?;
    (first == name).then(|| rest.to_owned())
}

fn below<'a>(rests: &[Rest<'a>], name: &str) -> Vec<Rest<'a>> {
    let inner = rests.iter().filter(|rest| rest.path.first() == Some(&name));
    inner.map(|rest| Rest { path: rest.path[1..].to_vec(), column: rest.column }).collect()
}

fn object(members: Vec<Vec<u8>>) -> Vec<u8> {
    [b"{", members.join(&b','.to_owned()).as_slice(), b"}"].concat()
}

fn array(elements: Vec<Vec<u8>>) -> Vec<u8> {
    [b"[", elements.join(&b','.to_owned()).as_slice(), b"]"].concat()
}
