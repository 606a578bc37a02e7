//! The display names that replace assistant ids.
//!
//! A name is escaped once, when the table is made, so that a body's rewriting only copies bytes.
//!
//! Cost: a look-up mixes sixteen bytes of the id and compares it with one other; where ids crowd at one
//! place, as those of somebody hostile may, it is one keyed hash more. No allocation.

use std::collections::HashMap;

use crate::scan::{COPY, Padded};

/// An account's names for its assistants, by id. Ids are compared with a string's decoded text or
/// with a number's digits as written.
#[derive(Debug, Default)]
pub struct Names {
    /// Twice as many places as names or more, a power of two, each with at most one name: the first of
    /// those whose ids belong there.
    places: Box<[Option<Named>]>,
    /// The others, by id.
    crowded: HashMap<Box<[u8]>, Name, ahash::RandomState>,
    fallback: Option<Name>,
    longest: usize,
}

#[derive(Debug, Clone)]
struct Named {
    id: Box<[u8]>,
    name: Name,
}

/// A name as a JSON string, quotes included.
#[derive(Debug, Clone)]
struct Name {
    /// With zeros behind it, so that a short one can be copied in one step.
    bytes: Box<[u8]>,
    len: usize,
}

impl Name {
    fn of(text: &str) -> Name {
        let mut bytes = quoted(text);
        let len = bytes.len();
        bytes.resize(len.max(COPY), 0);
        Name { bytes: bytes.into(), len }
    }

    #[inline]
    fn text(&self) -> Padded<'_> {
        Padded { bytes: &self.bytes, len: self.len }
    }
}

impl Names {
    /// `fallback` replaces an id that has no name. Of an id given twice the later name holds.
    pub fn new<I, N>(names: impl IntoIterator<Item = (I, N)>, fallback: Option<&str>) -> Names
    where
        I: AsRef<str>,
        N: AsRef<str>,
    {
        let names: Vec<(I, N)> = names.into_iter().collect();
        let places = if names.is_empty() { 0 } else { (names.len() * 2).next_power_of_two() };
        let mut table = Names {
            places: vec![None; places].into_boxed_slice(),
            fallback: fallback.map(Name::of),
            ..Names::default()
        };
        for (id, name) in names {
            table.insert(id.as_ref().as_bytes(), Name::of(name.as_ref()));
        }
        table
    }

    fn insert(&mut self, id: &[u8], name: Name) {
        self.longest = self.longest.max(id.len());
        let place = place(id, self.places.len());
        match self.places.get_mut(place) {
            Some(Some(named)) if *named.id != *id => {
                self.crowded.insert(id.into(), name);
            }
            Some(free) => *free = Some(Named { id: id.into(), name }),
            None => {}
        }
    }

    /// No name and no fallback.
    pub fn none() -> Names {
        Names::default()
    }

    /// The name of an id as a JSON string with its quotes.
    #[inline]
    pub(crate) fn find(&self, id: &[u8]) -> Option<Padded<'_>> {
        match self.places.get(place(id, self.places.len()))? {
            Some(named) if is_same(&named.id, id) => Some(named.name.text()),
            Some(_) if !self.crowded.is_empty() => self.find_crowded(id),
            _ => None,
        }
    }

    #[inline(never)]
    fn find_crowded(&self, id: &[u8]) -> Option<Padded<'_>> {
        self.crowded.get(id).map(Name::text)
    }

    pub(crate) fn fallback(&self) -> Option<Padded<'_>> {
        self.fallback.as_ref().map(Name::text)
    }

    /// Bytes of the longest known id; a longer text cannot match.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

/// Whether two ids are. They are short, and a call that compares any length takes longer.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    match (one.last_chunk(), other.last_chunk()) {
        (Some(last), Some(other_last)) if one.len() == other.len() => {
            let pairs = one.as_chunks().0.iter().zip(other.as_chunks().0);
            let differ = word(last) ^ word(other_last);
            pairs.fold(differ, |differ, (one, other)| differ | word(one) ^ word(other)) == 0
        }
        _ => one == other,
    }
}

/// Where of so many places, a power of two, an id belongs: by its length, its first and its last bytes, in
/// which the ids of one account differ. Many at one place are found by a keyed hash.
#[inline]
fn place(id: &[u8], places: usize) -> usize {
    let (first, last) = match (id.first_chunk(), id.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (id.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ id.len() as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(32)
        .wrapping_add(last)
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    // From the top: the lower bytes of a product know nothing of the upper ones of what was multiplied.
    mixed.swap_bytes() as usize & places.wrapping_sub(1)
}

/// A JSON string of the text: quotes, backslashes and control characters escaped, the rest raw
/// UTF-8 (RFC 8259 section 7). U+007F and the line separators need no escape in JSON.
fn quoted(text: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut json = Vec::with_capacity(text.len() + 2);
    json.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => json.extend_from_slice(b"\\\""),
            b'\\' => json.extend_from_slice(b"\\\\"),
            b'\n' => json.extend_from_slice(b"\\n"),
            b'\r' => json.extend_from_slice(b"\\r"),
            b'\t' => json.extend_from_slice(b"\\t"),
            0..0x20 => {
                json.extend_from_slice(b"\\u00");
                json.push(HEX[usize::from(byte >> 4)]);
                json.push(HEX[usize::from(byte & 15)]);
            }
            _ => json.push(byte),
        }
    }
    json.push(b'"');
    json
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(names: &Names, id: &str) -> Option<Vec<u8>> {
        names.find(id.as_bytes()).map(|name| name.text().to_vec())
    }

    /// M4
    #[test]
    fn any_name_comes_back_from_its_json_string() {
        for name in [
            "",
            "Front desk",
            "Quote \" Slash / Back \\ Tab \t Newline \n",
            "\u{0}\u{1f}\u{7f}\r",
            "Grüße 👋\u{2028}",
        ] {
            let json = quoted(name);
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), name, "{name:?}");
        }
        for (name, json) in [
            ("é\u{1}\u{1f}", r#""é\u0001\u001f""#),
            ("\n\r\t", r#""\n\r\t""#),
            ("\"\\/", r#""\"\\/""#),
        ] {
            assert_eq!(quoted(name), json.as_bytes(), "{name:?}");
        }
    }

    #[test]
    fn ids_are_compared_byte_for_byte() {
        let names = Names::new([("asst_1", "A"), ("7", "Seven")], None);
        for (id, found) in [
            ("asst_1", true),
            ("ASST_1", false),
            ("asst_1 ", false),
            ("7", true),
            ("7.0", false),
            ("", false),
        ] {
            assert_eq!(names.find(id.as_bytes()).is_some(), found, "{id}");
        }
        assert_eq!(names.longest(), 6);
        assert_eq!(found(&Names::none(), "7"), None);
    }

    #[test]
    fn ids_that_differ_alike_at_two_places_are_not_the_same() {
        let id = |middle: [&str; 2]| format!("asst_000{}{}tail_000", middle[0], middle[1]);
        let one = id(["aaaaaaaa", "bbbbbbbb"]);
        for (middle, same) in [
            (["aaaaaaaa", "bbbbbbbb"], true),
            (["aaaaaaac", "bbbbbbb`"], false),
            (["aaaaaaac", "bbbbbbbb"], false),
            (["aaaaaaaa", "bbbbbbb`"], false),
        ] {
            assert_eq!(is_same(one.as_bytes(), id(middle).as_bytes()), same, "{middle:?}");
        }
        for len in [0, 1, 7, 8, 9, 15, 16, 17] {
            let (id, longer) = (&one.as_bytes()[..len], &one.as_bytes()[..len + 1]);
            assert!(is_same(id, id) && !is_same(id, longer), "{len}");
        }
    }

    #[test]
    fn ids_that_differ_only_where_nobody_looks_are_told_apart() {
        let id = |number: usize| format!("asst_000{number:08}00000000");
        let named = |number: usize| (id(number), number.to_string());
        let names = Names::new((0..1_000).map(named).chain([(id(7), "later".to_owned())]), None);
        assert!(names.crowded.len() > 990, "{}", names.crowded.len());
        for number in 0..1_000 {
            let name = if number == 7 { "later".to_owned() } else { number.to_string() };
            assert_eq!(found(&names, &id(number)), Some(quoted(&name)), "{number}");
        }
        assert_eq!(found(&names, &id(1_000)), None);
    }

    #[test]
    fn of_an_id_given_twice_the_later_name_holds() {
        for id in ["", "7", "asst_1", "asst_0123456789"] {
            let names = Names::new([("other", "0"), (id, "earlier"), (id, "later")], None);
            assert_eq!(found(&names, id), Some(quoted("later")), "{id}");
        }
    }

    #[test]
    fn ids_that_differ_where_they_should_do_not_crowd() {
        let short = |number: usize| number.to_string();
        let first = |number: usize| format!("{number:08}_an_account");
        let last = |number: usize| format!("asst_{number:08}");
        for id in [short, first, last] {
            let names = Names::new((0..1_000).map(|number| (id(number), "")), None);
            // By chance some two hundred would.
            assert!(names.crowded.len() < 500, "{} like {}", names.crowded.len(), id(0));
        }
    }

    #[test]
    fn ids_of_every_length_have_places() {
        let id = |len: usize| "x".repeat(len);
        let names = Names::new((0..40).map(|len| (id(len), len.to_string())), None);
        assert!(names.crowded.len() < 20, "{}", names.crowded.len());
        for len in 0..40 {
            assert_eq!(found(&names, &id(len)), Some(quoted(&len.to_string())));
        }
        assert_eq!(found(&names, &id(40)), None);
    }
}
