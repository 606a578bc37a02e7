//! Finds the next byte that matters.
//!
//! Eight bytes at a time in one register: a byte of interest leaves its top bit set in a word, and
//! the lowest set bit is exact (borrows only disturb the bytes after a hit, which are looked at
//! again). Strings of bodies are short, so a plain word loop does as well as a vector search.
//!
//! Not here: any meaning of the bytes.

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
