//! Whether a scalar of which both ends are known is sound.
//!
//! The index says where a value ends: at the comma or bracket behind it, of which it only knows that
//! it stands outside of strings. What lies between must still be one scalar and nothing else. Short
//! ones, which nearly all are, are settled by one look at 32 or eight bytes; the rest by a slower test.
//! "No" is never a refusal: the byte machine reads the value then and says what is wrong with it.
//!
//! Source: RFC 8259 sections 3, 6 and 7.

use crate::index::Index;
use crate::lexer::{LiteralLexer, NumberLexer, Step, StringLexer};
use crate::scan::{self, Lanes, NEAR};

/// No end of any scalar.
pub(super) const UNSOUND: usize = usize::MAX;

/// A scalar before a mark.
#[derive(Clone, Copy)]
pub(super) struct Scalar<'a> {
    pub(super) piece: &'a [u8],
    /// What lies in the piece from some place on, and at which of it the scalar begins.
    pub(super) near: &'a [u8; NEAR],
    pub(super) from: usize,
    /// Where it begins in the piece, and where the mark is.
    pub(super) value: usize,
    pub(super) mark: usize,
    pub(super) index: &'a Index,
}

impl Scalar<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.mark.wrapping_sub(self.value)
    }

    #[inline(always)]
    fn first(&self) -> u8 {
        scan::lane(self.near, self.from)[0]
    }

    /// Whether it is all there is up to the mark: a string, whatever is in it, or something bare of
    /// which the machine would find the same end.
    #[inline(always)]
    pub(super) fn is_hidden(&self, lanes: impl Lanes) -> bool {
        let len = self.len();
        if self.first() == b'"' {
            let quotes = lanes.quotes(scan::lane(self.near, self.from + 1));
            let end = if quotes != 0 {
                2 + quotes.trailing_zeros()
            } else {
                34 + lanes.quotes(scan::lane(self.near, self.from + 33)).trailing_zeros()
            };
            if end as usize == len {
                return true;
            }
        } else {
            // The mark itself is no part of one.
            let ends = lanes.ends(scan::lane(self.near, self.from));
            if ends.trailing_zeros() as usize == len && len != 0 {
                return true;
            }
        }
        scalar_end(self.piece, self.value, self.mark, self.index, false).is_some()
    }

    /// The end of one that is all there is up to the mark and may be shown: a string of UTF-8 with
    /// sound escapes, a number or a literal. Else [`UNSOUND`].
    #[inline(always)]
    pub(super) fn shown_end(&self, lanes: impl Lanes) -> usize {
        let is_short = if self.first() == b'"' {
            self.is_short_string(lanes) || is_long_string(self.piece, self.value, self.mark, lanes)
        } else {
            self.is_short_bare(lanes)
        };
        if is_short {
            return self.mark;
        }
        scalar_end(self.piece, self.value, self.mark, self.index, true).unwrap_or(UNSOUND)
    }

    /// Whether it is a string of at most 63 plain ASCII bytes. There may be others.
    #[inline(always)]
    fn is_short_string(&self, lanes: impl Lanes) -> bool {
        // The first stop is the quote that ends the string: it is one itself, and lies before the mark.
        let bytes = scan::lane(self.near, self.from + 1);
        let stops = lanes.stops(bytes);
        if stops != 0 {
            return 2 + stops.trailing_zeros() as usize == self.len()
                && lanes.high(bytes) & up_to_lowest(stops) == 0;
        }
        let behind = scan::lane(self.near, self.from + 33);
        let stops = lanes.stops(behind);
        34 + stops.trailing_zeros() as usize == self.len()
            && lanes.high(bytes) | lanes.high(behind) & up_to_lowest(stops) == 0
    }

    /// Whether it is a literal, or a number of at most 31 bytes without a sign or an exponent. There may
    /// be others.
    #[inline(always)]
    fn is_short_bare(&self, lanes: impl Lanes) -> bool {
        let (len, bytes) = (self.len(), scan::lane(self.near, self.from));
        let digits = lanes.digits(bytes);
        let whole = digits.trailing_ones();
        if whole == 0 {
            return matches!(
                (len, bytes),
                (4, [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..])
                    | (5, [b'f', b'a', b'l', b's', b'e', ..])
            );
        }
        if bytes[0] == b'0' && whole != 1 {
            return false;
        }
        if whole as usize == len {
            return true;
        }
        let fraction = (digits >> (whole & 31) >> 1).trailing_ones();
        fraction != 0
            && bytes[whole as usize & 31] == b'.'
            && (whole + 1 + fraction) as usize == len
    }
}

/// The bits up to and with the lowest one; all, if there is none.
#[inline(always)]
fn up_to_lowest(bits: u32) -> u32 {
    bits ^ bits.wrapping_sub(1)
}

/// Whether it is a string without escapes. There may be others.
#[inline(never)]
fn is_long_string(piece: &[u8], value: usize, mark: usize, lanes: impl Lanes) -> bool {
    let from = value + 1;
    let (mut at, mut high) = (from, 0);
    while let Some(bytes) = piece.get(at..).and_then(<[u8]>::first_chunk) {
        high |= lanes.high(bytes);
        let stops = lanes.stops(bytes);
        if stops != 0 {
            at += stops.trailing_zeros() as usize;
            // High bytes behind the string may be among those seen: then it is checked in vain.
            return at + 1 == mark
                && piece
                    .get(from..at)
                    .is_some_and(|text| high == 0 || std::str::from_utf8(text).is_ok());
        }
        at += 32;
    }
    false
}

/// Where a scalar ends, if there is nothing but white space up to the mark. `strict`: and if it may be
/// shown.
#[inline(never)]
fn scalar_end(
    piece: &[u8],
    value: usize,
    mark: usize,
    index: &Index,
    strict: bool,
) -> Option<usize> {
    let text = piece.get(value..mark)?;
    let end = if *text.last()? > b' ' { mark } else { trimmed(piece, value, mark)? };
    let is_sound = match text.first() {
        Some(b'"') => is_string(piece, value, end, index, strict),
        _ => is_bare(piece, value, end),
    };
    is_sound.then_some(end)
}

/// Whether text is ASCII without backslashes and control bytes.
#[inline]
pub(super) fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |is, byte| is & (0x20..0x80).contains(byte) & (*byte != b'\\'))
}

/// The end of what stands before the mark without the white space behind it.
#[inline(never)]
fn trimmed(piece: &[u8], value: usize, mark: usize) -> Option<usize> {
    let text = piece.get(value..mark)?;
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    text.iter().rposition(is_text).map(|last| value + last + 1)
}

/// Whether a string takes all of a range. `strict`: and is UTF-8 with sound escapes.
#[inline(never)]
fn is_string(piece: &[u8], value: usize, end: usize, index: &Index, strict: bool) -> bool {
    let (from, to) = (value + 1, end - 1);
    if to < from || piece[to] != b'"' || index.has_quote(from, to) {
        return false;
    }
    if !strict {
        return true;
    }
    let is_careful = |byte: &u8| *byte < 0x20 || *byte == b'\\';
    let text = &piece[from..to];
    if text.iter().fold(false, |is, byte| is | is_careful(byte)) {
        return StringLexer::default().run(&piece[..end], from, &mut ()) == Ok(Step::Done(end));
    }
    std::str::from_utf8(text).is_ok()
}

/// Whether a literal or a number takes all of a range.
#[inline(never)]
fn is_bare(piece: &[u8], value: usize, end: usize) -> bool {
    let Some(&first) = piece.get(value) else { return false };
    // With the byte behind it, which tells that a number is over.
    let piece = piece.get(..=end).unwrap_or_default();
    let step = if matches!(first, b'-' | b'0'..=b'9') {
        NumberLexer::default().run(piece, value)
    } else {
        let mut literal = LiteralLexer::new();
        literal.start(first);
        literal.run(piece, value)
    };
    step == Ok(Step::Done(end))
}
