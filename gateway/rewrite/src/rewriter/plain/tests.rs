//! Every way to settle a scalar, beside another reader. What the quick ways would only leave to the slow
//! one is asked for too: nobody could tell it from what comes out.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::lexer::continues_token;
use crate::scan::{Tail, Task, Words};

/// What is said of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answers {
    is_short_hidden: bool,
    is_string_of: bool,
    is_short_shown: bool,
    is_text: bool,
    is_short_bare: bool,
    shown_end: usize,
}

struct Ask<'a> {
    scalar: Scalar<'a>,
    shown: ShownEnd<'a>,
}

impl Task for Ask<'_> {
    type Done = Answers;

    fn run(self, lanes: impl Lanes) -> Answers {
        let Ask { scalar, shown } = self;
        let is_string = shown.piece.get(shown.value) == Some(&b'"');
        Answers {
            is_short_hidden: scalar.is_short_hidden(lanes),
            is_string_of: scalar.is_string_of(shown.index, shown.value, shown.mark),
            is_short_shown: scalar.is_short_shown(lanes),
            is_text: scalar.is_text(lanes),
            is_short_bare: !is_string && scalar.is_short_bare(lanes),
            shown_end: shown.run(lanes),
        }
    }
}

/// What is before a value may put it at any place of what is looked at.
const LEADS: [&str; 2] = ["{\"n\":", "{\"na\":"];

/// What is said of a member's value with so many bytes behind it in the piece. None: the next mark is
/// not behind it.
fn answers(index: &mut Index, lead: &str, value: &[u8], behind: usize) -> Option<Answers> {
    let mark = lead.len() + value.len();
    let piece = [lead.as_bytes(), value, b",", &vec![b' '; behind]].concat();
    index.fill(&piece, 0);
    if index.marks() != [0, mark as u32] {
        return None;
    }
    let tail = Tail::new();
    let near = scan::near(&piece, 0, &tail);
    let (value, index) = (lead.len(), &*index);
    let ask = || Ask {
        scalar: Scalar { near, from: value, len: mark - value },
        shown: ShownEnd { piece: &piece, value, mark, index },
    };
    let widest = scan::run(ask());
    assert_eq!(widest, ask().run(Words), "{}", piece.escape_ascii());
    Some(widest)
}

/// Without the white space behind it.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !b" \t\r\n".contains(byte);
    value.iter().rposition(is_text).map_or(b"", |last| &value[..=last])
}

fn text_of(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn is_sound(value: &[u8]) -> bool {
    !value.starts_with(b" ") && serde_json::from_slice::<serde_json::Value>(value).is_ok()
}

/// Whether nothing but a string's last byte ends it.
fn is_closed_string(value: &[u8]) -> bool {
    let Some(text) = text_of(value) else { return false };
    let (mut escaped, mut is_open) = (false, true);
    for byte in text {
        is_open &= escaped || *byte != b'"';
        escaped = !escaped && *byte == b'\\';
    }
    is_open && !escaped
}

/// Around the ends of what is looked at at once, of which several may add up.
fn lens() -> impl Iterator<Item = usize> {
    (0..9).chain(14..19).chain(28..37).chain(60..68)
}

/// Whether the value could be looked at at all, and all that is said of it is so.
fn check(index: &mut Index, value: &[u8]) -> bool {
    LEADS.iter().all(|lead| check_behind(index, lead, value))
}

fn check_behind(index: &mut Index, lead: &str, value: &[u8]) -> bool {
    let Some(answers) = answers(index, lead, value, 64) else { return false };
    let shown = value.escape_ascii();
    let whole = trimmed(value);
    let end = if is_sound(whole) { lead.len() + whole.len() } else { UNSOUND };
    assert_eq!(answers.shown_end, end, "{shown}");

    // What is bare and hidden, and longer, is left to the machine unless it is sound.
    let is_token = (1..=32).contains(&value.len());
    let is_token = is_token && value.iter().all(|byte| continues_token(*byte));
    let is_string = is_closed_string(value);
    assert_eq!(answers.is_string_of, is_string, "{shown}");
    let is_short = is_string && value.len() <= 34 && !value[1..value.len() - 1].contains(&b'"');
    assert_eq!(answers.is_short_hidden, is_token || is_short, "{shown}");

    let text = text_of(value).filter(|_| end != UNSOUND && !value.contains(&b'\\'));
    assert_eq!(answers.is_text, text.is_some_and(|text| text.len() <= 63), "{shown}");
    let is_ascii = text.is_some_and(|text| text.len() <= 32 && text.is_ascii());
    assert_eq!(answers.is_short_shown, is_ascii || answers.is_short_bare, "{shown}");

    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'.';
    let is_number = !value.contains(&b'e') || matches!(value, b"true" | b"false");
    let is_short_bare = text_of(value).is_none()
        && end == lead.len() + value.len()
        && value.iter().all(is_plain)
        && is_number;
    if value.len() <= 31 {
        assert_eq!(answers.is_short_bare, is_short_bare, "{shown}");
    } else {
        assert!(is_short_bare || !answers.is_short_bare, "{shown}");
    }

    let last = self::answers(index, lead, value, 0).unwrap();
    assert_eq!(last, answers, "at the end: {shown}");
    true
}

#[test]
fn a_string_is_settled_whatever_stands_at_whichever_place_of_it() {
    let mut index = Index::new();
    let odd: [&[u8]; 12] = [
        b"",
        b"\\n",
        b"\\\"",
        b"\\\\",
        b"\\q",
        b"\\u00e9",
        b"\\ud800",
        b"\x01",
        b"\x7f",
        b",",
        "é".as_bytes(),
        b"\xff",
    ];
    for len in [0, 1, 2, 5, 29, 30, 31, 32, 33, 34, 61, 62, 63, 64, 65, 66, 95, 96, 97, 130] {
        for odd in odd {
            for place in 0..=len {
                let text = [&vec![b'x'; place], odd, &vec![b'x'; len - place]].concat();
                for blank in ["", " "] {
                    let value = [b"\"", &*text, b"\"", blank.as_bytes()].concat();
                    assert!(check(&mut index, &value), "{}", value.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn what_stands_behind_an_escape_is_looked_at() {
    let mut index = Index::new();
    let odd: [&[u8]; 6] = [b"\\\"", b"\\q", b"\\u00e9", b"\x01", "é".as_bytes(), b"\xff"];
    for len in [34, 66] {
        for escape in 0..len {
            for place in escape..len {
                for odd in odd {
                    let text = [
                        &vec![b'x'; escape],
                        &b"\\n"[..],
                        &vec![b'x'; place - escape],
                        odd,
                        &vec![b'x'; len - place],
                    ];
                    let value = [b"\"", &*text.concat(), b"\""].concat();
                    assert!(check(&mut index, &value), "{}", value.escape_ascii());
                }
            }
        }
    }
}

/// One at each of two places, that one look at 32 bytes may not hide what another saw.
#[test]
fn two_bytes_that_are_no_characters_do_not_make_up_for_each_other() {
    let mut index = Index::new();
    for len in [34, 40, 62, 63, 64, 65, 97, 130] {
        for one in 0..len {
            for other in [one + 1, one + 31, one + 32, one + 33, one + 64] {
                let mut value = vec![b'x'; len + 2];
                (value[0], value[len + 1]) = (b'"', b'"');
                for place in [one, other] {
                    value[1 + place.min(len - 1)] = 0xff;
                }
                assert!(check(&mut index, &value), "{}", value.escape_ascii());
            }
        }
    }
}

#[test]
fn what_is_bare_is_settled_with_and_without_white_space_behind_it() {
    let mut index = Index::new();
    let mut values: Vec<String> = [
        "",
        "true",
        "false",
        "null",
        "tru",
        "truE",
        "truex",
        "nullnull",
        "fals",
        "falsey",
        "x",
        "-",
        "-0",
        "-7",
        "0",
        "00",
        "01",
        "0.5",
        "00.5",
        "1.",
        ".5",
        "1..2",
        "1.2.3",
        "1e5",
        "1E+5",
        "-1.5e-3",
        "1e",
        "1e+",
        "+1",
        "1_0",
        "a.b-c+d_e",
        "1 2",
        "é",
        "1é",
        "'x'",
        "1:2",
        "x\u{1}",
    ]
    .map(str::to_owned)
    .to_vec();
    for len in 0..40 {
        let digits = "7".repeat(len);
        values.extend(["", "0", ".", "x", "-", "e1", "\0"].map(|end| format!("{digits}{end}")));
        values.push(format!("0{digits}"));
        for place in 1..len {
            values.extend(
                [".", "x", "0", " "]
                    .map(|odd| format!("{}{odd}{}", &digits[..place], &digits[place..])),
            );
        }
    }
    for value in values {
        for blank in ["", " ", "\n\t\r ", "\u{b}", "\0", "\u{a0}"] {
            let value = format!("{value}{blank}");
            assert!(check(&mut index, value.as_bytes()), "{value:?}");
        }
    }
}

#[test]
fn what_holds_strings_beside_others_is_none() {
    let mut index = Index::new();
    for value in [
        r#""a""b""#,
        r#""a" "b""#,
        r#""a"b"#,
        r#""a":"b""#,
        r#"x"a""#,
        r#""a"x"b""#,
        r#""""""#,
        r#"" "" ""#,
        r#"1"a""#,
        r#""a"1"#,
        r#""a" x"#,
    ] {
        for a in lens() {
            for b in lens() {
                let value = value.replace('a', &"x".repeat(a)).replace('b', &"y".repeat(b));
                assert!(check(&mut index, value.as_bytes()), "{value}");
            }
        }
    }
}
