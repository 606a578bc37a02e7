//! The quick way through the members of a row.
//!
//! Nearly every member of nearly every row is plain: its name was met before, its value is a scalar
//! without escapes or a container that is dropped, and both are whole in the piece. Such members are
//! dealt with here, from mark to mark of an [`Index`](crate::index::Index), without a look at the
//! bytes of a dropped value but its first and last. Whatever is not plain, or not known to be sound,
//! is left to the machine, which takes it from the member's first byte or from its value's, so that
//! there is one place that says what is refused and where.
//!
//! Both ways write the same bytes and count the same. The tests compare whole bodies, which go this
//! way, with the same bodies cut into single bytes, which cannot.
//!
//! Cost: as measured in docs/rewriter.md, about half of all that the crate does.

use super::memo::{self, Fate, LEAD_MAX, Lead, Member, Memo};
use super::plain::Scalar;
use super::scalar::name_of;
use super::{Mode, NameAt, Rewriter, Slot, State, plain};
use crate::Job;
use crate::error::Fault;
use crate::facts::Judged;
use crate::index::Index;
use crate::scan::{self, Lanes, Tail, space_end};

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
        work.look(piece, at);
        // Before the first member of an object stands the start of objects of this kind.
        work.start = work.memo.start(self.top.node);
        if self.top.last == memo::NONE {
            self.top.last = work.start;
        }
        let mut at = at;
        let mut looked_up = usize::MAX;
        loop {
            let stop = scan::run(Members { rewriter: self, piece, at, work });
            match stop {
                Stop::Unknown(place)
                    if place != looked_up && self.look_up(piece, place, work).is_some() =>
                {
                    at = place;
                    looked_up = place;
                }
                Stop::Unknown(at) => return self.machine_name(piece, at),
                Stop::Value(at, number) => {
                    let &Member { lead, fate, slot, .. } = work.memo.member(number);
                    return match fate {
                        Fate::Judged => self.machine_name(piece, at),
                        fate if fate.is_dropped() => {
                            self.machine_value(piece, at, lead, Slot::HIDDEN)
                        }
                        _ => self.machine_value(piece, at, lead, slot),
                    };
                }
                Stop::Unmarked(at) if at == work.index.from() => {
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

    /// The members from here on that are plain. If `at` is not the piece's first byte, the byte before
    /// it is the bracket or the comma.
    #[inline(always)]
    fn plain(&mut self, piece: &[u8], at: usize, work: &mut Work, lanes: impl Lanes) -> Stop {
        let rows_pass = self.top.is_row
            && !self.row.is_held
            && self.stack.last().is_some_and(|around| around.mode == Mode::Rows);
        let Work { index, memo, mark: number, start } = work;
        let (members, node) = (memo.members(), self.top.node);
        let before_first = &members[usize::from(*start)];
        let mut last = &members[usize::from(self.top.last)];
        let mut marks = index.marks().get(*number..).unwrap_or_default();
        let mut first_at = if self.state == State::FirstName { at } else { usize::MAX };
        let (start, mut at) = (at, at);
        // Whether the comma before a member is the byte before it, and to be written.
        let mut joins = self.top.wrote && at > 0;
        let (mut dropped, mut rows) = (0, 0);
        let mut tail = Tail::new();
        let stop = loop {
            let near = scan::near(piece, at, &mut tail);
            let member = &members[usize::from(last.next)];
            if member.node != node || !member.is_at(near, lanes) {
                break Stop::Unknown(at);
            }
            let Some((&mark, behind)) = marks.split_first() else { break Stop::Unmarked(at) };
            let mut mark = mark as usize;
            let Some(&(mut stop)) = piece.get(mark) else { break Stop::Unmarked(at) };
            marks = behind;
            last = member;
            let from = usize::from(member.lead.value);
            let scalar = Scalar { piece, near, from, value: at + from, mark, index };
            let ends = matches!(stop, b',' | b'}');
            if member.fate.is_dropped() {
                dropped += member.weight;
                if !ends {
                    let room = usize::from(self.job.bounds.depth).saturating_sub(self.stack.len());
                    let Some(passed) = pass_over(piece, at + from, mark, marks, room) else {
                        break Stop::Value(at, member.number);
                    };
                    (mark, marks) = passed;
                    stop = piece[mark];
                } else if !scalar.is_hidden(lanes) {
                    break Stop::Value(at, member.number);
                }
            } else {
                if !ends || !member.fate.is_kept() {
                    break Stop::Value(at, member.number);
                }
                let end = scalar.shown_end(lanes);
                if end == plain::UNSOUND {
                    break Stop::Value(at, member.number);
                }
                if joins && member.is_tight_shown {
                    self.output.range(piece, at - 1, end);
                } else if self.kept_member(piece, at, (member, memo.compact(member)), end) {
                    joins = true;
                } else {
                    break Stop::Value(at, member.number);
                }
            }
            at = mark + 1;
            if stop == b',' {
                continue;
            }
            if !rows_pass || !is_row_next(piece, mark, marks) {
                break Stop::Closed(mark);
            }
            // What `close`, `after` and `start_row` do where nothing is judged or held.
            self.output.range(piece, mark, mark + ROW_TO_ROW.len());
            marks = marks.get(2..).unwrap_or_default();
            rows += 1;
            at = mark + ROW_TO_ROW.len();
            first_at = at;
            last = before_first;
            self.top.wrote = false;
            joins = false;
        };
        *number = index.marks().len() - marks.len();
        if at != start {
            self.comma = at - 1;
        }
        self.state = if at == first_at { State::FirstName } else { State::NextName };
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
        if value < piece.len() { self.value(piece, value) } else { Ok(value) }
    }

    /// Writes a member that is not to be joined to the one before as it is. False: it is an id that must
    /// be decoded first, or whose name might make a held row too long.
    #[inline(never)]
    fn kept_member(
        &mut self,
        piece: &[u8],
        at: usize,
        (member, compact): (&Member, &[u8]),
        end: usize,
    ) -> bool {
        let value = at + usize::from(member.lead.value);
        let is_id = member.fate == Fate::Assistant;
        if is_id && (self.row.is_held || memchr::memchr(b'\\', &piece[value..end]).is_some()) {
            return false;
        }
        match std::mem::replace(&mut self.top.wrote, true) {
            true if member.lead.is_tight && at > 0 => self.output.range(piece, at - 1, value),
            true => self.output.literal(piece, compact),
            false => self.output.literal(piece, compact.get(1..).unwrap_or_default()),
        }
        if is_id {
            self.named(piece, value, end);
        } else {
            self.output.range(piece, value, end);
        }
        true
    }

    /// Writes what stands for an assistant id.
    fn named(&mut self, piece: &[u8], value: usize, end: usize) {
        let id = match piece[value] {
            b'"' => &piece[value + 1..end - 1],
            b'-' | b'0'..=b'9' => &piece[value..end],
            b'n' => return self.output.range(piece, value, end),
            _ => return self.output.literal(piece, b"null"),
        };
        match name_of(&self.job.names, self.ids, &mut self.totals, Some(id)) {
            Some(name) => self.output.literal(piece, name),
            None => self.output.range(piece, value, end),
        }
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
    /// At a member of this number, whose value the machine must read.
    Value(usize, u8),
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

/// Whether a row begins right behind the one that ends at a mark; `marks` are those behind it.
#[inline]
fn is_row_next(piece: &[u8], mark: usize, marks: &[u32]) -> bool {
    piece.get(mark..mark + ROW_TO_ROW.len()) == Some(ROW_TO_ROW)
        && marks.get(1) == Some(&(mark as u32 + 2))
}

/// Passes from a bracket, if the value begins with the mark that was taken, to the answering bracket, with
/// nothing behind it but white space up to the next mark. Returns that mark, if it may follow a member,
/// and those behind it.
#[inline(never)]
fn pass_over<'a>(
    piece: &[u8],
    value: usize,
    mark: usize,
    marks: &'a [u32],
    room: usize,
) -> Option<(usize, &'a [u32])> {
    let first = *piece.get(value)?;
    // Kinds of the open brackets, the innermost in the lowest bit.
    let mut kinds = u64::from(first == b'{');
    let mut depth = 1;
    if mark != value || !matches!(first, b'{' | b'[') || room == 0 {
        return None;
    }
    let mut marks = marks.iter();
    let end = loop {
        let mark = *marks.next()? as usize;
        match piece.get(mark)? {
            b',' => continue,
            open @ (b'{' | b'[') => {
                if depth == room.min(64) {
                    return None;
                }
                kinds = kinds << 1 | u64::from(*open == b'{');
                depth += 1;
                continue;
            }
            b'}' if kinds & 1 == 1 => {}
            b']' if kinds & 1 == 0 => {}
            _ => return None,
        }
        kinds >>= 1;
        depth -= 1;
        if depth == 0 {
            break mark + 1;
        }
    };
    let mark = *marks.next()? as usize;
    let is_next = space_end(piece, end) == mark && matches!(piece.get(mark)?, b',' | b'}');
    is_next.then_some((mark, marks.as_slice()))
}
