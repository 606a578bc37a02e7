//! Random documents and random tasks over a handful of names, so that they meet.

use gateway_rewrite::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Owner, RowRule, Unmapped,
    VisibilitySpec,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::setting::{Column, Setting};

const NAMES: [&str; 8] = ["a", "b", "c", "ab", "é\"", "private", "a_rather_long_column_name", ""];
/// What the names of columns are drawn from: a path's part is never empty.
const PARTS: [&str; 7] = ["a", "b", "c", "ab", "é\"", "private", "a_rather_long_column_name"];
const TEXTS: [&str; 8] = [
    "",
    "a",
    "u1",
    "7",
    "ann@acme.test",
    "é👋",
    "quote \" and \\ and \n",
    "longer than any id that is known",
];
const NUMBERS: [&str; 9] =
    ["0", "7", "-1", "7.0", "1e400", "-0.0E-0", "12345678901234567890123", "0.1", "101"];
const SHAPES: [&str; 7] = ["data[]", "data", "[]", "$", "$*", "r.items[]", "r.item"];

/// A JSON string of the text, in one of several spellings.
fn spelled(text: &'static str) -> impl Strategy<Value = String> {
    (any::<u16>(), 0..4u8).prop_map(move |(which, style)| {
        let mut json = String::from("\"");
        for (index, character) in text.chars().enumerate() {
            let escape = match style {
                0 | 1 => false,
                2 => which >> (index % 16) & 1 == 1,
                _ => true,
            };
            match character {
                _ if escape => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        json += &if which & 1 == 1 {
                            format!("\\u{unit:04x}")
                        } else {
                            format!("\\u{unit:04X}")
                        };
                    }
                }
                '"' => json += "\\\"",
                '\\' => json += "\\\\",
                '\n' => json += "\\n",
                _ => json.push(character),
            }
        }
        json + "\""
    })
}

fn name() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_flat_map(spelled)
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => select(&[" ", "\n  ", "\r\n", "\t"][..])]
}

pub(crate) fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&TEXTS[..]).prop_flat_map(spelled),
        2 => select(&NUMBERS[..]).prop_map(str::to_owned),
        2 => select(&["true", "false", "null"][..]).prop_map(str::to_owned),
    ]
}

fn joined(open: &str, parts: Vec<(String, &str)>, blank: &str, close: &str) -> String {
    if parts.is_empty() {
        return format!("{open}{blank}{close}");
    }
    let padded = |(part, space)| format!("{space}{part}{space}");
    let parts: Vec<String> = parts.into_iter().map(padded).collect();
    format!("{open}{}{close}", parts.join(","))
}

fn list_of(element: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    let elements = proptest::collection::vec((element, space()), 0..=most);
    (elements, space()).prop_map(|(elements, blank)| joined("[", elements, blank, "]"))
}

/// The value of members that no catalogue lists, to be replaced by something worse.
pub(crate) const HIDDEN: &str = "\"@hidden@\"";

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (name(), space(), space(), value);
    let member = prop_oneof![
        9 => member.prop_map(|(name, before, after, value)| format!("{name}{before}:{after}{value}")),
        1 => Just(format!("\"hidden\":{HIDDEN}")),
    ];
    (proptest::collection::vec((member, space()), 0..6), space())
        .prop_map(|(members, blank)| joined("{", members, blank, "}"))
}

pub(crate) fn value() -> impl Strategy<Value = String> + Clone {
    scalar()
        .prop_recursive(
            4,
            40,
            5,
            |inner| prop_oneof![3 => object_of(inner.clone()), 2 => list_of(inner, 4)],
        )
        .boxed()
}

fn row() -> impl Strategy<Value = String> {
    object_of(value())
}

/// Rows, one a line, most of them without a line feed of their own; now and then something else.
fn lines() -> impl Strategy<Value = String> {
    let flat = || row().prop_map(|row| row.replace('\n', " "));
    let line = prop_oneof![30 => flat(), 1 => row(), 1 => value()];
    let end = prop_oneof![6 => Just("\n"), 1 => select(&["\r\n", " \n", "\n\n", "\n \t\r\n"][..])];
    let start = prop_oneof![6 => Just(""), 1 => select(&["\n", " ", "\r\n\n"][..])];
    (start, proptest::collection::vec((line, end), 0..5), any::<bool>()).prop_map(
        |(start, lines, ends)| {
            let body = lines.iter().fold(start.to_owned(), |body, (line, end)| body + line + end);
            if ends { body } else { body.trim_end().to_owned() }
        },
    )
}

/// A body of the shape; now and then of none.
fn body(rows: &'static str) -> BoxedStrategy<String> {
    if rows == "$*" {
        return lines().boxed();
    }
    let list = list_of(row(), 3);
    let place = if rows.ends_with("[]") {
        list.boxed()
    } else {
        prop_oneof![9 => row(), 1 => Just("null".to_owned())].boxed()
    };
    let place = prop_oneof![30 => place, 1 => value()].boxed();
    let path: Vec<&str> = rows
        .trim_end_matches("[]")
        .split('.')
        .filter(|part| !part.is_empty() && *part != "$")
        .collect();
    path.iter().rev().fold(place, |inner, part| envelope(part, inner)).prop_flat_map(padded).boxed()
}

fn envelope(part: &str, inner: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let part = format!("\"{part}\"");
    let around =
        (select(&["\"meta\"", "\"a\"", "\"p\\u0061ging\"", "\"other\""][..]), space(), value());
    let around = around.prop_map(|(name, space, value)| format!("{name}{space}:{value}")).boxed();
    let rows =
        (inner, space()).prop_map(move |(inner, space)| format!("{part}:{space}{inner}")).boxed();
    let member = prop_oneof![1 => rows.clone(), 8 => around.clone()];
    (
        proptest::collection::vec((around, space()), 0..3),
        rows,
        proptest::collection::vec((member, space()), 0..3),
    )
        .prop_map(|(mut members, rows, more)| {
            members.push((rows, ""));
            members.extend(more);
            joined("{", members, "", "}")
        })
        .boxed()
}

fn padded(body: String) -> impl Strategy<Value = String> {
    (space(), space()).prop_map(move |(before, after)| format!("{before}{body}{after}"))
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(&PARTS[..]), 1..4).prop_map(|parts| parts.join("."))
}

fn column() -> impl Strategy<Value = Column> {
    (path(), 0..5u8, any::<bool>()).prop_map(|(path, kind, shown)| Column {
        spec: ColumnSpec { path, whole: kind == 0, assistant: kind == 1 },
        shown,
    })
}

/// As many of the columns as a catalogue accepts together.
fn compatible(columns: Vec<Column>) -> Vec<Column> {
    let mut kept: Vec<Column> = Vec::new();
    for column in columns {
        kept.push(column);
        let specs = kept.iter().map(|column| column.spec.clone()).collect();
        let spec = CatalogueSpec {
            columns: ColumnsSpec::Listed(specs),
            visibility: VisibilitySpec::default(),
            unmapped: Unmapped::Null,
        };
        if Catalogue::compile(&spec).is_err() {
            kept.pop();
        }
    }
    kept
}

fn rule() -> impl Strategy<Value = (VisibilitySpec, RowRule)> {
    let short = || prop_oneof![3 => select(&PARTS[..]).prop_map(str::to_owned), 1 => path()];
    let owners = proptest::collection::hash_set(short(), 1..3);
    let judged = (any::<[bool; 3]>(), short(), owners, short());
    let known = (any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        Just((VisibilitySpec::default(), RowRule::default())),
        (judged, known).prop_map(|((asked, private, owner, team), (email, two, blind))| {
            let visibility = VisibilitySpec {
                private: (asked[0] || !blind).then_some(private),
                owner: if asked[1] || !blind { owner.into_iter().collect() } else { Vec::new() },
                team: (asked[2] || !blind).then_some(team),
            };
            let email = email.then(|| "ann@acme.test".to_owned());
            let teams = if two {
                vec!["7".to_owned(), "101".to_owned(), "a".to_owned()]
            } else {
                vec!["7".to_owned()]
            };
            let rule = RowRule {
                hide_private: asked[0],
                owner: asked[1].then(|| Owner { id: "u1".to_owned(), email }),
                teams: asked[2].then_some(teams),
            };
            (visibility, rule)
        }),
    ]
}

fn names() -> impl Strategy<Value = (Vec<(String, String)>, Option<String>)> {
    let known = select(
        &[
            ("a", "Front desk"),
            ("7", "Seven \"7\""),
            ("é👋", "\u{1}\\"),
            ("101", ""),
            ("a", "Later"),
        ][..],
    );
    let names = proptest::collection::vec(known, 0..4);
    let fallback = proptest::option::of(Just("AI \"assistant\"".to_owned()));
    (names, fallback).prop_map(|(names, fallback)| {
        (names.into_iter().map(|(id, name)| (id.to_owned(), name.to_owned())).collect(), fallback)
    })
}

/// A task and a body for it.
pub(crate) fn task() -> impl Strategy<Value = (Setting, String)> {
    let columns = proptest::collection::vec(column(), 0..8).prop_map(compatible);
    let flags = (any::<[bool; 2]>(), 0..4u8, prop_oneof![9 => Just(64u16), 1 => 1..8u16]);
    (select(&SHAPES[..]), columns, rule(), names(), flags).prop_flat_map(
        |(rows, columns, rule, names, flags)| {
            let ([all, keep], around, depth) = flags;
            let has_envelope = !matches!(rows, "[]" | "$" | "$*");
            let beside: &[&str] =
                if has_envelope && around > 1 { &["meta.a", "paging", "r.meta"] } else { &[] };
            let setting = Setting {
                rows: rows.to_owned(),
                beside: beside.iter().map(|path| (*path).to_owned()).collect(),
                pass_envelope: around == 1,
                columns,
                all: all && keep,
                visibility: rule.0,
                unmapped: if keep { Unmapped::Keep } else { Unmapped::Null },
                names: names.0,
                fallback: names.1,
                rule: rule.1,
                bounds: Bounds { depth, row_bytes: 1 << 20 },
            };
            body(rows).prop_map(move |body| (setting.clone(), body))
        },
    )
}

/// Something of which a lenient reader finds the end where a strict one would not read on.
pub(crate) fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let token = select(&["NaN", "-Infinity", "0x1F", "007", "+1", "nul", "_", "1.2.3", "TRUE"][..]);
    let token = token.prop_map(|token| token.as_bytes().to_vec());
    let text = proptest::collection::vec(any::<u8>(), 0..20).prop_map(quoted_leniently);
    let between = any::<u8>().prop_filter("the end", |byte| !b"\"[]{}".contains(byte));
    let between = proptest::collection::vec(between, 0..10).boxed();
    prop_oneof![token, text].prop_recursive(4, 20, 4, move |inner| {
        let parts = proptest::collection::vec((between.clone(), inner), 0..4);
        (any::<bool>(), parts).prop_map(|(is_object, parts)| {
            let (open, close) = if is_object { (b'{', b'}') } else { (b'[', b']') };
            let parts = parts.into_iter().flat_map(|(between, part)| [between, part]);
            std::iter::once(open).chain(parts.flatten()).chain([close]).collect()
        })
    })
}

/// Any bytes as a string that ends where it should, and nothing more.
fn quoted_leniently(bytes: Vec<u8>) -> Vec<u8> {
    let mut text = vec![b'"'];
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
    text
}
