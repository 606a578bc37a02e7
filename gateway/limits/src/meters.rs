//! The counters: one cache line a key, in segments that are never moved and never freed.
//!
//! A key's line number sits in the key's record, which authentication has just loaded, so a
//! decision hashes nothing, locks nothing and adds at most one cache miss. Each limit is one word,
//! changed by compare-and-swap only, so its admissions form a chain: within a window the count
//! rises one by one to the limit and no further, whatever the threads do.
//!
//! Several limits are all or nothing. All are judged first, by plain loads; if one refuses, nothing
//! was written. Then they are reserved one by one; a request that loses the last place of a later
//! limit to a rival in between gives the earlier ones back. Until it has, a rival may see one place
//! less; the limit that caused it is full at that moment and would refuse the rival too.
//!
//! Lines are spread over keys; one key's count is never split over cores, which would make it
//! inexact to save time that fifty requests a second do not need.
//!
//! Not here: which key holds which line (`book`), the arithmetic (`window`), the clock.
//!
//! Cost: 64 bytes a key and 32 for its usage, 384 KiB a segment; an admission is a load and a compare-and-swap a limit.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::allowance::{Allowance, LimitState, Spent};
use crate::book::{Book, MetersFull, Places, WORDS};
use crate::quota::{LIMITS_PER_KEY_MAX, Quotas, Sign};
use crate::time::UnixMs;
use crate::usage::{Tally, Use, Used};
use crate::window::{AT_MS_MAX, Rule, Verdict};

const SEGMENTS: usize = 1_024;
const SEGMENT_LINES: usize = 4_096;

/// The words of one key. Alone on its cache line, so that two busy keys do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// A key's place in [`Meters`], for the quotas it was assigned with. Kept beside them in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    line: u32,
    /// Uniform bits of the key id; the phases of its windows.
    seed: u32,
    places: [u8; LIMITS_PER_KEY_MAX],
}

/// All counters of the process. One instance, outside every snapshot; shared by reference.
#[derive(Debug)]
pub struct Meters {
    segments: Box<[OnceLock<Box<[Line]>>]>,
    tally: Tally,
    book: Mutex<Book>,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters::new()
    }
}

impl Meters {
    /// Room for about four million keys; memory is taken 4 096 keys at a time.
    pub fn new() -> Meters {
        Meters {
            segments: (0..SEGMENTS).map(|_| OnceLock::new()).collect(),
            tally: Tally::new(SEGMENTS, SEGMENT_LINES),
            book: Mutex::new(Book::new((SEGMENTS * SEGMENT_LINES) as u32)),
        }
    }

    /// The slot of a key for these quotas. Cold path; call it whenever a snapshot is built, and
    /// keep the answer beside the quotas.
    ///
    /// The same id has the same line for as long as it exists, and a limit keeps its count as long
    /// as its kind and window stay, whatever becomes of its name, its number or its neighbours. A
    /// limit of a new kind or window starts at nothing. Slots of earlier snapshots stay valid and
    /// go on counting for those; what both have in common is counted once.
    pub fn assign(&self, key_id: &str, quotas: &Quotas) -> Result<Slot, MetersFull> {
        let mut book = self.book.lock();
        let (line, places) = book.assign(key_id, quotas, |line, word| self.clear(line, word))?;
        // Inside the lock, so that the line exists before anybody can hold its number.
        self.open_segment(line);
        self.tally.open(line);
        drop(book);
        Ok(Slot { line, seed: seed_of(key_id), places: first(places) })
    }

    /// Tells which key ids still exist. Cold path; call it after a snapshot has been published, and
    /// now and then: what is gone is freed by a later call, ten minutes to a day after the first
    /// that missed it (two of its longest windows, within those bounds). `live` runs under the
    /// lock: it must not call these meters.
    pub fn retain(&self, live: &dyn Fn(&str) -> bool, at: UnixMs) {
        self.book.lock().retain(live, at, |line, word| self.clear(line, word));
    }

    /// Decides one request: every limit must agree. Lock-free; a refusal writes nothing and changes
    /// no count.
    ///
    /// `slot` must be the one assigned with `quotas`. Any other pair is safe, but may count in
    /// words of another meaning, that is: from nothing.
    pub fn take(&self, slot: Slot, quotas: &Quotas, at: UnixMs) -> Result<Allowance, Spent> {
        let at_ms = at.0.min(AT_MS_MAX);
        let Some(line) = self.line(slot.line) else {
            return Err(unmetered(quotas, at_ms));
        };
        let request = Request { line, slot, quotas, at_ms };
        let mut plan = Plan::of(quotas.rules().len());
        match request.judge_all(&mut plan).and_then(|()| request.reserve(&mut plan)) {
            Ok(()) => Ok(plan.allowance),
            Err(refusal) => Err(request.spent(refusal)),
        }
    }

    /// Counts a request of the key of a slot as used. Lock-free.
    #[inline]
    pub fn count(&self, slot: Slot, what: Use, at: UnixMs) {
        self.tally.add(slot.line, what, at);
    }

    /// Takes what was counted of each key since the last drain. Cold path; `taken` runs under the lock:
    /// it must not call these meters. Of a key that is gone for good nothing is told.
    pub fn drain(&self, mut taken: impl FnMut(&str, Used)) {
        let book = self.book.lock();
        self.tally.drain(|line, used| {
            if let Some(key_id) = book.key_of(line) {
                taken(key_id, used);
            }
        });
    }

    /// Every word of every key that is known, with its meaning. `tell` runs under the lock.
    pub(crate) fn each_word(&self, mut tell: impl FnMut(&str, Sign, u64)) {
        self.book.lock().each_word(|key_id, line, place, sign| {
            if let Some(line) = self.line(line) {
                tell(key_id, sign, line.word(place).load(Ordering::Acquire));
            }
        });
    }

    /// Sets the word of a key that has this meaning; the key need not be known yet.
    pub(crate) fn set_word(&self, key_id: &str, sign: Sign, to: u64) -> Result<(), MetersFull> {
        let mut book = self.book.lock();
        let (line, place) = book.place_of(key_id, sign, |line, word| self.clear(line, word))?;
        self.open_segment(line);
        self.tally.open(line);
        if let Some(line) = self.line(line) {
            line.word(place).store(to, Ordering::Release);
        }
        Ok(())
    }

    fn line(&self, line: u32) -> Option<&Line> {
        let line = line as usize;
        self.segments.get(line / SEGMENT_LINES)?.get()?.get(line % SEGMENT_LINES)
    }

    fn open_segment(&self, line: u32) {
        if let Some(segment) = self.segments.get(line as usize / SEGMENT_LINES) {
            segment.get_or_init(|| (0..SEGMENT_LINES).map(|_| Line::default()).collect());
        }
    }

    fn clear(&self, line: u32, word: u8) {
        if let Some(line) = self.line(line) {
            line.word(word).store(0, Ordering::Release);
        }
    }
}

impl Line {
    fn word(&self, place: u8) -> &AtomicU64 {
        let Line(words) = self;
        &words[usize::from(place) % WORDS]
    }
}

/// One decision under way.
struct Request<'a> {
    line: &'a Line,
    slot: Slot,
    quotas: &'a Quotas,
    at_ms: u64,
}

/// What is to be written, if nobody comes in between, and what will hold then.
struct Plan {
    before: [u64; LIMITS_PER_KEY_MAX],
    next: [u64; LIMITS_PER_KEY_MAX],
    allowance: Allowance,
}

impl Plan {
    fn of(limits: usize) -> Plan {
        Plan {
            before: Default::default(),
            next: Default::default(),
            allowance: Allowance::of(limits),
        }
    }
}

/// One limit's refusal.
#[derive(Clone, Copy)]
struct Refusal {
    limit: usize,
    wait_ms: u64,
    state: LimitState,
}

impl Request<'_> {
    /// Judges all limits by what their words hold now; nothing is written.
    #[inline]
    fn judge_all(&self, plan: &mut Plan) -> Result<(), Refusal> {
        for limit in 0..self.quotas.rules().len() {
            self.judge_into(plan, limit, self.word(limit).load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    /// Writes the plan, limit by limit; a word that has changed meanwhile is judged again. After a
    /// refusal nothing is reserved.
    #[inline]
    fn reserve(&self, plan: &mut Plan) -> Result<(), Refusal> {
        for (reserved, &limit) in self.quotas.order().iter().enumerate() {
            let limit = usize::from(limit);
            while let Err(seen) = self.swap(limit, plan.before[limit], plan.next[limit]) {
                self.judge_into(plan, limit, seen)
                    .inspect_err(|_| self.give_back(plan, reserved))?;
            }
        }
        Ok(())
    }

    #[inline]
    fn judge_into(&self, plan: &mut Plan, limit: usize, word: u64) -> Result<(), Refusal> {
        match self.judge(limit, word) {
            Verdict::Admit { next, after } => {
                plan.before[limit] = word;
                plan.next[limit] = next;
                plan.allowance.set(limit, after);
                Ok(())
            }
            Verdict::Refuse { wait_ms, state } => Err(Refusal { limit, wait_ms, state }),
        }
    }

    /// Undoes the first `reserved` reservations.
    fn give_back(&self, plan: &Plan, reserved: usize) {
        for &limit in self.quotas.order().iter().take(reserved) {
            let limit = usize::from(limit);
            let (before, written) = (plan.before[limit], plan.next[limit]);
            let mut seen = self.word(limit).load(Ordering::Relaxed);
            while let Some(less) = self.rule(limit).give_back(before, written, seen) {
                match self.swap(limit, seen, less) {
                    Ok(()) => break,
                    Err(other) => seen = other,
                }
            }
        }
    }

    /// The answer of a refusal: the limit that refuses longest, and how all stand.
    fn spent(&self, refusal: Refusal) -> Spent {
        let mut allowance = Allowance::of(self.quotas.rules().len());
        allowance.set(refusal.limit, refusal.state);
        let mut longest = (refusal.wait_ms, refusal.limit);
        for limit in (0..self.quotas.rules().len()).filter(|&limit| limit != refusal.limit) {
            let word = self.word(limit).load(Ordering::Relaxed);
            let state = match self.judge(limit, word) {
                Verdict::Admit { .. } => {
                    self.rule(limit).look(word, self.phase_ms(limit), self.at_ms)
                }
                Verdict::Refuse { wait_ms, state } => {
                    longest = longest.max((wait_ms, limit));
                    state
                }
            };
            allowance.set(limit, state);
        }
        let (wait_ms, limit) = longest;
        Spent { allowance, limit, retry_after_s: wait_ms.div_ceil(1_000).max(1) }
    }

    #[inline]
    fn judge(&self, limit: usize, word: u64) -> Verdict {
        self.rule(limit).judge(word, self.phase_ms(limit), self.at_ms)
    }

    fn swap(&self, limit: usize, from: u64, to: u64) -> Result<(), u64> {
        self.word(limit)
            .compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .map(|_| ())
    }

    fn rule(&self, limit: usize) -> &Rule {
        &self.quotas.rules()[limit]
    }

    fn phase_ms(&self, limit: usize) -> u64 {
        self.rule(limit).phase_ms(self.slot.seed)
    }

    fn word(&self, limit: usize) -> &AtomicU64 {
        self.line.word(self.slot.places[limit])
    }
}

/// A slot of other meters: there is nothing to count in, so nothing passes.
fn unmetered(quotas: &Quotas, at_ms: u64) -> Spent {
    let mut allowance = Allowance::of(quotas.rules().len());
    for (index, quota) in quotas.iter().enumerate() {
        let reset_at_s = at_ms / 1_000 + 1;
        allowance.set(
            index,
            LimitState { limit: quota.requests, remaining: 0, reset_at_s, resets_in_s: 1 },
        );
    }
    Spent { allowance, limit: 0, retry_after_s: 1 }
}

fn first(places: Places) -> [u8; LIMITS_PER_KEY_MAX] {
    let mut first = [0; LIMITS_PER_KEY_MAX];
    first.copy_from_slice(&places[..LIMITS_PER_KEY_MAX]);
    first
}

/// Uniform bits of a key id, the same on every node and in every version: FNV-1a over its bytes,
/// then one multiplication so that ids that differ in their last letter lie far apart.
fn seed_of(key_id: &str) -> u32 {
    let hash = key_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    ((hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests;
