//! Where a body holds its rows, and what else of it passes.
//!
//! Both are compiled into one trie of member names from the root, so that the envelope is walked by
//! the same look-ups as a row. Arrays on the way to a `beside` path are walked; the way to the rows
//! itself goes through objects only, because anything else there was not foreseen by the route.

use crate::trie::{NodeId, ROOT, Trie, TrieBuilder};

/// The rows' place and the rest of the envelope. One per route, independent of the caller.
#[derive(Debug)]
pub struct Shape {
    pub(crate) trie: Trie,
    stops: Vec<Stop>,
    form: Form,
    pass_envelope: bool,
}

/// How the body holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    One,
    Array,
    Lines,
}

/// What a node of the envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// On the way to the rows: must be an object.
    Way,
    /// On the way to `beside` paths only.
    Beside,
    /// A `beside` path: passes whole.
    Whole,
    /// An array of rows.
    Rows,
    /// One row.
    Row,
    /// A row that is one of the body's lines.
    Line,
}

impl Shape {
    /// `rows` is `data[]`, `data`, `[]`, `$`, `$*` for a body of which each line is a row, or deeper:
    /// `result.items[]`. `beside` are dotted paths from the root that pass whole. With `pass_envelope`
    /// everything beside the rows passes.
    pub fn compile(
        rows: &str,
        beside: &[String],
        pass_envelope: bool,
    ) -> Result<Shape, ShapeError> {
        let (rows_path, form) = match rows.strip_suffix("[]") {
            Some(path) => (path, Form::Array),
            None if rows == "$" => ("", Form::One),
            None if rows == "$*" => ("", Form::Lines),
            None if rows.is_empty() => return Err(ShapeError::EmptyRows),
            None => (rows, Form::One),
        };
        if !rows_path.is_empty() {
            // `$values[]` is a member of some envelopes; a bare `$` in a path is another language.
            let after = rows_path.strip_prefix('$').map(|rest| rest.chars().next());
            if after.is_some_and(|c| !c.is_some_and(|c| c.is_alphanumeric() || c == '_')) {
                return Err(ShapeError::Dollar { rows: rows.to_owned() });
            }
            check_path(rows_path)?;
        }
        for (index, path) in beside.iter().enumerate() {
            check_path(path)?;
            // Where the body itself is the rows there is nothing beside them, and nothing to overlap.
            if !rows_path.is_empty() && overlap(rows_path, path) {
                return Err(ShapeError::RowsOverlap {
                    rows: rows.to_owned(),
                    beside: path.clone(),
                });
            }
            if let Some(other) = beside[..index].iter().find(|other| overlap(other, path)) {
                return Err(ShapeError::BesideOverlap {
                    first: other.clone(),
                    second: path.clone(),
                });
            }
        }
        let listed = if pass_envelope { &[] } else { beside };
        let (trie, stops) = build(rows_path, form, listed)?;
        Ok(Shape { trie, stops, form, pass_envelope })
    }

    /// Whether the body holds one row, not any number of them.
    pub fn is_single(&self) -> bool {
        self.form == Form::One
    }

    /// Whether the body is JSON Lines, each line one row.
    pub fn is_lines(&self) -> bool {
        self.form == Form::Lines
    }

    /// Whether everything beside the rows passes.
    pub fn passes_envelope(&self) -> bool {
        self.pass_envelope
    }

    pub(crate) fn stop(&self, node: NodeId) -> Stop {
        // A node without an entry does not exist; to pass nothing whole is the closed reading.
        self.stops.get(usize::from(node)).copied().unwrap_or(Stop::Beside)
    }
}

fn build(rows_path: &str, form: Form, beside: &[String]) -> Result<(Trie, Vec<Stop>), ShapeError> {
    let mut builder = TrieBuilder::new();
    let rows = if rows_path.is_empty() { Some(ROOT) } else { builder.insert(rows_path) };
    let rows = rows.ok_or(ShapeError::TooMany)?;
    let mut whole = Vec::with_capacity(beside.len());
    for path in beside {
        whole.push(builder.insert(path).ok_or(ShapeError::TooMany)?);
    }
    let trie = builder.finish();
    let mut stops = vec![Stop::Beside; trie.len()];
    for node in whole {
        stops[usize::from(node)] = Stop::Whole;
    }
    let mut way = rows;
    while way != ROOT {
        way = trie.parent(way);
        stops[usize::from(way)] = Stop::Way;
    }
    stops[usize::from(rows)] = match form {
        Form::One => Stop::Row,
        Form::Array => Stop::Rows,
        Form::Lines => Stop::Line,
    };
    Ok((trie, stops))
}

fn check_path(path: &str) -> Result<(), ShapeError> {
    if path.split('.').any(str::is_empty) {
        return Err(ShapeError::EmptySegment { path: path.to_owned() });
    }
    if path.contains(['[', ']']) {
        return Err(ShapeError::Bracket { path: path.to_owned() });
    }
    Ok(())
}

/// Whether one path is the other or lies in it.
fn overlap(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A faulty description of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error(
        "the rows' path is empty; `$` is a body that is one row, `$*` one row a line, `[]` an array of rows"
    )]
    EmptyRows,
    #[error(
        "`{rows}`: `$` stands alone, for a body that is one row, or as `$*`, for one row a line"
    )]
    Dollar { rows: String },
    #[error("`{path}` has an empty part")]
    EmptySegment { path: String },
    #[error(
        "`{path}`: brackets may only be the `[]` at the end of the rows' path; arrays beside the rows are walked unnamed"
    )]
    Bracket { path: String },
    #[error("`{beside}` passes whole and overlaps the rows at `{rows}`")]
    RowsOverlap { rows: String, beside: String },
    #[error("`{first}` and `{second}` overlap; the outer one passes whole already")]
    BesideOverlap { first: String, second: String },
    #[error("too many paths")]
    TooMany,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_rows_path_says_where_rows_are_and_how_many() {
        for (rows, stop, path) in [
            ("data[]", Stop::Rows, &["data"][..]),
            ("data", Stop::Row, &["data"]),
            ("[]", Stop::Rows, &[]),
            ("$", Stop::Row, &[]),
            ("$*", Stop::Line, &[]),
            ("result.items[]", Stop::Rows, &["result", "items"]),
            ("result.item", Stop::Row, &["result", "item"]),
        ] {
            let shape = Shape::compile(rows, &[], false).unwrap();
            assert_eq!(shape.is_single(), stop == Stop::Row, "{rows}");
            assert_eq!(shape.is_lines(), stop == Stop::Line, "{rows}");
            let node = path.iter().fold(ROOT, |node, name| {
                assert_eq!(shape.stop(node), Stop::Way, "{rows}");
                shape.trie.child(node, name.as_bytes())
            });
            assert_eq!(shape.stop(node), stop, "{rows}");
        }
    }

    #[test]
    fn a_faulty_shape_is_named() {
        let overlap = |rows: &str, beside: &str| {
            Err(ShapeError::RowsOverlap { rows: rows.to_owned(), beside: beside.to_owned() })
        };
        let segment = |path: &str| Err(ShapeError::EmptySegment { path: path.to_owned() });
        let bracket = |path: &str| Err(ShapeError::Bracket { path: path.to_owned() });
        let dollar = |rows: &str| Err(ShapeError::Dollar { rows: rows.to_owned() });
        for (rows, beside, expected) in [
            ("data[]", &["pagination", "meta.team_id", "meta.count"][..], Ok(())),
            ("result.items[]", &["result.count", "resulting"], Ok(())),
            ("", &[], Err(ShapeError::EmptyRows)),
            ("$**", &[], dollar("$**")),
            ("$*[]", &[], dollar("$*[]")),
            ("$[]", &[], dollar("$[]")),
            ("$[*]", &[], dollar("$[*]")),
            ("$.data[]", &[], dollar("$.data[]")),
            ("$values[]", &[], Ok(())),
            ("a..b", &[], segment("a..b")),
            (".data[]", &[], segment(".data")),
            ("data", &[""], segment("")),
            ("a[].b[]", &[], bracket("a[].b")),
            ("data[]", &["links[].self"], bracket("links[].self")),
            ("data[]", &["data"], overlap("data[]", "data")),
            ("data", &["data.x"], overlap("data", "data.x")),
            ("result.items[]", &["result"], overlap("result.items[]", "result")),
            // One resource may be a list in an envelope here and a bare row there.
            ("$", &["meta"], Ok(())),
            ("[]", &["meta"], Ok(())),
            ("$*", &["meta"], Ok(())),
            (
                "data[]",
                &["meta", "meta.a"],
                Err(ShapeError::BesideOverlap {
                    first: "meta".to_owned(),
                    second: "meta.a".to_owned(),
                }),
            ),
        ] {
            let beside: Vec<String> = beside.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(
                Shape::compile(rows, &beside, false).map(drop),
                expected,
                "{rows} {beside:?}"
            );
        }
    }

    #[test]
    fn where_the_body_is_the_row_nothing_passes_beside_it() {
        use crate::{
            Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Job, Names, Rewriter,
            RowRule, Shown, Unmapped, VisibilitySpec,
        };
        use std::sync::Arc;
        let id = ColumnSpec { path: "id".to_owned(), whole: false, assistant: false };
        let catalogue = Catalogue::compile(&CatalogueSpec {
            columns: ColumnsSpec::Listed(vec![id]),
            visibility: VisibilitySpec::default(),
            unmapped: Unmapped::Null,
        })
        .unwrap();
        let mut out = Vec::new();
        let mut rewriter = Rewriter::new(Job {
            shown: Arc::new(Shown::all(&catalogue)),
            catalogue: Arc::new(catalogue),
            shape: Arc::new(Shape::compile("$", &["meta".to_owned()], false).unwrap()),
            names: Arc::new(Names::none()),
            rows: Arc::new(RowRule::default()),
            bounds: Bounds { depth: 8, row_bytes: 1_024 },
        });
        rewriter.write(br#"{"meta":{"a":1},"id":7}"#, &mut out).unwrap();
        rewriter.end(&mut out).unwrap();
        assert_eq!(out, br#"{"id":7}"#);
    }
}
