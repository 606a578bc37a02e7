//! Words of a parameter's name, parts of a column's path, and which of them are alike.
//!
//! Alike is: the same letters and digits in the same order, whatever their case and whatever stands
//! between them. Parts are found by a hash of just those, rolled along the text, so neither side is
//! copied. An attacker writes the names, configuration the parts: no name can make a chain longer.
//!
//! Cost: hints are one pass over the paths, without a hash or an allocation; an index is one entry
//! for each run of segments of each path, about 50 bytes; a look-up in it is one probe for each run
//! of words that is no longer than the longest part.

use std::ops::Range;

const NONE: u32 = u32::MAX;

/// What a part is of a column's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Whole,
    Head,
    Tail,
    Inner,
}

/// Whose part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Visible(Role),
    Hidden(Role),
    /// A parameter whose values name columns.
    Selector,
}

/// Which two letters some part begins with: tells most names from all parts before an index of
/// them is made.
#[derive(Debug, Default)]
pub(super) struct Hints([u64; 16]);

impl Hints {
    /// Adds the parts of `path`, by where they begin.
    pub(super) fn add_path(&mut self, path: &str) {
        let starts = std::iter::once(0).chain(path.match_indices('.').map(|(dot, _)| dot + 1));
        for from in starts {
            self.add(&path[from..]);
        }
    }

    /// Adds `text`, and what is before its first dot.
    pub(super) fn add(&mut self, text: &str) {
        let within = text.split('.').next().unwrap_or_default();
        for bit in [Hints::bit(within), Hints::bit(text)] {
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False when no run that begins with this word of `name` is like any part.
    pub(super) fn may_begin(&self, name: &Name<'_>, first: usize) -> bool {
        let Some(word) = name.words.get(first) else { return false };
        let bits = [Hints::bit(&name.text[word.clone()]), Hints::bit(&name.text[word.start..])];
        bits.into_iter().any(|bit| self.0[bit / 64] >> (bit % 64) & 1 == 1)
    }

    fn bit(text: &str) -> usize {
        let mut letters = folded(text).map(|c| c as usize);
        let (first, second) = (letters.next().unwrap_or(0), letters.next().unwrap_or(0));
        // A lower-case letter is five bits, two of them are the ten that there is room for.
        (first << 5 ^ second) % 1024
    }
}

/// One or more whole segments of a path, as configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind,
    hash: u64,
    next: u32,
}

/// Parts by what they are like.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// First part of each chain; a power of two of them.
    chains: Vec<u32>,
    parts: Vec<Part<'a>>,
    letters_max: usize,
}

impl<'a> Parts<'a> {
    /// An index for about `expected` parts.
    pub(super) fn new(expected: usize) -> Parts<'a> {
        let chains = vec![NONE; (expected + 1).next_power_of_two()];
        Parts { chains, parts: Vec::with_capacity(expected), letters_max: 0 }
    }

    /// How many parts a path has.
    pub(super) fn count(path: &str) -> usize {
        let segments = path.split('.').count();
        segments * (segments + 1) / 2
    }

    /// Adds every run of segments of `path`, by the role it has in it.
    pub(super) fn add_path(&mut self, path: &'a str, kind: fn(Role) -> Kind) {
        let starts = std::iter::once(0).chain(path.match_indices('.').map(|(dot, _)| dot + 1));
        for from in starts {
            let mut rolled = Rolled::default();
            let ends = path[from..].char_indices().chain([(path.len() - from, '.')]);
            for (offset, c) in ends {
                if c != '.' {
                    rolled.push(c);
                    continue;
                }
                let role = match (from == 0, from + offset == path.len()) {
                    (true, true) => Role::Whole,
                    (true, false) => Role::Head,
                    (false, true) => Role::Tail,
                    (false, false) => Role::Inner,
                };
                self.insert(&path[from..from + offset], kind(role), rolled);
            }
        }
    }

    /// Adds the whole of `text` as one part.
    pub(super) fn add(&mut self, text: &'a str, kind: Kind) {
        let mut rolled = Rolled::default();
        text.chars().for_each(|c| rolled.push(c));
        self.insert(text, kind, rolled);
    }

    /// One entry for each text and kind, so that a chain is short even where every column ends alike.
    fn insert(&mut self, text: &'a str, kind: Kind, rolled: Rolled) {
        let Rolled { hash, letters } = rolled;
        let known = self.chain(hash).any(|part| part.text == text && part.kind == kind);
        let Ok(place) = u32::try_from(self.parts.len()) else { return };
        if letters == 0 || known {
            return;
        }
        let chain = self.chain_of(hash);
        self.parts.push(Part { text, kind, hash, next: self.chains[chain] });
        self.chains[chain] = place;
        self.letters_max = self.letters_max.max(letters);
    }

    fn chain_of(&self, hash: u64) -> usize {
        // The upper half is mixed best.
        (hash >> 32) as usize & (self.chains.len() - 1)
    }

    fn chain(&self, hash: u64) -> impl Iterator<Item = &Part<'a>> {
        let mut next = self.chains[self.chain_of(hash)];
        std::iter::from_fn(move || {
            let part = self.parts.get(next as usize)?;
            next = part.next;
            Some(part)
        })
    }

    /// The parts that are like `raw`, the text of a run of words with this hash.
    pub(super) fn like<'s>(
        &'s self,
        raw: &'s str,
        hash: u64,
    ) -> impl Iterator<Item = &'s Part<'a>> {
        let alike = move |part: &&Part<'a>| part.hash == hash && folded(part.text).eq(folded(raw));
        self.chain(hash).filter(alike)
    }

    /// Letters and digits of the longest part.
    pub(super) fn letters_max(&self) -> usize {
        self.letters_max
    }
}

/// The hash of letters and digits so far, and how many they were.
#[derive(Debug, Clone, Copy, Default)]
struct Rolled {
    hash: u64,
    letters: usize,
}

impl Rolled {
    fn push(&mut self, c: char) {
        if let Some(c) = fold(c) {
            self.hash =
                (self.hash.rotate_left(5) ^ u64::from(c)).wrapping_mul(0x517c_c1b7_2722_0a95);
            self.letters += 1;
        }
    }
}

/// A letter or digit without its case; `None` for anything else.
fn fold(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then(|| c.to_ascii_lowercase());
    }
    // By way of the upper case: some readers compare in that one, where `ſ` is `S` and `ı` is `I`.
    let upper = c.to_uppercase().next().unwrap_or(c);
    c.is_alphanumeric().then(|| upper.to_lowercase().next().unwrap_or(upper))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter_map(fold)
}

/// Whether `name` is alike `parameter`, places in a list at its end left out.
pub(super) fn spells(name: &str, parameter: &str) -> bool {
    if folded(parameter).next().is_none() {
        return name == parameter;
    }
    let alike = |text: &str| folded(text).eq(folded(parameter));
    alike(name) || alike(without_places(name))
}

/// `team_id` of `team_id[0][]`: without the numbers at the end that something sets apart.
fn without_places(mut name: &str) -> &str {
    let between = |c: char| !c.is_alphanumeric();
    loop {
        name = name.trim_end_matches(between);
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem.len() == name.len() || !stem.ends_with(between) {
            return name;
        }
        name = stem;
    }
}

/// A decoded name, split at `__` and at all but letters, digits and `_`.
#[derive(Debug)]
pub(super) struct Name<'a> {
    text: &'a str,
    /// Places of the words in the text; each has a letter or digit.
    words: Vec<Range<usize>>,
}

impl<'a> Name<'a> {
    pub(super) fn read(text: &'a str) -> Name<'a> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(skipped) = text[at..].find(is_word) {
            let mut start = at + skipped;
            at = text[start..].find(|c| !is_word(c)).map_or(text.len(), |length| start + length);
            for word in text[start..at].split("__") {
                if folded(word).next().is_some() {
                    words.push(start..start + word.len());
                }
                start += word.len() + 2;
            }
        }
        Name { text, words }
    }

    /// How many words.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    pub(super) fn word(&self, index: usize) -> &'a str {
        self.words.get(index).map_or("", |word| &self.text[word.clone()])
    }

    /// The runs of words that begin with `first` and have no more letters and digits than given,
    /// each with its hash.
    pub(super) fn runs(
        &self,
        first: usize,
        letters_max: usize,
    ) -> impl Iterator<Item = (Range<usize>, u64)> {
        (first..self.len()).scan(Rolled::default(), move |rolled, last| {
            for c in self.word(last).chars() {
                rolled.push(c);
                if rolled.letters > letters_max {
                    return None;
                }
            }
            Some((first..last + 1, rolled.hash))
        })
    }

    /// The text of a run, with what is written between its words.
    pub(super) fn raw(&self, run: &Range<usize>) -> &'a str {
        match self.words.get(run.clone()) {
            Some([word]) => &self.text[word.clone()],
            Some([first, .., last]) => &self.text[first.start..last.end],
            _ => "",
        }
    }

    /// Whether the words of a run, joined by dots, are `path` to the letter.
    pub(super) fn is_joined(&self, run: &Range<usize>, path: &str) -> bool {
        run.clone().map(|index| self.word(index)).eq(path.split('.'))
    }
}
