//! A strict reader of the chunked coding: where a body's data lies, and where the body ends.
//!
//! Pingora's own reader takes sizes that are empty or padded, and looks neither into chunk
//! extensions nor into trailers. Whoever stands behind or before us may read such bytes differently,
//! and two ends of one body are a smuggled message. So what is chunked is held to the grammar
//! itself while Pingora reads it (`watched.rs`). Nothing is repaired.
//!
//! Stricter than the grammar in one point: no white space around an extension's parts, which the
//! grammar has for bad old senders only.
//!
//! Not here: the meaning of extensions and trailers (they are dropped), the size of the data, time.
//!
//! Cost: data is skipped, not looked at; each byte of framing is looked at once. No allocation.
//!
//! Sources: RFC 9112 §7.1 (chunked), §2.2 (line ends), RFC 9110 §5.5 and §5.6 (values, tokens).

use crate::raw_head::TOKEN;

/// Hex digits of one size. Their value stays below 2^60, so no sum of it can wrap.
const SIZE_DIGITS_MAX: u32 = 15;
/// Extensions of one chunk, from the first semicolon to the CR. The longest in use are signatures of
/// some 90 bytes.
const EXTENSION_BYTES_MAX: usize = 256;
/// Extensions of all chunks of one body together.
const EXTENSIONS_BYTES_MAX: usize = 16 << 10;
/// All trailer lines with their ends.
const TRAILER_BYTES_MAX: usize = 8 << 10;

/// How far a chunked body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The body goes on.
    More,
    /// The body ended with the first `used` of the bytes just pushed; the rest is not its own.
    End { used: usize },
}

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkFault {
    #[error("a chunk size that is empty, padded or no hex number")]
    Size,
    #[error("a chunk size has more than {SIZE_DIGITS_MAX} digits")]
    SizeTooLong,
    #[error("a malformed chunk extension")]
    Extension,
    #[error("chunk extensions are longer than allowed")]
    ExtensionTooLong,
    #[error("chunk data does not end where its size says")]
    DataEnd,
    #[error("a malformed trailer")]
    Trailer,
    #[error("the trailers are longer than allowed")]
    TrailerTooLong,
    #[error("a line that does not end in CRLF")]
    LineEnd,
}

/// Reads one chunked body as it arrives. The verdict does not depend on where the bytes were cut.
#[derive(Debug, Default)]
pub(crate) struct ChunkedReader {
    state: State,
    /// As far as its digits have come.
    size: u64,
    /// Of this chunk.
    extension_bytes: usize,
    /// Of all chunks.
    extensions_bytes: usize,
    trailer_bytes: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u32 },
    ExtensionName { empty: bool },
    ExtensionValue,
    ExtensionToken,
    Quoted,
    QuotedPair,
    Unquoted,
    SizeLf,
    Data { rest: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Ended,
    Broken(ChunkFault),
}

impl Default for State {
    fn default() -> State {
        State::Size { digits: 0 }
    }
}

impl ChunkedReader {
    /// Reads the next bytes and hands what they hold of the data to `data`, in order.
    ///
    /// # Errors
    /// The first [`ChunkFault`], then and ever after. Data before it has been handed out.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<Progress, ChunkFault> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Ended {
            if let State::Data { rest } = self.state {
                let left = &bytes[at..];
                let length = usize::try_from(rest).map_or(left.len(), |rest| rest.min(left.len()));
                data(&left[..length]);
                at += length;
                self.state = match rest - length as u64 {
                    0 => State::DataCr,
                    rest => State::Data { rest },
                };
                continue;
            }
            self.state = self.after(bytes[at]).unwrap_or_else(State::Broken);
            at += 1;
            if let State::Broken(fault) = self.state {
                return Err(fault);
            }
        }
        match self.state {
            State::Ended => Ok(Progress::End { used: at }),
            State::Broken(fault) => Err(fault),
            _ => Ok(Progress::More),
        }
    }

    /// The state behind a byte of framing.
    fn after(&mut self, byte: u8) -> Result<State, ChunkFault> {
        match self.state {
            State::Size { digits } => self.after_size(digits, byte),
            State::SizeLf => match (byte, self.size) {
                (b'\n', 0) => Ok(State::TrailerStart),
                (b'\n', rest) => Ok(State::Data { rest }),
                _ => Err(ChunkFault::LineEnd),
            },
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => {
                self.size = 0;
                Ok(State::default())
            }
            State::DataCr | State::DataLf => Err(ChunkFault::DataEnd),
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::LastLf => self.after_trailer(byte),
            State::Broken(fault) => Err(fault),
            _ => self.after_extension(byte),
        }
    }

    fn after_size(&mut self, digits: u32, byte: u8) -> Result<State, ChunkFault> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(_), _) if digits == SIZE_DIGITS_MAX => Err(ChunkFault::SizeTooLong),
            (Some(digit), _) => {
                self.size = self.size << 4 | u64::from(digit);
                Ok(State::Size { digits: digits + 1 })
            }
            (None, b'\r') if digits > 0 => Ok(State::SizeLf),
            (None, b';') if digits > 0 => {
                self.extension_bytes = 0;
                self.count_extension()?;
                Ok(State::ExtensionName { empty: true })
            }
            (None, _) => Err(ChunkFault::Size),
        }
    }

    fn after_extension(&mut self, byte: u8) -> Result<State, ChunkFault> {
        self.count_extension()?;
        let token = TOKEN[usize::from(byte)];
        match (self.state, byte) {
            (State::ExtensionName { .. }, _) if token => Ok(State::ExtensionName { empty: false }),
            (State::ExtensionName { empty: false }, b'=') => Ok(State::ExtensionValue),
            (State::ExtensionValue, b'"') => Ok(State::Quoted),
            (State::ExtensionValue | State::ExtensionToken, _) if token => {
                Ok(State::ExtensionToken)
            }
            (State::Quoted, b'"') => Ok(State::Unquoted),
            (State::Quoted, b'\\') => Ok(State::QuotedPair),
            (State::Quoted | State::QuotedPair, _) if is_text(byte) => Ok(State::Quoted),
            (
                State::ExtensionName { empty: false } | State::ExtensionToken | State::Unquoted,
                _,
            ) => match byte {
                b';' => Ok(State::ExtensionName { empty: true }),
                b'\r' => Ok(State::SizeLf),
                _ => Err(ChunkFault::Extension),
            },
            _ => Err(ChunkFault::Extension),
        }
    }

    fn count_extension(&mut self) -> Result<(), ChunkFault> {
        self.extension_bytes += 1;
        self.extensions_bytes += 1;
        let over = self.extension_bytes > EXTENSION_BYTES_MAX
            || self.extensions_bytes > EXTENSIONS_BYTES_MAX;
        if over { Err(ChunkFault::ExtensionTooLong) } else { Ok(()) }
    }

    fn after_trailer(&mut self, byte: u8) -> Result<State, ChunkFault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkFault::TrailerTooLong);
        }
        let token = TOKEN[usize::from(byte)];
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart | State::TrailerName, _) if token => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::Ended),
            (State::TrailerLf | State::LastLf, _) => Err(ChunkFault::LineEnd),
            _ => Err(ChunkFault::Trailer),
        }
    }
}

/// What may stand in a quoted string or a value: all but control bytes, the tab excepted.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests;
