use proptest::prelude::*;

use super::*;
use crate::h2_guard::{Guard, GuardFault};

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A connection of one header block.
fn of_block(block: &[u8]) -> Vec<u8> {
    [PREFACE, &frame(4, 0, &[0, 3, 0, 0, 0, 100]), &frame(HEADERS, END_HEADERS | 1, block)].concat()
}

fn passed(bytes: &[u8], cuts: &[usize]) -> Result<Vec<u8>, GuardFault> {
    let mut guard = Guard::default();
    let mut bytes = bytes.to_vec();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        guard.pass(&mut bytes[from..to])?;
        from = to;
    }
    Ok(bytes)
}

/// A text in Huffman's alphabet, as far as these tests write it.
fn huffman(text: &str) -> Vec<u8> {
    let mut bits = String::new();
    for byte in text.bytes() {
        bits += match byte {
            b'a' => "00011",
            b'/' => "011000",
            b'?' => "1111111100",
            b'#' => "111111111010",
            b'>' => "111111111011",
            other => panic!("no code for {other} here"),
        };
    }
    bits += &"1".repeat((8 - bits.len() % 8) % 8);
    let byte =
        |at: usize| (0..8).fold(0, |byte, bit| byte << 1 | (bits.as_bytes()[at + bit] - b'0'));
    (0..bits.len()).step_by(8).map(byte).collect()
}

fn text(bytes: &[u8], coded: bool) -> Vec<u8> {
    let mark = if coded { 0x80 } else { 0 };
    [&[mark | bytes.len() as u8], bytes].concat()
}

/// The value of a field in both spellings.
fn values(value: &str) -> [Vec<u8>; 2] {
    [text(value.as_bytes(), false), text(&huffman(value), true)]
}

/// Every way to name `:path`.
fn path_names() -> Vec<Vec<u8>> {
    let spelled = [text(PATH, false), text(PATH_HUFFMAN, true)];
    let mut names = vec![vec![0x44], vec![0x45], vec![0x04], vec![0x05], vec![0x14], vec![0x15]];
    for first in [0x40, 0x00, 0x10] {
        names.extend(spelled.iter().map(|name| [&[first], name.as_slice()].concat()));
    }
    // Once in the table, its name is the first entry behind the static ones.
    names.push([&[0x44][..], &text(b"/", false), &[0x7e]].concat());
    names.push([&[0x44][..], &text(b"/", false), &[0x0f, 47]].concat());
    names
}

#[test]
fn a_fragment_in_a_path_becomes_what_no_path_may_hold() {
    for name in path_names() {
        for pad in 0..9 {
            let before = format!("/{}", "a".repeat(pad));
            for (value, kept) in [("#", ">"), ("#a#", ">a>"), ("?#", "?>"), ("a?a#a", "a?a>a")] {
                let given = values(&format!("{before}{value}"));
                let expected = values(&format!("{before}{kept}"));
                for (given, expected) in given.iter().zip(&expected) {
                    let block = |value: &[u8]| of_block(&[&name, value, &[0x82]].concat());
                    let bytes = block(given);
                    assert_eq!(passed(&bytes, &[]), Ok(block(expected)), "{name:x?} {value}");
                    let every: Vec<usize> = (0..bytes.len()).collect();
                    assert_eq!(passed(&bytes, &every), Ok(block(expected)), "{name:x?} {value}");
                }
            }
        }
    }
}

/// Whoever stands behind this must refuse a path with `>`; if it ever takes one, another byte is needed.
#[test]
fn what_it_becomes_is_refused_behind_it() {
    for path in ["/a>", "/>a", "/a?>", "/a?b=c>d"] {
        assert!(path.parse::<http::uri::PathAndQuery>().is_err(), "{path}");
    }
    for path in ["/a#", "/a?b#c"] {
        let cut = path.parse::<http::uri::PathAndQuery>().map(|path| path.as_str().len());
        assert!(cut.is_ok_and(|length| length < path.len()), "{path} is no longer cut off");
    }
}

#[test]
fn all_else_passes_as_it_came() {
    let hash = values("a#a");
    for block in [
        &[0x82, 0x84, 0x86][..],
        &[&[0x44][..], &values("/a?a")[1]].concat(),
        &[&[0x40][..], &text(b":patha", false), &hash[0]].concat(),
        &[&[0x40][..], &text(b":pat", false), &hash[1]].concat(),
        &[&[0x40][..], &text(b"path", false), &hash[1]].concat(),
        &[&[0x41][..], &hash[0]].concat(),
        &[&[0x00][..], &text(b"a#", false), &hash[0]].concat(),
        // The first entry behind the static ones is `user-agent`, then `:path`.
        &[&[0x44][..], &values("/")[0], &[0x7a], &hash[0], &[0x7e], &hash[1]].concat(),
        &[0x3f, 0xe1, 0x1f, 0x20, 0x82],
    ] {
        let bytes = of_block(block);
        assert_eq!(passed(&bytes, &[]), Ok(bytes.clone()), "{block:x?}");
    }
    // A body may hold anything, what looks like a frame too.
    let path = [&[0x04][..], &values("/#")[0]].concat();
    let data = frame(HEADERS, END_HEADERS, &path);
    let bytes = [of_block(&[0x82]), frame(0, 1, &data), frame(0xfa, 0xff, &data)].concat();
    assert_eq!(passed(&bytes, &[]), Ok(bytes.clone()));
}

#[test]
fn a_block_is_followed_through_its_frames() {
    let path = |value: &str| [&[0x04][..], &values(value)[1]].concat();
    for cut in 0..path("/a#").len() {
        let frames = |value: &str| {
            let whole = path(value);
            let (first, second) = whole.split_at(cut);
            [
                PREFACE,
                // Padded, and with a priority.
                &frame(HEADERS, PADDED | PRIORITY, &[&[2, 0, 0, 0, 0, 0], first, b"##"].concat()),
                &frame(CONTINUATION, 0, &[]),
                &frame(CONTINUATION, END_HEADERS, second),
                &frame(0, 1, b"#"),
                &frame(
                    HEADERS,
                    END_HEADERS | PADDED,
                    &[&[1], path(value).as_slice(), b"#"].concat(),
                ),
                &frame(
                    HEADERS,
                    END_HEADERS | PRIORITY,
                    &[&[0; 5], path(value).as_slice()].concat(),
                ),
            ]
            .concat()
        };
        assert_eq!(passed(&frames("/a#"), &[]), Ok(frames("/a>")), "cut at {cut}");
    }
}

#[test]
fn what_cannot_be_read_ends_the_connection() {
    for block in [
        &[0xc0, 0x44][..],
        &[0x44],
        &[0x44, 0x85, 0x00],
        &[0x7f],
        &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff],
        // A name from beyond the table, and a table beyond its bound.
        &[0x7e, 0x01, b'a'],
        &[0x3f, 0xe2, 0x1f],
        // More bits than any code has.
        &[0x44, 0x84, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(passed(&of_block(block), &[]), Err(Unreadable.into()), "{block:x?}");
    }
    for (flags, payload) in [(PADDED, &[][..]), (PADDED, &[2, 0x82]), (PRIORITY, &[0; 4])] {
        let bytes = [PREFACE, &frame(HEADERS, END_HEADERS | flags, payload)].concat();
        assert_eq!(passed(&bytes, &[]), Err(Unreadable.into()), "{payload:x?}");
    }
}

/// RFC 7541 appendix C.4: three requests on one connection, and how large the table is behind each.
#[test]
fn the_table_is_as_large_as_in_the_examples() {
    let mut fields = Fields::default();
    for (block, bytes) in [
        (
            &[
                0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab,
                0x90, 0xf4, 0xff,
            ][..],
            57,
        ),
        (&[0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], 110),
        (
            &[
                0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f,
                0x89, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf,
            ],
            164,
        ),
    ] {
        let mut block = block.to_vec();
        let read = block.iter_mut().try_for_each(|byte| fields.pass(byte));
        assert_eq!((read, fields.end(), fields.table.bytes), (Ok(()), Ok(()), bytes));
    }
    assert_eq!(fields.table.resize(110), Ok(()));
    assert_eq!((fields.table.entries.len(), fields.table.bytes), (2, 107));
    fields.table.insert(Name { bytes: 40, is_path: false }, 40);
    assert_eq!((fields.table.entries.len(), fields.table.bytes), (0, 0), "too large for it");
}

proptest! {
    /// Whatever comes, it neither panics nor depends on the cuts.
    #[test]
    fn any_bytes_have_one_verdict(
        block in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x44), Just(0x84), Just(b'#')], 0..80),
        flags in any::<u8>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
        rest in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = [PREFACE, &frame(HEADERS, flags, &block), &rest].concat();
        prop_assert_eq!(passed(&bytes, &cuts), passed(&bytes, &[]));
    }
}
