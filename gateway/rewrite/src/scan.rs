//! Finds the bytes that matter: the next one, or all of them in blocks of 64.
//!
//! The searches for the next one take eight bytes at a time in one register: a byte of interest leaves
//! its top bit set in a word, and the lowest set bit is exact (borrows only disturb the bytes after a
//! hit, which are looked at again). The blocks are looked at by the widest vectors that the machine is
//! found to have when it runs, AVX-512 or AVX2, else by the same words; all say the same.
//!
//! The only `unsafe` code of the crate is here: calls of functions compiled for features that were
//! looked for before, and loads from arrays of the size that is loaded.
//!
//! Not here: any meaning of the bytes.

#![allow(unsafe_code)]

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

/// Takes blocks in their order.
pub(crate) trait Sink {
    /// `prefix` says for each bit whether the number of bits up to and with it is odd. False: no more.
    fn block(
        &mut self,
        number: usize,
        carry: &mut Carry,
        marks: Marks,
        prefix: impl Fn(u64) -> u64,
    ) -> bool;
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
    blocks(bytes, sink, words::marks, words::prefix)
}

#[inline(always)]
fn blocks(
    bytes: &[u8],
    sink: &mut impl Sink,
    marks: impl Fn(&[u8; 64]) -> Marks,
    prefix: impl Fn(u64) -> u64,
) -> usize {
    let mut carry = Carry::default();
    let (whole, rest) = bytes.as_chunks::<64>();
    for (number, block) in whole.iter().enumerate() {
        if !sink.block(number, &mut carry, marks(block), &prefix) {
            return number * 64;
        }
    }
    let mut last = [b' '; 64];
    if !rest.is_empty() {
        last[..rest.len()].copy_from_slice(rest);
        if !sink.block(whole.len(), &mut carry, marks(&last), &prefix) {
            return whole.len() * 64;
        }
    }
    bytes.len()
}

/// The 32 bytes at a place, if there are so many.
#[inline(always)]
pub(crate) fn chunk(bytes: &[u8], at: usize) -> Option<&[u8; 32]> {
    if at < bytes.len().saturating_sub(31) {
        // SAFETY: at + 32 <= len, as at < len - 31. One comparison where a slice would need two.
        Some(unsafe { &*bytes.as_ptr().add(at).cast::<[u8; 32]>() })
    } else {
        None
    }
}

/// What the walk asks of 32 bytes at once. One bit a byte, the lowest for the first.
pub(crate) trait Lanes: Copy {
    fn equal(self, bytes: &[u8; 32], other: &[u8; 32]) -> u32;
    fn quotes(self, bytes: &[u8; 32]) -> u32;
    /// Bytes at which a string ends or has to be read with care: quotes, backslashes, control bytes.
    fn stops(self, bytes: &[u8; 32]) -> u32;
    /// Bytes of non-ASCII characters.
    fn high(self, bytes: &[u8; 32]) -> u32;
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

/// Eight bytes at a time, for machines without vectors that are known here.
mod words {
    use super::{Lanes, Marks, ONES, TOPS, equal_bytes_exactly};

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
            words.iter().rev().fold(0, |bits, eight| {
                bits << 8 | gathered(hits(u64::from_le_bytes(*eight))) as u32
            })
        }
    }

    impl Lanes for Words {
        #[inline(always)]
        fn equal(self, bytes: &[u8; 32], other: &[u8; 32]) -> u32 {
            let mut differences = [0; 32];
            for ((difference, one), other) in differences.iter_mut().zip(bytes).zip(other) {
                *difference = one ^ other;
            }
            Words::bits(&differences, |word| equal_bytes_exactly(word, 0))
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
        fn high(self, bytes: &[u8; 32]) -> u32 {
            Words::bits(bytes, |word| word)
        }
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

    #[inline(always)]
    pub(super) fn prefix(bits: u64) -> u64 {
        let mut sum = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            sum ^= sum << shift;
        }
        sum
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::*;

    use super::{Lanes, Marks, Sink, Task, blocks};

    pub(super) fn has_avx2() -> bool {
        !cfg!(feature = "portable")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq")
    }

    pub(super) fn has_avx512() -> bool {
        has_avx2() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
    pub(super) fn with_marks_avx2(bytes: &[u8], sink: &mut impl Sink) -> usize {
        blocks(bytes, sink, |block| marks_avx2(block), |bits| prefix(bits))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
    pub(super) fn with_marks_avx512(bytes: &[u8], sink: &mut impl Sink) -> usize {
        blocks(bytes, sink, |block| marks_avx512(block), |bits| prefix(bits))
    }

    /// Exists only where AVX2 was found.
    #[derive(Clone, Copy)]
    struct Avx2;

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
    pub(super) fn run_avx2<T: Task>(task: T) -> T::Done {
        task.run(Avx2)
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn equal(self, bytes: &[u8; 32], other: &[u8; 32]) -> u32 {
            // SAFETY: an `Avx2` is only made where the features were found.
            unsafe { equal(bytes, other) }
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
        fn high(self, bytes: &[u8; 32]) -> u32 {
            // SAFETY: as above.
            unsafe { high(bytes) }
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
    fn equal(bytes: &[u8; 32], other: &[u8; 32]) -> u32 {
        bits(_mm256_cmpeq_epi8(load(bytes), load(other)))
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
        let low = _mm256_cmpeq_epi8(
            _mm256_subs_epu8(bytes, _mm256_set1_epi8(0x1f)),
            _mm256_setzero_si256(),
        );
        bits(_mm256_or_si256(low, _mm256_or_si256(equal(b'"'), equal(b'\\'))))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn high(bytes: &[u8; 32]) -> u32 {
        bits(load(bytes))
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
        // SAFETY: the array has the 16 bytes that are loaded, and the load needs no alignment.
        let table = unsafe { _mm_loadu_si128(MARK_BY_LOW_HALF.as_ptr().cast()) };
        let bits = |hits: __m256i| u64::from(bits(hits));
        let equal = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte.cast_signed()));
        let expected = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), bytes);
        let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        Marks {
            quotes: bits(equal(b'"')),
            backslashes: bits(equal(b'\\')),
            marks: bits(_mm256_cmpeq_epi8(expected, folded)),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    type Stop = (&'static str, fn(&[u8], usize) -> usize, fn(u8) -> bool);

    const STOPS: [Stop; 6] = [
        ("string", string_stop, |b| !(0x20..0x80).contains(&b) || b == b'"' || b == b'\\'),
        ("text", text_stop, |b| b < 0x20 || b == b'"' || b == b'\\'),
        ("hidden string", hidden_string_stop, |b| b == b'"' || b == b'\\'),
        ("hidden", hidden_stop, |b| b"\"[]{}".contains(&b)),
        ("space", space_end, |b| !b" \t\r\n".contains(&b)),
        ("digits", digits_end, |b| !b.is_ascii_digit()),
    ];

    #[test]
    fn every_byte_at_every_place_of_a_word_is_found_as_a_plain_loop_finds_it() {
        for (name, stop, is_hit) in STOPS {
            let filler = match name {
                "space" => b' ',
                "digits" => b'7',
                _ => b'a',
            };
            for byte in 0..=255u8 {
                for place in 0..20 {
                    let mut bytes = [filler; 20];
                    bytes[place] = byte;
                    // A second one behind it must not move the first.
                    bytes[19] = bytes[19].max(b'"');
                    for from in 0..=20 {
                        let plain = (from..20).find(|at| is_hit(bytes[*at])).unwrap_or(20);
                        assert_eq!(
                            stop(&bytes, from),
                            plain,
                            "{name} {byte:#x} at {place} from {from}"
                        );
                    }
                }
            }
        }
    }

    /// What a plain loop says of a block.
    fn plainly(block: &[u8; 64]) -> Marks {
        let bits =
            |is: fn(u8) -> bool| (0..64).fold(0, |bits, at| bits | u64::from(is(block[at])) << at);
        Marks {
            quotes: bits(|byte| byte == b'"'),
            backslashes: bits(|byte| byte == b'\\'),
            marks: bits(|byte| matches!(byte, b'[' | b']' | b'{' | b'}' | b',' | 0x0c)),
        }
    }

    /// Keeps what it is shown.
    struct Kept(Vec<Marks>);

    impl Sink for Kept {
        fn block(
            &mut self,
            number: usize,
            _: &mut Carry,
            marks: Marks,
            prefix: impl Fn(u64) -> u64,
        ) -> bool {
            assert_eq!(number, self.0.len());
            assert_eq!(prefix(marks.quotes), words::prefix(marks.quotes));
            self.0.push(marks);
            true
        }
    }

    /// Bytes that are often of interest, in an order that never repeats.
    fn drawn(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        const OFTEN: &[u8] = b"\"\"\"\\\\{}[],,:a \x0c\x1f\xc3";
        (0..len)
            .map(|_| match draw() {
                often if often & 1 == 0 => OFTEN[(often >> 32) as usize % OFTEN.len()],
                any => (any >> 32) as u8,
            })
            .collect()
    }

    #[test]
    fn all_widths_see_the_same_marks() {
        let mut bytes: Vec<u8> = (0..=255).cycle().take(64 * 8).collect();
        bytes.extend(drawn(64 * 500));
        let plain: Vec<Marks> = bytes.as_chunks().0.iter().map(plainly).collect();
        let mut widths = vec![("words", Kept(Vec::new()))];
        blocks(&bytes, &mut widths[0].1, words::marks, words::prefix);
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx2() {
                let mut kept = Kept(Vec::new());
                // SAFETY: the features were just found.
                unsafe { x86::with_marks_avx2(&bytes, &mut kept) };
                widths.push(("AVX2", kept));
            }
            if x86::has_avx512() {
                let mut kept = Kept(Vec::new());
                // SAFETY: the features were just found.
                unsafe { x86::with_marks_avx512(&bytes, &mut kept) };
                widths.push(("AVX-512", kept));
            }
        }
        for (width, kept) in widths {
            assert!(kept.0 == plain, "{width}");
        }
    }

    #[test]
    fn the_last_bytes_make_a_block_with_blanks() {
        let mut kept = Kept(Vec::new());
        assert_eq!(with_marks(b"[\"a\\\",\"", &mut kept), 7);
        let marks = Marks { quotes: 0b0101_0010, backslashes: 0b1000, marks: 0b10_0001 };
        assert_eq!(kept.0, [marks]);
        let mut none = Kept(Vec::new());
        assert_eq!(with_marks(b"", &mut none), 0);
        assert_eq!(none.0, []);
    }

    struct Answers<'a>(&'a [u8]);

    impl Task for Answers<'_> {
        type Done = Vec<[u32; 4]>;

        fn run(self, lanes: impl Lanes) -> Self::Done {
            let other: &[u8; 32] = self.0.first_chunk().expect("32 bytes");
            let answer = |at| {
                chunk(self.0, at).map(|bytes| {
                    let equal = lanes.equal(bytes, other);
                    [equal, lanes.quotes(bytes), lanes.stops(bytes), lanes.high(bytes)]
                })
            };
            (0..).map_while(answer).collect()
        }
    }

    #[test]
    fn all_widths_answer_alike_and_as_a_plain_loop() {
        let mut bytes = drawn(3_000);
        bytes.extend(0..=255);
        bytes.extend_from_within(..32);
        let widest = run(Answers(&bytes));
        assert_eq!(widest, Answers(&bytes).run(Words));
        assert_eq!(widest.len(), bytes.len() - 31, "as long as there are 32 bytes");
        for (at, answer) in widest.iter().enumerate() {
            let bits = |is: &dyn Fn(usize, u8) -> bool| {
                (0..32).fold(0, |bits, lane| bits | u32::from(is(lane, bytes[at + lane])) << lane)
            };
            let plain = [
                bits(&|lane, byte| byte == bytes[lane]),
                bits(&|_, byte| byte == b'"'),
                bits(&|_, byte| byte < 0x20 || byte == b'"' || byte == b'\\'),
                bits(&|_, byte| byte >= 0x80),
            ];
            assert_eq!(*answer, plain, "at {at}");
        }
    }

    #[test]
    fn pairs_of_bytes_do_not_disturb_each_other() {
        for (name, stop, is_hit) in STOPS {
            for pair in 0..=u16::MAX {
                let [one, two] = pair.to_le_bytes();
                let bytes = [b' ', one, two, b' ', b' ', two, one, b' '];
                let plain = bytes.iter().position(|byte| is_hit(*byte)).unwrap_or(8);
                assert_eq!(stop(&bytes, 0), plain, "{name} {pair:#x}");
            }
        }
    }
}
