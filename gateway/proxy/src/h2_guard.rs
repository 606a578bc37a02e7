//! What one client sends over HTTP/2, frame by frame, before `h2` sees it.
//!
//! `h2` keeps a connection in order: requests at once, windows, how many parts a head has and what it
//! unpacks to (CVE-2024-27316), what it resets by itself. It leaves open what a connection may ask for in
//! work that is no request: it answers every PING and SETTINGS, and takes a request that is reset off its
//! count at once (CVE-2023-44487). Those are counted here, against what the client's
//! requests and their answers are worth (`h2_worth.rs`): who asks for much may send much.
//! Beyond it the connection ends.
//!
//! Not here: the meaning of fields (`h2_path.rs`), the time that a head may take (`h2_watch.rs`).
//!
//! Cost: a few operations a frame; payloads other than header blocks are skipped.
//!
//! Sources: RFC 9113 §4.1, §6 (frames), §10.5 (denial of service).

use crate::h2_path::{Fields, Unreadable};
use crate::h2_worth::{
    CARRIED_BYTES_PER_FRAME, DATA, END_STREAM, FRAMES_BEFORE, FRAMES_PER_REQUEST, Flood,
    HEAD_BYTES, PADDED, cost, payload_bytes,
};

const PREFACE_BYTES: usize = 24;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// Frames that are no request and no body, hoarded.
const FRAMES_MAX: u32 = 10_000;
/// Requests that may be reset: so many, and of the rest each second one.
const RESETS_BEFORE: u32 = 200;
const RESETS_MAX: u32 = 1_000;
/// What a reset costs, where a request brings one.
const RESET_COST: u32 = 2;

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuardFault {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Flood(#[from] Flood),
}

/// Follows what one client sends, from the preface on.
#[derive(Debug)]
pub(crate) struct Guard {
    part: Part,
    /// Bytes left of the part, or of the frame's payload.
    left: usize,
    head: [u8; HEAD_BYTES],
    padding: usize,
    fields: Fields,
    budget: Budget,
    /// A header block is under way.
    in_block: bool,
    /// Frames and header blocks that are over.
    whole: u32,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Preface,
    FrameHead,
    PadLength,
    Priority,
    Fragment,
    /// Padding, or a frame without fields.
    Other,
}

impl Default for Guard {
    fn default() -> Guard {
        Guard {
            part: Part::Preface,
            left: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            padding: 0,
            fields: Fields::default(),
            budget: Budget::default(),
            in_block: false,
            whole: 0,
        }
    }
}

impl Guard {
    /// Passes on what a client sent, in any pieces.
    ///
    /// # Errors
    /// [`GuardFault`]; the connection cannot go on.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> Result<(), GuardFault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.part {
                Part::Preface | Part::Other => self.skip(rest.len(), 0),
                Part::Priority => self.skip(rest.len(), self.left_behind_priority()),
                Part::FrameHead => self.frame_head(rest[0]),
                Part::PadLength => {
                    self.padding = usize::from(rest[0]);
                    self.left -= 1;
                    1
                }
                Part::Fragment => {
                    let length = rest.len().min(self.left - self.padding);
                    rest[..length].iter_mut().try_for_each(|byte| self.fields.pass(byte))?;
                    self.left -= length;
                    length
                }
            };
            rest = &mut rest[used..];
            self.part = self.next()?;
        }
        Ok(())
    }

    /// So much went the other way: an answer is worth the frames that make room for it.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.budget.answered(bytes);
    }

    /// Which frame or header block has begun and is not over, if it is one that must be whole in its
    /// time. A body takes the time of a body.
    pub(crate) fn midway(&self) -> Option<u32> {
        let between = self.part == Part::FrameHead && self.left == self.head.len();
        let in_body = self.part == Part::Other && self.head[3] == DATA;
        (self.in_block || !(between || in_body)).then_some(self.whole)
    }

    /// Skips until `end` bytes are left.
    fn skip(&mut self, length: usize, end: usize) -> usize {
        let skipped = length.min(self.left.saturating_sub(end));
        self.left -= skipped;
        skipped
    }

    fn frame_head(&mut self, byte: u8) -> usize {
        self.head[HEAD_BYTES - self.left] = byte;
        self.left -= 1;
        1
    }

    fn has(&self, flag: u8) -> bool {
        self.head[4] & flag != 0
    }

    fn payload(&self) -> usize {
        payload_bytes(&self.head)
    }

    fn pad_length_bytes(&self) -> usize {
        usize::from(self.has(PADDED))
    }

    fn left_behind_priority(&self) -> usize {
        self.payload().saturating_sub(self.pad_length_bytes() + PRIORITY_BYTES)
    }

    /// The part that follows once this one is over.
    fn next(&mut self) -> Result<Part, GuardFault> {
        loop {
            let next = match self.part {
                Part::Preface | Part::Other if self.left == 0 => Part::FrameHead,
                Part::FrameHead if self.left == 0 => self.behind_head()?,
                Part::PadLength if self.left < self.payload() => {
                    if self.has(PRIORITY) {
                        Part::Priority
                    } else {
                        Part::Fragment
                    }
                }
                Part::Priority if self.left == self.left_behind_priority() => Part::Fragment,
                Part::Fragment if self.left < self.padding => return Err(Unreadable.into()),
                Part::Fragment if self.left == self.padding => {
                    if self.has(END_HEADERS) {
                        self.fields.end()?;
                        self.in_block = false;
                    }
                    Part::Other
                }
                part => return Ok(part),
            };
            self.part = next;
            if next == Part::FrameHead {
                self.left = self.head.len();
                if !self.in_block {
                    self.whole = self.whole.wrapping_add(1);
                }
                return Ok(next);
            }
        }
    }

    fn behind_head(&mut self) -> Result<Part, GuardFault> {
        self.left = self.payload();
        self.padding = 0;
        self.budget.frame(self.head[3], self.head[4], self.left)?;
        match self.head[3] {
            HEADERS => {
                self.in_block = true;
                let priority = if self.has(PRIORITY) { PRIORITY_BYTES } else { 0 };
                if self.left < self.pad_length_bytes() + priority {
                    return Err(Unreadable.into());
                }
                Ok(match (self.has(PADDED), self.has(PRIORITY)) {
                    (true, _) => Part::PadLength,
                    (false, true) => Part::Priority,
                    (false, false) => Part::Fragment,
                })
            }
            CONTINUATION => Ok(Part::Fragment),
            _ => Ok(Part::Other),
        }
    }
}

/// What a client may still ask for beside requests and bodies.
#[derive(Debug)]
struct Budget {
    frames: u32,
    resets: u32,
    /// Bytes of answers that are not worth a frame yet.
    answered: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { frames: FRAMES_BEFORE, resets: RESETS_BEFORE * RESET_COST, answered: 0 }
    }
}

impl Budget {
    /// A frame's head has come.
    fn frame(&mut self, kind: u8, flags: u8, payload: usize) -> Result<(), Flood> {
        match kind {
            HEADERS => {
                self.frames = (self.frames + FRAMES_PER_REQUEST).min(FRAMES_MAX);
                self.resets = (self.resets + 1).min(RESETS_MAX * RESET_COST);
                Ok(())
            }
            // `h2` counts those of a head.
            CONTINUATION => Ok(()),
            DATA if payload > 0 || flags & END_STREAM != 0 => Ok(()),
            RST_STREAM => spend(&mut self.resets, RESET_COST),
            _ => spend(&mut self.frames, cost(payload)),
        }
    }

    fn answered(&mut self, bytes: usize) {
        self.answered += bytes;
        let worth = self.answered / CARRIED_BYTES_PER_FRAME;
        self.answered %= CARRIED_BYTES_PER_FRAME;
        let worth = u32::try_from(worth).unwrap_or(FRAMES_MAX);
        self.frames = self.frames.saturating_add(worth).min(FRAMES_MAX);
    }
}

fn spend(left: &mut u32, cost: u32) -> Result<(), Flood> {
    *left = left.checked_sub(cost).ok_or(Flood)?;
    Ok(())
}

#[cfg(test)]
mod tests;
