use proptest::prelude::*;

use super::*;

/// What came of a body: its data and its end, or its fault.
fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<usize>), ChunkFault> {
    let mut reader = ChunkedReader::default();
    let (mut data, mut before) = (Vec::new(), 0);
    for piece in pieces {
        if let Progress::End { used } = reader.push(piece, |part| data.extend_from_slice(part))? {
            return Ok((data, Some(before + used)));
        }
        before += piece.len();
    }
    Ok((data, None))
}

fn byte_by_byte(body: &[u8]) -> Result<(Vec<u8>, Option<usize>), ChunkFault> {
    read(&body.chunks(1).collect::<Vec<_>>())
}

#[test]
fn a_sound_body_gives_its_data_and_its_end() {
    let long = format!("1;{}={}\r\na\r\n0\r\n\r\n", "n".repeat(100), "v".repeat(153));
    for (body, data) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("003\r\nabc\r\n00\r\n\r\n", "abc"),
        ("000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("3\r\na\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", "a\r\n\r\n"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ("3;a\r\nabc\r\n0;b\r\n\r\n", "abc"),
        ("3;a=b;c;d=\"e\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=\"\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=\"; \\\" \t\\\\ \u{e9}\"\r\nabc\r\n0\r\n\r\n", "abc"),
        (&long, "a"),
        ("0\r\nA: b\r\n\r\n", ""),
        ("0\r\nA:\r\nX-b:  c\td \r\nContent-Length: 9\r\n\r\n", ""),
    ] {
        let end = Ok((data.as_bytes().to_vec(), Some(body.len())));
        assert_eq!(read(&[body.as_bytes()]), end, "{body:?}");
        assert_eq!(byte_by_byte(body.as_bytes()), end, "{body:?} byte by byte");
        let more = format!("{body}GET / HTTP/1.1\r\n");
        assert_eq!(read(&[more.as_bytes()]), end, "{body:?} before another request");
        for cut in 0..body.len() {
            let ended = read(&[&body.as_bytes()[..cut]]).map(|(_, ended)| ended);
            assert_eq!(ended, Ok(None), "{body:?} cut at {cut} is not at its end");
        }
    }
}

#[test]
fn an_unsound_body_is_refused_at_the_first_wrong_byte() {
    use ChunkFault as F;
    for (body, fault) in [
        ("\r\n\r\n", F::Size),
        ("3\r\nabc\r\n\r\n\r\n", F::Size),
        (";x\r\n\r\n", F::Size),
        (" 3\r\nabc\r\n0\r\n\r\n", F::Size),
        ("3 \r\nabc\r\n0\r\n\r\n", F::Size),
        ("3\t\r\nabc\r\n0\r\n\r\n", F::Size),
        ("3 ;a\r\nabc\r\n0\r\n\r\n", F::Size),
        (" \r\n\r\n", F::Size),
        ("-3\r\nabc", F::Size),
        ("+3\r\nabc", F::Size),
        ("0x3\r\nabc", F::Size),
        ("3h\r\nabc", F::Size),
        ("3_0\r\nabc", F::Size),
        ("3,3\r\nabc", F::Size),
        ("\u{ff13}\r\nabc", F::Size),
        ("3\0\r\nabc", F::Size),
        ("3\nabc\r\n0\r\n\r\n", F::Size),
        ("0\n\r\n", F::Size),
        ("0000000000000003\r\nabc", F::SizeTooLong),
        ("fffffffffffffffff\r\n", F::SizeTooLong),
        ("3\r\r\nabc", F::LineEnd),
        ("3\rabc", F::LineEnd),
        ("0\r\r\n", F::LineEnd),
        ("3;\r\nabc", F::Extension),
        ("3;a;\r\nabc", F::Extension),
        ("3;;a\r\nabc", F::Extension),
        ("3; a\r\nabc", F::Extension),
        ("3;a \r\nabc", F::Extension),
        ("3;a =b\r\nabc", F::Extension),
        ("3;a= b\r\nabc", F::Extension),
        ("3;a=\r\nabc", F::Extension),
        ("3;=b\r\nabc", F::Extension),
        ("3;a=b=c\r\nabc", F::Extension),
        ("3;a\nabc\r\n0\r\n\r\n", F::Extension),
        ("2;\nxx\r\n4c\r\n0\r\n\r\n", F::Extension),
        ("3;a\0\r\nabc", F::Extension),
        ("3;\0\r\nabc", F::Extension),
        ("3;a\x7f\r\nabc", F::Extension),
        ("3;\u{e9}\r\nabc", F::Extension),
        ("3;a\rX\r\nabc", F::LineEnd),
        ("3;a=\"b\r\nabc", F::Extension),
        ("3;a=\"b\nc\"\r\nabc", F::Extension),
        ("3;a=\"b\0c\"\r\nabc", F::Extension),
        ("3;a=\"b\"c\r\nabc", F::Extension),
        ("3;a=\"b\\\r\nabc", F::Extension),
        ("3;a=\"b\\\n\"\r\nabc", F::Extension),
        ("3\r\nabcd\r\n0\r\n\r\n", F::DataEnd),
        ("3\r\nab\r\n0\r\n\r\n", F::DataEnd),
        ("3\r\nabc\n0\r\n\r\n", F::DataEnd),
        ("3\r\nabc\r0\r\n\r\n", F::DataEnd),
        ("3\r\nabc0\r\n\r\n", F::DataEnd),
        ("0\r\nbad\r\n\r\n", F::Trailer),
        ("0\r\n: b\r\n\r\n", F::Trailer),
        ("0\r\nA : b\r\n\r\n", F::Trailer),
        ("0\r\n A: b\r\n\r\n", F::Trailer),
        ("0\r\nA: b\r\n c\r\n\r\n", F::Trailer),
        ("0\r\nA: b\nC: d\r\n\r\n", F::Trailer),
        ("0\r\nA: \0\r\n\r\n", F::Trailer),
        ("0\r\nA: \x7f\r\n\r\n", F::Trailer),
        ("0\r\n\u{e9}: b\r\n\r\n", F::Trailer),
        ("0\r\n\n", F::Trailer),
        ("0\r\nA: b\rC: d\r\n\r\n", F::LineEnd),
        ("0\r\n\rX", F::LineEnd),
        ("0\r\n0\r\n\r\n", F::Trailer),
    ] {
        assert_eq!(read(&[body.as_bytes()]), Err(fault), "{body:?}");
        assert_eq!(byte_by_byte(body.as_bytes()), Err(fault), "{body:?} byte by byte");
    }
}

#[test]
fn extensions_and_trailers_have_bounds() {
    for (over, sound) in [(0, true), (1, false)] {
        let one = EXTENSION_BYTES_MAX - ";\r".len() + over;
        let body = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(one));
        assert_eq!(read(&[body.as_bytes()]).is_ok(), sound, "one extension, {over} over");

        // A chunk of 16 bytes of extension, as often as all together may be.
        let chunk = format!("1;{}\r\na\r\n", "x".repeat(14));
        let body = chunk.repeat(EXTENSIONS_BYTES_MAX / 16 + over) + "0\r\n\r\n";
        assert_eq!(read(&[body.as_bytes()]).is_ok(), sound, "all extensions, {over} over");

        let value = "x".repeat(TRAILER_BYTES_MAX - "A:\r\n\r\n".len() + over);
        let body = format!("0\r\nA:{value}\r\n\r\n");
        assert_eq!(read(&[body.as_bytes()]).is_ok(), sound, "trailers, {over} over");
    }
    let endless = format!("1;{}", "x".repeat(EXTENSION_BYTES_MAX));
    assert_eq!(read(&[endless.as_bytes()]), Err(ChunkFault::ExtensionTooLong), "before any end");
    let endless = format!("0\r\nA:{}", "x".repeat(TRAILER_BYTES_MAX));
    assert_eq!(read(&[endless.as_bytes()]), Err(ChunkFault::TrailerTooLong), "before any end");
}

#[test]
fn a_fault_stays() {
    let mut reader = ChunkedReader::default();
    for bytes in [&b"x"[..], b"0\r\n\r\n", b""] {
        assert_eq!(reader.push(bytes, |_| panic!("no data")), Err(ChunkFault::Size));
    }
}

/// Bodies as they may be, with the data that is in them.
fn sound() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let extension = prop_oneof![
        Just(String::new()),
        "(;[a-z!#]{1,4}(=[a-z0-9]{1,4})?){1,3}",
        ";q=\"([ -!#-\\[\\]-~]|\\\\[ -~]){0,6}\"",
    ];
    let chunk = (proptest::collection::vec(any::<u8>(), 1..40), 0..3_usize, extension);
    let trailers = prop_oneof![Just(String::new()), "([A-Za-z-]{1,6}:[ -~\t]{0,9}\r\n){1,3}"];
    (proptest::collection::vec(chunk, 0..6), trailers).prop_map(|(chunks, trailers)| {
        let (mut body, mut all) = (Vec::new(), Vec::new());
        for (data, zeros, extension) in chunks {
            body.extend(format!("{}{:x}{extension}\r\n", "0".repeat(zeros), data.len()).bytes());
            body.extend_from_slice(&data);
            body.extend_from_slice(b"\r\n");
            all.extend(data);
        }
        body.extend(format!("0\r\n{trailers}\r\n").bytes());
        (body, all)
    })
}

fn cut(bytes: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = at.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.push(bytes.len());
    at.sort_unstable();
    let mut from = 0;
    at.into_iter().map(|to| bytes[std::mem::replace(&mut from, to)..to].to_vec()).collect()
}

fn read_cut(body: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Option<usize>), ChunkFault> {
    let pieces = cut(body, cuts);
    read(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn a_sound_body_reads_the_same_however_it_is_cut(
        (body, data) in sound(),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
        rest in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let all = [body.as_slice(), &rest].concat();
        prop_assert_eq!(read_cut(&all, &cuts), Ok((data, Some(body.len()))));
    }

    /// Any body, sound or not, has one verdict, and never panics.
    #[test]
    fn the_verdict_does_not_depend_on_the_cuts(
        (body, _) in sound(),
        at in any::<proptest::sample::Index>(),
        with in prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b';'), Just(b' '), any::<u8>()],
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut body = body;
        let at = at.index(body.len());
        body[at] = with;
        prop_assert_eq!(read_cut(&body, &cuts), read(&[&body]));
    }
}
