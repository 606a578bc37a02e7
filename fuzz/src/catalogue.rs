//! Any text as paths of columns, rows and what passes beside them: what compiles is consistent, and a
//! body made of the same paths is rewritten as the oracle says.
//!
//! The first byte holds flags, then comes a path a line: first that of the rows, then by its first
//! character a path beside them (`b`), a private, owner or team column (`p`, `o`, `t`), or else a column.
//! What compiles is said once more by plain rules over lists of parts.

use gateway_rewrite::{Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Shape, Shown};
use serde_json::{Map, Value, json};

use crate::cuts::of_every_cut;
use crate::oracle;
use crate::setting::{Setting, column};

/// More would take long to compile and show nothing else.
const PATHS_MAX: usize = 40;

pub fn run(input: &[u8]) {
    let Some((flags, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let setting = setting(*flags, &text);
    let is_shaped = shape(&setting);
    let is_catalogued = catalogue(&setting);
    if is_shaped && is_catalogued {
        let body = body(&setting);
        let whole = of_every_cut(&setting.job(), body.as_bytes(), *flags);
        let expected = oracle::expect(&setting, body.as_bytes());
        let accepted = whole.result.is_ok().then_some(whole.out);
        assert_eq!(accepted, expected, "{body}");
        let fits = nesting(&body) <= usize::from(setting.job().bounds.depth);
        assert!(expected.is_some() || !fits, "a body of the right shape is refused: {body}");
    }
}

/// How deep a body goes. A column may be named that lies deeper than any body may: it is never shown.
fn nesting(body: &str) -> usize {
    let mut deepest = 0;
    let mut open: usize = 0;
    let mut in_text = false;
    let mut bytes = body.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_text => drop(bytes.next()),
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !in_text => open -= 1,
            _ => {}
        }
    }
    deepest
}

fn setting(flags: u8, text: &str) -> Setting {
    let mut lines = text.split('\n');
    let mut setting = Setting::new(lines.next().unwrap_or_default(), &[]);
    setting.pass_envelope = flags & 1 == 1;
    setting.all = flags & 2 == 2;
    for line in lines.take(PATHS_MAX) {
        let mut rest = line.chars();
        let (kind, path) = (rest.next(), rest.as_str().to_owned());
        match kind {
            Some('b') => setting.beside.push(path),
            Some('p') => setting.visibility.private = Some(path),
            Some('o') => setting.visibility.owner.push(path),
            Some('t') => setting.visibility.team = Some(path),
            _ => setting.columns.push(column(line)),
        }
    }
    if setting.all {
        setting.columns.retain(|column| column.spec.assistant);
    }
    setting
}

fn parts(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

fn is_path(path: &str) -> bool {
    parts(path).iter().all(|part| !part.is_empty())
}

/// Whether one path is the other, or leads to it.
fn meet(one: &str, other: &str) -> bool {
    let (one, other) = (parts(one), parts(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// Holds what is said of the shape against the rules; whether it is one.
fn shape(setting: &Setting) -> bool {
    let Setting { rows, beside, pass_envelope, .. } = setting;
    let compiled = Shape::compile(rows, beside, *pass_envelope);
    let is_root = matches!(&**rows, "$" | "$*" | "[]");
    let way = rows.strip_suffix("[]").unwrap_or(rows);
    let is_named = |path: &str| is_path(path) && !path.contains(['[', ']']);
    let another_language = way.strip_prefix('$').is_some_and(|rest| {
        !rest.starts_with(|first: char| first.is_alphanumeric() || first == '_')
    });
    let is_way = is_root || (is_named(way) && !another_language);
    let overlaps = |(index, path): (usize, &String)| {
        (!is_root && meet(path, way)) || beside[..index].iter().any(|other| meet(path, other))
    };
    let is_sound = is_way
        && beside.iter().all(|path| is_named(path))
        && !beside.iter().enumerate().any(overlaps);
    assert_eq!(compiled.is_ok(), is_sound, "{compiled:?}");
    match compiled {
        Ok(shape) => {
            assert_eq!(shape.is_lines(), rows == "$*");
            assert_eq!(shape.is_single(), rows != "$*" && !rows.ends_with("[]"));
            assert_eq!(shape.passes_envelope(), *pass_envelope);
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    is_sound
}

fn spec(setting: &Setting) -> CatalogueSpec {
    let columns = setting.columns.iter().map(|column| column.spec.clone());
    let columns = if setting.all {
        ColumnsSpec::All { assistants: columns.map(|column| column.path).collect() }
    } else {
        ColumnsSpec::Listed(columns.collect())
    };
    CatalogueSpec { columns, visibility: setting.visibility.clone(), unmapped: setting.unmapped }
}

/// Holds what is said of the columns against the rules; whether they are a catalogue.
fn catalogue(setting: &Setting) -> bool {
    let compiled = Catalogue::compile(&spec(setting));
    let columns: Vec<&ColumnSpec> = setting.columns.iter().map(|column| &column.spec).collect();
    let visibility = &setting.visibility;
    let judged: Vec<&String> =
        visibility.private.iter().chain(&visibility.owner).chain(&visibility.team).collect();
    let twice = |list: &[&str]| (1..list.len()).any(|at| list[..at].contains(&list[at]));
    let listed: Vec<&str> = columns.iter().map(|column| &*column.path).collect();
    let owners: Vec<&str> = visibility.owner.iter().map(String::as_str).collect();
    let is_named = |path: &str| is_path(path) && !path.contains("[]");
    let contradict = |whole: &&&ColumnSpec| {
        let within = |column: &&&ColumnSpec| {
            column.path != whole.path && parts(&column.path).starts_with(&parts(&whole.path))
        };
        let plain = |column: &&&ColumnSpec| !column.assistant;
        whole.whole && !whole.assistant && columns.iter().filter(plain).any(|c| within(&c))
    };
    let is_sound = listed.iter().all(|path| is_named(path))
        && judged.iter().all(|path| is_named(path))
        && !twice(&listed)
        && !twice(&owners)
        && !columns.iter().any(|column| contradict(&column));
    assert_eq!(compiled.is_ok(), is_sound, "{:?}", compiled.err());
    if let Ok(catalogue) = &compiled {
        holds(catalogue, setting, &listed);
    }
    is_sound
}

fn holds(catalogue: &Catalogue, setting: &Setting, listed: &[&str]) {
    assert_eq!(catalogue.is_all(), setting.all);
    assert_eq!(catalogue.has_assistants(), setting.columns.iter().any(|c| c.spec.assistant));
    assert_eq!(catalogue.judges_private(), setting.visibility.private.is_some());
    assert_eq!(catalogue.judges_owner(), !setting.visibility.owner.is_empty());
    assert_eq!(catalogue.judges_team(), setting.visibility.team.is_some());
    assert_eq!(catalogue.unlisted_count(), 0);
    if setting.all {
        assert_eq!((catalogue.columns().count(), catalogue.judged_only().count()), (0, 0));
        return;
    }
    assert!(catalogue.columns().map(|(_, path)| path).eq(listed.iter().copied()));
    let shown = Shown::all(catalogue);
    for (id, path) in catalogue.columns() {
        assert_eq!(catalogue.column(path), Some(id));
        assert!(shown.contains(id) && !Shown::none(catalogue).contains(id));
        let named = |word: &str| catalogue.names_column(word).any(|named| named == id);
        assert!(named(path) && parts(path).into_iter().all(named), "{path}");
    }
    assert!(catalogue.judged_only().all(|path| !listed.contains(&path)));
}

/// A body of the shape, whose row and envelope have something at every path, and something at none.
fn body(setting: &Setting) -> String {
    let visibility = &setting.visibility;
    let columns = setting.columns.iter().map(|column| &column.spec.path);
    let judged = visibility.private.iter().chain(&visibility.owner).chain(&visibility.team);
    let mut row = json!({"not listed": [1, {"x": "y"}]});
    for (number, path) in columns.chain(judged).enumerate() {
        put(&mut row, &parts(path), json!([number, "text", {"inner": null}]));
    }
    let Setting { rows, .. } = setting;
    if rows == "$*" {
        return format!("{row}\n\n{row}");
    }
    let place = if rows.ends_with("[]") { json!([row, {}]) } else { row };
    let way = rows.strip_suffix("[]").unwrap_or(rows);
    if way.is_empty() || way == "$" {
        return place.to_string();
    }
    let mut body = json!({"not beside": {"x": [1]}});
    for path in &setting.beside {
        put(&mut body, &parts(path), json!({"whole": [true]}));
    }
    put(&mut body, &parts(way), place);
    body.to_string()
}

/// Puts a value at a path; what is in the way of it becomes an object.
fn put(root: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        if !root.is_object() {
            *root = value;
        }
        return;
    };
    if !root.is_object() {
        *root = Value::Object(Map::new());
    }
    if let Value::Object(members) = root {
        put(members.entry(*first).or_insert(Value::Null), rest, value);
    }
}
