//! Finds the bytes that matter, the next one or all of them in blocks of 64, and copies what is kept.
//!
//! The searches for the next one take eight bytes at a time in one register: a byte of interest leaves
//! its top bit set in a word, and the lowest set bit is exact (borrows only disturb the bytes after a
//! hit, which are looked at again). The blocks are looked at by the widest vectors that the machine is
//! found to have when it runs, AVX-512 or AVX2, else by the same words; all say the same.
//!
//! The only `unsafe` code of the crate is here and in `x86`: calls of functions compiled for features that were
//! looked for before, loads from arrays of the size that is loaded, and one copy into room that was asked for.
//!
//! Not here: any meaning of the bytes.

#![allow(unsafe_code)]

use std::cell::OnceCell;

use crate::index::Carry;

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

#[inline(always)]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    zero_bytes(word ^ (ONES * byte as u64))
}

/// As `equal_bytes`, but exact in every byte.
#[inline(always)]
pub(crate) fn equal_bytes_exactly(word: u64, byte: u8) -> u64 {
    let other = word ^ (ONES * byte as u64);
    !(((other & !TOPS) + !TOPS) | other) & TOPS
}

#[inline(always)]
fn control_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & TOPS
}

#[inline(always)]
fn find(
    bytes: &[u8],
    from: usize,
    hits: impl Fn(u64) -> u64,
    is_hit: impl Fn(u8) -> bool,
) -> usize {
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let hit = hits(u64::from_le_bytes(*eight));
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && !is_hit(bytes[at]) {
        at += 1;
    }
    at
}

/// The first quote, backslash, control byte or byte of a non-ASCII character; else the end.
#[inline]
pub(crate) fn string_stop(bytes: &[u8], from: usize) -> usize {
    find(
        bytes,
        from,
        |word| {
            equal_bytes(word, b'"') | equal_bytes(word, b'\\') | control_bytes(word) | (word & TOPS)
        },
        |byte| !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\',
    )
}

/// The first quote, backslash or control byte; else the end.
#[inline]
pub(crate) fn text_stop(bytes: &[u8], from: usize) -> usize {
    find(
        bytes,
        from,
        |word| equal_bytes(word, b'"') | equal_bytes(word, b'\\') | control_bytes(word),
        |byte| byte < 0x20 || byte == b'"' || byte == b'\\',
    )
}

/// The first quote or backslash; else the end.
#[inline]
pub(crate) fn hidden_string_stop(bytes: &[u8], from: usize) -> usize {
    match bytes.get(from..) {
        Some(rest) => memchr::memchr2(b'"', b'\\', rest).map_or(bytes.len(), |found| from + found),
        None => bytes.len(),
    }
}

/// The first quote or bracket of either kind; else the end.
#[inline]
pub(crate) fn hidden_stop(bytes: &[u8], from: usize) -> usize {
    find(
        bytes,
        from,
        |word| {
            // 0x5b and 0x5d differ from 0x7b and 0x7d by one bit.
            let folded = word | (ONES * 0x20);
            equal_bytes(word, b'"') | equal_bytes(folded, b'{') | equal_bytes(folded, b'}')
        },
        |byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'),
    )
}

/// The first byte that is not white space (RFC 8259 section 2); else the end.
#[inline]
pub(crate) fn space_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && matches!(bytes[at], b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// The first byte that is no digit; else the end.
#[inline]
pub(crate) fn digits_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        at += 1;
    }
    at
}

/// One bit for each byte of a block of 64, the lowest for the first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) quotes: u64,
    pub(crate) backslashes: u64,
    /// Brackets of either kind and commas; maybe form feeds too, which JSON has nowhere raw.
    pub(crate) marks: u64,
}

/// What can be asked of the 64 bits of a block.
pub(crate) trait Bits: Copy {
    /// For each bit whether the number of bits up to and with it is odd.
    fn prefix(self, bits: u64) -> u64;
    /// The places of the bits, counted from `first`. What is behind them in `room` means nothing.
    fn places(self, bits: u64, first: u32, room: &mut [u32; 64]);
}

/// Takes blocks in their order.
pub(crate) trait Sink {
    /// False: no more.
    fn block(&mut self, number: usize, carry: &mut Carry, marks: Marks, bits: impl Bits) -> bool;
}

/// Shows the sink every block of the bytes, and says how many bytes it took.
pub(crate) fn with_marks(bytes: &[u8], sink: &mut impl Sink) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if x86::has_avx512() {
            // SAFETY: the features that the function is compiled for were just found.
            return unsafe { x86::with_marks_avx512(bytes, sink) };
        }
        if x86::has_avx2() {
            // SAFETY: as above.
            return unsafe { x86::with_marks_avx2(bytes, sink) };
        }
    }
    blocks(bytes, sink, words::marks, Words)
}

#[inline(always)]
fn blocks(
    bytes: &[u8],
    sink: &mut impl Sink,
    marks: impl Fn(&[u8; 64]) -> Marks,
    bits: impl Bits,
) -> usize {
    let mut carry = Carry::default();
    let (whole, rest) = bytes.as_chunks::<64>();
    for (number, block) in whole.iter().enumerate() {
        if !sink.block(number, &mut carry, marks(block), bits) {
            return number * 64;
        }
    }
    let mut last = [b' '; 64];
    if !rest.is_empty() {
        last[..rest.len()].copy_from_slice(rest);
        if !sink.block(whole.len(), &mut carry, marks(&last), bits) {
            return whole.len() * 64;
        }
    }
    bytes.len()
}

/// The places of the lowest bits, at least `AT_ONCE` of them written whether there are so many or not: how
/// many a block has differs, and a loop that ends at the last would be guessed wrong.
#[inline(always)]
fn places_in_turn<const AT_ONCE: usize>(bits: u64, first: u32, room: &mut [u32; 64]) {
    let mut left = bits;
    let mut next = || {
        let place = first.wrapping_add(left.trailing_zeros());
        left &= left.wrapping_sub(1);
        place
    };
    let (at_once, rest) = room.split_at_mut(AT_ONCE);
    at_once.fill_with(&mut next);
    let more = (bits.count_ones() as usize).saturating_sub(AT_ONCE);
    if more > 0 {
        rest[..more].fill_with(next);
    }
}

/// How many bytes the walk has before it at a time.
pub(crate) const NEAR: usize = 192;

/// The bytes from a place on. Behind the end of all there are zeros.
#[inline(always)]
pub(crate) fn near<'a>(bytes: &'a [u8], at: usize, tail: &'a Tail) -> &'a [u8; NEAR] {
    if at < bytes.len().saturating_sub(NEAR - 1) {
        // SAFETY: at + NEAR <= len, as at < len - (NEAR - 1). One comparison where a slice would need two.
        unsafe { &*bytes.as_ptr().add(at).cast::<[u8; NEAR]>() }
    } else {
        tail.near(bytes, at)
    }
}

/// The end of a piece with zeros behind it, once it is asked for. For one piece only.
pub(crate) struct Tail {
    copy: OnceCell<[u8; 2 * NEAR]>,
}

impl Tail {
    const END: [u8; NEAR] = [0; NEAR];

    #[inline]
    pub(crate) fn new() -> Tail {
        Tail { copy: OnceCell::new() }
    }

    #[inline(never)]
    fn near(&self, bytes: &[u8], at: usize) -> &[u8; NEAR] {
        let from = bytes.len().saturating_sub(NEAR);
        let copy = self.copy.get_or_init(|| {
            let mut copy = [0; 2 * NEAR];
            copy[..bytes.len() - from].copy_from_slice(&bytes[from..]);
            copy
        });
        let rest = at.checked_sub(from).and_then(|place| copy.get(place..));
        rest.and_then(<[u8]>::first_chunk).unwrap_or(&Tail::END)
    }
}

/// How many bytes are copied at once of what is short.
pub(crate) const COPY: usize = 64;

/// The first `len` of some bytes, of which there should be [`COPY`] or more: then what is short is one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padded<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) len: usize,
}

impl Padded<'_> {
    /// Without more behind them.
    pub(crate) fn all(bytes: &[u8]) -> Padded<'_> {
        Padded { bytes, len: bytes.len() }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Appends them. Of what lies behind them nothing stays in the buffer.
#[inline(always)]
pub(crate) fn append(out: &mut Vec<u8>, Padded { bytes, len }: Padded<'_>) {
    match bytes.first_chunk::<COPY>() {
        Some(block) if len <= COPY && out.capacity() - out.len() >= 2 * COPY => {
            // SAFETY: there is room for 128 bytes behind what was written. The first `len` of them, at most 64, are
            // written, and the 64 behind those are zeros.
            unsafe {
                let end = out.as_mut_ptr().add(out.len());
                end.cast::<[u8; COPY]>().write_unaligned(*block);
                end.add(len).cast::<[u8; COPY]>().write_unaligned([0; COPY]);
                out.set_len(out.len() + len);
            }
        }
        _ => append_any(out, bytes, len),
    }
}

/// Panics where there are fewer bytes than are asked for: a body that lacks some must not end as if it were whole.
#[inline(never)]
fn append_any(out: &mut Vec<u8>, bytes: &[u8], len: usize) {
    out.extend_from_slice(&bytes[..len]);
}

/// The greatest place at which [`lane`] looks.
pub(crate) const PLACE_MAX: usize = 127;

/// The 32 bytes that begin `BEHIND` bytes behind a place up to [`PLACE_MAX`], to which greater ones are
/// cut: no comparison is left of it.
#[inline(always)]
pub(crate) fn lane<const BEHIND: usize>(near: &[u8; NEAR], place: usize) -> &[u8; 32] {
    const { assert!(PLACE_MAX + BEHIND + 32 <= NEAR) };
    const EMPTY: [u8; 32] = [0; 32];
    near[(place & PLACE_MAX) + BEHIND..].first_chunk().unwrap_or(&EMPTY)
}

/// What the walk asks of 32 bytes at once. One bit a byte, the lowest for the first.
pub(crate) trait Lanes: Copy {
    /// Whether the bits of a mask are the same in both.
    fn is_same(self, bytes: &[u8; 32], other: &[u8; 32], mask: &[u8; 32]) -> bool;
    fn quotes(self, bytes: &[u8; 32]) -> u32;
    /// Bytes at which a string ends or has to be read with care: quotes, backslashes, control bytes.
    fn stops(self, bytes: &[u8; 32]) -> u32;
    /// Stops and bytes of non-ASCII characters.
    fn odd(self, bytes: &[u8; 32]) -> u32;
    /// Bytes of non-ASCII characters.
    fn high(self, bytes: &[u8; 32]) -> u32;
    /// Whether the first `len` bytes, less than 64, from a place on are UTF-8 (RFC 3629). The three bytes
    /// before them must be ASCII, and the one behind.
    fn is_utf8(self, near: &[u8; NEAR], place: usize, len: u32) -> bool;
    fn digits(self, bytes: &[u8; 32]) -> u32;
    /// Bytes that end a number or literal, as [`continues_token`](crate::lexer::continues_token) has it.
    fn ends(self, bytes: &[u8; 32]) -> u32;
}

/// Something to do with the widest lanes there are. `run` and what it calls should be inlined, so that
/// they are compiled for the machine's features.
pub(crate) trait Task {
    type Done;
    fn run(self, lanes: impl Lanes) -> Self::Done;
}

#[inline]
pub(crate) fn run<T: Task>(task: T) -> T::Done {
    #[cfg(target_arch = "x86_64")]
    if x86::has_avx2() {
        // SAFETY: the features that the function is compiled for were just found.
        return unsafe { x86::run_avx2(task) };
    }
    task.run(Words)
}

pub(crate) use words::Words;

mod words;

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;
