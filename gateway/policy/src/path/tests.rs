#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn odd(target: &[u8]) -> Option<OddPath> {
    Target::parse(target).err()
}

#[test]
fn a_canonical_target_is_split_and_kept_byte_for_byte() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/api/calls", "/api/calls", None),
        ("/api/calls/", "/api/calls/", None),
        ("/API/Calls", "/API/Calls", None),
        ("/a?", "/a", Some("")),
        ("/a?limit=5&offset=0", "/a", Some("limit=5&offset=0")),
        ("/a?b=/../c;d//%2e\\{}[]?x", "/a", Some("b=/../c;d//%2e\\{}[]?x")),
        ("/a-b.c_d~e!$&'()*+,=:@f", "/a-b.c_d~e!$&'()*+,=:@f", None),
        ("/a%20b/%3A%40%22%3C%7B%5B", "/a%20b/%3A%40%22%3C%7B%5B", None),
        ("/caf%C3%A9/%E2%82%AC/%F0%9F%98%80", "/caf%C3%A9/%E2%82%AC/%F0%9F%98%80", None),
        ("/.../.a/a./..a", "/.../.a/a./..a", None),
    ] {
        assert_eq!(Target::parse(target.as_bytes()), Ok(Target { path, query }), "{target}");
    }
}

/// S17: whatever some server would tidy into another path is refused, and says where.
#[test]
fn a_path_that_canonicalisation_would_change_is_refused() {
    for (target, expected) in [
        ("", OddPath::NotOrigin),
        ("*", OddPath::NotOrigin),
        ("?a=b", OddPath::NotOrigin),
        ("api/calls", OddPath::NotOrigin),
        ("http://other.test/api", OddPath::NotOrigin),
        ("//", OddPath::EmptySegment { at: 1 }),
        ("//other.test/api", OddPath::EmptySegment { at: 1 }),
        ("/api//calls", OddPath::EmptySegment { at: 5 }),
        ("/api/calls//", OddPath::EmptySegment { at: 11 }),
        ("/.", OddPath::DotSegment { at: 1 }),
        ("/..", OddPath::DotSegment { at: 1 }),
        ("/./api", OddPath::DotSegment { at: 1 }),
        ("/api/leads/../calls", OddPath::DotSegment { at: 11 }),
        ("/api/..?a=b", OddPath::DotSegment { at: 5 }),
        ("/api/.", OddPath::DotSegment { at: 5 }),
        ("/api/./", OddPath::DotSegment { at: 5 }),
        ("/api/%2e%2e/calls", OddPath::CodedUnreserved { at: 5 }),
        ("/api/%2E%2E/calls", OddPath::CodedUnreserved { at: 5 }),
        ("/api/.%2e/calls", OddPath::CodedUnreserved { at: 6 }),
        ("/api%2fcalls", OddPath::CodedSeparator { at: 4 }),
        ("/api%2Fcalls", OddPath::CodedSeparator { at: 4 }),
        ("/api%5ccalls", OddPath::CodedSeparator { at: 4 }),
        ("/api%5Ccalls", OddPath::CodedSeparator { at: 4 }),
        ("/api\\calls", OddPath::Backslash { at: 4 }),
        ("/api/calls;x=y", OddPath::Semicolon { at: 10 }),
        ("/api/..;/calls", OddPath::Semicolon { at: 7 }),
        ("/api/calls#top", OddPath::Fragment { at: 10 }),
        ("/api/calls?a#top", OddPath::Fragment { at: 12 }),
    ] {
        assert_eq!(odd(target.as_bytes()), Some(expected), "{target}");
    }
}

/// S17: bytes that a segment cannot hold, raw or coded.
#[test]
fn a_byte_that_a_path_cannot_hold_is_refused() {
    for (target, expected) in [
        (&b"/a\0"[..], OddPath::Control { at: 2 }),
        (b"/a\tb", OddPath::Control { at: 2 }),
        (b"/a\r\nb", OddPath::Control { at: 2 }),
        (b"/a\x7f", OddPath::Control { at: 2 }),
        (b"/a%00", OddPath::CodedControl { at: 2 }),
        (b"/a%0d%0a", OddPath::CodedControl { at: 2 }),
        (b"/a%1F", OddPath::CodedControl { at: 2 }),
        (b"/a%7F", OddPath::CodedControl { at: 2 }),
        (b"/a%C2%85", OddPath::CodedControl { at: 2 }),
        (b"/caf\xc3\xa9", OddPath::NonAscii { at: 4 }),
        (b"/a\xff", OddPath::NonAscii { at: 2 }),
        (b"/%41", OddPath::CodedUnreserved { at: 1 }),
        (b"/%2D", OddPath::CodedUnreserved { at: 1 }),
        (b"/%5F", OddPath::CodedUnreserved { at: 1 }),
        (b"/%7E", OddPath::CodedUnreserved { at: 1 }),
        (b"/%30", OddPath::CodedUnreserved { at: 1 }),
        (b"/%25", OddPath::CodedPercent { at: 1 }),
        (b"/%252e", OddPath::CodedPercent { at: 1 }),
        (b"/%3B", OddPath::CodedDelimiter { at: 1 }),
        (b"/%3F", OddPath::CodedDelimiter { at: 1 }),
        (b"/%23", OddPath::CodedDelimiter { at: 1 }),
        (b"/%", OddPath::BrokenCode { at: 1 }),
        (b"/%2", OddPath::BrokenCode { at: 1 }),
        (b"/%2?a", OddPath::BrokenCode { at: 1 }),
        (b"/%zz", OddPath::BrokenCode { at: 1 }),
        (b"/%+1", OddPath::BrokenCode { at: 1 }),
        (b"/%u0041", OddPath::BrokenCode { at: 1 }),
        (b"/%c3%a9", OddPath::LowerCaseHex { at: 1 }),
        (b"/%C3%a9", OddPath::LowerCaseHex { at: 1 }),
        (b"/%3a", OddPath::LowerCaseHex { at: 1 }),
        (b"/%C3", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%C3a", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%C3/%A9", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%A9", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%C0%AF", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%E0%80%AF", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%ED%A0%80", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%F4%90%80%80", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%FF", OddPath::CodedNotUtf8 { at: 1 }),
        (b"/%C3%G9", OddPath::BrokenCode { at: 4 }),
        (b"/a?b=\x01", OddPath::QueryByte { at: 5 }),
        (b"/a?b c", OddPath::QueryByte { at: 4 }),
        (b"/a?\xc3\xa9", OddPath::QueryByte { at: 3 }),
        (b"/a?\x7f", OddPath::QueryByte { at: 3 }),
    ] {
        assert_eq!(odd(target), Some(expected), "{:?}", String::from_utf8_lossy(target));
    }
    for byte in b" \"<>^`{|}[]" {
        let target = [b'/', b'a', *byte];
        assert_eq!(odd(&target), Some(OddPath::NotAllowed { at: 2 }), "{:?}", *byte as char);
    }
}

/// The rules once more, by decoding everything and coding it anew: slow, obvious.
fn is_canonical(target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return false };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query_fine = query.chars().all(|c| ('!'..='~').contains(&c) && c != '#');
    let Some(path) = path.strip_prefix('/') else { return false };
    let segments: Vec<&str> = path.split('/').collect();
    let filled = &segments[..segments.len() - 1];
    query_fine
        && filled.iter().all(|s| !s.is_empty())
        && segments.iter().all(|s| is_canonical_segment(s))
}

fn is_canonical_segment(segment: &str) -> bool {
    const RAW: &str =
        "-._~!$&'()*+,=:@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const NEVER_CODED: &str =
        "-._~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/\\;?#%";
    let (mut plain, mut again) = (Vec::new(), String::new());
    let mut rest = segment;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '%' {
            if !RAW.contains(c) {
                return false;
            }
            plain.push(c as u8);
            again.push(c);
            continue;
        }
        let Some(digits) = rest.get(..2).filter(|two| two.chars().all(|c| c.is_ascii_hexdigit()))
        else {
            return false;
        };
        let byte = u8::from_str_radix(digits, 16).unwrap();
        if NEVER_CODED.contains(byte as char) {
            return false;
        }
        plain.push(byte);
        again.push_str(&format!("%{byte:02X}"));
        rest = &rest[2..];
    }
    let text = String::from_utf8(plain);
    again == segment
        && !matches!(segment, "." | "..")
        && text.is_ok_and(|text| !text.chars().any(char::is_control))
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let interesting: Vec<&[u8]> = vec![
        b"/",
        b"/",
        b"/",
        b"a",
        b"B",
        b"7",
        b".",
        b"..",
        b"~",
        b"%",
        b"%2",
        b"%2e",
        b"%2F",
        b"%5C",
        b"%41",
        b"%20",
        b"%3A",
        b"%3B",
        b"%25",
        b"%00",
        b"%7F",
        b"%C3%A9",
        b"%c3%A9",
        b"%C3",
        b"%A9",
        b"%E2%82%AC",
        b"%C2%80",
        b"%F0%9F%98%80",
        b";",
        b"?",
        b"#",
        b"\\",
        b" ",
        b"@",
        b":",
        b"\xc3\xa9",
        b"\xff",
        b"\0",
    ];
    prop_oneof![
        8 => proptest::sample::select(interesting).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| format!("%{byte:02X}").into_bytes()),
    ]
}

proptest! {
    /// S17, against the naive version; and what is accepted is there again, byte for byte.
    #[test]
    fn exactly_the_canonical_targets_are_accepted(
        pieces in proptest::collection::vec(piece(), 0..7),
        slash in proptest::bool::weighted(0.9),
    ) {
        let mut target = if slash { b"/".to_vec() } else { Vec::new() };
        target.extend(pieces.concat());
        let parsed = Target::parse(&target);
        prop_assert_eq!(parsed.is_ok(), is_canonical(&target), "{:?}", parsed);
        if let Ok(Target { path, query }) = parsed {
            let again = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
            prop_assert_eq!(again.as_bytes(), &target[..]);
        }
    }
}
