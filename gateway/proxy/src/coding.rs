//! Undoes the `Content-Encoding` of an upstream's body while it streams.
//!
//! Asked for `identity`, some upstreams send gzip, deflate, br or zstd all the same. The body is
//! then decoded once, exactly as named, and handed on in pieces of at most 16 KiB, so a bomb
//! meets the bound on the decoded size long before it meets the memory. What a coding cannot
//! vouch for is refused: an early end, a wrong checksum, bytes behind the end, a coding that is
//! unknown or stacked on another.
//!
//! Not here: the decision to ask for `identity`, the bound on an uncoded body (it streams at
//! flat memory and needs none), and what the decoded bytes mean.
//!
//! Cost: an uncoded chunk is handed on as it is. A coded body takes, at its first byte, a buffer
//! of 16 KiB and its coding's state, whatever the body says at most: gzip and deflate 64 KiB (a
//! 32 KiB window with its margin), zstd 9 MiB (a window of 8, three blocks, the context), brotli
//! 20 MiB (a window of 16, three groups of 256 prefix codes of 1080 entries). The windows are
//! those of the largest bodies; a small one needs what it says in its head.
//!
//! Sources: RFC 9110 §8.4 (codings), RFC 1952 (gzip), RFC 1950 and 1951 (deflate), RFC 7932
//! (brotli), RFC 8878 (zstd), RFC 9659 (its window limit for HTTP).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// Most bytes handed on at a time once a body is coded.
pub(crate) const PIECE_BYTES_MAX: usize = 16 * 1024;
/// RFC 9659 §3: a `zstd` content coding must not need a window above 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Coded bytes allowed beyond twice the decoded bound. No encoder in earnest comes near it; it
/// stops a body that is all empty blocks, which never grows and never ends.
const CODED_SLACK_BYTES: u64 = 64 * 1024;

/// How a body is coded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    /// zlib (RFC 1950) as the standard says, or bare RFC 1951 as some servers send it.
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Reads the `Content-Encoding` lines of a response: none is [`Coding::Identity`], one known
    /// name in any letter case is that coding. A list, a second line, an empty value and an
    /// unknown name are errors: nobody can say then what the bytes are.
    pub(crate) fn from_headers<'a>(
        values: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Coding, CodingError> {
        let mut values = values;
        let Some(value) = values.next() else {
            return Ok(Coding::Identity);
        };
        let name = value.trim_ascii();
        if values.next().is_some() || name.contains(&b',') {
            return Err(CodingError::Several);
        }
        const NAMES: [(&str, Coding); 6] = [
            ("identity", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
        ];
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map(|&(_, coding)| coding)
            .ok_or(CodingError::Unknown)
    }
}

/// One body on its way from coded to decoded bytes.
#[derive(Debug)]
pub(crate) struct Decoder {
    coding: Coding,
    decoded_bytes_max: u64,
    coded_bytes: u64,
    decoded_bytes: u64,
    /// Empty until the first coded byte.
    piece: Box<[u8]>,
    piece_was_full: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Running(Box<dyn Unpack>),
    Failed(CodingError),
}

impl Decoder {
    /// `decoded_bytes_max` bounds what a coded body may grow to; it does not concern `Identity`.
    pub(crate) fn new(coding: Coding, decoded_bytes_max: u64) -> Decoder {
        Decoder {
            coding,
            decoded_bytes_max,
            coded_bytes: 0,
            decoded_bytes: 0,
            piece: Box::default(),
            piece_was_full: false,
            stage: Stage::Waiting,
        }
    }

    /// The next piece that `rest` decodes to, with `rest` moved past what it took; `None` once the
    /// chunk is used up. A caller can so send one piece on before it asks for the next, and a
    /// chunk however dense never waits decoded as a whole. After an error every call errs.
    pub(crate) fn next_piece<'a, 'b: 'a>(
        &'a mut self,
        rest: &mut &'b [u8],
    ) -> Result<Option<&'a [u8]>, CodingError> {
        if let Stage::Failed(error) = self.stage {
            return Err(error);
        }
        if self.coding == Coding::Identity {
            let chunk = std::mem::take(rest);
            return Ok((!chunk.is_empty()).then_some(chunk));
        }
        // A full piece may leave decoded bytes behind that no further input will push out.
        while !rest.is_empty() || self.piece_was_full {
            let step = self.step(rest).map_err(|error| self.fail(error))?;
            *rest = &rest[step.taken..];
            self.piece_was_full = step.given == self.piece.len();
            if step.given > 0 {
                return Ok(Some(&self.piece[..step.given]));
            }
            if step.taken == 0 && !rest.is_empty() {
                return Err(self.fail(CodingError::Corrupt));
            }
        }
        Ok(None)
    }

    /// The body has ended. Errs unless its coding has ended there too, so a cut body is never
    /// taken for a whole one. Call it when `next_piece` has no more for the last chunk.
    pub(crate) fn end(&mut self) -> Result<(), CodingError> {
        match &self.stage {
            Stage::Failed(error) => Err(*error),
            Stage::Waiting if self.coding == Coding::Identity => Ok(()),
            Stage::Running(stream) if stream.is_whole() => Ok(()),
            Stage::Waiting | Stage::Running(_) => Err(self.fail(CodingError::Truncated)),
        }
    }

    fn fail(&mut self, error: CodingError) -> CodingError {
        self.stage = Stage::Failed(error);
        error
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, CodingError> {
        if let Stage::Waiting = self.stage {
            self.piece = vec![0; PIECE_BYTES_MAX].into_boxed_slice();
            self.stage = Stage::Running(begin(self.coding)?);
        }
        let stream = match &mut self.stage {
            Stage::Running(stream) => stream,
            Stage::Failed(error) => return Err(*error),
            Stage::Waiting => return Err(CodingError::Corrupt),
        };
        let step = stream.step(rest, &mut self.piece)?;
        self.coded_bytes += step.taken as u64;
        self.decoded_bytes += step.given as u64;
        let coded_bytes_max = self
            .decoded_bytes_max
            .saturating_mul(2)
            .saturating_add(CODED_SLACK_BYTES);
        if self.decoded_bytes > self.decoded_bytes_max || self.coded_bytes > coded_bytes_max {
            return Err(CodingError::TooLarge {
                decoded_bytes_max: self.decoded_bytes_max,
            });
        }
        Ok(step)
    }
}

fn begin(coding: Coding) -> Result<Box<dyn Unpack>, CodingError> {
    Ok(match coding {
        Coding::Identity => return Err(CodingError::Unknown),
        Coding::Gzip => Box::new(Gzip {
            member: None,
            members: 0,
        }),
        Coding::Deflate => Box::new(Deflate {
            first: None,
            stream: None,
            whole: false,
        }),
        Coding::Brotli => Box::new(Brotli {
            state: BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ),
            whole: false,
        }),
        Coding::Zstd => Box::new(Zstd::new()?),
    })
}

/// What one call of a coding took from its input and put into the piece.
#[derive(Debug, Clone, Copy)]
struct Step {
    taken: usize,
    given: usize,
}

const NOTHING: Step = Step { taken: 0, given: 0 };

/// A coding's own state machine. `step` may be called with no input to draw what it still holds.
trait Unpack: std::fmt::Debug + Send + Sync {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError>;
    /// Whether the coded stream has come to its proper end.
    fn is_whole(&self) -> bool;
}

fn inflate(
    stream: &mut Decompress,
    rest: &[u8],
    piece: &mut [u8],
) -> Result<(Step, Status), CodingError> {
    let (taken, given) = (stream.total_in(), stream.total_out());
    let status = stream
        .decompress(rest, piece, FlushDecompress::None)
        .map_err(|_| CodingError::Corrupt)?;
    let step = Step {
        taken: (stream.total_in() - taken) as usize,
        given: (stream.total_out() - given) as usize,
    };
    Ok((step, status))
}

/// RFC 1952: one member or several, nothing else behind or between them.
#[derive(Debug)]
struct Gzip {
    member: Option<Decompress>,
    members: u64,
}

impl Unpack for Gzip {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError> {
        let member = match (&mut self.member, rest.first()) {
            (Some(member), _) => member,
            (None, None) => return Ok(NOTHING),
            (None, Some(&first)) if first != 0x1f && self.members > 0 => {
                return Err(CodingError::Trailing);
            }
            (None, Some(_)) => self.member.insert(Decompress::new_gzip(15)),
        };
        let (step, status) = inflate(member, rest, piece)?;
        if status == Status::StreamEnd {
            self.member = None;
            self.members += 1;
        }
        Ok(step)
    }

    fn is_whole(&self) -> bool {
        self.member.is_none() && self.members > 0
    }
}

/// The `deflate` coding. Which of its two forms it is shows in the first two bytes.
#[derive(Debug)]
struct Deflate {
    /// The first byte, waiting for the second.
    first: Option<u8>,
    stream: Option<Decompress>,
    whole: bool,
}

impl Unpack for Deflate {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError> {
        match (&mut self.stream, self.first, rest) {
            (_, _, [_, ..]) if self.whole => Err(CodingError::Trailing),
            (_, _, []) if self.whole => Ok(NOTHING),
            (Some(stream), ..) => {
                let (step, status) = inflate(stream, rest, piece)?;
                self.whole = status == Status::StreamEnd;
                Ok(step)
            }
            (None, _, []) => Ok(NOTHING),
            (None, None, [first, ..]) => {
                self.first = Some(*first);
                Ok(Step { taken: 1, given: 0 })
            }
            (None, Some(first), [second, ..]) => {
                let mut stream = Decompress::new(is_zlib_head(first, *second));
                // Nothing can end or come out of a first byte alone: the shortest stream has two.
                let (step, _) = inflate(&mut stream, &[first], piece)?;
                if step.taken != 1 || step.given != 0 {
                    return Err(CodingError::Corrupt);
                }
                self.stream = Some(stream);
                self.step(rest, piece)
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}

/// RFC 1950 §2.2: method 8, a window of at most 32 KiB, and a multiple of 31. A bare stream begins
/// so only if its encoder put bits into the padding of a stored block.
fn is_zlib_head(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// RFC 7932. The `strict` state knows no window above 16 MiB, so it refuses the large-window form.
struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    whole: bool,
}

impl std::fmt::Debug for Brotli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brotli")
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

impl Unpack for Brotli {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError> {
        if self.whole {
            return if rest.is_empty() {
                Ok(NOTHING)
            } else {
                Err(CodingError::Trailing)
            };
        }
        let (mut left, mut taken) = (rest.len(), 0);
        let (mut room, mut given, mut total) = (piece.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            rest,
            &mut room,
            &mut given,
            piece,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(CodingError::Corrupt),
            BrotliResult::ResultSuccess => self.whole = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step { taken, given })
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}

/// RFC 8878: one frame or several, each checked against its checksum where it carries one.
struct Zstd {
    context: DCtx<'static>,
    inside_frame: bool,
    frames: u64,
}

impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Zstd {
    fn new() -> Result<Zstd, CodingError> {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
            .map_err(zstd_error)?;
        Ok(Zstd {
            context,
            inside_frame: false,
            frames: 0,
        })
    }
}

fn zstd_error(code: usize) -> CodingError {
    // zstd returns its error numbers negated.
    if code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge as usize {
        CodingError::Window
    } else {
        CodingError::Corrupt
    }
}

impl Unpack for Zstd {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError> {
        let rest = match rest {
            [] if !self.inside_frame => return Ok(NOTHING),
            // zstd judges a frame that it sees whole more strictly than one that comes in parts.
            // With its first byte apart every frame comes in parts, however it was cut.
            [_, ..] if !self.inside_frame => &rest[..1],
            _ => rest,
        };
        let mut input = InBuffer::around(rest);
        let mut output = OutBuffer::around(piece);
        let result = self.context.decompress_stream(&mut output, &mut input);
        let hint = result.map_err(|code| match zstd_error(code) {
            CodingError::Corrupt if !self.inside_frame && self.frames > 0 => CodingError::Trailing,
            error => error,
        })?;
        self.inside_frame = hint != 0;
        self.frames += u64::from(hint == 0);
        Ok(Step {
            taken: input.pos(),
            given: output.pos(),
        })
    }

    fn is_whole(&self) -> bool {
        !self.inside_frame && self.frames > 0
    }
}

/// Why a body's coding was refused. Never holds a byte of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodingError {
    #[error("the content coding is none of gzip, deflate, br, zstd, identity")]
    Unknown,
    #[error("more than one content coding is named")]
    Several,
    #[error("the coded body is malformed or fails its checksum")]
    Corrupt,
    #[error("the coded body ends before its coding does")]
    Truncated,
    #[error("bytes follow the end of the coded body")]
    Trailing,
    #[error("the zstd window is above 8 MiB")]
    Window,
    #[error("the body decodes to more than {decoded_bytes_max} bytes")]
    TooLarge { decoded_bytes_max: u64 },
}

impl CodingError {
    /// The metric label, one of a closed set.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            CodingError::Unknown => "coding_unknown",
            CodingError::Several => "coding_several",
            CodingError::Corrupt => "coding_corrupt",
            CodingError::Truncated => "coding_truncated",
            CodingError::Trailing => "coding_trailing",
            CodingError::Window => "coding_window",
            CodingError::TooLarge { .. } => "decoded_too_large",
        }
    }
}

#[cfg(test)]
mod tests {
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
        let digits: Vec<u8> = text
            .bytes()
            .map(|byte| (byte as char).to_digit(16).unwrap() as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
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
            (
                "raw deflate",
                Coding::Deflate,
                raw_deflate(calls),
                calls.to_vec(),
            ),
            ("zstd", Coding::Zstd, zstd(calls, 17), calls.to_vec()),
            ("br", Coding::Brotli, unhex(BR_CALLS), calls.to_vec()),
            (
                "br quick",
                Coding::Brotli,
                unhex(BR_CALLS_QUICK),
                calls.to_vec(),
            ),
            (
                "br noise",
                Coding::Brotli,
                unhex(BR_NOISE),
                unhex(&BR_NOISE[6..86]),
            ),
            ("br run", Coding::Brotli, unhex(BR_A), vec![b'a'; 20_000]),
            ("gzip of nothing", Coding::Gzip, gzip(b""), vec![]),
            ("zlib of nothing", Coding::Deflate, zlib(b""), vec![]),
            (
                "raw deflate of nothing",
                Coding::Deflate,
                raw_deflate(b""),
                vec![],
            ),
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
            if let Err(error) = feed(&mut decoder, chunk, |piece| {
                decoded.extend_from_slice(piece)
            }) {
                assert_eq!(
                    feed(&mut decoder, b"more", |_| {}),
                    Err(error),
                    "an error stays"
                );
                assert_eq!(decoder.end(), Err(error), "an error stays");
                return Err(error);
            }
        }
        decoder.end()?;
        assert_eq!(
            feed(&mut decoder, b"", |_| {}),
            Ok(()),
            "nothing was left behind"
        );
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
                assert_eq!(
                    whole(coding, head),
                    Err(CodingError::Truncated),
                    "{name} up to {cut}"
                );
                assert_eq!(
                    by_byte(coding, head),
                    Err(CodingError::Truncated),
                    "{name} up to {cut}"
                );
            }
        }
    }

    #[test]
    fn an_uncoded_body_passes_as_it_is_and_has_no_bound_here() {
        assert_eq!(
            decode(Coding::Identity, [&b"{"[..], b"", b"}"], 0).unwrap(),
            b"{}"
        );
        assert_eq!(decode(Coding::Identity, [], 0).unwrap(), b"");
    }

    /// C7: what follows the end of a coded body is never dropped in silence.
    #[test]
    fn bytes_behind_the_end_are_refused() {
        for (name, coding, coded, _) in samples() {
            for tail in [
                &b"\0"[..],
                b"{}",
                b"garbage that is long enough",
                b"\x1e\x8b\x08",
            ] {
                let body = [&coded, tail].concat();
                let (at_once, dripped) = (whole(coding, &body), by_byte(coding, &body));
                assert_eq!(at_once, dripped, "{name} {tail:?}");
                assert_eq!(at_once, Err(CodingError::Trailing), "{name} {tail:?}");
            }
            if coding == Coding::Deflate || coding == Coding::Brotli {
                assert_eq!(
                    whole(coding, &coded.repeat(2)),
                    Err(CodingError::Trailing),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn several_gzip_members_and_several_zstd_frames_are_one_body() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];
        for (coding, coded) in [
            (
                Coding::Gzip,
                [gzip(b"one "), gzip(b""), gzip(b"two")].concat(),
            ),
            (
                Coding::Zstd,
                [zstd(b"one ", 17), zstd(b"", 17), zstd(b"two", 23)].concat(),
            ),
            (
                Coding::Zstd,
                [&zstd(b"one ", 17)[..], &skippable, &zstd(b"two", 17)].concat(),
            ),
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
            assert_eq!(
                decode(coding, [], MANY),
                Err(CodingError::Truncated),
                "{coding:?}"
            );
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
                assert!(
                    coding == sent || decoded.is_err(),
                    "{name} read as {coding:?}: {decoded:?}"
                );
            }
        }
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli] {
            assert!(
                whole(coding, CALLS.as_bytes()).is_err(),
                "plain JSON read as {coding:?}"
            );
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
        assert_eq!(
            whole(Coding::Gzip, &wrong_length),
            Err(CodingError::Corrupt),
            "gzip length"
        );
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
                    assert_eq!(
                        decoded.as_ref().ok(),
                        dripped.as_ref().ok(),
                        "{name} at {at}"
                    );
                    if checked {
                        assert!(
                            decoded.is_err() || decoded.as_ref() == Ok(&plain),
                            "{name} at {at}"
                        );
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
                let expected = if passes {
                    Ok(())
                } else {
                    Err(CodingError::TooLarge { decoded_bytes_max })
                };
                assert_eq!(
                    result.and_then(|()| decoder.end()),
                    expected,
                    "{name} {decoded_bytes_max}"
                );
            }
        }
    }

    #[test]
    fn a_coded_body_that_never_grows_is_stopped_too() {
        let member = gzip(b"");
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        for (coding, piece) in [(Coding::Gzip, &member[..]), (Coding::Zstd, &skippable)] {
            let pieces = std::iter::repeat_n(piece, 1 << 16);
            let stopped = Err(CodingError::TooLarge {
                decoded_bytes_max: 1000,
            });
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
        let mut lenient = Brotli {
            state: BrotliState::new(alloc(), alloc(), alloc()),
            whole: false,
        };
        lenient.step(&coded, &mut [0; 16]).unwrap();
        assert!(lenient.whole, "the vector is sound but for its form");
        assert_eq!(whole(Coding::Brotli, &coded), Err(CodingError::Corrupt));
    }

    #[test]
    fn every_error_has_a_label_of_its_own() {
        use CodingError::*;
        let errors = [
            Unknown,
            Several,
            Corrupt,
            Truncated,
            Trailing,
            Window,
            TooLarge {
                decoded_bytes_max: 1,
            },
        ];
        let labels: std::collections::BTreeSet<_> = errors.iter().map(CodingError::label).collect();
        assert_eq!(labels.len(), errors.len());
    }

    fn cut<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
        places.extend([0, body.len()]);
        places.sort_unstable();
        places
            .windows(2)
            .map(|pair| &body[pair[0]..pair[1]])
            .collect()
    }

    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let noise = prop::collection::vec(any::<u8>(), 0..5_000);
        let text = ("[ -~]{0,40}", 0..2_000_usize)
            .prop_map(|(text, times)| text.repeat(times).into_bytes());
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
}
