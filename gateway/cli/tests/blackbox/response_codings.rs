//! Codings and types of upstream bodies: what is decoded, and what is refused (C7, C8).

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::response_large::resident_kib;
use crate::response_support::{LIST, LIST_SHOWN, Rig, assert_cut, assert_refused, json_head};
use crate::support::Reply;

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

fn bare_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// RFC 7932 §9.2: a window of 64 KiB, then meta-blocks that are not compressed, then an empty last one.
fn brotli(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, block) in body.chunks(1 << 16).enumerate() {
        // From the lowest bit: last 0, four nibbles 00, length less one, not compressed 1.
        let header = ((block.len() - 1) as u32) << 3 | 1 << 19;
        // Before the first one stands the window: a 0.
        let header = if index == 0 { header << 1 } else { header };
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.extend(block);
    }
    bytes.push(3);
    bytes
}

/// RFC 8878 §3.1.1: a window of 128 KiB; blocks are a repeated byte if they are one, else as they are.
fn zstd(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let blocks: Vec<&[u8]> = body.chunks(128 << 10).collect();
    for (index, block) in blocks.iter().enumerate() {
        let last = u32::from(index + 1 == blocks.len());
        let repeated = block.iter().all(|byte| *byte == block[0]);
        let header = (block.len() as u32) << 3 | u32::from(repeated) << 1 | last;
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.extend(if repeated { &block[..1] } else { block });
    }
    bytes
}

/// `Content-Encoding` and what it does to a body.
type Coding = (&'static str, fn(&[u8]) -> Vec<u8>);

const CODINGS: [Coding; 5] =
    [("gzip", gzip), ("deflate", zlib), ("deflate", bare_deflate), ("br", brotli), ("zstd", zstd)];

/// [`LIST`] as an encoder in earnest codes it.
const LIST_BROTLI: &str = "1b87000004c4e9ae3f77cf5dbd5e9152a6e8606ca0039152a8c901eb4b16852d0ca4adf9b1071838c73019a2e3603e66b04e3b516a19e5f9117e5b7ee81654efddda8132c789c073a320d42941b1e4203ed637c9dde5576b4d5ac1edaf6d52d862446402";

/// 64 MiB of zeros as a hidden value of an empty list.
const BOMB_BROTLI: &str = "cbffff3f00846872e4c741fca42df1b66a92030b39bdcab2d4fb3f992d271affffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705a07bffc7ffff3f002400e2b00074efff2202008094485f092149002c";

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn coded(coding: &str, body: &[u8]) -> Reply {
    Reply::with_headers(
        200,
        &[("Content-Type", "application/json"), ("Content-Encoding", coding)],
        body,
    )
}

/// C8: the four codings are undone, in any letter case and framing, and none is on what comes out.
#[test]
fn a_coded_body_is_decoded_and_filtered() {
    let rig = Rig::new();
    let mut bodies: Vec<(&str, Vec<u8>)> =
        CODINGS.iter().map(|(name, encode)| (*name, encode(LIST.as_bytes()))).collect();
    bodies.push(("br", bytes_of(LIST_BROTLI)));
    bodies.push(("GZip", gzip(LIST.as_bytes())));
    bodies.push(("x-gzip", gzip(LIST.as_bytes())));
    bodies.push(("identity", LIST.into()));
    for (name, body) in &bodies {
        let chunked = crate::response_support::chunks(body.chunks(3));
        let head =
            json_head(&format!("Content-Encoding: {name}\r\nTransfer-Encoding: chunked\r\n"));
        let until_close = json_head(&format!("Content-Encoding: {name}\r\n"));
        for reply in [
            coded(name, body),
            Reply::raw([head.as_bytes(), &chunked, b"0\r\n\r\n"].concat()),
            Reply::raw([until_close.as_bytes(), body].concat()).then_close(),
        ] {
            rig.shows(name, "/list", reply, LIST_SHOWN);
        }
        let answer = rig.of("/list", coded(name, body));
        assert_eq!(answer.header("content-encoding"), None, "{name}");
    }
}

/// C7: a coded body that ends early, at any byte.
#[test]
fn a_coded_body_that_is_cut_is_refused() {
    let rig = Rig::new();
    for (name, encode) in CODINGS {
        let body = encode(LIST.as_bytes());
        for end in (0..body.len()).rev().take(12).chain((0..body.len()).step_by(9)) {
            let answer = rig.of("/list", coded(name, &body[..end]));
            assert_refused(&format!("{name} of {end} bytes"), &answer);
        }
        rig.still_good(name);
    }
}

/// C7: a byte that is wrong anywhere in a coding with a checksum.
#[test]
fn a_corrupt_body_is_refused() {
    let rig = Rig::new();
    for (name, body) in [("gzip", gzip(LIST.as_bytes())), ("deflate", zlib(LIST.as_bytes()))] {
        // The first ten bytes of gzip hold a time and a system that mean nothing.
        for at in (10..body.len()).step_by(5).chain(body.len() - 4..body.len()) {
            let mut wrong = body.clone();
            wrong[at] ^= 0x24;
            assert_refused(&format!("{name}, byte {at}"), &rig.of("/list", coded(name, &wrong)));
        }
        rig.still_good(name);
    }
}

/// C7: a name that does not fit the bytes, more than one coding, or none that is known.
#[test]
fn a_coding_that_lies_is_refused() {
    let rig = Rig::new();
    let list = LIST.as_bytes();
    for (what, names, body) in [
        ("gzip that is none", &["gzip"][..], list.to_vec()),
        ("deflate that is none", &["deflate"], list.to_vec()),
        ("br that is none", &["br"], list.to_vec()),
        ("zstd that is none", &["zstd"], list.to_vec()),
        ("gzip as deflate", &["deflate"], gzip(list)),
        ("zlib as gzip", &["gzip"], zlib(list)),
        ("gzip as br", &["br"], gzip(list)),
        ("gzip as zstd", &["zstd"], gzip(list)),
        ("gzip as identity", &["identity"], gzip(list)),
        ("gzip without a word", &[], gzip(list)),
        ("gzip twice, said once", &["gzip"], gzip(&gzip(list))),
        ("gzip twice, said twice", &["gzip, gzip"], gzip(&gzip(list))),
        ("gzip twice, said on two lines", &["gzip", "gzip"], gzip(&gzip(list))),
        ("gzip once, said twice", &["gzip, gzip"], gzip(list)),
        ("two names", &["gzip, identity"], gzip(list)),
        ("an unknown name", &["c4n4ry"], list.to_vec()),
        ("compress", &["compress"], list.to_vec()),
        ("a star", &["*"], list.to_vec()),
        ("a dictionary", &["dcb"], list.to_vec()),
        ("aws-chunked", &["aws-chunked"], list.to_vec()),
        ("an empty name", &[""], list.to_vec()),
        ("bytes behind gzip", &["gzip"], [&gzip(list)[..], b"c4n4ry"].concat()),
        ("bytes behind deflate", &["deflate"], [&zlib(list)[..], b"c4n4ry"].concat()),
        ("bytes behind br", &["br"], [&brotli(list)[..], b"c4n4ry"].concat()),
        ("bytes behind zstd", &["zstd"], [&zstd(list)[..], b"c4n4ry"].concat()),
        ("nothing at all", &["gzip"], Vec::new()),
        ("gzip of nothing", &["gzip"], gzip(b"")),
        (
            "zstd with a window beyond RFC 9659",
            &["zstd"],
            [b"\x28\xb5\x2f\xfd\x00\xff".as_slice(), &zstd(list)[6..]].concat(),
        ),
        ("gzip of a fault", &["gzip"], gzip(&[list, b"c4n4ry"].concat())),
        ("br of a fault", &["br"], brotli(&[list, b"c4n4ry"].concat())),
    ] {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(names.iter().map(|name| ("Content-Encoding", *name)));
        rig.refuses(what, "/list", Reply::with_headers(200, &headers, body));
    }
}

/// C7: two members are one body or none; never half of it as if it were whole.
#[test]
fn a_gzip_body_of_two_members_is_right_or_refused() {
    let rig = Rig::new();
    let (first, second) = LIST.as_bytes().split_at(50);
    let answer = rig.of("/list", coded("gzip", &[gzip(first), gzip(second)].concat()));
    match answer.status {
        200 => assert_eq!(answer.text(), LIST_SHOWN),
        _ => assert_refused("two members", &answer),
    }
    let answer =
        rig.of("/list", coded("gzip", &[gzip(LIST.as_bytes()), gzip(LIST.as_bytes())].concat()));
    assert_refused("two documents", &answer);
}

/// C7: a body that grows beyond `bounds.decoded_body` is refused, hidden or not, at flat memory.
#[test]
fn a_bomb_is_refused() {
    let rig = Rig::with(|config| config.section("bounds", "{ decoded_body: 1MiB }"));
    let zeros = |open: &str, bytes: usize, close: &str| {
        [open.as_bytes(), &vec![b'0'; bytes], close.as_bytes()].concat()
    };
    let hidden = |bytes: usize| zeros(r#"{"data":[],"x":""#, bytes, r#""}"#);
    let bodies: Vec<(&str, Vec<u8>)> = CODINGS
        .iter()
        .filter(|(name, _)| *name != "br")
        .map(|(name, encode)| (*name, encode(&hidden(64 << 20))))
        .collect();
    for (name, body) in bodies.into_iter().chain([("br", bytes_of(BOMB_BROTLI))]) {
        rig.still_good("before");
        let before = resident_kib(rig.gateway());
        rig.refuses(name, "/list", coded(name, &body));
        let grown = resident_kib(rig.gateway()).saturating_sub(before);
        assert!(grown < 48 << 10, "{name}: {grown} KiB");
    }
    for (name, encode) in CODINGS {
        let within = (1 << 20) - 100;
        rig.shows(name, "/list", coded(name, &encode(&hidden(within))), r#"{"data":[]}"#);
        rig.refuses(name, "/list", coded(name, &encode(&hidden(1 << 20))));
        let shown = zeros(r#"{"data":[{"note":""#, 2 << 20, r#""}]}"#);
        assert_cut(name, &rig.of("/list", coded(name, &encode(&shown))));
    }
}

/// C7: only JSON is JSON, and it says so once.
#[test]
fn a_type_that_is_not_json_is_refused() {
    let rig = Rig::new();
    for types in [
        &[][..],
        &[""],
        &["text/html"],
        &["text/plain"],
        &["text/json"],
        &["application/x-ndjson"],
        &["application/jsonl"],
        &["application/json-seq"],
        &["application/jsonp"],
        &["application/javascript"],
        &["application/xml"],
        &["application/octet-stream"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=c4n4ry"],
        &["multipart/mixed; boundary=c4n4ry"],
        &["multipart/byteranges; boundary=c4n4ry"],
        &["text/event-stream"],
        &["json"],
        &["*/*"],
        &["application/*"],
        &["application/json, text/html"],
        &["text/html, application/json"],
        &["application/json text/html"],
        &["application/json", "text/html"],
        &["text/html", "application/json"],
        &["application/json; charset=utf-16"],
        &["application/json; charset=UTF-16LE"],
        &["application/json; charset=utf-32"],
        &["application/json; charset=utf-7"],
        &["application/json; charset=iso-8859-1"],
        &["application/json; charset=c4n4ry"],
        &["application/json; charset=\"utf-16\""],
        &["application/json; charset=utf-8; charset=utf-16"],
        &["application/+json; charset=ebcdic"],
        &["multipart/vnd.acme+json"],
        &["text/html, text/x+json"],
    ] {
        let headers: Vec<(&str, &str)> = types.iter().map(|name| ("Content-Type", *name)).collect();
        rig.refuses(&format!("{types:?}"), "/list", Reply::with_headers(200, &headers, LIST));
    }
}

/// C7: the forms that JSON's type takes.
#[test]
fn a_type_that_is_json_is_filtered() {
    let rig = Rig::new();
    for name in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; Charset=\"utf-8\"",
        "application/vnd.api+json",
        "application/hal+json; profile=\"https://example.test/a\"",
        "application/problem+json",
        "application/vnd.acme.v2+JSON",
        "model/gltf+json",
        "text/vnd.acme.calls+json; charset=utf-8",
    ] {
        let answer = rig.of("/list", Reply::with_headers(200, &[("Content-Type", name)], LIST));
        assert_eq!((answer.status, answer.text().as_str()), (200, LIST_SHOWN), "{name}");
        let told = answer.header("content-type").unwrap().to_ascii_lowercase();
        let essence = name.split(';').next().unwrap().trim().to_ascii_lowercase();
        assert!(told.starts_with(&essence), "{name}: {told}");
    }
}

/// C4: where every column passes, bodies pass as they are, coding and type included.
#[test]
fn an_unfiltered_body_passes_as_it_is() {
    let rig = Rig::new();
    for (name, coding, body) in [
        ("text/html", None, b"<html>\xff</html>".to_vec()),
        ("application/json", Some("gzip"), gzip(b"{}")),
        ("application/json", Some("unknown"), b"anything".to_vec()),
        ("application/json", None, Vec::new()),
        ("application/x-ndjson", None, b"{}\n{}\n".to_vec()),
        ("application/json; charset=utf-16", None, vec![0, b'{', 0, b'}']),
    ] {
        let mut headers = vec![("Content-Type", name)];
        headers.extend(coding.map(|coding| ("Content-Encoding", coding)));
        let answer = rig.of("/plain", Reply::with_headers(200, &headers, &body));
        assert_eq!((answer.status, &answer.body), (200, &body), "{name}");
        assert_eq!(answer.header("content-type"), Some(name));
        assert_eq!(answer.header("content-encoding"), coding, "{name}");
        assert_eq!(answer.number("content-length"), body.len() as u64, "{name}");
    }
}
