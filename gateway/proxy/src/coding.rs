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
        while self.has_more(rest) {
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

    /// Whether [`Decoder::next_piece`] may have a piece yet of what is left of a chunk. A full piece may
    /// leave decoded bytes behind that no further input will push out.
    pub(crate) fn has_more(&self, rest: &[u8]) -> bool {
        !rest.is_empty() || self.piece_was_full
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
        let coded_bytes_max =
            self.decoded_bytes_max.saturating_mul(2).saturating_add(CODED_SLACK_BYTES);
        if self.decoded_bytes > self.decoded_bytes_max || self.coded_bytes > coded_bytes_max {
            return Err(CodingError::TooLarge { decoded_bytes_max: self.decoded_bytes_max });
        }
        Ok(step)
    }
}

fn begin(coding: Coding) -> Result<Box<dyn Unpack>, CodingError> {
    Ok(match coding {
        Coding::Identity => return Err(CodingError::Unknown),
        Coding::Gzip => Box::new(Gzip { member: None, members: 0 }),
        Coding::Deflate => Box::new(Deflate { first: None, stream: None, whole: false }),
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
    let status =
        stream.decompress(rest, piece, FlushDecompress::None).map_err(|_| CodingError::Corrupt)?;
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
        f.debug_struct("Brotli").field("whole", &self.whole).finish_non_exhaustive()
    }
}

impl Unpack for Brotli {
    fn step(&mut self, rest: &[u8], piece: &mut [u8]) -> Result<Step, CodingError> {
        if self.whole {
            return if rest.is_empty() { Ok(NOTHING) } else { Err(CodingError::Trailing) };
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
        f.debug_struct("Zstd").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Zstd {
    fn new() -> Result<Zstd, CodingError> {
        let mut context = DCtx::create();
        context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(zstd_error)?;
        Ok(Zstd { context, inside_frame: false, frames: 0 })
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
        Ok(Step { taken: input.pos(), given: output.pos() })
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
mod tests;
