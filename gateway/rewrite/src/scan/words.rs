//! Eight bytes at a time, for machines without vectors that are known here.

use super::{Bits, Lanes, Marks, NEAR, ONES, TOPS, equal_bytes_exactly, places_in_turn};
use crate::lexer::continues_token;

/// The top bits of eight bytes as the low bits of one.
#[inline(always)]
fn gathered(tops: u64) -> u64 {
    (tops & TOPS).wrapping_mul(0x0002_0408_1020_4081) >> 56
}

#[derive(Clone, Copy)]
pub(crate) struct Words;

impl Words {
    #[inline(always)]
    fn bits(bytes: &[u8; 32], hits: impl Fn(u64) -> u64) -> u32 {
        let (words, _) = bytes.as_chunks::<8>();
        words
            .iter()
            .rev()
            .fold(0, |bits, eight| bits << 8 | gathered(hits(u64::from_le_bytes(*eight))) as u32)
    }
}

impl Bits for Words {
    #[inline(always)]
    fn prefix(self, bits: u64) -> u64 {
        let mut sum = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            sum ^= sum << shift;
        }
        sum
    }

    #[inline(always)]
    fn places(self, bits: u64, first: u32, room: &mut [u32; 64]) {
        places_in_turn::<4>(bits, first, room);
    }
}

impl Lanes for Words {
    #[inline(always)]
    fn is_same(self, bytes: &[u8; 32], other: &[u8; 32], mask: &[u8; 32]) -> bool {
        fn words(of: &[u8; 32]) -> impl Iterator<Item = u64> {
            of.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight))
        }
        let pairs = words(bytes).zip(words(other)).zip(words(mask));
        pairs.fold(0, |all, ((one, other), mask)| all | (one ^ other) & mask) == 0
    }

    #[inline(always)]
    fn quotes(self, bytes: &[u8; 32]) -> u32 {
        Words::bits(bytes, |word| equal_bytes_exactly(word, b'"'))
    }

    #[inline(always)]
    fn stops(self, bytes: &[u8; 32]) -> u32 {
        Words::bits(bytes, |word| {
            equal_bytes_exactly(word, b'"') | equal_bytes_exactly(word, b'\\') | low_bytes(word)
        })
    }

    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        Words::bits(bytes, |word| {
            equal_bytes_exactly(word, b'"')
                | equal_bytes_exactly(word, b'\\')
                | low_bytes(word)
                | word
        })
    }

    #[inline(always)]
    fn high(self, bytes: &[u8; 32]) -> u32 {
        Words::bits(bytes, |word| word)
    }

    #[inline(never)]
    fn is_utf8(self, near: &[u8; NEAR], place: usize, len: u32) -> bool {
        near.get(place..place + len as usize).is_some_and(|text| std::str::from_utf8(text).is_ok())
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; 32]) -> u32 {
        by_byte(bytes, |byte| byte.is_ascii_digit())
    }

    #[inline(always)]
    fn ends(self, bytes: &[u8; 32]) -> u32 {
        by_byte(bytes, |byte| !continues_token(byte))
    }
}

#[inline(always)]
fn by_byte(bytes: &[u8; 32], is: impl Fn(u8) -> bool) -> u32 {
    bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(is(*byte)))
}

/// Control bytes.
#[inline(always)]
fn low_bytes(word: u64) -> u64 {
    // At least 0x20 without the top bit: the sum, which cannot overflow, reaches the top bit.
    let printable = (word & !TOPS) + ONES * (0x80 - 0x20);
    !(printable | word) & TOPS
}

pub(super) fn marks(block: &[u8; 64]) -> Marks {
    let mut all = Marks::default();
    let (words, _) = block.as_chunks::<8>();
    for (index, eight) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let folded = word | (ONES * 0x20);
        let shift = index * 8;
        all.quotes |= gathered(equal_bytes_exactly(word, b'"')) << shift;
        all.backslashes |= gathered(equal_bytes_exactly(word, b'\\')) << shift;
        all.marks |= gathered(
            equal_bytes_exactly(folded, b',')
                | equal_bytes_exactly(folded, b'{')
                | equal_bytes_exactly(folded, b'}'),
        ) << shift;
    }
    all
}
