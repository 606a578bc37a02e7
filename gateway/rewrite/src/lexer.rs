//! Reads the scalars of RFC 8259 strictly, and goes on where an earlier piece ended.
//!
//! Each lexer is its whole state in a few bytes, so a body may be cut at any byte: inside an escape,
//! between the halves of a surrogate pair, inside a UTF-8 character. Runs of plain bytes are found by
//! `scan`; only what is rare goes byte by byte.
//!
//! Not here: where a scalar may stand (`rewriter`), and the lenient reading of hidden values.
//!
//! Sources: RFC 8259 sections 3, 6 and 7; RFC 3629 section 3.

use crate::error::{Fault, Reason};
use crate::scan;

/// How far a lexer came in this piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The scalar ends before this index.
    Done(usize),
    /// The piece is used up.
    More,
}

impl Step {
    /// The end of what was read of this piece.
    #[inline]
    pub(crate) fn end(self, piece: &[u8]) -> usize {
        match self {
            Step::Done(end) => end,
            Step::More => piece.len(),
        }
    }
}

/// Takes the decoded text of a string.
pub(crate) trait Text {
    fn push(&mut self, bytes: &[u8]);
}

/// For strings that nobody compares.
impl Text for () {
    #[inline]
    fn push(&mut self, _: &[u8]) {}
}

/// Decoded text up to a limit: a longer one equals nothing that is known, so it is not kept.
#[derive(Default)]
pub(crate) struct Decoded {
    bytes: Vec<u8>,
    limit: usize,
    too_long: bool,
}

impl Decoded {
    pub(crate) fn up_to(limit: usize) -> Decoded {
        Decoded { bytes: Vec::new(), limit, too_long: false }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }

    /// The text; None when it is longer than the limit.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(self.bytes.as_slice())
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// Whether the text is longer than this, which is within the limit.
    pub(crate) fn is_longer_than(&self, len: usize) -> bool {
        self.too_long || self.bytes.len() > len
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Text for Decoded {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > self.limit - self.bytes.len() {
            self.too_long = true;
        } else if !self.too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum InString {
    #[default]
    Plain,
    /// After a backslash.
    Escape,
    /// This many hexadecimal digits are still to come.
    Hex(u8),
    /// After the first half of a surrogate pair: a backslash, then a `u`, must follow.
    PairBackslash,
    PairU,
    /// Inside a character of several bytes, begun in an earlier piece.
    Character,
}

/// Reads a string from behind its opening quote to behind its closing quote. Then it stands where the
/// next one begins.
#[derive(Default)]
pub(crate) struct StringLexer {
    at: InString,
    /// The digits of a `\u` so far.
    unit: u16,
    /// The first half of a pair; 0 when there is none.
    high: u16,
    partial: [u8; 4],
    partial_len: usize,
}

impl StringLexer {
    pub(crate) fn run<T: Text>(
        &mut self,
        piece: &[u8],
        from: usize,
        text: &mut T,
    ) -> Result<Step, Fault> {
        let mut at = from;
        while at < piece.len() {
            at = match self.at {
                InString::Plain => {
                    let stop = scan::string_stop(piece, at);
                    text.push(&piece[at..stop]);
                    match piece.get(stop) {
                        None => return Ok(Step::More),
                        Some(b'"') => return Ok(Step::Done(stop + 1)),
                        Some(b'\\') => {
                            self.at = InString::Escape;
                            stop + 1
                        }
                        Some(0..0x20) => return Err(Fault::new(stop, Reason::ControlByte)),
                        Some(_) => self.characters(piece, stop, text)?,
                    }
                }
                InString::Character => {
                    self.next_of_character(piece[at], text)
                        .map_err(|reason| Fault::new(at, reason))?;
                    at + 1
                }
                _ => {
                    self.next_of_escape(piece[at], text)
                        .map_err(|reason| Fault::new(at, reason))?;
                    at + 1
                }
            };
        }
        Ok(Step::More)
    }

    /// A run that holds non-ASCII characters, up to the next byte that is no text.
    fn characters<T: Text>(
        &mut self,
        piece: &[u8],
        from: usize,
        text: &mut T,
    ) -> Result<usize, Fault> {
        let stop = scan::text_stop(piece, from);
        let run = &piece[from..stop];
        let Err(error) = std::str::from_utf8(run) else {
            text.push(run);
            return Ok(stop);
        };
        let (valid, rest) = run.split_at(error.valid_up_to());
        match error.error_len() {
            None => {
                // The piece may end here, and the next go on with the character.
                text.push(valid);
                self.partial[..rest.len()].copy_from_slice(rest);
                self.partial_len = rest.len();
                self.at = InString::Character;
                Ok(stop)
            }
            Some(bad) => {
                // The byte that decided: the first one if no character begins with it.
                let alone =
                    std::str::from_utf8(&rest[..1]).is_err_and(|error| error.error_len().is_some());
                let decided = if alone { 0 } else { bad };
                Err(Fault::new(from + valid.len() + decided, Reason::Utf8))
            }
        }
    }

    fn next_of_character<T: Text>(&mut self, byte: u8, text: &mut T) -> Result<(), Reason> {
        let Some(place) = self.partial.get_mut(self.partial_len) else {
            return Err(Reason::Utf8);
        };
        *place = byte;
        self.partial_len += 1;
        let so_far = &self.partial[..self.partial_len];
        match std::str::from_utf8(so_far) {
            Ok(_) => {
                text.push(so_far);
                self.at = InString::Plain;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(Reason::Utf8),
        }
    }

    fn next_of_escape<T: Text>(&mut self, byte: u8, text: &mut T) -> Result<(), Reason> {
        self.at = match (self.at, byte) {
            (InString::Escape, b'u') => {
                self.unit = 0;
                self.high = 0;
                InString::Hex(4)
            }
            (InString::Escape, _) => {
                text.push(&[unescaped(byte).ok_or(Reason::Escape)?]);
                InString::Plain
            }
            (InString::PairBackslash, b'\\') => InString::PairU,
            (InString::PairU, b'u') => {
                self.unit = 0;
                InString::Hex(4)
            }
            (InString::Hex(left), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Reason::Escape)?;
                self.unit = self.unit << 4 | digit as u16;
                if left > 1 { InString::Hex(left - 1) } else { self.end_of_unit(text)? }
            }
            _ => return Err(Reason::Surrogate),
        };
        Ok(())
    }

    fn end_of_unit<T: Text>(&mut self, text: &mut T) -> Result<InString, Reason> {
        let code = match (self.high, self.unit) {
            (0, 0xd800..0xdc00) => {
                self.high = self.unit;
                return Ok(InString::PairBackslash);
            }
            (0, unit) => u32::from(unit),
            (high, low @ 0xdc00..0xe000) => {
                0x10000 + (u32::from(high - 0xd800) << 10) + u32::from(low - 0xdc00)
            }
            _ => return Err(Reason::Surrogate),
        };
        // Only a lone second half is no character.
        let character = char::from_u32(code).ok_or(Reason::Surrogate)?;
        text.push(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(InString::Plain)
    }
}

fn unescaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum InNumber {
    #[default]
    Start,
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

/// Reads a number from its first byte. It ends before the first byte that belongs to no number.
#[derive(Debug, Default)]
pub(crate) struct NumberLexer {
    at: InNumber,
}

impl NumberLexer {
    #[inline]
    pub(crate) fn start(&mut self) {
        self.at = InNumber::Start;
    }

    #[inline]
    pub(crate) fn run(&mut self, piece: &[u8], from: usize) -> Result<Step, Fault> {
        let mut at = from;
        loop {
            if matches!(self.at, InNumber::Digits | InNumber::Fraction | InNumber::Power) {
                at = scan::digits_end(piece, at);
            }
            let Some(byte) = piece.get(at) else { return Ok(Step::More) };
            self.at = match (self.at, byte) {
                (InNumber::Start, b'-') => InNumber::Minus,
                (InNumber::Start | InNumber::Minus, b'0') => InNumber::Zero,
                (InNumber::Start | InNumber::Minus, b'1'..=b'9') => InNumber::Digits,
                (InNumber::Zero | InNumber::Digits, b'.') => InNumber::Point,
                (InNumber::Point, b'0'..=b'9') => InNumber::Fraction,
                (InNumber::Zero | InNumber::Digits | InNumber::Fraction, b'e' | b'E') => {
                    InNumber::Exponent
                }
                (InNumber::Exponent, b'+' | b'-') => InNumber::Sign,
                (InNumber::Exponent | InNumber::Sign, b'0'..=b'9') => InNumber::Power,
                (InNumber::Zero | InNumber::Digits | InNumber::Fraction | InNumber::Power, _)
                    if !continues_token(*byte) =>
                {
                    return Ok(Step::Done(at));
                }
                _ => return Err(Fault::new(at, Reason::Number)),
            };
            at += 1;
        }
    }
}

/// Bytes that could only be meant as more of a number or a literal.
pub(crate) fn continues_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
    True,
    False,
    Null,
}

/// Reads `true`, `false` or `null` from its first byte. What follows is for the caller to judge.
#[derive(Debug)]
pub(crate) struct LiteralLexer {
    literal: Literal,
    read: usize,
}

impl LiteralLexer {
    pub(crate) fn new() -> LiteralLexer {
        LiteralLexer { literal: Literal::Null, read: 0 }
    }

    /// The literal that begins with this byte; anything but `t` and `f` is taken for `null`, and
    /// refused by [`run`](LiteralLexer::run) if it is not.
    pub(crate) fn start(&mut self, first: u8) {
        self.read = 0;
        self.literal = match first {
            b't' => Literal::True,
            b'f' => Literal::False,
            _ => Literal::Null,
        };
    }

    pub(crate) fn literal(&self) -> Literal {
        self.literal
    }

    pub(crate) fn run(&mut self, piece: &[u8], from: usize) -> Result<Step, Fault> {
        let word: &[u8] = match self.literal {
            Literal::True => b"true",
            Literal::False => b"false",
            Literal::Null => b"null",
        };
        if self.read == 0 && piece.get(from..).is_some_and(|rest| rest.starts_with(word)) {
            return Ok(Step::Done(from + word.len()));
        }
        for (index, byte) in piece.iter().enumerate().skip(from) {
            if word.get(self.read) != Some(byte) {
                return Err(Fault::new(index, Reason::Literal));
            }
            self.read += 1;
            if self.read == word.len() {
                return Ok(Step::Done(index + 1));
            }
        }
        Ok(Step::More)
    }
}
