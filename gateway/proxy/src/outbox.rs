//! Small writes of an answer, sent together.
//!
//! Pingora writes an answer's head, the length of a chunk and the chunk one by one. Each as a packet and a
//! call of its own would cost more than the answer; so what is small waits for what comes behind it, or for
//! the end, and goes with it in one call.
//!
//! Cost: a copy of what is small. The memory is there from the first write to the end of the request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// What may wait: a head, and a small body with it.
const WAITING_BYTES_MAX: usize = 4 << 10;
/// Parts of one call, with what waited.
const PARTS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Vec<u8>,
}

impl Outbox {
    /// Takes or sends parts, or some of them, in their order.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        loop {
            if self.waiting.len() + bytes <= WAITING_BYTES_MAX {
                parts.iter().for_each(|part| self.waiting.extend_from_slice(part));
                return Poll::Ready(Ok(bytes));
            }
            if self.waiting.is_empty() {
                return Pin::new(to).poll_write_vectored(cx, parts);
            }
            let mut all = [IoSlice::new(&[]); PARTS_MAX];
            all[0] = IoSlice::new(&self.waiting);
            for (place, part) in all[1..].iter_mut().zip(parts) {
                *place = IoSlice::new(part);
            }
            let sent = ready!(Pin::new(&mut *to).poll_write_vectored(cx, &all))?;
            let beyond = self.sent(sent)?;
            if beyond > 0 {
                return Poll::Ready(Ok(beyond));
            }
        }
    }

    /// Sends what waits.
    pub(crate) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut *to).poll_write(cx, &self.waiting))?;
            self.sent(sent)?;
        }
        Poll::Ready(Ok(()))
    }

    /// So many bytes have gone; how many of them had not waited.
    fn sent(&mut self, bytes: usize) -> io::Result<usize> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let waited = bytes.min(self.waiting.len());
        self.waiting.drain(..waited);
        Ok(bytes - waited)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// Takes so many bytes a call, in turn, and then has no room once.
    struct Narrow {
        takes: Vec<usize>,
        calls: usize,
        got: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.calls += 1;
            let take = self.takes[self.calls % self.takes.len()];
            if take == 0 {
                return Poll::Pending;
            }
            let whole: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).take(take).collect();
            self.got.extend(&whole);
            Poll::Ready(Ok(whole.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(outbox: &mut Outbox, to: &mut Narrow, mut bytes: &[u8]) {
        let cx = &mut Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            let halves = bytes.split_at(bytes.len() / 2);
            let parts = [IoSlice::new(halves.0), IoSlice::new(halves.1)];
            if let Poll::Ready(sent) = outbox.poll_write(cx, to, &parts) {
                bytes = &bytes[sent.unwrap()..];
            }
        }
    }

    #[test]
    fn a_head_and_its_body_go_in_one_call() {
        for body in [10, WAITING_BYTES_MAX - 500, 20_000] {
            let mut outbox = Outbox::default();
            let mut to = Narrow { takes: vec![usize::MAX], calls: 0, got: Vec::new() };
            write(&mut outbox, &mut to, &[b'h'; 500]);
            assert_eq!(to.calls, 0);
            write(&mut outbox, &mut to, &vec![b'b'; body]);
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(outbox.poll_send(cx, &mut to).is_ready());
            assert_eq!((to.calls, to.got.len()), (1, 500 + body));
        }
    }

    proptest! {
        #[test]
        fn every_byte_arrives_once_and_in_order(
            writes in prop::collection::vec(1..9_000_usize, 1..8),
            takes in prop::collection::vec(0..6_000_usize, 1..4),
        ) {
            prop_assume!(takes.iter().any(|take| *take > 0));
            let whole: Vec<u8> = (0..writes.iter().sum::<usize>()).map(|at| at as u8).collect();
            let (mut outbox, mut from) = (Outbox::default(), 0);
            let mut to = Narrow { takes, calls: 0, got: Vec::new() };
            for length in writes {
                write(&mut outbox, &mut to, &whole[from..from + length]);
                from += length;
            }
            let cx = &mut Context::from_waker(Waker::noop());
            while outbox.poll_send(cx, &mut to).is_pending() {}
            prop_assert_eq!(to.got, whole);
        }
    }
}
