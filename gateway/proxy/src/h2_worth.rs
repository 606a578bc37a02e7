//! What frames of HTTP/2 cost, and what a connection is worth in them; the same for clients and servers.
//!
//! Frames that are no request and no body are work that nobody asked for: PINGs, SETTINGS, WINDOW_UPDATEs,
//! priorities, empty DATA, unknown ones. A connection may begin with some, and earns more by what it asks for
//! and carries, so that no clock is needed.
//!
//! Not here: who counts them (`h2_guard.rs` those of clients, `h2_frames.rs` those of servers).
//!
//! Sources: RFC 9113 §4.1, §6 (frames), §10.5 (denial of service).

pub(crate) const HEAD_BYTES: usize = 9;
pub(crate) const DATA: u8 = 0;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const PADDED: u8 = 0x8;

/// Those of a connection that begins, and what a request is worth beyond.
pub(crate) const FRAMES_BEFORE: u32 = 1_000;
pub(crate) const FRAMES_PER_REQUEST: u32 = 32;
/// Bytes of bodies that are worth one such frame.
pub(crate) const CARRIED_BYTES_PER_FRAME: usize = 1 << 10;
/// A long frame counts as one for each of these.
const PAYLOAD_BYTES_PER_FRAME: usize = 128;

/// More frames came than they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more frames than its requests are worth")]
pub(crate) struct Flood;

/// The length that a frame's head tells.
pub(crate) fn payload_bytes(head: &[u8; HEAD_BYTES]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

/// What a frame with such a payload counts as; a length of 24 bits comes to no more than fits.
pub(crate) fn cost(payload: usize) -> u32 {
    1 + (payload / PAYLOAD_BYTES_PER_FRAME) as u32
}
