//! Members of rows that are not plain, and what is written of those that are not written as they came.
//!
//! The loop in `members` deals with what is short and as it should be, and asks here about the rest:
//! containers that are dropped, long or escaped strings, numbers with a sign, white space before a mark,
//! assistants' ids. What is still not known to be sound is the machine's, as there.

use std::slice;

use super::memo::{Fate, Member, Memo};
use super::plain::Scalar;
use super::scalar::name_of;
use super::{Rewriter, plain};
use crate::index::Index;
use crate::scan::{self, Lanes, Padded, Tail, space_end};

/// A place of a member: the bracket or comma before it, where what was kept and not yet handed over begins,
/// and one if that comma is not to be written.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) piece: &'a [u8],
    pub(super) before: usize,
    pub(super) kept: usize,
    pub(super) skip: usize,
}

impl Rewriter {
    /// Deals with a member of which the value is not plain: the mark behind it and the marks behind that.
    /// None: its value is for the machine.
    #[inline(never)]
    pub(super) fn odd_member<'a>(
        &mut self,
        place: Place<'_>,
        member: &Member,
        memo: &Memo,
        index: &Index,
        mark: usize,
        marks: &'a [u32],
    ) -> Option<(usize, &'a [u32])> {
        let Place { piece, before, .. } = place;
        let value = before + 1 + usize::from(member.lead.value);
        if value != mark && !matches!(piece.get(mark)?, b',' | b'}') {
            return None;
        }
        if member.fate.is_dropped() {
            let room = usize::from(self.job.bounds.depth).saturating_sub(self.stack.len());
            let passed = if value == mark {
                pass_over(piece, value, marks, room)
            } else {
                plain::hidden_end(piece, value, mark, index).map(|_| (mark, marks))
            };
            if passed.is_some() {
                self.keep_before(place);
            }
            return passed;
        }
        if !member.fate.is_kept() {
            return None;
        }
        if value == mark && member.is_flat_kept(piece[value]) {
            let room = usize::from(self.job.bounds.depth) > self.stack.len();
            let flat = Flat { piece, bracket: mark, marks, index };
            let (mark, passed) = room.then(|| scan::run(flat))??;
            self.kept_member(place, member, memo, mark);
            return Some((mark, marks.get(passed..)?));
        }
        let end = plain::shown_end(piece, value, mark, index);
        let is_escaped = |text| memchr::memchr(b'\\', text).is_some();
        let is_kept = end != plain::UNSOUND
            && !(member.fate == Fate::Assistant && is_escaped(&piece[value..end]))
            && self.kept_member(place, member, memo, end);
        is_kept.then_some((mark, marks))
    }

    /// Writes a member with the comma before it, if there is to be one, behind what was kept before.
    /// False: it is an id whose name might make a held row too long.
    #[inline(never)]
    pub(super) fn kept_member(
        &mut self,
        place: Place<'_>,
        member: &Member,
        memo: &Memo,
        end: usize,
    ) -> bool {
        let Place { piece, before, kept, skip } = place;
        let value = before + 1 + usize::from(member.lead.value);
        let is_id = member.fate == Fate::Assistant;
        if is_id && self.row.is_held {
            return false;
        }
        if member.lead.is_tight {
            self.output.range(piece, kept, value);
        } else {
            self.keep_before(place);
            self.output.padded(piece, memo.compact(member, skip));
        }
        if is_id {
            self.named(piece, value, end);
        } else if member.lead.is_tight {
            self.output.range(piece, value, end);
        } else {
            // Members with white space follow each other: what is kept next is another copy, so nothing waits for it.
            let value = Padded { bytes: &piece[value..], len: end - value };
            self.output.padded(piece, value);
        }
        true
    }

    /// Hands over what was kept before a member.
    fn keep_before(&mut self, Place { piece, before, kept, skip }: Place<'_>) {
        if kept < before + skip {
            self.output.range(piece, kept, before + skip);
        }
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
            Some(name) => self.output.padded(piece, name),
            None => self.output.range(piece, value, end),
        }
    }
}

/// Passes from a bracket to the answering one if there is none between, and to the mark right behind it, if
/// that may follow a member. Else nothing is passed.
#[inline(always)]
pub(super) fn flat_end(
    piece: &[u8],
    bracket: usize,
    marks: &mut slice::Iter<'_, u32>,
) -> Option<usize> {
    let first = *piece.get(bracket)?;
    let mut behind = marks.clone();
    let end = loop {
        let mark = *behind.next()? as usize;
        match *piece.get(mark)? {
            b',' => {}
            // 0x5b and 0x5d, as 0x7b and 0x7d.
            byte if byte == first.wrapping_add(2) => break mark + 1,
            _ => return None,
        }
    };
    let is_next = matches!(first, b'{' | b'[')
        && *behind.next()? as usize == end
        && matches!(piece.get(end)?, b',' | b'}');
    is_next.then(|| {
        *marks = behind;
        end
    })
}

/// Asks for the mark behind a container that may be shown as it stands, and how many marks there are up to
/// and with it: one with none inside and no white space, every name and scalar of it sound.
struct Flat<'a> {
    piece: &'a [u8],
    bracket: usize,
    marks: &'a [u32],
    index: &'a Index,
}

impl scan::Task for Flat<'_> {
    type Done = Option<(usize, usize)>;

    #[inline(always)]
    fn run(self, lanes: impl Lanes) -> Self::Done {
        let Flat { piece, bracket, marks, index } = self;
        let first = *piece.get(bracket)?;
        // 0x5b and 0x5d, as 0x7b and 0x7d.
        let close = first.wrapping_add(2);
        let tail = Tail::new();
        let (mut before, mut passed) = (bracket, 0);
        loop {
            let mark = *marks.get(passed)? as usize;
            let stop = *piece.get(mark)?;
            passed += 1;
            let is_empty = stop == close && mark == bracket + 1;
            // What is near begins with the byte before the bracket or comma: a string's check looks at it.
            let near = scan::near(piece, before.checked_sub(1)?, &tail);
            let from =
                if first == b'{' && !is_empty { plain::name_end(near, 2, lanes)? } else { 2 };
            let scalar = Scalar { near, from, len: (mark + 1).wrapping_sub(before + from) };
            let is_sound = is_empty
                || scalar.is_short_shown(lanes)
                || scalar.is_text(lanes)
                || plain::shown_end(piece, before + from - 1, mark, index) == mark;
            if !is_sound || !matches!(stop, b',') && stop != close {
                return None;
            }
            before = mark;
            if stop == close {
                break;
            }
        }
        let mark = *marks.get(passed)? as usize;
        let is_next = mark == before + 1 && matches!(piece.get(mark)?, b',' | b'}');
        is_next.then_some((mark, passed + 1))
    }
}

/// Passes from a bracket to the answering bracket, with nothing behind it but white space up to the next
/// mark. Returns that mark, if it may follow a member, and those behind it.
#[inline]
fn pass_over<'a>(
    piece: &[u8],
    bracket: usize,
    marks: &'a [u32],
    room: usize,
) -> Option<(usize, &'a [u32])> {
    let first = *piece.get(bracket)?;
    // Kinds of the open brackets, the innermost in the lowest bit.
    let mut kinds = u64::from(first == b'{');
    let mut depth = 1;
    if !matches!(first, b'{' | b'[') || room == 0 {
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

#[cfg(test)]
mod tests;
