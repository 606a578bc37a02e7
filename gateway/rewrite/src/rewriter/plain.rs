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
use crate::scan::{self, Lanes};

/// Whether a scalar is all there is from a place to the mark: a string with no quote in it, whatever
/// else, or a sound bare scalar.
#[inline(always)]
pub(super) fn is_hidden(
    piece: &[u8],
    value: usize,
    first: u8,
    mark: usize,
    index: &Index,
    lanes: impl Lanes,
) -> bool {
    let is_short = match first {
        b'"' => string_stop(piece, value + 1, mark, |bytes| lanes.quotes(bytes)) + 1 == mark,
        _ => is_short_bare(piece, value, mark),
    };
    is_short || scalar_end(piece, value, mark, index, false).is_some()
}

/// The end of a scalar that is all there is from a place to the mark and may be shown: a string of
/// UTF-8 with sound escapes, or a sound bare scalar.
#[inline(always)]
pub(super) fn shown_end(
    piece: &[u8],
    value: usize,
    first: u8,
    mark: usize,
    index: &Index,
    lanes: impl Lanes,
) -> Option<usize> {
    if first == b'"' {
        // The first stop is the quote that ends the string: it is one itself, and lies before the mark.
        if let Some(bytes) = scan::chunk(piece, value + 1)
            && value + 2 + lanes.stops(bytes).trailing_zeros() as usize == mark
            && lanes.high(bytes) == 0
        {
            return Some(mark);
        }
        if is_long_string(piece, value + 1, mark, lanes) {
            return Some(mark);
        }
    } else if is_short_bare(piece, value, mark) {
        return Some(mark);
    }
    scalar_end(piece, value, mark, index, true)
}

/// Whether a string without escapes goes from a place, behind its quote, to the mark. There may be others.
#[inline(never)]
fn is_long_string(piece: &[u8], from: usize, mark: usize, lanes: impl Lanes) -> bool {
    let (mut at, mut high) = (from, 0);
    while let Some(bytes) = scan::chunk(piece, at) {
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

/// The first stop in a string of at most 64 bytes; some other place if there is none.
#[inline(always)]
fn string_stop(piece: &[u8], from: usize, mark: usize, stops: impl Fn(&[u8; 32]) -> u32) -> usize {
    let Some(bytes) = scan::chunk(piece, from) else { return mark };
    let hits = stops(bytes);
    if hits != 0 {
        return from + hits.trailing_zeros() as usize;
    }
    let Some(bytes) = scan::chunk(piece, from + 32) else { return mark };
    from + 32 + stops(bytes).trailing_zeros() as usize
}

/// Whether a range holds a literal, or a number of at most eight digits and a point. There may be others.
#[inline(always)]
fn is_short_bare(piece: &[u8], from: usize, to: usize) -> bool {
    const TRUE: u64 = u32::from_le_bytes(*b"true") as u64;
    const NULL: u64 = u32::from_le_bytes(*b"null") as u64;
    const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");
    let len = to.wrapping_sub(from);
    let Some(bytes) = piece.get(from..).and_then(<[u8]>::first_chunk) else { return false };
    if !(1..=8).contains(&len) {
        return false;
    }
    let unused = 64 - 8 * len as u32;
    let word = u64::from_le_bytes(*bytes) << unused >> unused;
    // The length too: bytes of zero behind a literal would otherwise be taken for none.
    if matches!((word, len), (TRUE | NULL, 4) | (FALSE, 5)) {
        return true;
    }
    let zeros = u64::from_le_bytes([b'0'; 8]);
    let dots = scan::equal_bytes_exactly(word, b'.');
    let point = dots.trailing_zeros() as usize / 8;
    let (word, leading) = if dots == 0 {
        (word, len == 1)
    } else {
        // With one point, not first and not last, what is left must be digits.
        if dots & (dots - 1) != 0 || point == 0 || point + 1 == len {
            return false;
        }
        (word ^ u64::from(b'.' ^ b'0') << (point * 8), point == 1)
    };
    // Digits have the upper half 3, and still have it with 6 added to the lower half.
    let digits = zeros << unused >> unused;
    let sixes = u64::from_le_bytes([6; 8]) << unused >> unused;
    let upper = u64::from_le_bytes([0xf0; 8]);
    (word & upper | (word.wrapping_add(sixes) & upper) >> 4) == (digits | digits >> 4)
        && (word as u8 != b'0' || leading)
}

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
