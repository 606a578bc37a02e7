//! AVX2 and AVX-512, as far as the machine is found to have them.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Bits, Lanes, Marks, NEAR, Sink, Task, blocks, places_in_turn};

// What the machine was found to have: all that the lanes and the marks of a width need.
const NOT_ASKED: u8 = 0;
const WORDS: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;

/// Asked once a process: a dozen features are too many to ask for at every turn.
static FOUND: AtomicU8 = AtomicU8::new(NOT_ASKED);

#[inline]
fn found() -> u8 {
    match FOUND.load(Ordering::Relaxed) {
        NOT_ASKED => find(),
        found => found,
    }
}

#[cold]
fn find() -> u8 {
    let has_avx2 = !cfg!(feature = "portable")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("pclmulqdq");
    let has_avx512 = !cfg!(feature = "avx2")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2");
    let found = match (has_avx2, has_avx512) {
        (false, _) => WORDS,
        (true, false) => AVX2,
        (true, true) => AVX512,
    };
    FOUND.store(found, Ordering::Relaxed);
    found
}

#[inline]
pub(super) fn has_avx2() -> bool {
    found() >= AVX2
}

#[inline]
pub(super) fn has_avx512() -> bool {
    found() == AVX512
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
pub(super) fn with_marks_avx2(bytes: &[u8], sink: &mut impl Sink) -> usize {
    blocks(bytes, sink, |block| marks_avx2(block), Avx2)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
pub(super) fn with_marks_avx512(bytes: &[u8], sink: &mut impl Sink) -> usize {
    blocks(bytes, sink, |block| marks_avx512(block), Avx512)
}

/// Exists only where AVX2 was found.
#[derive(Clone, Copy)]
struct Avx2;

/// Exists only where AVX-512 was found.
#[derive(Clone, Copy)]
struct Avx512;

impl Bits for Avx2 {
    #[inline(always)]
    fn prefix(self, bits: u64) -> u64 {
        // SAFETY: an `Avx2` is only made where the features were found.
        unsafe { prefix(bits) }
    }

    #[inline(always)]
    fn places(self, bits: u64, first: u32, room: &mut [u32; 64]) {
        places_in_turn::<4>(bits, first, room);
    }
}

impl Bits for Avx512 {
    #[inline(always)]
    fn prefix(self, bits: u64) -> u64 {
        // SAFETY: an `Avx512` is only made where the features were found, those of AVX2 among them.
        unsafe { prefix(bits) }
    }

    #[inline(always)]
    fn places(self, bits: u64, first: u32, room: &mut [u32; 64]) {
        // SAFETY: as above.
        unsafe { places_avx512(bits, first, room) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
pub(super) fn run_avx2<T: Task>(task: T) -> T::Done {
    task.run(Avx2)
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn is_same(self, bytes: &[u8; 32], other: &[u8; 32], mask: &[u8; 32]) -> bool {
        // SAFETY: an `Avx2` is only made where the features were found.
        unsafe { is_same(bytes, other, mask) }
    }

    #[inline(always)]
    fn quotes(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { quotes(bytes) }
    }

    #[inline(always)]
    fn stops(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { stops(bytes) }
    }

    #[inline(always)]
    fn odd(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { odd(bytes) }
    }

    #[inline(always)]
    fn high(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { high(bytes) }
    }

    #[inline(always)]
    fn is_utf8(self, near: &[u8; NEAR], place: usize, len: u32) -> bool {
        let from = place.wrapping_sub(3);
        let faults = |lanes: [&[u8; 32]; 4]| {
            // SAFETY: as above.
            u64::from(unsafe { utf8_faults(lanes) })
        };
        let mut all = faults([
            super::lane::<0>(near, from),
            super::lane::<1>(near, from),
            super::lane::<2>(near, from),
            super::lane::<3>(near, from),
        ]);
        if len >= 32 {
            all |= faults([
                super::lane::<0>(near, from + 32),
                super::lane::<1>(near, from + 32),
                super::lane::<2>(near, from + 32),
                super::lane::<3>(near, from + 32),
            ]) << 32;
        }
        // With the byte behind, at which a character that is not whole is seen.
        all << (63 - (len & 63)) == 0
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { digits(bytes) }
    }

    #[inline(always)]
    fn ends(self, bytes: &[u8; 32]) -> u32 {
        // SAFETY: as above.
        unsafe { ends(bytes) }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has the 32 bytes that are loaded, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn bits(hits: __m256i) -> u32 {
    _mm256_movemask_epi8(hits).cast_unsigned()
}

#[target_feature(enable = "avx2")]
#[inline]
fn is_same(bytes: &[u8; 32], other: &[u8; 32], mask: &[u8; 32]) -> bool {
    let differences = _mm256_xor_si256(load(bytes), load(other));
    _mm256_testz_si256(differences, load(mask)) == 1
}

#[target_feature(enable = "avx2")]
#[inline]
fn quotes(bytes: &[u8; 32]) -> u32 {
    bits(_mm256_cmpeq_epi8(load(bytes), _mm256_set1_epi8(b'"'.cast_signed())))
}

#[target_feature(enable = "avx2")]
#[inline]
fn stops(bytes: &[u8; 32]) -> u32 {
    let bytes = load(bytes);
    let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
    // What is left of a control byte after 0x1f is taken from it is nothing.
    let low =
        _mm256_cmpeq_epi8(_mm256_subs_epu8(bytes, _mm256_set1_epi8(0x1f)), _mm256_setzero_si256());
    bits(_mm256_or_si256(low, _mm256_or_si256(equal(b'"'), equal(b'\\'))))
}

#[target_feature(enable = "avx2")]
#[inline]
fn odd(bytes: &[u8; 32]) -> u32 {
    let bytes = load(bytes);
    let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
    // With a sign, the bytes of non-ASCII characters are below the control bytes.
    let low = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes);
    bits(_mm256_or_si256(low, _mm256_or_si256(equal(b'"'), equal(b'\\'))))
}

#[target_feature(enable = "avx2")]
#[inline]
fn high(bytes: &[u8; 32]) -> u32 {
    bits(load(bytes))
}

// What is wrong with two bytes, one bit each, by the halves of the first and the upper half of the
// second: a fault is what all three have in common.
const TOO_SHORT: u8 = 1 << 0;
const TOO_LONG: u8 = 1 << 1;
const OVERLONG_3: u8 = 1 << 2;
const TOO_LARGE: u8 = 1 << 3;
const SURROGATE: u8 = 1 << 4;
const OVERLONG_2: u8 = 1 << 5;
/// Of a first byte F4 or more with a second of 80 to 8F, and of F0 with the same: only one of them can be.
const TOO_LARGE_1000: u8 = 1 << 6;
const OVERLONG_4: u8 = 1 << 6;
const TWO_CONTINUATIONS: u8 = 1 << 7;
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;

#[rustfmt::skip]
const FAULTS_BY_FIRST_HIGH: [u8; 16] = [
    TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
    TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS,
    TOO_SHORT | OVERLONG_2, TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
];
#[rustfmt::skip]
const FAULTS_BY_FIRST_LOW: [u8; 16] = [
    CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, CARRY | OVERLONG_2, CARRY, CARRY,
    CARRY | TOO_LARGE,
    CARRY | TOO_LARGE | TOO_LARGE_1000, CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000, CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000, CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000, CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE,
    CARRY | TOO_LARGE | TOO_LARGE_1000, CARRY | TOO_LARGE | TOO_LARGE_1000,
];
#[rustfmt::skip]
const FAULTS_BY_SECOND_HIGH: [u8; 16] = [
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
];

/// Bytes at which it is seen that something is not UTF-8, by the bytes from three, two and one before
/// them on and themselves.
#[target_feature(enable = "avx2")]
#[inline]
fn utf8_faults([three, two, one, here]: [&[u8; 32]; 4]) -> u32 {
    let (here, first) = (load(here), load(one));
    let half = _mm256_set1_epi8(15);
    let upper = |bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
    let looked_up = |faults, halves| _mm256_shuffle_epi8(table(faults), halves);
    let pair = _mm256_and_si256(
        _mm256_and_si256(
            looked_up(&FAULTS_BY_FIRST_HIGH, upper(first)),
            looked_up(&FAULTS_BY_FIRST_LOW, _mm256_and_si256(first, half)),
        ),
        looked_up(&FAULTS_BY_SECOND_HIGH, upper(here)),
    );
    // The third and fourth byte of a character are those that follow two continuations rightly.
    let third = _mm256_subs_epu8(load(two), _mm256_set1_epi8(0x60));
    let fourth = _mm256_subs_epu8(load(three), _mm256_set1_epi8(0x70));
    let rightly = _mm256_and_si256(
        _mm256_or_si256(third, fourth),
        _mm256_set1_epi8(TWO_CONTINUATIONS.cast_signed()),
    );
    let faults = _mm256_xor_si256(pair, rightly);
    !bits(_mm256_cmpeq_epi8(faults, _mm256_setzero_si256()))
}

#[target_feature(enable = "avx2")]
#[inline]
fn digits(bytes: &[u8; 32]) -> u32 {
    let above = _mm256_sub_epi8(load(bytes), _mm256_set1_epi8(b'0'.cast_signed()));
    bits(_mm256_cmpeq_epi8(_mm256_min_epu8(above, _mm256_set1_epi8(9)), above))
}

/// By each half of a byte the sets of token bytes that it may be of; those of both halves are the
/// byte's own. One set: `+-.`, digits, `A` to `O` and `a` to `o`, `P` to `Z` and `_`, `p` to `z`.
const TOKENS_BY_LOW_HALF: [u8; 16] = [26, 30, 30, 30, 30, 30, 30, 30, 30, 30, 28, 5, 4, 5, 5, 12];
const TOKENS_BY_HIGH_HALF: [u8; 16] = [0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0];

#[target_feature(enable = "avx2")]
#[inline]
fn ends(bytes: &[u8; 32]) -> u32 {
    let bytes = load(bytes);
    // What is high is no token byte: for it the shuffle says nothing.
    let low = _mm256_shuffle_epi8(table(&TOKENS_BY_LOW_HALF), bytes);
    let halves = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15));
    let high = _mm256_shuffle_epi8(table(&TOKENS_BY_HIGH_HALF), halves);
    bits(_mm256_cmpeq_epi8(_mm256_and_si256(low, high), _mm256_setzero_si256()))
}

#[target_feature(enable = "avx2")]
#[inline]
fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: the array has the 16 bytes that are loaded, and the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// For each bit whether the number of bits up to and with it is odd: a product without carries
/// with all ones.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn prefix(bits: u64) -> u64 {
    let product =
        _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product).cast_unsigned()
}

/// By a byte's lower half, what it is after `| 0x20` if it is a mark; elsewhere what no byte with
/// that half can be.
const MARK_BY_LOW_HALF: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'{', b',', b'}', 0, 0];

#[target_feature(enable = "avx2")]
#[inline]
fn marks_avx2(block: &[u8; 64]) -> Marks {
    let (halves, _) = block.as_chunks::<32>();
    let [low, high] = [half_avx2(&halves[0]), half_avx2(&halves[1])];
    Marks {
        quotes: low.quotes | high.quotes << 32,
        backslashes: low.backslashes | high.backslashes << 32,
        marks: low.marks | high.marks << 32,
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn half_avx2(bytes: &[u8; 32]) -> Marks {
    let bytes = load(bytes);
    let bits = |hits: __m256i| u64::from(bits(hits));
    let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
    let expected = _mm256_shuffle_epi8(table(&MARK_BY_LOW_HALF), bytes);
    let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    Marks {
        quotes: bits(equal(b'"')),
        backslashes: bits(equal(b'\\')),
        marks: bits(_mm256_cmpeq_epi8(expected, folded)),
    }
}

/// The numbers of the bits side by side, sixteen at a time as numbers of four bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
#[inline]
fn places_avx512(bits: u64, first: u32, room: &mut [u32; 64]) {
    const NUMBERS: [u8; 64] = {
        let mut numbers = [0; 64];
        let mut at = 0;
        while at < 64 {
            numbers[at] = at as u8;
            at += 1;
        }
        numbers
    };
    // SAFETY: the array has the 64 bytes that are loaded, and the load needs no alignment.
    let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
    let mut numbers = _mm512_maskz_compress_epi8(bits, numbers);
    let first = _mm512_set1_epi32(first.cast_signed());
    let (sixteens, _) = room.as_chunks_mut::<16>();
    let mut left = bits.count_ones();
    for sixteen in sixteens {
        let places = _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(numbers)), first);
        // SAFETY: the array has room for the 64 bytes that are stored; it needs no alignment.
        unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), places) };
        if left <= 16 {
            return;
        }
        left -= 16;
        numbers = _mm512_maskz_compress_epi8(!0xffff, numbers);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn marks_avx512(block: &[u8; 64]) -> Marks {
    // SAFETY: the array has the 64 bytes that are loaded, and the load needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    // SAFETY: as above, of 16 bytes.
    let table = unsafe { _mm_loadu_si128(MARK_BY_LOW_HALF.as_ptr().cast()) };
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte.cast_signed()));
    let expected = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), bytes);
    let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
    Marks {
        quotes: equal(b'"'),
        backslashes: equal(b'\\'),
        marks: _mm512_cmpeq_epi8_mask(expected, folded),
    }
}
