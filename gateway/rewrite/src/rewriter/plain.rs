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

const TRUE: u32 = u32::from_le_bytes(*b"true");
const NULL: u32 = u32::from_le_bytes(*b"null");
const FALS: u32 = u32::from_le_bytes(*b"fals");

/// A scalar before a mark, which lies outside of strings as the scalar does.
#[derive(Clone, Copy)]
pub(super) struct Scalar<'a> {
    /// What lies in the piece from some place on, and at which of it the scalar begins.
    pub(super) near: &'a [u8; NEAR],
    pub(super) from: usize,
    /// How far behind its first byte the mark is.
    pub(super) len: usize,
}

impl Scalar<'_> {
    #[inline(always)]
    fn first(&self) -> u8 {
        scan::lane::<0>(self.near, self.from)[0]
    }

    #[inline(always)]
    fn is_of(&self, len: u32) -> bool {
        len as usize == self.len
    }

    /// Whether it is all there is up to the mark: a string of at most 33 bytes, whatever they are, or
    /// something bare of which the machine would find the same end. There may be others.
    #[inline(always)]
    pub(super) fn is_short_hidden(&self, lanes: impl Lanes) -> bool {
        if self.first() == b'"' {
            // One that has no end in the lane ends before the mark, so in the one byte between.
            let quotes = lanes.quotes(scan::lane::<1>(self.near, self.from));
            self.is_of(2 + quotes.trailing_zeros())
        } else {
            // The mark itself is no part of one.
            let len = lanes.ends(scan::lane::<0>(self.near, self.from)).trailing_zeros();
            len != 0 && self.is_of(len)
        }
    }

    /// Whether it is a string, however long, that is all there is up to the mark: between two places outside
    /// of strings it has an end, and no quote is seen but one right before the mark.
    #[inline(always)]
    pub(super) fn is_string_of(&self, index: &Index, value: usize, mark: usize) -> bool {
        self.first() == b'"' && !index.has_quote(value + 1, mark - 1)
    }

    /// Whether it is a string of at most 65 bytes of UTF-8 without escapes that is all there is up to the
    /// mark. The three bytes before it must be near and ASCII.
    #[inline(always)]
    pub(super) fn is_text(&self, lanes: impl Lanes) -> bool {
        let text = self.from + 1;
        let [low, high] = [scan::lane::<0>(self.near, text), scan::lane::<32>(self.near, text)];
        let stops = u64::from(lanes.stops(high)) << 32 | u64::from(lanes.stops(low));
        self.first() == b'"'
            && stops != 0
            && self.is_of(2 + stops.trailing_zeros())
            && (lanes.high(low) | lanes.high(high) == 0
                || lanes.is_utf8(self.near, text, stops.trailing_zeros()))
    }

    /// Whether it is all there is up to the mark and may be shown: a string of at most 33 plain ASCII
    /// bytes, a literal, or a number of at most 31 bytes without a sign or an exponent. There may be others.
    #[inline(always)]
    pub(super) fn is_short_shown(&self, lanes: impl Lanes) -> bool {
        if self.first() == b'"' {
            // The first odd byte is the quote that ends the string: it lies before the mark, and is one.
            let odd = lanes.odd(scan::lane::<1>(self.near, self.from));
            self.is_of(2 + odd.trailing_zeros())
        } else {
            self.is_short_bare(lanes)
        }
    }

    /// Whether it is a literal, or a number of at most 31 bytes without a sign or an exponent. There may
    /// be others.
    #[inline(always)]
    fn is_short_bare(&self, lanes: impl Lanes) -> bool {
        let bytes = scan::lane::<0>(self.near, self.from);
        let digits = lanes.digits(bytes);
        let whole = digits.trailing_ones();
        if whole == 0 {
            return match u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) {
                TRUE | NULL => self.is_of(4),
                FALS => bytes[4] == b'e' && self.is_of(5),
                _ => false,
            };
        }
        if bytes[0] == b'0' && whole != 1 {
            return false;
        }
        if self.is_of(whole) {
            return true;
        }
        let fraction = (digits >> (whole & 31) >> 1).trailing_ones();
        fraction != 0 && bytes[whole as usize & 31] == b'.' && self.is_of(whole + 1 + fraction)
    }
}

/// The place behind the colon of a name of at most 31 plain ASCII bytes, of which the opening quote is at a
/// place of what is near.
#[inline(always)]
pub(super) fn name_end(near: &[u8; NEAR], quote: usize, lanes: impl Lanes) -> Option<usize> {
    let odd = lanes.odd(scan::lane::<1>(near, quote));
    let end = quote + 1 + odd.trailing_zeros() as usize;
    let is_name = odd != 0 && near[quote] == b'"' && near.get(end..)?.starts_with(b"\":");
    is_name.then_some(end + 2)
}

/// Asks for the end of a scalar that is all there is up to a mark and may be shown: a string of UTF-8
/// with sound escapes, a number or a literal. Else [`UNSOUND`].
pub(super) struct ShownEnd<'a> {
    pub(super) piece: &'a [u8],
    pub(super) value: usize,
    pub(super) mark: usize,
    pub(super) index: &'a Index,
}

impl scan::Task for ShownEnd<'_> {
    type Done = usize;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> usize {
        let ShownEnd { piece, value, mark, index } = self;
        let quick = match piece.get(value) {
            Some(b'"') => simple_string_end(piece, value, mark, lanes),
            _ => None,
        };
        quick.or_else(|| scalar_end(piece, value, mark, index, true)).unwrap_or(UNSOUND)
    }
}

/// As [`ShownEnd`] has it.
#[inline(never)]
pub(super) fn shown_end(piece: &[u8], value: usize, mark: usize, index: &Index) -> usize {
    scan::run(ShownEnd { piece, value, mark, index })
}

/// The mark, if there is nothing before it but a string of which every escape is of one letter, as `\n` is.
/// There may be others.
#[inline(always)]
fn simple_string_end(piece: &[u8], value: usize, mark: usize, lanes: impl Lanes) -> Option<usize> {
    let from = value + 1;
    let (mut at, mut high) = (from, 0);
    while let Some(bytes) = piece.get(at..).and_then(<[u8]>::first_chunk) {
        high |= lanes.high(bytes);
        let stops = lanes.stops(bytes);
        if stops == 0 {
            at += 32;
            continue;
        }
        at += stops.trailing_zeros() as usize;
        match piece.get(at..)? {
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
            [b'"', ..] => {
                // High bytes behind the string may be among those seen: then it is checked in vain.
                let is_utf8 = high == 0 || std::str::from_utf8(piece.get(from..at)?).is_ok();
                return (is_utf8 && at + 1 == mark).then_some(mark);
            }
            _ => return None,
        }
    }
    None
}

/// The end of something hidden, any string or something bare of which the machine would find the same
/// end, if it is all there is up to a mark.
pub(super) fn hidden_end(piece: &[u8], value: usize, mark: usize, index: &Index) -> Option<usize> {
    scalar_end(piece, value, mark, index, false)
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

#[cfg(test)]
mod tests;
