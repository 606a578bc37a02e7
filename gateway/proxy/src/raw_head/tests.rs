#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const BOUNDS: HeadBounds = HeadBounds { target_bytes: 64, header_bytes: 512, headers: 12 };

fn whole(head: impl AsRef<[u8]>) -> Result<Scan, HeadFault> {
    scan(head.as_ref(), 0, &BOUNDS)
}

/// Feeds a head as it would arrive, cut at the given places.
fn dripped(head: &[u8], cuts: &[usize]) -> Result<Scan, HeadFault> {
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (head.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(head.len());
    for until in cuts {
        match scan(&head[..until], from, &BOUNDS)? {
            Scan::Partial => from = until,
            end => return Ok(end),
        }
    }
    Ok(Scan::Partial)
}

/// One request around a header section, for tables that vary its lines.
fn with_lines(lines: &str) -> String {
    format!("GET /api/calls HTTP/1.1\r\n{lines}\r\n")
}

#[test]
fn a_sound_head_is_complete_to_its_empty_line() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "BREW /pot?x=%20|{\"} HTTP/1.1\r\nhOsT:a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: api.example.com:8080\r\nAccept: */*\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: \t a \t \r\nX:\r\nY: \t\r\nZ: \u{e9}\ta\r\n\r\n",
        "GET http://api.example.com/a HTTP/1.1\r\nHost: API.example.COM\r\n\r\n",
        "GET HTTPS://a:443/ HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED \r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nX_Trace: 1\r\nhost_: 1\r\nx_colonnad: 1\r\n\r\n",
    ] {
        let head_bytes = head.len();
        let chunked = head.contains("CHUNKED");
        let complete = Ok(Scan::Complete { head_bytes, padded_credential: false, chunked });
        assert_eq!(whole(head), complete, "{head:?}");
        let followed = format!("{head}\n\0\rbody, not looked at");
        assert_eq!(whole(followed), complete, "{head:?}");
        for until in 0..head_bytes {
            let cut = &head.as_bytes()[..until];
            assert_eq!(whole(cut), Ok(Scan::Partial), "{head:?} to {until}");
        }
    }
}

#[test]
fn a_malformed_request_line_is_refused() {
    for line in [
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /a\u{e9} HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\t HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/01.1",
        "GET / http/1.1",
        "GET / HTTP/1.1\t",
        "GET / HTTP/1.10",
        "GET /",
        "GET",
        "GET HTTP/1.1",
        "",
        "G(T / HTTP/1.1",
        "GÉT / HTTP/1.1",
        "GET: / HTTP/1.1",
        "CONNECT a:443 HTTP/1.1",
        "CONNECT /a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET a/b HTTP/1.1",
        "GET ?q HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http://b/ HTTP/1.1",
        "GET http://a HTTP/1.1",
        "GET http://a?q HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET http://a:80/ HTTP/1.1",
        "GET http:/a/ HTTP/1.1",
        "GET https:// HTTP/1.1",
        "PRI * HTTP/2.0",
        "OPTIONS ** HTTP/1.1",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1",
    ] {
        let verdict = whole(format!("{line}\r\nHost: a\r\n\r\n"));
        assert!(matches!(verdict, Err(HeadFault::BadRequest { .. })), "{line:?}: {verdict:?}");
    }
}

#[test]
fn an_ambiguous_header_section_is_refused() {
    for lines in [
        // Line ends, folds, names, values.
        "Host: a\nX: 1\r\n",
        "Host: a\rX: 1\r\n",
        "Host: a\r\r\n",
        "Host: a\r\n X: 1\r\n",
        "Host: a\r\n\tX: 1\r\n",
        " Host: a\r\n",
        "Host : a\r\n",
        "Host\t: a\r\n",
        "Host a\r\n",
        ": a\r\nHost: a\r\n",
        "Host: a\r\nX Y: 1\r\n",
        "Host: a\r\nX\u{e9}: 1\r\n",
        "Host: a\r\n\"X\": 1\r\n",
        "Host: a\r\nX: a\0b\r\n",
        "Host: a\r\nX: a\u{b}b\r\n",
        "Host: a\r\nX: \u{1b}[0m\r\n",
        "Host: a\r\nX: \u{7f}\r\n",
        "Host: a\r\nX\0: 1\r\n",
        // Host.
        "",
        "X: 1\r\n",
        "Host:\r\n",
        "Host: \t\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a,b\r\n",
        "Host: a b\r\n",
        "Host: u@a\r\n",
        "Host: a/b\r\n",
        "Host: a:b\r\n",
        "Host: a:80:80\r\n",
        "Host: a:123456\r\n",
        "Host: [::1\r\n",
        "Host: [::g]\r\n",
        "Host: [::1]a\r\n",
        "Host: :80\r\n",
        "Host: http://a\r\n",
        "Host: a#\r\n",
        "Host: \u{e9}\r\n",
        "Host: [1.2.3.4]\r\n",
        "Host: a\\b\r\n",
        "Host: a?b\r\n",
        // Length and transfer coding.
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
        "Host: a\r\nContent-Length: 5, 5\r\n",
        "Host: a\r\nContent-Length:\r\n",
        "Host: a\r\nContent-Length: +5\r\n",
        "Host: a\r\nContent-Length: -1\r\n",
        "Host: a\r\nContent-Length: 0x5\r\n",
        "Host: a\r\nContent-Length: 5 5\r\n",
        "Host: a\r\nContent-Length: 5;\r\n",
        "Host: a\r\nContent-Length: \u{b2}\r\n",
        "Host: a\r\nContent-Length: 10000000000000000000\r\n",
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, identity\r\n",
        "Host: a\r\nTransfer-Encoding: identity\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n",
        "Host: a\r\nTransfer-Encoding: xchunked\r\n",
        "Host: a\r\nTransfer-Encoding: \"chunked\"\r\n",
        "Host: a\r\nTransfer-Encoding: chunked;a=b\r\n",
        "Host: a\r\nTransfer-Encoding: \u{b}chunked\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n chunked\r\n",
        // Names that pass for another.
        "Host: a\r\nContent_Length: 5\r\n",
        "Host: a\r\nTransfer_Encoding: chunked\r\n",
        "Host: a\r\nX_API_Key: k\r\n",
        "Host: a\r\nx-api_key: k\r\n",
        "Host: a\r\nX_Colonnade_Team: 1\r\n",
        "Host: a\r\nX-Colonnade-Key_Id: 1\r\n",
        "Host: a\r\nX_COLONNADE: 1\r\n",
    ] {
        let verdict = whole(with_lines(lines));
        assert!(matches!(verdict, Err(HeadFault::BadRequest { .. })), "{lines:?}: {verdict:?}");
    }
}

#[test]
fn http_1_0_may_leave_out_the_host_but_not_chunk_its_body() {
    for (lines, sound) in [
        ("", true),
        ("Host: a\r\n", true),
        ("Content-Length: 1\r\n", true),
        ("Host: a\r\nHost: a\r\n", false),
        ("Host:\r\n", false),
        ("Transfer-Encoding: chunked\r\n", false),
    ] {
        let verdict = whole(format!("GET / HTTP/1.0\r\n{lines}\r\n"));
        assert_eq!(verdict.is_ok(), sound, "{lines:?}: {verdict:?}");
    }
    assert!(whole("GET http://a/ HTTP/1.0\r\n\r\n").is_err(), "no Host to agree with");
}

#[test]
fn only_the_expectation_to_continue_is_met() {
    for (value, met) in [
        ("100-continue", true),
        ("100-CONTINUE", true),
        ("", false),
        ("100-continue, x", false),
        ("200-ok", false),
        ("100-continue\r\nExpect: 100-continue", false),
    ] {
        let verdict = whole(with_lines(&format!("Host: a\r\nExpect: {value}\r\n")));
        assert_eq!(verdict == Err(HeadFault::Expectation), !met, "{value:?}: {verdict:?}");
        assert_eq!(verdict.is_ok(), met, "{value:?}: {verdict:?}");
    }
}

#[test]
fn a_fault_shows_with_the_byte_that_makes_it() {
    let long = "a".repeat(BOUNDS.target_bytes);
    for (head, fault) in [
        ("GET / HTTP/1.1\n", bad("a bare LF")),
        ("GET / HTTP/1.1\rH", bad("a bare CR")),
        ("\r\n", bad("an empty line before the request line")),
        ("\n", bad("a bare LF")),
        ("\u{16}\u{3}\u{1}\0", bad("a NUL byte")),
        (&format!("GET /{long}"), HeadFault::TargetTooLong),
        (&"A".repeat(METHOD_BYTES_MAX + 1), bad("the method is too long")),
    ] {
        assert_eq!(whole(&head[..head.len() - 1]), Ok(Scan::Partial), "{head:?}");
        assert_eq!(whole(head), Err(fault), "{head:?}");
    }
}

#[test]
fn the_bounds_hold_to_the_byte_and_to_the_line() {
    for (over, fault) in [(0, None), (1, Some(HeadFault::TargetTooLong))] {
        let target = "a".repeat(BOUNDS.target_bytes - 1 + over);
        let verdict = whole(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(verdict.err(), fault, "target over by {over}");
    }
    for (over, fault) in [(0, None), (1, Some(HeadFault::HeadersTooLarge))] {
        let frame = "Host: a\r\nX: \r\n\r\n".len();
        let value = "v".repeat(BOUNDS.header_bytes - frame + over);
        let head = with_lines(&format!("Host: a\r\nX: {value}\r\n"));
        assert_eq!(whole(&head).err(), fault, "header over by {over}");
        assert_eq!(whole(format!("{head}{}", "b".repeat(9999))).err(), fault, "and a body");
    }
    for (lines, fault) in
        [(BOUNDS.headers - 1, None), (BOUNDS.headers, Some(HeadFault::HeadersTooLarge))]
    {
        let verdict = whole(with_lines(&format!("Host: a\r\n{}", "X: 1\r\n".repeat(lines))));
        assert_eq!(verdict.err(), fault, "{lines} lines beside Host");
    }
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "v".repeat(BOUNDS.header_bytes - 2));
    assert_eq!(whole(&endless), Err(HeadFault::HeadersTooLarge), "said before the end");
    assert_eq!(whole(&endless[..endless.len() - 1]), Ok(Scan::Partial));
}

/// A search that began anew at each byte would take minutes here.
#[test]
fn a_megabyte_that_drips_in_is_looked_at_once() {
    let bounds = HeadBounds { target_bytes: 1 << 19, header_bytes: 1 << 19, headers: 10 };
    let half = "a".repeat((1 << 19) - 64);
    let head = format!("GET /{half} HTTP/1.1\r\nHost: a\r\nX: {half}\r\n\r\n");
    let mut verdict = Ok(Scan::Partial);
    for until in 1..=head.len() {
        assert_eq!(verdict, Ok(Scan::Partial), "at {until}");
        verdict = scan(&head.as_bytes()[..until], until - 1, &bounds);
    }
    let complete =
        Scan::Complete { head_bytes: head.len(), padded_credential: false, chunked: false };
    assert_eq!(verdict, Ok(complete));
}

/// The slow and obvious reading of a whole head, to agree with.
fn naive(input: &[u8]) -> Option<usize> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text: String = input[..end].iter().map(|&byte| byte as char).collect();
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return None;
    }
    let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
    let first: Vec<&str> = lines.next()?.split(' ').collect();
    let &[method, target, version] = first.as_slice() else {
        return None;
    };
    let fields: Vec<(String, &str)> = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value)))
        .collect::<Option<_>>()?;
    let token = |word: &str| {
        let mark = |letter| "!#$%&'*+-.^_`|~".contains(letter);
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_alphanumeric() || mark(letter))
    };
    let values = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    let masked = |name: &str| {
        let read = name.replace('_', "-");
        let matter = ["content-length", "transfer-encoding", "host", "authorization", "x-api-key"];
        name.contains('_') && (matter.contains(&read.as_str()) || read.starts_with("x-colonnade"))
    };
    let control = |letter: char| letter != '\t' && letter.is_ascii_control();
    let (host, length) = (values("host"), values("content-length"));
    let (coding, expect) = (values("transfer-encoding"), values("expect"));
    let new = version == "HTTP/1.1";
    let url_host = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| rest.split_once('/'))?
    });
    let sound = method.len() <= METHOD_BYTES_MAX
        && token(method)
        && method != "CONNECT"
        && target.chars().all(|letter| letter.is_ascii_graphic())
        && target.len() <= BOUNDS.target_bytes
        && (new || version == "HTTP/1.0")
        && (target.starts_with('/')
            || (target == "*" && method == "OPTIONS")
            || url_host
                .is_some_and(|(named, _)| host.len() == 1 && named.eq_ignore_ascii_case(host[0])))
        && fields.len() <= BOUNDS.headers
        && end - (text.find('\n')? + 1) <= BOUNDS.header_bytes
        && fields
            .iter()
            .all(|(name, value)| token(name) && !masked(name) && !value.contains(control))
        && host.len() <= 1
        && (!new || host.len() == 1)
        && host.iter().all(|host| naive_authority(host))
        && length.len() <= 1
        && length
            .iter()
            .all(|n| (1..=19).contains(&n.len()) && n.chars().all(|digit| digit.is_ascii_digit()))
        && coding.len() <= 1
        && coding.iter().all(|name| name.eq_ignore_ascii_case("chunked"))
        && (coding.is_empty() || (new && length.is_empty()))
        && expect.len() <= 1
        && expect.iter().all(|name| name.eq_ignore_ascii_case("100-continue"));
    sound.then_some(end)
}

fn naive_authority(host: &str) -> bool {
    let (name, port) = match host.rfind(']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = port.strip_prefix(':').unwrap_or(if port.is_empty() { "" } else { "x" });
    let named = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.chars().all(|letter| {
                    letter.is_ascii_alphanumeric() || "-._~%!$&'()*+;=".contains(letter)
                })
        }
    };
    named && port.len() <= 5 && port.chars().all(|digit| digit.is_ascii_digit())
}

/// Heads put together from good and evil pieces, then perhaps bent at one place.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.1",
        "GET / HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "GET http://a/ HTTP/1.1",
        "GET http://b:1/x HTTP/1.0",
        "GET  / HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1",
    ]);
    let line = prop::sample::select(vec![
        "Host: a",
        "Host: b:1",
        "Host: [::1]",
        "Host: a,b",
        "Content-Length: 3",
        "Content-Length: 3,3",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Expect: 100-continue",
        "Expect: x",
        "X_Api_Key: a",
        "Accept: */*",
        " folded",
        "No colon",
        "X: \u{e9}\t",
        "X_Y: 1",
        "",
        "Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    let bend = prop::option::weighted(
        0.5,
        (
            any::<prop::sample::Index>(),
            prop::sample::select(b"\r\n\0 \t:,_/aH\x7f\xff".to_vec()),
            0..3u8,
        ),
    );
    (first, prop::collection::vec(line, 0..14), any::<bool>(), bend).prop_map(
        |(first, lines, host, bend)| {
            let host = if host { "Host: a\r\n" } else { "" };
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut head = format!("{first}\r\n{host}{lines}\r\n").into_bytes();
            if let Some((at, byte, how)) = bend {
                let at = at.index(head.len());
                match how {
                    0 => head[at] = byte,
                    1 => head.insert(at, byte),
                    _ => drop(head.remove(at)),
                }
            }
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The network may cut a head anywhere; good or evil, the verdict is the same.
    #[test]
    fn cuts_do_not_matter_and_a_naive_reading_agrees(head in heads(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let verdict = whole(&head);
        prop_assert_eq!(dripped(&head, &cuts), verdict);
        let every: Vec<usize> = (0..head.len()).collect();
        prop_assert_eq!(dripped(&head, &every), verdict);
        match verdict {
            Ok(Scan::Complete { head_bytes, .. }) => prop_assert_eq!(naive(&head), Some(head_bytes)),
            _ => prop_assert_eq!(naive(&head), None, "{:?}", verdict),
        }
    }

    /// Nothing that arrives brings the scan down.
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..900), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(dripped(&bytes, &cuts), whole(&bytes));
    }
}

/// A3: parsers trim what stands behind a value, so a padded key must be told here or never.
#[test]
fn white_space_behind_a_credential_is_told() {
    for (line, padded) in [
        ("Authorization: Bearer a", false),
        ("Authorization:  Bearer a", false),
        ("Authorization: Bearer a ", true),
        ("authorization: Bearer a\t", true),
        ("X-API-Key: a ", true),
        ("X-Other: a ", false),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        let head_bytes = head.len();
        let expected = Scan::Complete { head_bytes, padded_credential: padded, chunked: false };
        assert_eq!(whole(head.as_bytes()), Ok(expected), "{line:?}");
    }
}
