//! The display names that replace assistant ids.
//!
//! A name is escaped once, when the table is made, so that a body's rewriting only copies bytes.
//!
//! Cost: one keyed hash a look-up; no allocation.

use std::collections::HashMap;

/// An account's names for its assistants, by id. Ids are compared with a string's decoded text or
/// with a number's digits as written.
#[derive(Debug, Default)]
pub struct Names {
    /// Id to JSON string, quotes included.
    by_id: HashMap<Box<[u8]>, Box<[u8]>, ahash::RandomState>,
    fallback: Option<Box<[u8]>>,
    longest: usize,
}

impl Names {
    /// `fallback` replaces an id that has no name. Of an id given twice the later name holds.
    pub fn new<I, N>(names: impl IntoIterator<Item = (I, N)>, fallback: Option<&str>) -> Names
    where
        I: AsRef<str>,
        N: AsRef<str>,
    {
        let mut table = Names { fallback: fallback.map(quoted), ..Names::default() };
        for (id, name) in names {
            let id = id.as_ref().as_bytes();
            table.longest = table.longest.max(id.len());
            table.by_id.insert(id.into(), quoted(name.as_ref()));
        }
        table
    }

    /// No name and no fallback.
    pub fn none() -> Names {
        Names::default()
    }

    /// The name of an id as a JSON string with its quotes.
    pub(crate) fn find(&self, id: &[u8]) -> Option<&[u8]> {
        self.by_id.get(id).map(AsRef::as_ref)
    }

    pub(crate) fn fallback(&self) -> Option<&[u8]> {
        self.fallback.as_deref()
    }

    /// Bytes of the longest known id; a longer text cannot match.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

/// A JSON string of the text: quotes, backslashes and control characters escaped, the rest raw
/// UTF-8 (RFC 8259 section 7). U+007F and the line separators need no escape in JSON.
fn quoted(text: &str) -> Box<[u8]> {
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
    json.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        assert_eq!(&*quoted("é\u{1}"), "\"é\\u0001\"".as_bytes());
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
    }
}
