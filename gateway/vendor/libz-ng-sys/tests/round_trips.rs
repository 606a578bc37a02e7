//! What flate2 asks of zlib-ng, asked of the stand-in: round trips of the three formats over sizes
//! and cuts, several members, broken input. Deterministic: the data comes from a fixed sequence.

use std::io::{Read, Write};

use flate2::read::{DeflateDecoder, GzDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};

/// Around the sizes where a compressor changes its ways: nothing, a byte, a window, a block, more.
const SIZES: [usize; 10] = [0, 1, 2, 257, 4_095, 32_768, 32_769, 65_536, 100_000, 1_000_000];
const LEVELS: [u32; 4] = [0, 1, 6, 9];

/// Text that compresses, with stretches that do not.
fn data(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut out = Vec::with_capacity(size + 64);
    while out.len() < size {
        let id = noise();
        out.extend_from_slice(format!("{{\"call_id\":\"{id:08x}\",\"booked\":true}},").as_bytes());
        if id % 7 == 0 {
            out.extend((0..32).map(|_| noise() as u8));
        }
    }
    out.truncate(size);
    out
}

/// Gives at most `cut` bytes a read.
struct Cut<'a> {
    rest: &'a [u8],
    cut: usize,
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.cut.min(buffer.len()).min(self.rest.len());
        let (now, later) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.rest = later;
        Ok(length)
    }
}

fn written<W: Write>(mut encoder: W, data: &[u8], cut: usize, finish: impl Fn(W) -> Vec<u8>) -> Vec<u8> {
    data.chunks(cut).for_each(|chunk| encoder.write_all(chunk).unwrap());
    finish(encoder)
}

fn all(mut reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.read_to_end(&mut out)?;
    Ok(out)
}

fn gzip(data: &[u8], level: u32, cut: usize) -> Vec<u8> {
    written(GzEncoder::new(Vec::new(), Compression::new(level)), data, cut, |e| e.finish().unwrap())
}

#[test]
fn what_was_written_is_read_in_every_format_size_level_and_cut() {
    for size in SIZES {
        let data = data(size);
        for level in LEVELS {
            for cut in [1_000, 8_192] {
                let level_of = || Compression::new(level);
                let gz = gzip(&data, level, cut);
                let zlib = written(ZlibEncoder::new(Vec::new(), level_of()), &data, cut, |e| e.finish().unwrap());
                let raw = written(DeflateEncoder::new(Vec::new(), level_of()), &data, cut, |e| e.finish().unwrap());
                let at = |name: &str| format!("{name} size={size} level={level} cut={cut}");
                assert!(all(GzDecoder::new(Cut { rest: &gz, cut })).unwrap() == data, "{}", at("gzip"));
                assert!(all(ZlibDecoder::new(Cut { rest: &zlib, cut })).unwrap() == data, "{}", at("zlib"));
                assert!(all(DeflateDecoder::new(Cut { rest: &raw, cut })).unwrap() == data, "{}", at("deflate"));
            }
        }
    }
}

#[test]
fn a_body_that_comes_byte_by_byte_is_the_same_body() {
    let data = data(20_000);
    let gz = gzip(&data, 6, 1);
    assert!(all(GzDecoder::new(Cut { rest: &gz, cut: 1 })).unwrap() == data);
}

#[test]
fn text_becomes_smaller() {
    let data = data(1_000_000);
    let size = gzip(&data, 6, 8_192).len();
    assert!(size < data.len() / 2, "{size} of {}", data.len());
}

#[test]
fn several_members_are_one_body() {
    let (first, second) = (data(70_000), data(3));
    let joined = [gzip(&first, 6, 8_192), gzip(&second, 1, 8_192)].concat();
    assert!(all(MultiGzDecoder::new(joined.as_slice())).unwrap() == [first, second].concat());
}

#[test]
fn broken_input_is_an_error_and_never_a_panic() {
    let data = data(50_000);
    let gz = gzip(&data, 6, 8_192);
    for at in (10..gz.len()).step_by(97) {
        let mut broken = gz.clone();
        broken[at] ^= 0x55;
        let read = all(GzDecoder::new(broken.as_slice()));
        assert!(read.is_err() || read.is_ok_and(|read| read == data), "a flipped byte at {at} went unseen");
    }
    for length in (0..gz.len()).step_by(97) {
        assert!(all(GzDecoder::new(&gz[..length])).is_err(), "cut at {length} passed as whole");
    }
    let noise: Vec<u8> = data.iter().map(|byte| byte.wrapping_mul(31) ^ 0xa5).collect();
    assert!(all(ZlibDecoder::new(noise.as_slice())).is_err());
}

#[test]
fn output_is_given_in_pieces_of_the_callers_size() {
    let data = vec![b'a'; 1 << 20];
    let raw = written(DeflateEncoder::new(Vec::new(), Compression::best()), &data, 8_192, |e| e.finish().unwrap());
    let mut inflater = Decompress::new(false);
    let mut piece = [0; 512];
    let mut steps = 0;
    loop {
        let (read, given) = (inflater.total_in(), inflater.total_out());
        let rest = &raw[usize::try_from(read).unwrap()..];
        let status = inflater.decompress(rest, &mut piece, FlushDecompress::None).unwrap();
        assert!(inflater.total_out() - given <= 512);
        steps += 1;
        if status == Status::StreamEnd {
            break;
        }
        assert!(steps < 10_000, "no end after {steps} steps");
    }
    assert_eq!(inflater.total_out(), data.len() as u64);
}
