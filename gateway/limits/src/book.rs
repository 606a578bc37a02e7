//! Which key holds which line, and which of the line's words counts which limit.
//!
//! The cold side of the meters: touched when a configuration or a key changes, under a mutex, never
//! by a request. A line has twice as many words as a key may have limits. A word belongs to one
//! [`Sign`] (kind and window) as long as the line has a word to spare, so the configuration in force
//! and the one being prepared count side by side without meaning different things by one word, and
//! going back to the former finds its count again. Only when a key has had more than eight
//! different kinds of limit is the word longest out of use cleared and taken; a request that was
//! judged by a configuration that old would at worst disturb one window of the new count.
//!
//! A key that is gone keeps its line for a quarantine. Requests take right after they have loaded
//! their snapshot, within seconds, so ten minutes later nobody can hold the line's number, and no
//! generation has to be checked by every request. A key that comes back in time finds its counts.
//!
//! Cost: about 170 bytes a key; an assignment that changes nothing is two hash look-ups.

use std::collections::HashMap;

use crate::quota::{LIMITS_PER_KEY_MAX, Quotas, Sign};
use crate::time::UnixMs;

/// Words of a line.
pub(crate) const WORDS: usize = 2 * LIMITS_PER_KEY_MAX;
/// A line is never given to another key earlier than this after its key was last seen alive.
const QUARANTINE_MS_MIN: u64 = 10 * 60_000;
/// A key that comes back within two of its windows should find its counts, up to this.
const QUARANTINE_MS_MAX: u64 = 24 * 60 * 60_000;

/// Every line is held: no further key can be metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {keys_max} meters are in use; those of removed keys become free after a quarantine")]
pub struct MetersFull {
    pub keys_max: u32,
}

/// Words of the present limits, by their order; of the others any, all distinct.
pub(crate) type Places = [u8; WORDS];

#[derive(Debug)]
pub(crate) struct Book {
    held: HashMap<Box<str>, Held>,
    /// By line; none where it is free.
    ids: Vec<Option<Box<str>>>,
    free: Vec<u32>,
    fresh: u32,
    lines_max: u32,
}

#[derive(Debug)]
struct Held {
    line: u32,
    /// How often this key was assigned; orders `Word::used`.
    turn: u32,
    gone_since: Option<UnixMs>,
    words: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    sign: Sign,
    used: u32,
}

impl Book {
    pub(crate) fn new(lines_max: u32) -> Book {
        Book { held: HashMap::new(), ids: Vec::new(), free: Vec::new(), fresh: 0, lines_max }
    }

    /// The key's line and the words of its limits. `clear(line, word)` is called for a word that
    /// changes its meaning.
    pub(crate) fn assign(
        &mut self,
        key_id: &str,
        quotas: &Quotas,
        clear: impl Fn(u32, u8),
    ) -> Result<(u32, Places), MetersFull> {
        let held = self.held_by(key_id)?;
        held.gone_since = None;
        Ok((held.line, held.places(quotas.signs(), clear)))
    }

    /// The key's line and the word of one limit, whether the key has it now or not.
    pub(crate) fn place_of(
        &mut self,
        key_id: &str,
        sign: Sign,
        clear: impl Fn(u32, u8),
    ) -> Result<(u32, u8), MetersFull> {
        let held = self.held_by(key_id)?;
        let known = held.words.iter().position(|word| word.sign == sign);
        let word = known.unwrap_or_else(|| held.open(sign, clear));
        Ok((held.line, word as u8))
    }

    /// Every word of every key: key, line, word and meaning.
    pub(crate) fn each_word(&self, mut tell: impl FnMut(&str, u32, u8, Sign)) {
        for (key_id, held) in &self.held {
            for (place, word) in held.words.iter().enumerate() {
                tell(key_id, held.line, place as u8, word.sign);
            }
        }
    }

    /// What the key holds, a line of its own at least.
    fn held_by(&mut self, key_id: &str) -> Result<&mut Held, MetersFull> {
        if !self.held.contains_key(key_id) {
            let line = self.free_line()?;
            let index = line as usize;
            if self.ids.len() <= index {
                self.ids.resize(index + 1, None);
            }
            self.ids[index] = Some(key_id.into());
            let held = Held { line, turn: 0, gone_since: None, words: Vec::new() };
            self.held.insert(key_id.into(), held);
        }
        self.held.get_mut(key_id).ok_or(MetersFull { keys_max: self.lines_max })
    }

    /// The key that holds a line.
    pub(crate) fn key_of(&self, line: u32) -> Option<&str> {
        self.ids.get(line as usize)?.as_deref()
    }

    /// Notes which keys are gone, and frees the lines whose quarantine is over: `clear` is called
    /// for each of their words.
    pub(crate) fn retain(
        &mut self,
        live: &dyn Fn(&str) -> bool,
        at: UnixMs,
        clear: impl Fn(u32, u8),
    ) {
        let Book { free, ids, .. } = self;
        self.held.retain(|key_id, held| {
            if live(key_id) {
                held.gone_since = None;
                return true;
            }
            match held.gone_since {
                // A clock that stepped back starts the wait anew: longer is safe.
                Some(since) if at >= since => {
                    if at.0 - since.0 < held.quarantine_ms() {
                        return true;
                    }
                    (0..WORDS as u8).for_each(|word| clear(held.line, word));
                    free.push(held.line);
                    if let Some(id) = ids.get_mut(held.line as usize) {
                        *id = None;
                    }
                    false
                }
                _ => {
                    held.gone_since = Some(at);
                    true
                }
            }
        });
    }

    fn free_line(&mut self) -> Result<u32, MetersFull> {
        if let Some(line) = self.free.pop() {
            return Ok(line);
        }
        if self.fresh >= self.lines_max {
            return Err(MetersFull { keys_max: self.lines_max });
        }
        self.fresh += 1;
        Ok(self.fresh - 1)
    }
}

impl Held {
    fn places(&mut self, signs: &[Sign], clear: impl Fn(u32, u8)) -> Places {
        self.turn = self.turn.saturating_add(1);
        let mut places = Places::default();
        let mut taken = [false; WORDS];
        // Two passes: a limit that is new must not take the word of one that stays.
        for new in [false, true] {
            for (&sign, place) in signs.iter().zip(&mut places) {
                let known = self.words.iter().position(|word| word.sign == sign);
                let word = match known {
                    Some(word) => word,
                    None if new => self.open(sign, &clear),
                    None => continue,
                };
                if let (Some(word), Some(taken)) = (self.words.get_mut(word), taken.get_mut(word)) {
                    word.used = self.turn;
                    *taken = true;
                }
                *place = word as u8;
            }
        }
        let spare = (0..WORDS as u8)
            .filter(|&word| !taken.get(usize::from(word)).is_some_and(|taken| *taken));
        for (place, word) in places.iter_mut().skip(signs.len()).zip(spare) {
            *place = word;
        }
        places
    }

    /// A word for a limit that had none: an unused one, else the one longest out of use.
    fn open(&mut self, sign: Sign, clear: impl Fn(u32, u8)) -> usize {
        let opened = Word { sign, used: self.turn };
        if self.words.len() < WORDS {
            self.words.reserve_exact(1);
            self.words.push(opened);
            return self.words.len() - 1;
        }
        let oldest = (0..self.words.len())
            .min_by_key(|&word| self.words.get(word).map(|word| word.used))
            .unwrap_or(0);
        if let Some(word) = self.words.get_mut(oldest) {
            *word = opened;
        }
        clear(self.line, oldest as u8);
        oldest
    }

    fn quarantine_ms(&self) -> u64 {
        let longest = self.words.iter().map(|word| word.sign.window_ms()).max().unwrap_or(0);
        (2 * longest).clamp(QUARANTINE_MS_MIN, QUARANTINE_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::RefCell;

    use super::*;
    use crate::quota::{Quota, QuotaKind};

    /// Limits by window in seconds; names and numbers do not matter here.
    fn windows(seconds: &[u64]) -> Quotas {
        let quota = |(index, s): (usize, &u64)| Quota {
            name: format!("l{index}").into(),
            requests: 9,
            window_ms: s * 1_000,
            kind: QuotaKind::Window,
        };
        Quotas::new(seconds.iter().enumerate().map(quota).collect()).unwrap()
    }

    fn assigned(
        book: &mut Book,
        id: &str,
        seconds: &[u64],
        cleared: &RefCell<Vec<u8>>,
    ) -> (u32, Vec<u8>) {
        let quotas = windows(seconds);
        let (line, places) =
            book.assign(id, &quotas, |_, word| cleared.borrow_mut().push(word)).unwrap();
        let mut all = places;
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7], "no two limits share a word");
        (line, places[..seconds.len()].to_vec())
    }

    /// R12: a word stays with its kind and window through any reload.
    #[test]
    fn a_limit_keeps_its_word_wherever_it_is_declared() {
        let mut book = Book::new(4);
        let cleared = RefCell::default();
        for (seconds, words, note) in [
            (vec![60], vec![0], "first"),
            (vec![60], vec![0], "nothing changed"),
            (vec![10, 60], vec![1, 0], "one put before it"),
            (vec![60, 86_400, 10], vec![0, 2, 1], "order changed"),
            (vec![30], vec![3], "window changed: a word of its own"),
            (vec![60], vec![0], "and back: the count is still there"),
            (vec![60, 60], vec![0, 4], "twins"),
        ] {
            assert_eq!(assigned(&mut book, "k", &seconds, &cleared), (0, words), "{note}");
        }
        assert!(cleared.borrow().is_empty());
    }

    #[test]
    fn the_ninth_window_takes_the_word_longest_out_of_use() {
        let mut book = Book::new(4);
        let cleared = RefCell::default();
        assigned(&mut book, "k", &[1, 2, 3, 4], &cleared);
        assigned(&mut book, "k", &[5, 6, 7, 8], &cleared);
        assigned(&mut book, "k", &[1, 2], &cleared);
        // 3 and 4 are the oldest; 1 and 2 serve, 5 to 8 served before.
        assert_eq!(assigned(&mut book, "k", &[9, 1, 10], &cleared).1, [2, 0, 3]);
        assert_eq!(*cleared.borrow(), [2, 3]);
    }

    #[test]
    fn a_line_is_reused_only_after_its_quarantine() {
        const MINUTE: u64 = 60_000;
        let cleared = RefCell::default();
        for (window_s, gone_ms, reused) in [
            (60, 10 * MINUTE - 1, false),
            (60, 10 * MINUTE, true),
            (3_600, 120 * MINUTE - 1, false), // two windows
            (3_600, 120 * MINUTE, true),
            (86_400 * 30, 24 * 60 * MINUTE - 1, false),
            (86_400 * 30, 24 * 60 * MINUTE, true),
        ] {
            let mut book = Book::new(8);
            assigned(&mut book, "gone", &[window_s], &cleared);
            assigned(&mut book, "stays", &[window_s], &cleared);
            let live = |id: &str| id == "stays";
            let t0 = 1_700_000_000_000;
            book.retain(&live, UnixMs(t0), |_, _| unreachable!("too early"));
            let words = RefCell::new(Vec::new());
            book.retain(&live, UnixMs(t0 + gone_ms), |line, word| {
                words.borrow_mut().push((line, word))
            });
            let (line, _) = assigned(&mut book, "new", &[window_s], &cleared);
            assert_eq!(line == 0, reused, "{window_s} {gone_ms}");
            let all: Vec<(u32, u8)> =
                if reused { (0..8).map(|word| (0, word)).collect() } else { Vec::new() };
            assert_eq!(*words.borrow(), all, "{window_s} {gone_ms}");
        }
    }

    #[test]
    fn a_key_that_comes_back_or_a_clock_that_steps_back_restarts_the_quarantine() {
        let t0 = 1_700_000_000_000;
        let gone = |_: &str| false;
        let quarantine = QUARANTINE_MS_MIN;
        let mut book = Book::new(8);
        let cleared = RefCell::default();
        assigned(&mut book, "k", &[60], &cleared);
        book.retain(&gone, UnixMs(t0), |_, _| ());
        assert_eq!(assigned(&mut book, "k", &[60], &cleared).0, 0, "back, on its own line");
        book.retain(&gone, UnixMs(t0 + quarantine), |_, _| unreachable!("gone only now"));
        book.retain(&gone, UnixMs(t0), |_, _| unreachable!("the clock stepped back"));
        book.retain(&gone, UnixMs(t0 + quarantine - 1), |_, _| unreachable!("still waiting"));
        book.retain(&gone, UnixMs(t0 + quarantine), |_, _| ());
        assert_eq!(assigned(&mut book, "other", &[60], &cleared).0, 0);
    }

    #[test]
    fn a_full_book_says_so_and_keeps_what_it_has() {
        let mut book = Book::new(2);
        let cleared = RefCell::default();
        assigned(&mut book, "a", &[60], &cleared);
        assigned(&mut book, "b", &[60], &cleared);
        let full = book.assign("c", &windows(&[60]), |_, _| ());
        assert_eq!(full, Err(MetersFull { keys_max: 2 }));
        assert_eq!(assigned(&mut book, "b", &[60], &cleared).0, 1);
    }
}
