//! Counts the frames that a server sends on an HTTP/2 connection.
//!
//! **Empty DATA frames.** The `h2` crate lets a connection have 100 of them that do not end their stream, in all its
//! life, and ends it with the next: whatever streams it carries. Servers that relay a body of unknown length
//! send one an answer, so a connection must be done with before it has had them all (`h2_line`); and `h2`
//! does not tell.
//!
//! **Frames that are no answer.** `h2` takes resets of streams that are gone, WINDOW_UPDATEs, priorities and
//! GOAWAYs without end, and a core is busy with them though nothing was asked. They are held here against what
//! was asked and carried, as those of clients are (`h2_worth`); beyond it the connection ends.
//!
//! Cost: a look at the head of each frame.
//!
//! Sources: RFC 9113 §4.1 (frames), §6.1 (DATA, padding).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::h2_worth::{
    CARRIED_BYTES_PER_FRAME, DATA, END_STREAM, FRAMES_BEFORE, FRAMES_PER_REQUEST, Flood,
    HEAD_BYTES, PADDED, cost, payload_bytes,
};

/// What is known of a connection's frames.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Empty DATA frames that came and did not end their stream.
    pub(crate) empty: AtomicUsize,
    /// Requests that were begun.
    pub(crate) requests: AtomicU64,
}

/// A connection, read through a count.
pub(crate) struct Counted<S> {
    inner: S,
    frames: Frames,
    sent_bytes: u64,
    counts: Arc<Counts>,
}

impl<S> Counted<S> {
    /// Adds to `counts` what comes.
    pub(crate) fn new(inner: S, counts: Arc<Counts>) -> Counted<S> {
        Counted { inner, frames: Frames::default(), sent_bytes: 0, counts }
    }

    fn sent(&mut self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &sent {
            self.sent_bytes += *bytes as u64;
        }
        sent
    }

    /// Whether what came is within what it may be.
    fn judge(&self) -> Result<(), Flood> {
        let requests = self.counts.requests.load(Ordering::Acquire);
        let carried = self.sent_bytes + self.frames.body_bytes;
        let worth = u64::from(FRAMES_BEFORE)
            + requests.saturating_mul(FRAMES_PER_REQUEST.into())
            + carried / CARRIED_BYTES_PER_FRAME as u64;
        if self.frames.others > worth { Err(Flood) } else { Ok(()) }
    }
}

/// Where in the frames of a server a read has ended.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEAD_BYTES],
    /// Its length, where a DATA frame tells of one behind its head.
    padding: u8,
    /// So many bytes of both have come.
    seen: usize,
    /// Of the payload, still to come.
    left: usize,
    /// Bytes of DATA frames that were announced.
    body_bytes: u64,
    /// What all frames but those with a body have cost.
    others: u64,
}

impl Frames {
    /// How many empty DATA frames of a stream that goes on had their heads end in `bytes`.
    fn pass(&mut self, mut bytes: &[u8]) -> usize {
        let mut empty = 0;
        loop {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            let Some((byte, rest)) = bytes.get(skipped..).and_then(<[u8]>::split_first) else {
                return empty;
            };
            bytes = rest;
            *self.head.get_mut(self.seen).unwrap_or(&mut self.padding) = *byte;
            self.seen += 1;
            if self.seen >= HEAD_BYTES {
                empty += usize::from(self.may_end_head());
            }
        }
    }

    /// Goes on to the payload if the head is whole; whether it is that of an empty frame.
    fn may_end_head(&mut self) -> bool {
        let [_, _, _, kind, flags, ..] = self.head;
        let length = payload_bytes(&self.head);
        let is_padded = kind == DATA && flags & PADDED != 0 && length > 0;
        if is_padded && self.seen == HEAD_BYTES {
            return false;
        }
        let padding = if is_padded { usize::from(self.padding) } else { 0 };
        self.left = length - usize::from(is_padded);
        self.seen = 0;
        let is_empty = self.left == padding;
        if kind == DATA && !is_empty {
            self.body_bytes += length as u64;
        } else {
            self.others += u64::from(cost(length));
        }
        kind == DATA && flags & END_STREAM == 0 && is_empty
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Before the next read: an answer may stand before what was too much.
        if let Err(flood) = this.judge() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flood)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let empty = this.frames.pass(buf.filled().get(before..).unwrap_or_default());
        if empty > 0 {
            this.counts.empty.fetch_add(empty, Ordering::AcqRel);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.sent(sent)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.inner).poll_write_vectored(cx, parts);
        this.sent(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u8;
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// Empty ones of streams that go on, padding or not, and no others; however the reads fall.
    #[test]
    fn empty_data_frames_are_counted_in_any_pieces() {
        let bytes = [
            frame(4, 0, &[]),
            frame(DATA, 0, &[]),
            frame(1, 4, &[0; 30]),
            frame(DATA, 0, &[0; 30]),
            frame(DATA, PADDED, &[2, 0, 0]),
            frame(DATA, PADDED, &[0]),
            frame(DATA, PADDED, &[1, 7, 0]),
            frame(DATA, END_STREAM, &[]),
            frame(DATA, PADDED | END_STREAM, &[0]),
            frame(DATA, 0, &[]),
        ]
        .concat();
        for size in 1..=bytes.len() {
            let mut frames = Frames::default();
            let counted: usize = bytes.chunks(size).map(|piece| frames.pass(piece)).sum();
            assert_eq!(counted, 4, "{size}");
            assert_eq!((frames.body_bytes, frames.others), (33, 8), "{size}");
        }
    }

    /// What a server may send beside bodies grows with what it was asked, and with what was carried.
    #[test]
    fn frames_are_held_against_requests() {
        let mut counted = Counted::new((), Arc::new(Counts::default()));
        let pass = |counted: &mut Counted<()>, frames: u64, kind, payload: &[u8]| {
            for _ in 0..frames {
                counted.frames.pass(&frame(kind, 0, payload));
            }
            counted.judge()
        };
        assert_eq!(pass(&mut counted, 1_000, 3, &[0; 4]), Ok(()));
        assert_eq!(pass(&mut counted, 1, 3, &[0; 4]), Err(Flood));
        counted.counts.requests.store(2, Ordering::Release);
        assert_eq!(pass(&mut counted, 63, 8, &[0; 4]), Ok(()));
        assert_eq!(pass(&mut counted, 1, 8, &[0; 4]), Err(Flood));
        assert_eq!(pass(&mut counted, 21, DATA, &[0; 200]), Ok(()), "bodies are worth something");
        assert_eq!(pass(&mut counted, 5, 2, &[0; 250]), Err(Flood), "a long frame is several");
        assert!(counted.sent(Poll::Ready(Ok(8 << 10))).is_ready());
        assert_eq!(counted.judge(), Ok(()));
    }
}
