use super::*;

type Stop = (&'static str, fn(&[u8], usize) -> usize, fn(u8) -> bool);

/// Miri is some thousand times slower; there the bounds are smaller, not the assertions.
const fn under_miri(smaller: usize, bound: usize) -> usize {
    if cfg!(miri) { smaller } else { bound }
}

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
        for byte in (0..=255u8).step_by(under_miri(34, 1)) {
            for place in (0..20).step_by(under_miri(5, 1)) {
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
    fn block(&mut self, number: usize, _: &mut Carry, marks: Marks, bits: impl Bits) -> bool {
        assert_eq!(number, self.0.len());
        for some in [marks.quotes, marks.marks, marks.quotes ^ marks.backslashes, 0, u64::MAX] {
            assert_eq!(bits.prefix(some), Words.prefix(some));
            let mut places = [0; 64];
            bits.places(some, 1_000, &mut places);
            let plain = (0..64).filter(|bit| some >> bit & 1 == 1).map(|bit| 1_000 + bit);
            assert!(plain.eq(places[..some.count_ones() as usize].iter().copied()), "{some:#x}");
        }
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
    bytes.extend(drawn(64 * under_miri(16, 500)));
    let plain: Vec<Marks> = bytes.as_chunks().0.iter().map(plainly).collect();
    let mut widths = vec![("words", Kept(Vec::new()))];
    blocks(&bytes, &mut widths[0].1, words::marks, Words);
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

/// All ways say the same, so nobody would notice the slower ones.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_widest_vectors_are_taken_that_the_machine_has_and_the_build_allows() {
    use std::arch::is_x86_feature_detected as has;
    let has_avx2 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt");
    let has_avx2 = has_avx2 && has!("popcnt") && has!("pclmulqdq") && !cfg!(feature = "portable");
    let has_avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512vbmi2");
    let has_avx512 = has_avx2 && has_avx512 && !cfg!(feature = "avx2");
    assert_eq!((x86::has_avx2(), x86::has_avx512()), (has_avx2, has_avx512));
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
    type Done = Vec<[u32; 6]>;

    fn run(self, lanes: impl Lanes) -> Self::Done {
        let answer = |bytes: &[u8; 32]| {
            [
                lanes.quotes(bytes),
                lanes.stops(bytes),
                lanes.odd(bytes),
                lanes.high(bytes),
                lanes.digits(bytes),
                lanes.ends(bytes),
            ]
        };
        self.0.windows(32).filter_map(|window| window.first_chunk()).map(answer).collect()
    }
}

#[test]
fn all_widths_answer_alike_and_as_a_plain_loop() {
    let mut bytes = drawn(under_miri(100, 3_000));
    bytes.extend(0..=255);
    bytes.extend_from_within(..32);
    let widest = run(Answers(&bytes));
    assert_eq!(widest, Answers(&bytes).run(Words));
    assert_eq!(widest.len(), bytes.len() - 31, "as long as there are 32 bytes");
    for (at, answer) in widest.iter().enumerate().step_by(under_miri(13, 1)) {
        let bits = |is: &dyn Fn(u8) -> bool| {
            (0..32).fold(0, |bits, lane| bits | u32::from(is(bytes[at + lane])) << lane)
        };
        let is_stop = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let plain = [
            bits(&|byte| byte == b'"'),
            bits(&is_stop),
            bits(&|byte| is_stop(byte) || byte >= 0x80),
            bits(&|byte| byte >= 0x80),
            bits(&|byte| byte.is_ascii_digit()),
            bits(&|byte| !byte.is_ascii_alphanumeric() && !b"+-._".contains(&byte)),
        ];
        assert_eq!(*answer, plain, "at {at}");
    }
}

struct Same<'a>([&'a [u8; 32]; 3]);

impl Task for Same<'_> {
    type Done = bool;

    fn run(self, lanes: impl Lanes) -> bool {
        let [one, other, mask] = self.0;
        lanes.is_same(one, other, mask)
    }
}

#[test]
fn bytes_are_the_same_where_no_bit_of_the_mask_differs() {
    let (mut one, mut mask) = ([b'a'; 32], [0; 32]);
    let other = one;
    for place in 0..32 {
        for bit in 0..8 {
            for masked in 0..8 {
                one[place] ^= 1 << bit;
                mask[place] = 1 << masked;
                for of in [[&one, &other, &mask], [&other, &one, &mask]] {
                    let is_same = bit != masked;
                    assert_eq!(run(Same(of)), is_same, "{place} {bit} {masked}");
                    assert_eq!(Same(of).run(Words), is_same, "{place} {bit} {masked}");
                }
                assert!(run(Same([&one, &one, &[0xff; 32]])));
                (one, mask) = (other, [0; 32]);
            }
        }
    }
}

#[test]
fn bytes_that_differ_alike_at_two_places_are_not_the_same() {
    let other = [b'a'; 32];
    for place in 0..32 {
        for behind in place + 1..32 {
            let mut one = other;
            one[place] ^= 1;
            one[behind] ^= 1;
            let of = [&one, &other, &[0xff; 32]];
            assert!(!run(Same(of)) && !Same(of).run(Words), "{place} {behind}");
        }
    }
}

/// The first of some sequences, at some places of a text, of which it is wrongly said whether it is UTF-8.
struct Utf8Fault<'a>(&'a [u8], &'a [usize]);

impl Task for Utf8Fault<'_> {
    type Done = Option<([u8; 4], usize)>;

    fn run(self, lanes: impl Lanes) -> Self::Done {
        const BEFORE: usize = 5;
        let Utf8Fault(bytes, places) = self;
        let len = bytes.len();
        for number in 0..len.pow(4) {
            let sequence = [0, 1, 2, 3].map(|at| bytes[number / len.pow(at) % len]);
            for &place in places {
                let mut near = [b'a'; NEAR];
                near[BEFORE + place..][..4].copy_from_slice(&sequence);
                // What is behind the text must not count, nor be missed.
                near[BEFORE + place + 4..][..2].copy_from_slice(b"\"\xff");
                let text = &near[BEFORE..BEFORE + place + 4];
                let is_utf8 = std::str::from_utf8(text).is_ok();
                if lanes.is_utf8(&near, BEFORE, text.len() as u32) != is_utf8 {
                    return Some((sequence, place));
                }
            }
        }
        None
    }
}

#[test]
fn utf8_is_told_from_what_is_not_at_every_boundary_of_a_byte_and_of_a_lane() {
    let bounds = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
        0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    assert_eq!(run(Utf8Fault(&bounds, &[0, 28])), None);
    assert_eq!(Utf8Fault(&bounds, &[0]).run(Words), None);
    let few = [b'a', 0x8f, 0xa0, 0xc3, 0xe1, 0xed, 0xf0, 0xf4];
    let places: Vec<usize> = (0..60).collect();
    assert_eq!(run(Utf8Fault(&few, &places)), None);
}

/// Every pair of bytes, as the first and as the last two of a text.
struct Pairs;

impl Task for Pairs {
    type Done = Option<u16>;

    fn run(self, lanes: impl Lanes) -> Self::Done {
        let is_told = |text: &[u8]| {
            let mut near = [b' '; NEAR];
            near[9..][..text.len()].copy_from_slice(text);
            let is_utf8 = std::str::from_utf8(text).is_ok();
            lanes.is_utf8(&near, 9, text.len() as u32) == is_utf8
        };
        (0..=u16::MAX).find(|pair| {
            let [one, two] = pair.to_le_bytes();
            let continued = [[one, two, 0x90, 0x80], [0xe1, 0x80, one, two]];
            !is_told(&[one, two]) || !continued.iter().all(|text| is_told(text))
        })
    }
}

#[test]
fn utf8_is_told_for_every_pair_of_bytes() {
    assert_eq!(run(Pairs), None);
    assert_eq!(Pairs.run(Words), None);
}

#[test]
fn what_is_near_ends_in_zeros_and_lanes_lie_in_it() {
    let bytes = drawn(NEAR + 40);
    let tail = Tail::new();
    for at in (0..=bytes.len() + 1).step_by(under_miri(23, 1)) {
        let near = near(&bytes, at, &tail);
        let mut plain = bytes.get(at..).unwrap_or_default().to_vec();
        plain.resize(NEAR.max(plain.len()), 0);
        assert_eq!(near[..], plain[..NEAR], "at {at}");
        for place in 0..=PLACE_MAX {
            assert_eq!(lane::<0>(near, place)[..], near[place..place + 32], "{place}");
            assert_eq!(lane::<33>(near, place)[..], near[place + 33..place + 65], "{place}");
        }
    }
}

#[test]
fn pairs_of_bytes_do_not_disturb_each_other() {
    for (name, stop, is_hit) in STOPS {
        for pair in (0..=u16::MAX).step_by(under_miri(997, 1)) {
            let [one, two] = pair.to_le_bytes();
            let bytes = [b' ', one, two, b' ', b' ', two, one, b' '];
            let plain = bytes.iter().position(|byte| is_hit(*byte)).unwrap_or(8);
            assert_eq!(stop(&bytes, 0), plain, "{name} {pair:#x}");
        }
    }
}

#[test]
fn what_is_appended_is_what_was_asked_for_whatever_the_room_and_the_padding() {
    let bytes = drawn(200);
    let step = under_miri(9, 1);
    for len in (0..=130).step_by(step) {
        for behind in [0, 1, 63, 64, 65] {
            for room in [0, 1, 64, 127, 128, 129, 200] {
                let bytes = &bytes[..(len + behind).min(200)];
                let mut out = Vec::with_capacity(3 + room);
                out.extend_from_slice(b"abc");
                append(&mut out, Padded { bytes, len });
                assert_eq!(out, [b"abc", &bytes[..len]].concat(), "{len} {behind} {room}");
            }
        }
    }
}

/// C1: a hidden value is not in the buffer, not even where nothing was written yet.
#[test]
fn nothing_of_what_lies_behind_what_is_appended_stays_in_the_buffer() {
    const ROOM: usize = 400;
    for len in [0, 1, 17, 63, 64] {
        let mut out = vec![b'-'; ROOM];
        out.clear();
        let bytes = [vec![b'k'; len], vec![b'h'; 100]].concat();
        append(&mut out, Padded { bytes: &bytes, len });
        append(&mut out, Padded { bytes: &bytes, len });
        // SAFETY: all of the capacity was written when the buffer was made.
        unsafe { out.set_len(ROOM) };
        assert!(!out.contains(&b'h'), "{len}");
        assert_eq!(out.iter().filter(|byte| **byte == b'k').count(), 2 * len);
    }
}
