//! The quick way through the members of a row.
//!
//! Nearly every member of nearly every row is plain: its name was met before, its value is a scalar
//! without escapes or a container that is dropped, and both are whole in the piece. Such members are
//! dealt with here, from mark to mark of an [`Index`](crate::index::Index), without a look at the
//! bytes of a dropped value but its first and last. Whatever is not plain, or not known to be sound,
//! is left to the machine, which takes it from the member's first byte or from its value's, so that
//! there is one place that says what is refused and where.
//!
//! The loop has few variables, so that they stay in registers: what it keeps is the place where the kept
//! bytes begin, which a shown member does not change, and what is longer or rarer is dealt with
//! elsewhere (`odd`).
//!
//! Both ways write the same bytes and count the same. The tests compare whole bodies, which go this
//! way, with the same bodies cut into single bytes, which cannot.
//!
//! Cost: as measured in docs/rewriter.md, about half of all that the crate does.

use super::memo::{self, Class, Fate, LEAD_MAX, Lead, Member, Memo};
use super::odd::{Place, flat_end};
use super::plain::Scalar;
use super::{Mode, NameAt, Rewriter, Slot, State, plain};
use crate::Job;
use crate::error::Fault;
use crate::facts::Judged;
use crate::index::Index;
use crate::scan::{self, Lanes, NEAR, Tail, space_end};

/// What a thread lends to the body it is at.
pub(super) struct Work {
    pub(super) index: Index,
    pub(super) memo: Memo,
    /// Number of the first mark that was not passed yet.
    pub(super) mark: usize,
    /// Number of the start of objects as the one at hand.
    start: u8,
}

impl Work {
    pub(super) fn new() -> Work {
        Work { index: Index::new(), memo: Memo::new(), mark: 0, start: memo::NONE }
    }

    /// Knows the marks from a place on, which must be outside of strings.
    #[inline]
    pub(super) fn look(&mut self, piece: &[u8], at: usize) {
        if !self.index.covers(at) {
            self.index.fill(piece, at);
            self.mark = 0;
        }
        self.mark = self.index.seek(self.mark, at);
    }

    /// Makes it fit for another piece of some body.
    pub(super) fn begin(&mut self, job: &Job, judged: Judged) {
        self.index.clear();
        self.memo.begin(job, judged);
        self.mark = 0;
    }
}

impl Rewriter {
    /// Whether the members of the container at hand can go the quick way.
    #[inline]
    pub(super) fn is_quick(&self) -> bool {
        self.top.mode == Mode::Filter && self.top.is_object
    }

    /// Goes on behind the bracket or a comma of an object, as far as all is plain; then leaves the
    /// rest to the machine, in the state that fits.
    pub(super) fn members(
        &mut self,
        piece: &[u8],
        at: usize,
        work: &mut Work,
    ) -> Result<usize, Fault> {
        if at == 0 {
            // The comma or bracket before it was in the piece before; the machine knows.
            return self.machine_name(piece, at);
        }
        work.look(piece, at);
        // Before the first member of an object stands the start of objects of this kind.
        work.start = work.memo.start(self.top.node);
        if self.top.last == memo::NONE {
            let is_first = self.state == State::FirstName;
            let left = work.memo.left(self.top.node).filter(|_| !is_first);
            self.top.last = left.unwrap_or(work.start);
        }
        let mut at = at;
        let mut looked_up = usize::MAX;
        loop {
            let stop = scan::run(Members { rewriter: self, piece, at, work });
            match stop {
                Stop::Unknown(place)
                    if place != looked_up && self.look_up(piece, place, work).is_some() =>
                {
                    work.look(piece, place);
                    at = place;
                    looked_up = place;
                }
                Stop::Unknown(at) => {
                    work.memo.leave(work.memo.member(self.top.last).next);
                    return self.machine_name(piece, at);
                }
                Stop::Value(at) => {
                    work.memo.leave(self.top.last);
                    let &Member { lead, fate, slot, .. } = work.memo.member(self.top.last);
                    return match fate {
                        Fate::Judged => self.machine_name(piece, at),
                        fate if fate.is_dropped() => {
                            self.machine_value(piece, at, lead, Slot::HIDDEN)
                        }
                        _ => self.machine_value(piece, at, lead, slot),
                    };
                }
                Stop::Unmarked(at) if at == work.index.from() => {
                    work.memo.leave(work.memo.member(self.top.last).next);
                    return self.machine_name(piece, at);
                }
                Stop::Unmarked(at) => {
                    work.index.clear();
                    return Ok(at);
                }
                Stop::Closed(mark) => {
                    self.state = State::After;
                    return self.close(piece, mark);
                }
            }
        }
    }

    /// The members from a place on that are plain. The byte before it is the bracket or the comma.
    #[inline(always)]
    fn plain(&mut self, piece: &[u8], start: usize, work: &mut Work, lanes: impl Lanes) -> Stop {
        let rows_pass = self.top.is_row
            && !self.row.is_held
            && self.stack.last().is_some_and(|around| around.mode == Mode::Rows);
        let has_room = self.stack.len() < usize::from(self.job.bounds.depth);
        let Work { index, memo, mark: number, start: before_first } = work;
        let members = memo.members();
        let before_first = &members[usize::from(*before_first)];
        let mut last = &members[usize::from(self.top.last)];
        let mut marks = index.marks().get(*number..).unwrap_or_default().iter();
        let mut first_at = if self.state == State::FirstName { start } else { usize::MAX };
        // The bracket or comma before the member at hand, and what is near from there on.
        let mut before = start - 1;
        let tail = Tail::new();
        let mut near = scan::near(piece, before, &tail);
        // One, if the comma before a member is not to be written.
        let mut skip = usize::from(!self.top.wrote);
        // Where what was kept and not yet handed over begins. It ends before that comma, or behind it.
        let mut kept = before + skip;
        let (mut dropped, mut rows) = (0, 0);
        let stop = loop {
            let member = &members[usize::from(last.next)];
            if !member.begins(near, lanes) {
                break Stop::Unknown(before + 1);
            }
            let Some(&mark) = marks.next() else { break Stop::Unmarked(before + 1) };
            let mut mark = mark as usize;
            let from = usize::from(member.from);
            let scalar = Scalar { near, from, len: mark.wrapping_sub(before + from) };
            let is_plain = match member.class {
                Class::Dropped => {
                    scalar.is_short_hidden(lanes)
                        || scalar.is_string_of(index, before + from, mark)
                        || scalar.len == 0
                            && has_room
                            && flat_end(piece, mark, &mut marks).is_some_and(|behind| {
                                mark = behind;
                                true
                            })
                }
                Class::Special if !member.is_at(near) => break Stop::Unknown(before + 1),
                Class::Special => false,
                _ => scalar.is_short_shown(lanes) || scalar.is_text(lanes),
            };
            last = member;
            if is_plain && member.class == Class::Shown {
                skip = 0;
            } else if is_plain && member.class == Class::Dropped {
                dropped += member.weight;
                if kept < before + skip {
                    self.output.range(piece, kept, before + skip);
                }
                kept = mark + skip;
            } else {
                let place = Place { piece, before, kept, skip };
                let passed = if is_plain {
                    if !matches!(piece.get(mark), Some(b',' | b'}')) {
                        break Stop::Value(before + 1);
                    }
                    self.kept_member(place, member, memo, mark).then_some((mark, marks.as_slice()))
                } else {
                    dropped += member.weight;
                    self.odd_member(place, member, memo, index, mark, marks.as_slice())
                };
                let Some(passed) = passed else { break Stop::Value(before + 1) };
                (mark, marks) = (passed.0, passed.1.iter());
                skip &= usize::from(member.fate.is_dropped());
                kept = mark + skip;
            }
            near = scan::near(piece, mark, &tail);
            before = mark;
            if near[0] == b',' {
                continue;
            }
            if near[0] != b'}' {
                // The body will be refused; the machine says for what, and takes the member from its value. As
                // it was before it: nothing written in the object, if what is kept begins behind that comma.
                let passed = index.marks().len() - marks.len();
                let marks = index.marks().get(*number..passed - 1).unwrap_or_default();
                before = marks.last().map_or(start - 1, |mark| *mark as usize);
                if member.class == Class::Shown {
                    skip = usize::from(kept > before || before + 1 == first_at);
                }
                break Stop::Value(before + 1);
            }
            if !rows_pass || !is_row_next(near, mark, marks.as_slice()) {
                break Stop::Closed(mark);
            }
            // What `close`, `after` and `start_row` do where nothing is judged or held.
            kept = kept.min(mark);
            marks = marks.as_slice().get(2..).unwrap_or_default().iter();
            rows += 1;
            before = mark + 2;
            near = scan::near(piece, before, &tail);
            first_at = before + 1;
            last = before_first;
            skip = 1;
        };
        let to = match stop {
            Stop::Closed(mark) => mark,
            _ => before + skip,
        };
        if kept < to {
            self.output.range(piece, kept, to);
        }
        *number = index.marks().len() - marks.len();
        if before >= start {
            self.comma = before;
        }
        self.state = if before + 1 == first_at { State::FirstName } else { State::NextName };
        self.top.wrote = skip == 0;
        self.top.last = last.number;
        self.totals.columns_hidden += dropped & u64::from(u32::MAX);
        self.totals.columns_unlisted += dropped >> 32;
        self.totals.rows += rows;
        stop
    }

    /// Looks up the member at a place, so that the next guess is right. None: it cannot be.
    #[inline(never)]
    fn look_up(&self, piece: &[u8], at: usize, work: &mut Work) -> Option<()> {
        let node = self.top.node;
        let Work { index, memo, .. } = work;
        let name = space_end(piece, at);
        if piece.get(name) != Some(&b'"') || !index.covers(name) {
            return None;
        }
        let quote = index.next_quote(name + 1)?;
        let colon = quote + 1;
        if !plain::is_plain(&piece[name + 1..quote]) || piece.get(colon) != Some(&b':') {
            return None;
        }
        let value = space_end(piece, colon + 1);
        if value - at > LEAD_MAX {
            return None;
        }
        let lead = Lead {
            name: (name - at) as u8,
            colon: (colon - at) as u8,
            value: (value - at) as u8,
            is_tight: name == at && value == colon + 1,
        };
        let found = self.job.catalogue.member(node, &piece[name + 1..quote]);
        let (fate, slot) = self.fate(found);
        let bytes = &piece[at..value];
        memo.remember(self.top.last, Member::new(bytes, lead, node, fate, slot), bytes)
    }

    fn fate(&self, node: crate::trie::NodeId) -> (Fate, Slot) {
        let facts = self.job.shown.facts(node);
        let slot = Slot::at(Mode::Filter, node, facts);
        let is_judged = facts.judged.or(facts.judged_below).has(self.judge.active());
        let fate = match (facts.is_shown(), facts.is_shown_below()) {
            _ if is_judged => Fate::Judged,
            (true, false) if facts.is_assistant() => Fate::Assistant,
            (true, _) if !facts.is_assistant() => Fate::Shown,
            (false, false) if facts.is_known() => Fate::Hidden,
            (false, false) => Fate::Unlisted,
            _ => Fate::Walked,
        };
        (fate, slot)
    }

    /// Hands the member at hand to the machine, from its name.
    fn machine_name(&mut self, piece: &[u8], at: usize) -> Result<usize, Fault> {
        match self.state {
            State::FirstName => self.first_name(piece, at),
            _ => self.next_name(piece, at),
        }
    }

    /// Hands the member at hand to the machine, from its value.
    fn machine_value(
        &mut self,
        piece: &[u8],
        at: usize,
        lead: Lead,
        slot: Slot,
    ) -> Result<usize, Fault> {
        let colon = at + usize::from(lead.colon);
        self.name.at = NameAt::Piece { from: at + usize::from(lead.name), to: colon };
        self.colon = colon;
        self.slot = slot;
        self.state = State::Value;
        let value = at + usize::from(lead.value);
        self.value(piece, value)
    }
}

/// Why the quick way ended, and where.
enum Stop {
    /// At the closing brace of the object.
    Closed(usize),
    /// At a member that was not guessed.
    Unknown(usize),
    /// At a member behind which no mark is known.
    Unmarked(usize),
    /// At a member of which the value the machine must read.
    Value(usize),
}

struct Members<'a> {
    rewriter: &'a mut Rewriter,
    piece: &'a [u8],
    at: usize,
    work: &'a mut Work,
}

impl scan::Task for Members<'_> {
    type Done = Stop;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Stop {
        self.rewriter.plain(self.piece, self.at, self.work, lanes)
    }
}

/// What stands between rows of a compact list.
const ROW_TO_ROW: &[u8] = b"},{";

/// Whether a row begins right behind the one that ends at a mark, from which on the bytes are near; `marks`
/// are those behind it.
#[inline(always)]
fn is_row_next(near: &[u8; NEAR], mark: usize, marks: &[u32]) -> bool {
    near.starts_with(ROW_TO_ROW) && marks.get(1) == Some(&(mark as u32 + 2))
}

#[cfg(test)]
mod tests;
