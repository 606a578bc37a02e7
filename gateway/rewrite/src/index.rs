//! Where the marks of a stretch of the body are: one look at every byte, 64 at a time.
//!
//! A window begins outside of any string. For each block of 64 bytes the vector unit says which bytes
//! are quotes, backslashes, brackets or commas, and which are odd inside a string; a few words of
//! arithmetic strike out what is escaped or inside strings. What stays of brackets and commas is
//! written as a list of places, so that the walk goes from mark to mark without looking between.
//!
//! A backslash outside of strings has no place in JSON and could make two readers disagree about
//! where strings are: the window ends before its block, and whoever reads on does so byte by byte.
//!
//! Not here: any meaning of the marks. What is said of a window is true only if it began outside of a
//! string, which the caller vouches for.
//!
//! Cost: 34 KiB a thread. Sources: Langdale and Lemire, "Parsing Gigabytes of JSON per Second"
//! (VLDB Journal 28, 2019), sections 3.1.1 and 3.1.2: escaped quotes and the prefix sum over them.

use crate::scan::{self, Bits, Marks};

/// Most bytes that are looked at ahead.
pub(crate) const WINDOW: usize = 8 << 10;
const BLOCK: usize = 64;
const BLOCKS: usize = WINDOW / BLOCK;

/// The marks of one window of a piece. Places are offsets in the piece.
pub(crate) struct Index {
    from: usize,
    /// End of what was looked at and may be trusted.
    limit: usize,
    len: usize,
    /// Places of brackets and commas outside of strings. Room for one block more than there are bytes,
    /// because blocks are written whole.
    marks: Box<[u32; WINDOW + BLOCK]>,
    /// A bit for each quote that begins or ends a string, and one word more so that any 64 bits can be
    /// read at once.
    quotes: [u64; BLOCKS + 1],
}

impl Index {
    pub(crate) fn new() -> Index {
        Index {
            from: 0,
            limit: 0,
            len: 0,
            marks: Box::new([0; WINDOW + BLOCK]),
            quotes: [0; BLOCKS + 1],
        }
    }

    /// Forgets everything: a new piece has other bytes at the same places.
    pub(crate) fn clear(&mut self) {
        self.from = 0;
        self.limit = 0;
        self.len = 0;
    }

    #[inline]
    pub(crate) fn covers(&self, at: usize) -> bool {
        self.from <= at && at < self.limit
    }

    /// Looks at the piece from `from`, which must be outside of any string.
    pub(crate) fn fill(&mut self, piece: &[u8], from: usize) {
        let window = &piece[from..piece.len().min(from + WINDOW)];
        self.from = from;
        self.len = 0;
        self.limit = from + scan::with_marks(window, self);
    }

    /// The places of the marks.
    #[inline]
    pub(crate) fn marks(&self) -> &[u32] {
        self.marks.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn from(&self) -> usize {
        self.from
    }

    /// The number of the first mark at or behind a place, which is near the mark of a number.
    #[inline]
    pub(crate) fn seek(&self, number: usize, at: usize) -> usize {
        let marks = self.marks();
        let is_before = |mark: &u32| (*mark as usize) < at;
        let behind = number.checked_sub(1).and_then(|before| marks.get(before));
        if !behind.is_none_or(is_before) {
            return marks.partition_point(is_before);
        }
        let mut number = number.min(marks.len());
        while marks.get(number).is_some_and(is_before) {
            number += 1;
        }
        number
    }

    /// Whether a string begins or ends at a byte from `from` up to `to`. Yes, if it is not known.
    #[inline(always)]
    pub(crate) fn has_quote(&self, from: usize, to: usize) -> bool {
        let mut at = from.wrapping_sub(self.from);
        let end = to.wrapping_sub(self.from);
        // The 64 bits from `at` on; a shift by 64 is done in two steps, as one would be none.
        let word = |at: usize| {
            let (block, bit) = (at / BLOCK, at % BLOCK);
            match self.quotes.get(block..).and_then(<[u64]>::first_chunk) {
                Some([word, next]) => word >> bit | next << 1 << (63 - bit),
                None => u64::MAX,
            }
        };
        while at + BLOCK < end {
            if word(at) != 0 {
                return true;
            }
            at += BLOCK;
        }
        at < end && word(at) << (BLOCK - (end - at)) != 0
    }

    /// The first quote at or behind a place; None if it is not known.
    pub(crate) fn next_quote(&self, at: usize) -> Option<usize> {
        let (at, known) = (at.checked_sub(self.from)?, self.limit - self.from);
        let words = self.quotes.get(..known.div_ceil(BLOCK))?;
        let (block, bit) = (at / BLOCK, at % BLOCK);
        let first = words.get(block)? >> bit << bit;
        let rest = words[block + 1..].iter().copied();
        let (more, word) =
            std::iter::once(first).chain(rest).enumerate().find(|(_, word)| *word != 0)?;
        let quote = (block + more) * BLOCK + word.trailing_zeros() as usize;
        // What is blank behind the last byte has none.
        Some(self.from + quote)
    }
}

impl scan::Sink for Index {
    /// Takes the marks of the block of this number. False: the window ends before the block.
    #[inline(always)]
    fn block(&mut self, number: usize, carry: &mut Carry, marks: Marks, bits: impl Bits) -> bool {
        let mut quotes = marks.quotes;
        if marks.backslashes | carry.escaped != 0 {
            quotes &= !carry.escape(marks.backslashes);
        }
        let inside = bits.prefix(quotes) ^ carry.inside;
        if marks.backslashes & !inside != 0 {
            return false;
        }
        carry.inside = (inside.cast_signed() >> 63).cast_unsigned();
        self.quotes[number] = quotes;
        let (marks, first) = (marks.marks & !inside, self.from + number * BLOCK);
        if let Some(room) = self.marks.get_mut(self.len..).and_then(<[u32]>::first_chunk_mut) {
            bits.places(marks, first as u32, room);
        }
        self.len += marks.count_ones() as usize;
        true
    }
}

/// What one block tells the next.
#[derive(Default)]
pub(crate) struct Carry {
    /// All ones inside a string.
    inside: u64,
    /// One, if the next block's first byte is escaped.
    escaped: u64,
}

impl Carry {
    /// The bytes that a backslash before them escapes.
    #[inline(always)]
    fn escape(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslashes = backslashes & !self.escaped;
        let follows = backslashes << 1 | self.escaped;
        // Runs that begin at an odd place, added to, leave a carry behind their end.
        let odd_starts = backslashes & !EVEN & !follows;
        let (even_runs, overflow) = odd_starts.overflowing_add(backslashes);
        self.escaped = u64::from(overflow);
        (EVEN ^ (even_runs << 1)) & follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks and quotes outside of strings, by a loop over the bytes; up to the first backslash
    /// outside of strings.
    fn plainly(bytes: &[u8]) -> (Vec<u32>, Vec<usize>, usize) {
        let (mut marks, mut quotes) = (Vec::new(), Vec::new());
        let (mut inside, mut escaped) = (false, false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if inside => escaped = true,
                b'\\' => return (marks, quotes, at),
                b'"' => {
                    inside = !inside;
                    quotes.push(at);
                }
                b'{' | b'}' | b'[' | b']' | b',' if !inside => marks.push(at as u32),
                _ => {}
            }
        }
        (marks, quotes, bytes.len())
    }

    fn check(bytes: &[u8], from: usize) {
        let mut index = Index::new();
        index.fill(bytes, from);
        let window = &bytes[from..bytes.len().min(from + WINDOW)];
        let (marks, quotes, backslash) = plainly(window);
        let limit = if backslash == window.len() { backslash } else { backslash / 64 * 64 };
        assert_eq!(index.limit, from + limit);
        for at in [from.saturating_sub(1), from, (from + limit).saturating_sub(1), from + limit] {
            assert_eq!(index.covers(at), (from..from + limit).contains(&at), "{at}");
        }
        let known = |place: &usize| *place < limit;
        let marks: Vec<u32> = marks
            .iter()
            .filter(|mark| known(&(**mark as usize)))
            .map(|mark| mark + from as u32)
            .collect();
        assert_eq!(index.marks(), marks);
        let quotes: Vec<usize> = quotes.into_iter().filter(known).collect();
        for pair in quotes.windows(2) {
            assert_eq!(index.next_quote(from + pair[0]), Some(from + pair[0]));
            assert_eq!(index.next_quote(from + pair[0] + 1), Some(from + pair[1]));
            assert!(!index.has_quote(from + pair[0] + 1, from + pair[1]));
            assert!(index.has_quote(from + pair[0], from + pair[1]));
            assert!(index.has_quote(from + pair[0] + 1, from + pair[1] + 1));
        }
        if let Some(last) = quotes.last() {
            assert_eq!(index.next_quote(from + last + 1), None);
        }
    }

    /// Miri is some thousand times slower; there the bounds are smaller, not the assertions.
    const fn under_miri(smaller: usize, bound: usize) -> usize {
        if cfg!(miri) { smaller } else { bound }
    }

    #[test]
    fn marks_are_found_outside_of_strings_whatever_is_escaped_where_blocks_meet() {
        for before in (0..140).step_by(under_miri(62, 1)) {
            for backslashes in 0..6 {
                for tail in ["\",[", "\"\",[", "x\",{\"a,", ""] {
                    let text =
                        format!("{{{}\"{}{tail}", " ".repeat(before), "\\".repeat(backslashes));
                    check(text.as_bytes(), 0);
                    check(text.as_bytes(), 1);
                }
            }
        }
    }

    #[test]
    fn what_is_escaped_in_one_block_is_not_escaped_in_the_next_but_one() {
        for backslashes in 1..6 {
            for behind in 0..3 {
                let text = format!(
                    "{{\"{}{}{}\",[\"",
                    "x".repeat(62 - backslashes / 2),
                    "\\".repeat(backslashes),
                    "x".repeat(64 - backslashes.div_ceil(2) + behind)
                );
                check(text.as_bytes(), 0);
            }
        }
    }

    #[test]
    fn a_backslash_outside_of_strings_ends_the_window() {
        for place in [0, 1, 63, 64, 65, 200, under_miri(201, 8_191)] {
            let mut text = "{\"a\":1},".repeat(1_200).into_bytes();
            text.truncate(place);
            if plainly(&text).1.len() % 2 == 1 {
                text.push(b'"');
            }
            text.extend_from_slice(b"\\\",\",[");
            check(&text, 0);
        }
    }

    #[test]
    fn a_window_ends_at_its_length_and_goes_on_from_anywhere_outside_of_strings() {
        let text = "{\"name\":\"va,ue \\\" [\",\"n\":[1,{}]},".repeat(900);
        for from in [0, 1, 37, 9_990].into_iter().take(under_miri(1, 4)) {
            check(text.as_bytes(), from);
        }
    }

    #[test]
    fn as_many_marks_as_bytes_have_room() {
        check(&[b','; WINDOW + 100], 0);
        check(&[b'['; WINDOW][..under_miri(200, WINDOW)], 0);
    }
}
