#![allow(clippy::unwrap_used)]
use super::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use std::io::Write;

const CALLS: &str = concat!(
    r#"[{"id":0,"name":"caller 0","ok":false},{"id":1,"name":"caller 919","ok":true},"#,
    r#"{"id":2,"name":"caller 838","ok":true},{"id":3,"name":"caller 757","ok":false},"#,
    r#"{"id":4,"name":"caller 676","ok":true},{"id":5,"name":"caller 595","ok":true},"#,
    r#"{"id":6,"name":"caller 514","ok":false},{"id":7,"name":"caller 433","ok":true},"#,
    r#"{"id":8,"name":"caller 352","ok":true},{"id":9,"name":"caller 271","ok":false},"#,
    r#"{"id":10,"name":"caller 190","ok":true},{"id":11,"name":"caller 109","ok":true}]"#,
);

// Made with Python's brotli 1.2.1: CALLS at quality 11, and at quality 1 with a 1 KiB window;
// 20,000 times `a`; 64 MiB of zeros with a 16 MiB window; 40 bytes that do not compress.
const BR_CALLS: &str = "1bd801a8ad0aec66da67b8a5a6e73a48085fab8a722b6c4f0f97ba2c6c185f0bcf34b7b7d06991b2b6be45b60661\
    3bf7b7e1eecd0683711a51626968798c0de44ddbb0b6bf01a996380a7920326e603d13729b76159a58f6fa613f4fd7c0b1bd45992c5c1507\
    cfa61b9fb50aad75bc124a341acc00cf07";
const BR_CALLS_QUICK: &str = "03ec000080aaaaaaeaff7435e0b31e5454545454f47435b08382bb388083a9bb01a89b9d1c0c8476dd7d312d\
    9761388c34b7041fd9867b0e1182fc6bfde3fd448b01dffe71343cfa183e97888063477bf5f1f33b343f096464dd71ce7979759a40952b96\
    412a6adc97cda0a2052b2031c1169050b6504199195b412c096ba0a464218d419b6c8e79bd599a839e140d01c78e76cecbef6d";
const BR_A: &str = "1b1f4e0024c2e2b140b28b0000";
const BR_BOMB: &str = "cfffff7f002400e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f0012\
    00715800baf7ff03";
const BR_NOISE: &str =
    "8b13804420823cfde6f1c26b30f90ec7dd01e4887534a20f0b0d04c36ed80e71e0fd77b07670eb940bd53303";

const MANY: u64 = 1 << 30;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().map(|byte| (byte as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// One coded body of each kind, with what it decodes to.
fn samples() -> Vec<(&'static str, Coding, Vec<u8>, Vec<u8>)> {
    let calls = CALLS.as_bytes();
    vec![
        ("gzip", Coding::Gzip, gzip(calls), calls.to_vec()),
        ("zlib", Coding::Deflate, zlib(calls), calls.to_vec()),
        ("raw deflate", Coding::Deflate, raw_deflate(calls), calls.to_vec()),
        ("zstd", Coding::Zstd, zstd(calls, 17), calls.to_vec()),
        ("br", Coding::Brotli, unhex(BR_CALLS), calls.to_vec()),
        ("br quick", Coding::Brotli, unhex(BR_CALLS_QUICK), calls.to_vec()),
        ("br noise", Coding::Brotli, unhex(BR_NOISE), unhex(&BR_NOISE[6..86])),
        ("br run", Coding::Brotli, unhex(BR_A), vec![b'a'; 20_000]),
        ("gzip of nothing", Coding::Gzip, gzip(b""), vec![]),
        ("zlib of nothing", Coding::Deflate, zlib(b""), vec![]),
        ("raw deflate of nothing", Coding::Deflate, raw_deflate(b""), vec![]),
        ("zstd of nothing", Coding::Zstd, zstd(b"", 17), vec![]),
        ("br of nothing", Coding::Brotli, vec![0x3b], vec![]),
    ]
}

fn decode<'a>(
    coding: Coding,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    decoded_bytes_max: u64,
) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(coding, decoded_bytes_max);
    let mut decoded = Vec::new();
    for chunk in chunks {
        if let Err(error) = feed(&mut decoder, chunk, |piece| decoded.extend_from_slice(piece)) {
            assert_eq!(feed(&mut decoder, b"more", |_| {}), Err(error), "an error stays");
            assert_eq!(decoder.end(), Err(error), "an error stays");
            return Err(error);
        }
    }
    decoder.end()?;
    assert_eq!(feed(&mut decoder, b"", |_| {}), Ok(()), "nothing was left behind");
    Ok(decoded)
}

fn feed(
    decoder: &mut Decoder,
    chunk: &[u8],
    mut take: impl FnMut(&[u8]),
) -> Result<(), CodingError> {
    let mut rest = chunk;
    let coded = decoder.coding != Coding::Identity;
    while let Some(piece) = decoder.next_piece(&mut rest)? {
        assert!(!piece.is_empty() && (piece.len() <= PIECE_BYTES_MAX || !coded));
        take(piece);
    }
    assert!(rest.is_empty());
    Ok(())
}

fn whole(coding: Coding, body: &[u8]) -> Result<Vec<u8>, CodingError> {
    decode(coding, [body], MANY)
}

fn by_byte(coding: Coding, body: &[u8]) -> Result<Vec<u8>, CodingError> {
    decode(coding, body.chunks(1), MANY)
}

#[test]
fn one_known_name_is_a_coding_and_all_else_is_an_error() {
    use CodingError::{Several, Unknown};
    for (lines, expected) in [
        (&[][..], Ok(Coding::Identity)),
        (&["identity"], Ok(Coding::Identity)),
        (&["gzip"], Ok(Coding::Gzip)),
        (&["X-GZip"], Ok(Coding::Gzip)),
        (&[" GZIP\t"], Ok(Coding::Gzip)),
        (&["deflate"], Ok(Coding::Deflate)),
        (&["BR"], Ok(Coding::Brotli)),
        (&["Zstd"], Ok(Coding::Zstd)),
        (&[""], Err(Unknown)),
        (&[" "], Err(Unknown)),
        (&["compress"], Err(Unknown)),
        (&["gzip;q=1"], Err(Unknown)),
        (&["gzi"], Err(Unknown)),
        (&["gzipp"], Err(Unknown)),
        (&["gz\u{131}p"], Err(Unknown)),
        (&["brotli"], Err(Unknown)),
        (&["gzip, br"], Err(Several)),
        (&["gzip,gzip"], Err(Several)),
        (&["gzip,"], Err(Several)),
        (&[","], Err(Several)),
        (&["identity, gzip"], Err(Several)),
        (&["gzip", "gzip"], Err(Several)),
        (&["identity", "identity"], Err(Several)),
    ] {
        let lines_bytes = lines.iter().map(|line: &&str| line.as_bytes());
        assert_eq!(Coding::from_headers(lines_bytes), expected, "{lines:?}");
    }
}

/// C8: a coded body reads the same however it was cut, and a cut one never reads as whole.
#[test]
fn each_coding_is_undone_at_any_cut_and_not_before_its_end() {
    for (name, coding, coded, plain) in samples() {
        assert_eq!(whole(coding, &coded).as_ref(), Ok(&plain), "{name}");
        assert_eq!(by_byte(coding, &coded).as_ref(), Ok(&plain), "{name}");
        for cut in 0..coded.len() {
            let (head, tail) = coded.split_at(cut);
            assert_eq!(
                decode(coding, [head, tail], MANY).as_ref(),
                Ok(&plain),
                "{name} cut at {cut}"
            );
            assert_eq!(whole(coding, head), Err(CodingError::Truncated), "{name} up to {cut}");
            assert_eq!(by_byte(coding, head), Err(CodingError::Truncated), "{name} up to {cut}");
        }
    }
}

#[test]
fn an_uncoded_body_passes_as_it_is_and_has_no_bound_here() {
    assert_eq!(decode(Coding::Identity, [&b"{"[..], b"", b"}"], 0).unwrap(), b"{}");
    assert_eq!(decode(Coding::Identity, [], 0).unwrap(), b"");
}

/// C7: what follows the end of a coded body is never dropped in silence.
#[test]
fn bytes_behind_the_end_are_refused() {
    for (name, coding, coded, _) in samples() {
        for tail in [&b"\0"[..], b"{}", b"garbage that is long enough", b"\x1e\x8b\x08"] {
            let body = [&coded, tail].concat();
            let (at_once, dripped) = (whole(coding, &body), by_byte(coding, &body));
            assert_eq!(at_once, dripped, "{name} {tail:?}");
            assert_eq!(at_once, Err(CodingError::Trailing), "{name} {tail:?}");
        }
        if coding == Coding::Deflate || coding == Coding::Brotli {
            assert_eq!(whole(coding, &coded.repeat(2)), Err(CodingError::Trailing), "{name}");
        }
    }
}

#[test]
fn several_gzip_members_and_several_zstd_frames_are_one_body() {
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];
    for (coding, coded) in [
        (Coding::Gzip, [gzip(b"one "), gzip(b""), gzip(b"two")].concat()),
        (Coding::Zstd, [zstd(b"one ", 17), zstd(b"", 17), zstd(b"two", 23)].concat()),
        (Coding::Zstd, [&zstd(b"one ", 17)[..], &skippable, &zstd(b"two", 17)].concat()),
    ] {
        assert_eq!(whole(coding, &coded).unwrap(), b"one two");
        assert_eq!(by_byte(coding, &coded).unwrap(), b"one two");
        let cut = &coded[..coded.len() - 1];
        assert_eq!(whole(coding, cut), Err(CodingError::Truncated));
        let half_a_head = [&coded[..], &coded[..2]].concat();
        assert_eq!(by_byte(coding, &half_a_head), Err(CodingError::Truncated));
    }
}

#[test]
fn no_bytes_are_no_coded_body() {
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        assert_eq!(decode(coding, [], MANY), Err(CodingError::Truncated), "{coding:?}");
        assert_eq!(
            decode(coding, [&b""[..], b""], MANY),
            Err(CodingError::Truncated),
            "{coding:?}"
        );
    }
}

#[test]
fn a_body_under_another_name_than_its_own_is_refused() {
    for (name, sent, coded, _) in samples() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let decoded = whole(coding, &coded);
            assert!(coding == sent || decoded.is_err(), "{name} read as {coding:?}: {decoded:?}");
        }
    }
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli] {
        assert!(whole(coding, CALLS.as_bytes()).is_err(), "plain JSON read as {coding:?}");
    }
}

#[test]
fn a_wrong_checksum_is_refused() {
    for (name, coding, mut coded) in [
        ("gzip CRC", Coding::Gzip, gzip(CALLS.as_bytes())),
        ("zlib Adler", Coding::Deflate, zlib(CALLS.as_bytes())),
        ("zstd XXH64", Coding::Zstd, zstd(CALLS.as_bytes(), 17)),
    ] {
        // The CRC stands before the length in gzip's last eight bytes.
        let at = coded.len() - if coding == Coding::Gzip { 8 } else { 1 };
        coded[at] ^= 1;
        assert_eq!(whole(coding, &coded), Err(CodingError::Corrupt), "{name}");
    }
    let mut wrong_length = gzip(CALLS.as_bytes());
    *wrong_length.last_mut().unwrap() ^= 1;
    assert_eq!(whole(Coding::Gzip, &wrong_length), Err(CodingError::Corrupt), "gzip length");
}

/// With a checksum a changed byte is an error or changes nothing (a time stamp). Without one
/// it may read as another text, but then at every cut as the same one.
#[test]
fn every_changed_byte_is_an_error_or_reads_alike_at_any_cut() {
    for (name, coding, coded, plain) in samples() {
        let checked = matches!(name.split(' ').next(), Some("gzip" | "zlib" | "zstd"));
        for at in 0..coded.len() {
            for bits in [0x01, 0x80, 0xff, 0x10] {
                let mut bent = coded.clone();
                bent[at] ^= bits;
                let decoded = decode(coding, [&bent[..]], 1 << 20);
                let dripped = decode(coding, bent.chunks(1), 1 << 20);
                assert_eq!(decoded.as_ref().ok(), dripped.as_ref().ok(), "{name} at {at}");
                if checked {
                    assert!(decoded.is_err() || decoded.as_ref() == Ok(&plain), "{name} at {at}");
                }
            }
        }
    }
}

/// A bomb is stopped at the bound, and until then comes in pieces.
#[test]
fn a_bomb_goes_off_at_the_bound() {
    let zeros = vec![0; 64 << 20];
    for (name, coding, coded) in [
        ("gzip", Coding::Gzip, gzip(&zeros)),
        ("deflate", Coding::Deflate, zlib(&zeros)),
        ("zstd", Coding::Zstd, zstd(&zeros, 23)),
        ("br", Coding::Brotli, unhex(BR_BOMB)),
    ] {
        let size = zeros.len() as u64;
        for (decoded_bytes_max, passes) in [(1 << 20, false), (size - 1, false), (size, true)] {
            let mut decoder = Decoder::new(coding, decoded_bytes_max);
            let mut handed_on = 0;
            let result = feed(&mut decoder, &coded, |piece| {
                assert!(piece.iter().all(|&byte| byte == 0));
                handed_on += piece.len() as u64;
            });
            assert!(handed_on <= decoded_bytes_max, "{name}: {handed_on}");
            let expected =
                if passes { Ok(()) } else { Err(CodingError::TooLarge { decoded_bytes_max }) };
            assert_eq!(result.and_then(|()| decoder.end()), expected, "{name} {decoded_bytes_max}");
        }
    }
}

#[test]
fn a_coded_body_that_never_grows_is_stopped_too() {
    let member = gzip(b"");
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    for (coding, piece) in [(Coding::Gzip, &member[..]), (Coding::Zstd, &skippable)] {
        let pieces = std::iter::repeat_n(piece, 1 << 16);
        let stopped = Err(CodingError::TooLarge { decoded_bytes_max: 1000 });
        assert_eq!(decode(coding, pieces, 1000), stopped, "{coding:?}");
    }
}

/// RFC 9659: 8 MiB is the largest window of the content coding.
#[test]
fn a_zstd_window_above_eight_mebibytes_is_refused() {
    for (window_log, expected) in [
        (23, Ok(CALLS.as_bytes().to_vec())),
        (24, Err(CodingError::Window)),
        (27, Err(CodingError::Window)),
    ] {
        let coded = zstd(CALLS.as_bytes(), window_log);
        assert_eq!(by_byte(Coding::Zstd, &coded), expected, "{window_log}");
    }
}

#[test]
fn brotli_with_a_large_window_is_refused() {
    // An empty stream that declares 22 bits in the extended form; the lenient state reads it.
    let coded = [0x11, 0xd6];
    let alloc = StandardAlloc::default;
    let mut lenient = Brotli { state: BrotliState::new(alloc(), alloc(), alloc()), whole: false };
    lenient.step(&coded, &mut [0; 16]).unwrap();
    assert!(lenient.whole, "the vector is sound but for its form");
    assert_eq!(whole(Coding::Brotli, &coded), Err(CodingError::Corrupt));
}

#[test]
fn every_error_has_a_label_of_its_own() {
    use CodingError::*;
    let errors =
        [Unknown, Several, Corrupt, Truncated, Trailing, Window, TooLarge { decoded_bytes_max: 1 }];
    let labels: std::collections::BTreeSet<_> = errors.iter().map(CodingError::label).collect();
    assert_eq!(labels.len(), errors.len());
}

fn cut<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..5_000);
    let text =
        ("[ -~]{0,40}", 0..2_000_usize).prop_map(|(text, times)| text.repeat(times).into_bytes());
    prop_oneof![noise, text]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What the encoders make is read back at any cut.
    #[test]
    fn random_bodies_come_back_at_random_cuts(body in bodies(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        for (coding, coded) in [
            (Coding::Identity, body.clone()),
            (Coding::Gzip, gzip(&body)),
            (Coding::Deflate, zlib(&body)),
            (Coding::Deflate, raw_deflate(&body)),
            (Coding::Zstd, zstd(&body, 20)),
        ] {
            let decoded = decode(coding, cut(&coded, &cuts), body.len() as u64);
            prop_assert_eq!(decoded.as_ref(), Ok(&body), "{:?}", coding);
        }
    }

    /// Noise, with or without a sound beginning, is judged alike at any cut and without a panic.
    #[test]
    fn noise_is_judged_alike_at_any_cut(
        sample in any::<prop::sample::Index>(), keep in any::<usize>(),
        noise in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let samples = samples();
        let (_, coding, coded, _) = sample.get(&samples);
        let body = [&coded[..keep % (coded.len() + 1)], &noise].concat();
        let at_once = decode(*coding, [&body[..]], 1 << 20);
        let in_pieces = decode(*coding, cut(&body, &cuts), 1 << 20);
        prop_assert_eq!(at_once.ok(), in_pieces.ok(), "{:?}", coding);
    }
}
