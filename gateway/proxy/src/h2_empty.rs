//! Counts the empty DATA frames that a server sends on an HTTP/2 connection.
//!
//! The `h2` crate lets a connection have 100 of them that do not end their stream, in all its life, and ends it with
//! the next: whatever streams it carries. Servers that relay a body of unknown length send one an answer,
//! so a connection must be done with before it has had them all (`h2_line`); and `h2` does not tell.
//!
//! Cost: a look at the head of each frame.
//!
//! Source: RFC 9113 §4.1 (frames), §6.1 (DATA, padding).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const DATA: u8 = 0;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;
const HEAD_BYTES: usize = 9;

/// A connection, read through a count.
pub(crate) struct EmptyCounted<S> {
    inner: S,
    frames: Frames,
    count: Arc<AtomicUsize>,
}

impl<S> EmptyCounted<S> {
    /// Adds to `count` what comes.
    pub(crate) fn new(inner: S, count: Arc<AtomicUsize>) -> EmptyCounted<S> {
        EmptyCounted { inner, frames: Frames::default(), count }
    }
}

/// Where in the frames of a server a read has ended.
#[derive(Debug, Default)]
struct Frames {
    /// With the length of the padding, where a DATA frame has one.
    head: [u8; HEAD_BYTES + 1],
    /// So many bytes of it have come.
    seen: usize,
    /// Of the payload, still to come.
    left: usize,
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
            self.head[self.seen] = *byte;
            self.seen += 1;
            if self.seen >= HEAD_BYTES {
                empty += usize::from(self.may_end_head());
            }
        }
    }

    /// Goes on to the payload if the head is whole; whether it is that of an empty frame.
    fn may_end_head(&mut self) -> bool {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let is_padded = kind == DATA && flags & PADDED != 0 && length > 0;
        if is_padded && self.seen == HEAD_BYTES {
            return false;
        }
        let padding = if is_padded { usize::from(self.head[HEAD_BYTES]) } else { 0 };
        self.left = length - usize::from(is_padded);
        self.seen = 0;
        kind == DATA && flags & END_STREAM == 0 && self.left == padding
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EmptyCounted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let empty = this.frames.pass(buf.filled().get(before..).unwrap_or_default());
        if empty > 0 {
            this.count.fetch_add(empty, Ordering::AcqRel);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EmptyCounted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, parts)
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
        }
    }
}
