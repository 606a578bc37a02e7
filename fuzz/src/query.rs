//! Any text as a query: no name that a hidden column might be meant by passes, and no other is refused.
//!
//! The columns are chosen so that no part of a hidden one is like a part of a visible one. Then the rules
//! are short enough to be said once more: every run of a name's words is spelled out and compared. Where
//! a parameter selects columns, only what is plain is held: a list of visible columns passes, and under
//! a name that says nothing else no other list does.

use std::sync::OnceLock;

use gateway_policy::{QUERY_COLUMNS_DEFAULT, QueryError, QueryRule};
use gateway_rewrite::{
    Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Shown, Unmapped, VisibilitySpec,
};

const VISIBLE: [&str; 3] = ["call_id", "contact.title", "état"];
const HIDDEN: [&str; 4] = ["email", "customer.phone", "meta.deep.score", "имя"];
const JUDGED: &str = "is_private";

struct World {
    catalogue: Catalogue,
    shown: Shown,
    guard: QueryRule,
    list: QueryRule,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let column = |path: &&str| ColumnSpec { path: (*path).to_owned(), ..ColumnSpec::default() };
        let columns = VISIBLE.iter().chain(&HIDDEN).map(column).collect();
        let visibility =
            VisibilitySpec { private: Some(JUDGED.to_owned()), ..VisibilitySpec::default() };
        let spec = CatalogueSpec {
            columns: ColumnsSpec::Listed(columns),
            visibility,
            unmapped: Unmapped::Null,
        };
        let catalogue = Catalogue::compile(&spec).expect("a catalogue");
        let ids = VISIBLE.iter().filter_map(|path| catalogue.column(path));
        World {
            shown: Shown::from_ids(&catalogue, ids),
            catalogue,
            guard: QueryRule::Guard { columns: QUERY_COLUMNS_DEFAULT.map(Box::from).into() },
            list: QueryRule::Allow(vec!["limit".into(), "filter[x]".into()]),
        }
    })
}

pub fn run(input: &[u8]) {
    let Ok(query) = str::from_utf8(input) else { return };
    let World { catalogue, shown, guard, list } = world();
    let guarded = guard.check(Some(query), catalogue, shown, None);
    let verdicts: Vec<(&str, Option<bool>)> =
        parameters(query).map(|(name, value)| (name, passes(name, value))).collect();
    if verdicts.iter().all(|(_, verdict)| verdict.is_some()) {
        let refused = verdicts.iter().find(|(_, verdict)| *verdict == Some(false));
        let expected = match refused {
            None => Ok(()),
            Some((name, _)) => {
                Err(QueryError::ColumnNotAllowed { parameter: shortened(name).to_owned() })
            }
        };
        assert_eq!(guarded, expected, "{query}");
    } else if verdicts.iter().any(|(_, verdict)| *verdict == Some(false)) {
        assert!(guarded.is_err(), "{query}");
    }
    let unknown = parameters(query).find(|(name, _)| !["limit", "filter[x]"].contains(name));
    let expected = match unknown {
        None => Ok(()),
        Some((name, _)) => {
            Err(QueryError::UnknownParameter { parameter: shortened(name).to_owned() })
        }
    };
    assert_eq!(list.check(Some(query), catalogue, shown, None), expected, "{query}");
}

/// At most 128 bytes of a name, whole characters.
fn shortened(name: &str) -> &str {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    &name[..ends.take_while(|end| *end <= 128).last().unwrap_or(0)]
}

/// Pieces between `&`, each whole and, with `;` in it, in its pieces.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let readings = |piece| {
        let inner: Vec<&str> = str::split(piece, ';').collect();
        if inner.len() > 1 { [vec![piece], inner].concat() } else { inner }
    };
    let pieces = query.split('&').flat_map(readings);
    pieces
        .filter(|piece| piece.chars().any(|c| c != ';'))
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// Codes and `+` undone once; nothing if a `%` is left, or it is no text.
fn decoded(raw: &str) -> Option<String> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(byte) = raw.as_bytes().get(at) {
        at += 1;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = raw.as_bytes().get(at..at + 2)?;
                at += 2;
                // A sign would be read as part of a number.
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                is_hex.then(|| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())??
            }
            _ => *byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('%'))
}

/// Letters and digits without their case.
fn letters(text: &str) -> String {
    let folded = |c: char| {
        let upper = c.to_uppercase().next().unwrap_or(c);
        upper.to_lowercase().next().unwrap_or(upper)
    };
    text.chars().filter(|c| c.is_alphanumeric()).map(folded).collect()
}

fn words(name: &str) -> Vec<String> {
    let pieces = name.split(|c: char| !c.is_alphanumeric() && c != '_');
    pieces
        .flat_map(|piece| piece.split("__"))
        .map(letters)
        .filter(|word| !word.is_empty())
        .collect()
}

fn runs(items: &[String]) -> impl Iterator<Item = String> {
    let ends = move |first| (first + 1..=items.len()).map(move |end| (first, end));
    (0..items.len()).flat_map(ends).map(|(first, end)| items[first..end].concat())
}

fn parts(path: &str) -> Vec<String> {
    let segments: Vec<String> = path.split('.').map(letters).collect();
    runs(&segments).collect()
}

/// Whether the parameter passes; None where these rules do not say.
fn passes(name: &str, value: &str) -> Option<bool> {
    let Some(text) = decoded(name) else { return Some(false) };
    if HIDDEN.contains(&&*text) || text == JUDGED {
        return Some(false);
    }
    let words = words(&text);
    let hidden: Vec<String> = HIDDEN.iter().chain(&[JUDGED]).flat_map(|path| parts(path)).collect();
    if runs(&words).any(|run| hidden.contains(&run)) {
        return Some(false);
    }
    let selectors = QUERY_COLUMNS_DEFAULT.map(letters);
    if !runs(&words).any(|run| selectors.contains(&run)) || lists_visible(value) {
        return Some(true);
    }
    selectors.contains(&words.concat()).then_some(false)
}

fn lists_visible(value: &str) -> bool {
    let Some(value) = decoded(value) else { return false };
    value.split(|c: char| c == ',' || c.is_whitespace()).all(|item| {
        let named = item.strip_prefix(['-', '+']).unwrap_or(item);
        let is_direction = |text: &str| ["asc", "desc"].contains(&&*text.to_ascii_lowercase());
        let path = match named.rsplit_once(':') {
            Some((path, direction)) if is_direction(direction) => path,
            _ => named,
        };
        item.is_empty() || VISIBLE.contains(&path) || is_direction(named)
    })
}
