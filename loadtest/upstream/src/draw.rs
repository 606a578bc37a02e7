//! Made-up values from a seeded stream: SplitMix64, one stream a row.
//!
//! A row depends on its table's name and its number alone, so adding a table or a row moves no
//! other. Not for anything secret.
//!
//! Sources: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.

use crate::world::{ASSISTANTS, UNNAMED_ASSISTANTS};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// First and family names in several scripts; some would break a careless escape.
const FIRST: &[&str] = &[
    "Zo\u{eb}",
    "Jos\u{e9}",
    "Ada",
    "\u{de}\u{f3}runn",
    "M\u{1ef9} Linh",
    "\u{7389}\u{82f1}",
    "\u{645}\u{62d}\u{645}\u{62f}",
    "O\u{2019}Neil",
    "Grace",
    "Bj\u{f6}rn",
    "e\u{301}mile",
    "Ruth",
];
const LAST: &[&str] = &[
    "\u{c5}ngstr\u{f6}m",
    "Garc\u{ed}a-L\u{f3}pez",
    "Smith",
    "D'Souza",
    "\u{738b}",
    "Nguy\u{1ec5}n",
    "Quote\"d",
    "Back\\slash",
    "Null",
    "Okafor",
    "Petrov",
    "van der \u{de}e",
];
const WORDS: &[&str] = &[
    "water",
    "heater",
    "leak",
    "valve",
    "appointment",
    "tomorrow",
    "between",
    "nine",
    "and",
    "noon",
    "please",
    "technician",
    "will",
    "call",
    "ahead",
    "\u{bf}puede",
    "repetir?",
    "na\u{ef}ve",
    "caf\u{e9}",
    "10\u{b0}C",
    "\u{20ac}129.50",
    "\u{1f6e0}\u{fe0f}",
    "\u{65e5}\u{672c}\u{8a9e}",
    "\"quoted\"",
    "back\\slash",
    "</script>",
    "{\"not\":\"json\"}",
    "furnace",
    "thermostat",
    "quote",
    "warranty",
    "filter",
    "drain",
    "pump",
];
/// Numbers whose spelling a round trip through a float would change.
const ODD_NUMBERS: &[&str] = &[
    "1.0",
    "-0",
    "1E5",
    "0.1000",
    "1e-7",
    "28.5",
    "9007199254740993",
    "18446744073709551615",
    "123456789012345678901234567890",
    "0",
    "-1",
    "3.141592653589793238",
];

/// A stream of made-up values.
pub(crate) struct Draw(u64);

impl Draw {
    /// The stream of row `index` of `table`.
    pub(crate) fn new(table: &str, index: u64) -> Draw {
        // FNV-1a over the name keeps tables apart.
        let name = table.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        let mut draw = Draw(name ^ index.wrapping_mul(GOLDEN));
        draw.next();
        draw
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// One of a list, or nothing in `percent` of the cases.
    pub(crate) fn pick_or_null<'a>(&mut self, percent: u64, list: &[&'a str]) -> Option<&'a str> {
        let picked = self.pick(list);
        (!self.chance(percent)).then_some(picked)
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 48 & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    /// A number nobody has: exchange 555, line 01xx.
    pub(crate) fn phone(&mut self) -> String {
        format!("+1{:03}5550{:03}", 201 + self.below(780), 100 + self.below(100))
    }

    pub(crate) fn first_name(&mut self) -> &'static str {
        self.pick(FIRST)
    }

    pub(crate) fn last_name(&mut self) -> &'static str {
        self.pick(LAST)
    }

    pub(crate) fn name(&mut self) -> String {
        format!("{} {}", self.first_name(), self.last_name())
    }

    pub(crate) fn email(&mut self) -> String {
        format!("user{}+tag@example.{}", self.below(1_000_000), self.pick(&["com", "org", "net"]))
    }

    pub(crate) fn words(&mut self, n: u64) -> String {
        let words: Vec<&str> = (0..n).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }

    pub(crate) fn odd_number(&mut self) -> &'static str {
        self.pick(ODD_NUMBERS)
    }

    /// An assistant id: most have a name in the example directory, one in six has not.
    pub(crate) fn assistant(&mut self) -> &'static str {
        if self.chance(16) { self.pick(UNNAMED_ASSISTANTS) } else { self.pick(ASSISTANTS).0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_draws_the_same_values_every_time_and_rows_differ() {
        let uuid = |table, index| Draw::new(table, index).uuid();
        assert_eq!(uuid("calls", 7), uuid("calls", 7));
        assert_ne!(uuid("calls", 7), uuid("calls", 8));
        assert_ne!(uuid("calls", 7), uuid("coach", 7));
        assert_eq!(uuid("calls", 7).len(), 36);
    }
}
