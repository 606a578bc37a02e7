//! The members met before, and which one followed which.
//!
//! The rows of a list have the same members in the same order and the same spacing. So the bytes from
//! behind the comma to the value, `"name":`, are remembered with what they mean, and the next member
//! is guessed to be the one that followed last time: one comparison instead of reading a name and
//! looking it up. A wrong guess costs the look-up, never more than the guess is believed.
//!
//! What is remembered is the same for every body with the same columns shown, so a thread keeps it
//! from one body to the next.
//!
//! Memory: [`MEMBERS_MAX`] members of at most [`LEAD_MAX`] bytes, three times.

use std::sync::Arc;

use super::Slot;
use crate::facts::Judged;
use crate::scan::{self, Lanes, NEAR, Padded};
use crate::trie::{NO_NODE, NodeId};
use crate::{Catalogue, Job, Shown};

/// Most members remembered; those met later are read by the machine. A number of one byte cannot be
/// out of bounds.
const MEMBERS_MAX: usize = 256;
/// Longest text from a comma to a value that is remembered.
pub(super) const LEAD_MAX: usize = 64;
const TABLE: usize = 512;
/// The number of no member: nothing is ever like it.
pub(super) const NONE: u8 = 0;

/// What becomes of the value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Dropped; a column of the catalogue.
    Hidden,
    /// Dropped; not in the catalogue.
    Unlisted,
    /// A scalar passes; what is no scalar is for the machine.
    Shown,
    /// An assistant id that is shown.
    Assistant,
    /// The machine sees to the value.
    Walked,
    /// The machine sees to the name too, because the judge must hear of it.
    Judged,
}

impl Fate {
    #[inline]
    pub(super) fn is_dropped(self) -> bool {
        matches!(self, Fate::Hidden | Fate::Unlisted)
    }

    /// Whether a scalar passes, or what stands for it.
    #[inline]
    pub(super) fn is_kept(self) -> bool {
        matches!(self, Fate::Shown | Fate::Assistant)
    }
}

/// Where the parts of a member lie, as lengths from behind the comma or bracket before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    /// Up to the name's opening quote.
    pub(super) name: u8,
    /// Up to behind its closing quote, where the colon is.
    pub(super) colon: u8,
    /// Up to the value.
    pub(super) value: u8,
    /// Nothing but the name and the colon.
    pub(super) is_tight: bool,
}

/// How a member is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Its first 32 bytes are all of it, and it is dropped.
    Dropped,
    /// Its first 32 bytes are all of it, it is a scalar to be shown, and there is nothing but its name
    /// and colon.
    Shown,
    /// As `Shown`, with white space around its name or colon.
    Spaced,
    /// As either, of an assistant's id.
    Named,
    /// All others; and none.
    Special,
}

/// A member as it was met in an object at `node`. Two lines of the processor's cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Member {
    /// Its first bytes, and which bits of them count.
    start: [u8; 32],
    mask: [u8; 32],
    /// Those behind them.
    rest: [u8; LEAD_MAX - 32],
    pub(super) class: Class,
    /// Where its value begins, from the comma or bracket before it.
    pub(super) from: u8,
    pub(super) lead: Lead,
    pub(super) fate: Fate,
    /// What it adds to the count of what is dropped: hidden ones in the lower half, unlisted ones above.
    pub(super) weight: u64,
    /// Its own number in the memo.
    pub(super) number: u8,
    /// The number of the member that followed this one last, in an object at the same node.
    pub(super) next: u8,
    pub(super) node: NodeId,
    pub(super) slot: Slot,
}

impl Member {
    /// Of at most [`LEAD_MAX`] bytes.
    pub(super) fn new(bytes: &[u8], lead: Lead, node: NodeId, fate: Fate, slot: Slot) -> Member {
        let (mut start, mut mask, mut rest) = ([0; 32], [0; 32], [0; LEAD_MAX - 32]);
        let (first, more) = bytes.split_at(bytes.len().min(32));
        start[..first.len()].copy_from_slice(first);
        mask[..first.len()].fill(u8::MAX);
        rest[..more.len()].copy_from_slice(more);
        let class = match fate {
            _ if !more.is_empty() => Class::Special,
            Fate::Hidden | Fate::Unlisted => Class::Dropped,
            Fate::Shown if lead.is_tight => Class::Shown,
            Fate::Shown => Class::Spaced,
            Fate::Assistant => Class::Named,
            _ => Class::Special,
        };
        let weight = match fate {
            Fate::Hidden => 1,
            Fate::Unlisted => 1 << 32,
            _ => 0,
        };
        Member {
            start,
            mask,
            rest,
            class,
            from: lead.value.saturating_add(1),
            lead,
            fate,
            weight,
            number: NONE,
            next: NONE,
            node,
            slot,
        }
    }

    fn none() -> Member {
        let lead = Lead { name: 0, colon: 0, value: u8::MAX, is_tight: false };
        Member::new(b"", lead, NO_NODE, Fate::Walked, Slot::HIDDEN)
    }

    /// Whether what is near, behind the comma that it begins with, begins as this member does. Of a
    /// special one that does not say that it is there: [`is_at`](Member::is_at) does.
    #[inline(always)]
    pub(super) fn begins(&self, near: &[u8; NEAR], lanes: impl Lanes) -> bool {
        lanes.is_same(scan::lane::<1>(near, 0), &self.start, &self.mask)
    }

    /// Whether one that [begins](Member::begins) so is what is near.
    pub(super) fn is_at(&self, near: &[u8; NEAR]) -> bool {
        let rest = self.rest.get(..usize::from(self.lead.value).saturating_sub(32));
        self.number != NONE && rest.is_some_and(|rest| near[1 + 32..].starts_with(rest))
    }

    /// Whether a container that begins with this bracket, with none inside, would be kept as it stands if all
    /// in it is sound: an array of scalars, or what passes whole and has nothing to be named.
    pub(super) fn is_flat_kept(&self, bracket: u8) -> bool {
        let facts = self.slot.facts;
        match bracket {
            b'[' => self.fate == Fate::Shown,
            b'{' => self.fate == Fate::Shown && facts.is_whole() && !facts.has_assistant_below(),
            _ => false,
        }
    }

    fn is(&self, node: NodeId, bytes: &[u8]) -> bool {
        let (first, more) = bytes.split_at(bytes.len().min(32));
        self.node == node
            && usize::from(self.lead.value) == bytes.len()
            && self.start.starts_with(first)
            && self.rest.starts_with(more)
    }
}

/// A member's comma, name and colon side by side, in as many bytes as its lead has and two.
type Compact = [u8; LEAD_MAX + 2];

/// Members of the rows of one job.
pub(super) struct Memo {
    of: Option<(Arc<Catalogue>, Arc<Shown>, Judged)>,
    members: Box<[Member; MEMBERS_MAX]>,
    compact: Box<[Compact; MEMBERS_MAX]>,
    len: usize,
    /// The start that was asked for last.
    start: u8,
    /// The member that was left to the machine last, as far as it is known: the one that a piece's end cuts.
    left: u8,
    /// Numbers of members by a hash of their bytes; later ones take the place of earlier ones.
    table: [u8; TABLE],
}

impl Memo {
    pub(super) fn new() -> Memo {
        Memo {
            of: None,
            members: Box::new([Member::none(); MEMBERS_MAX]),
            compact: Box::new([[0; LEAD_MAX + 2]; MEMBERS_MAX]),
            len: 1,
            start: NONE,
            left: NONE,
            table: [NONE; TABLE],
        }
    }

    /// Forgets what was remembered, unless it was for the same columns.
    pub(super) fn begin(&mut self, job: &Job, judged: Judged) {
        let is_same = self.of.as_ref().is_some_and(|(catalogue, shown, of)| {
            Arc::ptr_eq(catalogue, &job.catalogue)
                && Arc::ptr_eq(shown, &job.shown)
                && *of == judged
        });
        // A full one begins anew: names that never come again would keep others out for good.
        if !is_same || self.len == MEMBERS_MAX {
            self.of = Some((Arc::clone(&job.catalogue), Arc::clone(&job.shown), judged));
            self.len = 1;
            self.start = NONE;
            self.left = NONE;
            self.table.fill(NONE);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn members(&self) -> &[Member; MEMBERS_MAX] {
        &self.members
    }

    #[inline(always)]
    pub(super) fn member(&self, number: u8) -> &Member {
        &self.members[usize::from(number)]
    }

    /// A member's comma, name and colon as they are written, without the first `skip` of their bytes.
    #[inline]
    pub(super) fn compact(&self, member: &Member, skip: usize) -> Padded<'_> {
        let len = usize::from(member.lead.colon.saturating_sub(member.lead.name)) + 2;
        let bytes = self.compact[usize::from(member.number)].get(skip..).unwrap_or_default();
        Padded { bytes, len: len.saturating_sub(skip) }
    }

    /// The member at hand is left to the machine; it is guessed to be the one of this number.
    #[inline]
    pub(super) fn leave(&mut self, number: u8) {
        self.left = number;
    }

    /// The one that was left last, if it was in an object at `node`: in the middle of such an object, where
    /// a piece begins, it is a guess of what came before.
    pub(super) fn left(&self, node: NodeId) -> Option<u8> {
        (self.left != NONE && self.member(self.left).node == node).then_some(self.left)
    }

    /// What stands for the bracket before the first member of an object at `node`.
    pub(super) fn start(&mut self, node: NodeId) -> u8 {
        let is_start = |member: &Member| member.node == node && member.lead.value == 0;
        if is_start(self.member(self.start)) {
            return self.start;
        }
        self.start = match self.members[..self.len].iter().position(is_start) {
            Some(number) => number as u8,
            None => {
                let lead = Lead { name: 0, colon: 0, value: 0, is_tight: false };
                self.add(Member::new(b"", lead, node, Fate::Walked, Slot::HIDDEN)).unwrap_or(NONE)
            }
        };
        self.start
    }

    /// Finds or remembers a member, as the one that follows `after`. None: no room.
    pub(super) fn remember(&mut self, after: u8, member: Member, bytes: &[u8]) -> Option<()> {
        let place = place(member.node, bytes);
        let known = self.table[place];
        let number = if known != NONE && self.member(known).is(member.node, bytes) {
            known
        } else {
            let number = self.add(member)?;
            self.table[place] = number;
            let name = bytes.get(usize::from(member.lead.name)..usize::from(member.lead.colon))?;
            let compact = &mut self.compact[usize::from(number)];
            compact[0] = b',';
            compact[1..][..name.len()].copy_from_slice(name);
            compact[1 + name.len()] = b':';
            number
        };
        // The walk believes that what follows is in the same object.
        if after == NONE || self.member(after).node != member.node {
            return None;
        }
        self.members[usize::from(after)].next = number;
        Some(())
    }

    fn add(&mut self, member: Member) -> Option<u8> {
        let number = u8::try_from(self.len).ok()?;
        self.members[self.len] = Member { number, ..member };
        self.len += 1;
        Some(number)
    }
}

fn place(node: NodeId, bytes: &[u8]) -> usize {
    // FNV-1a over the last sixteen bytes: the name's end, before it maybe much white space.
    let start = u64::from(node) ^ 0xcbf2_9ce4_8422_2325;
    let tail = &bytes[bytes.len().saturating_sub(16)..];
    let hash = tail
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ hash >> 29) as usize % TABLE
}
