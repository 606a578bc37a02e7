//! Values of every length about the widths that are looked at at once, whole in a piece and byte by byte.

use crate::setting::{Setting, rewrite};

/// What may stand somewhere in a text: plain, escaped, of more bytes, or faulty.
const PARTS: [&[u8]; 13] = [
    b"",
    b"\"",
    b"\\\"",
    b"\\\\",
    b"\\u00e9",
    b"\x1f",
    "\u{e9}".as_bytes(),
    "\u{2013}".as_bytes(),
    "\u{1f44b}".as_bytes(),
    b"\x80",
    b"\xc3",
    b"\xe2\x80",
    b"\xed\xa0\x80",
];

/// Two rows, so that the second is guessed from the first, with the value in every kind of member.
fn bodies(value: &[u8]) -> Vec<Vec<u8>> {
    let member = |name: &str| [format!("\"{name}\":").as_bytes(), value].concat();
    let spaced = |name: &str| [format!("\n \"{name}\" : ").as_bytes(), value].concat();
    let row = |members: [Vec<u8>; 3], tail: &str| {
        [b"{", members.join(&b","[..]).as_slice(), tail.as_bytes(), b"}"].concat()
    };
    let names = [["x", "a", "b"], ["a", "x", "id"], ["id", "b", "x"]];
    let compact = names.map(|names| row(names.map(member), ",\"a\":1,\"x\":2"));
    let spaced = names.map(|names| row(names.map(spaced), " "));
    let body = |row: &Vec<u8>| [b"[", row.as_slice(), b",", row, b"]"].concat();
    compact.iter().chain(&spaced).map(body).collect()
}

fn is_the_same_byte_by_byte(value: &[u8]) {
    let setting = Setting::new("[]", &["a", "b", "-x", "id@"]).names(&[("7", "Seven")], Some("A"));
    let job = setting.job();
    for body in bodies(value) {
        let whole = rewrite(&job, [body.as_slice()]);
        let bytes = rewrite(&job, body.chunks(1));
        let text = String::from_utf8_lossy(&body);
        assert!(whole.agrees_with(&bytes), "{text}: {whole:?}, {bytes:?}");
    }
}

#[test]
fn strings_of_every_length_with_anything_at_their_ends_or_where_lanes_meet() {
    for len in (0..=36).chain(60..=70).chain([127, 128, 129, 200]) {
        for part in PARTS {
            let places = [0, len / 2, len.min(29), len.min(31), len.min(62), len];
            for place in places {
                let (before, behind) = ("a".repeat(place), "b".repeat(len - place));
                let value = [b"\"", before.as_bytes(), part, behind.as_bytes(), b"\""].concat();
                is_the_same_byte_by_byte(&value);
            }
        }
    }
}

/// What passes as it stands: the scalars of an array, the members of what is whole.
#[test]
fn containers_that_are_kept_with_anything_in_their_strings_and_names() {
    let setting = Setting::new("[]", &["a", "w!", "-x"]);
    let job = setting.job();
    for len in (0..=4).chain(28..=34).chain([62, 63, 64, 65, 66, 130]) {
        for part in PARTS {
            for place in [0, len.min(30), len] {
                let text = [&b"a".repeat(place), part, &b"b".repeat(len - place)].concat();
                for (before, behind) in [
                    ("\"a\":[\"", "\"]"),
                    ("\"a\":[1,\"é\",\"", "\",2,null]"),
                    ("\"a\":[\"", "\",]"),
                    ("\"a\":[[],\"", "\"]"),
                    ("\"a\":{\"b\":\"", "\"}"),
                    ("\"w\":[\"", "\",\"é\"]"),
                    ("\"w\":{\"n\":\"", "\"}"),
                    ("\"w\":{\"n\":\"é\",\"m\":\"", "\",\"o\":[]}"),
                    ("\"w\":{\"", "\":1}"),
                    ("\"w\":{\"n\":{},\"", "\":1}"),
                    ("\"w\":{\"n\":\"é\",\"", "\":\"x\",}"),
                    ("\"w\":{\"n\":1,\"", "\",\"o\":1}"),
                    ("\"w\":[\"", "\"}"),
                ] {
                    let member = [before.as_bytes(), &text, behind.as_bytes()].concat();
                    let row = [b"{\"x\":1,", member.as_slice(), b",\"x\":2}"].concat();
                    let body = [b"[", row.as_slice(), b",", &row, b"]"].concat();
                    let whole = rewrite(&job, [body.as_slice()]);
                    let bytes = rewrite(&job, body.chunks(1));
                    let text = String::from_utf8_lossy(&body);
                    assert!(whole.agrees_with(&bytes), "{text}: {whole:?}, {bytes:?}");
                }
            }
        }
    }
}

#[test]
fn bare_values_and_containers_of_every_length() {
    for len in (1..=36).chain(60..=70) {
        let (ones, letters) = ("1".repeat(len), "t".repeat(len));
        for value in [
            ones.clone(),
            letters,
            format!("0{ones}"),
            format!("-{ones}"),
            format!("0.{ones}"),
            format!("{ones}.{ones}"),
            format!("{ones}e+1"),
            format!("{ones}]"),
            format!("{ones}{{"),
            format!("[{ones}]"),
            format!("[{ones},\"]\"]"),
            format!("[{ones}}}"),
            format!("[[{ones}]]"),
            format!("{{\"y\":{ones}}}"),
            format!("{{\"y\":[{ones}]}}"),
            format!("{{\"y\":{ones}}} "),
            format!("{{\"y\":{ones}}}{{}}"),
            format!("{{\"y\":{ones}}}x"),
        ] {
            is_the_same_byte_by_byte(value.as_bytes());
        }
    }
    for value in ["true", "false", "null", "tru", "truex", "nulL", "falsy", "fals", "", "[]", "{}"]
    {
        is_the_same_byte_by_byte(value.as_bytes());
    }
}
