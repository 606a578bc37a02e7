//! One request and its answer over a stream of a shared HTTP/2 connection.
//!
//! The window of a stream is opened again for a piece only when the next one is asked for, so what a client does not
//! take its upstream cannot send. An exchange that is dropped before its end resets its stream.
//!
//! A body has ended when its stream has, trailers or not: the `h2` crate counts it against `Content-Length`, and a
//! stream that was reset or lost its connection gives an error, never an end.
//!
//! Built on the `h2` crate: Pingora's session opens the window as soon as it has read, swallows interim heads and
//! says of an error what it takes for a retry (decision 19).
//!
//! Not here: the connection (`h2_line`), what is tried again (`reach`).
//!
//! Sources: RFC 9113 §8.1 (messages), §8.6 (no 101), §8.7 (what was not processed).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode, response};
use pingora::time::timeout;

use crate::answer::BodyFault;
use crate::asked::{Asked, Because, HEADS_MAX, Unasked};
use crate::h2_line::Place;
use crate::h2_lines::Serial;

/// A stream, from its request to the end of its answer.
pub(crate) struct Http2Exchange {
    head: Option<response::Parts>,
    /// `None` before the head, and once it has ended.
    body: Option<RecvStream>,
    /// The last one that came, which its window has not been opened for.
    piece: Bytes,
    idle: Duration,
    /// Where not all of the request was sent, its going resets the stream.
    request: Option<Upload>,
    /// Goes last.
    place: Place,
    serial: Serial,
}

impl Http2Exchange {
    pub(crate) fn on(place: Place, serial: Serial) -> Http2Exchange {
        Http2Exchange {
            head: None,
            body: None,
            piece: Bytes::new(),
            idle: Duration::MAX,
            request: None,
            place,
            serial,
        }
    }

    /// Of its connection.
    pub(crate) fn serial(&self) -> Serial {
        self.serial
    }

    pub(crate) fn wait_for_pieces(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Sends the request and reads the first final head, which must come whole within `first_byte` of
    /// the request's end.
    pub(crate) async fn ask(
        &mut self,
        request: Request<()>,
        body: Option<&Bytes>,
        idle: Duration,
        first_byte: Duration,
    ) -> Result<Asked, Unasked> {
        let body = body.cloned().unwrap_or_default();
        let (mut response, stream) = self
            .place
            .sender()
            .send_request(request, body.is_empty())
            // Nothing has been sent.
            .map_err(|_| Unasked::Unprocessed(Because::Leaving))?;
        let mut upload = Upload { stream, rest: body };
        // A server may answer before it has read all; its answer counts, and the rest goes up beside it.
        let mut sent_whole = false;
        let early = tokio::select! {
            biased;
            head = final_head(&mut response) => Some(head?),
            sent = upload.send(idle) => {
                sent_whole = sent?;
                None
            }
        };
        let head = match early {
            Some(head) => head,
            None => timeout(first_byte, final_head(&mut response))
                .await
                .unwrap_or(Err(Unasked::Slow))?,
        };
        let (head, body) = head.into_parts();
        let status = head.status;
        (self.head, self.body, self.request) = (Some(head), Some(body), Some(upload));
        Ok(Asked { status, sent_whole, framing: Ok(()) })
    }

    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        Some(&self.head.as_ref()?.headers)
    }

    /// The next piece that has a byte, or the end; the window is opened for the one before.
    pub(crate) async fn piece(&mut self) -> Result<Option<&Bytes>, BodyFault> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let carried = std::mem::take(&mut self.piece).len();
        if body.flow_control().release_capacity(carried).is_err() {
            return Err(BodyFault::Broken);
        }
        let next = loop {
            match timeout(self.idle, next(body, &mut self.request)).await {
                Err(_) => return Err(BodyFault::Slow),
                // The server still reads: that is no idle time.
                Ok(Next::Sent) => {}
                Ok(Next::Came(next)) => break next,
            }
        };
        match next {
            Some(Err(_)) => Err(BodyFault::Broken),
            Some(Ok(piece)) => {
                self.piece = piece;
                Ok(Some(&self.piece))
            }
            None => {
                // Trailers may wait, which nobody reads.
                self.body = None;
                Ok(None)
            }
        }
    }

    pub(crate) fn is_body_done(&self) -> bool {
        self.body.as_ref().is_none_or(RecvStream::is_end_stream)
    }
}

/// What happened on a stream whose head has come.
enum Next {
    /// A piece with a byte, or the end.
    Came(Option<Result<Bytes, h2::Error>>),
    /// More of the request.
    Sent,
}

/// Waits for the answer and sends what is left of the request beside it: a server may need the one for the other.
async fn next(body: &mut RecvStream, request: &mut Option<Upload>) -> Next {
    poll_fn(|cx| {
        loop {
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(next) => return Poll::Ready(Next::Came(next)),
                Poll::Pending => break,
            }
        }
        let Some(upload) = request.as_mut().filter(|upload| !upload.rest.is_empty()) else {
            return Poll::Pending;
        };
        match ready!(upload.poll_some(cx)) {
            Some(Ok(())) => Poll::Ready(Next::Sent),
            // It wants no more of it, which is no fault of its answer (RFC 9113 §8.1).
            Some(Err(_)) | None => {
                upload.rest.clear();
                Poll::Pending
            }
        }
    })
    .await
}

/// A request's body on its way.
struct Upload {
    stream: SendStream<Bytes>,
    /// Not yet sent.
    rest: Bytes,
}

impl Upload {
    /// Sends the body as the server lets it come; `false` where it wanted no more of it.
    async fn send(&mut self, idle: Duration) -> Result<bool, Unasked> {
        while !self.rest.is_empty() {
            let sent = timeout(idle, poll_fn(|cx| self.poll_some(cx)));
            match sent.await.map_err(|_| Unasked::Slow)? {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(unasked(&error, true)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Sends as much as there is room for, which is something; `None` where no more is wanted.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), h2::Error>>> {
        self.stream.reserve_capacity(self.rest.len());
        loop {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(0)) => {}
                Some(Ok(room)) => {
                    let piece = self.rest.split_to(room.min(self.rest.len()));
                    let sent = self.stream.send_data(piece, self.rest.is_empty());
                    return Poll::Ready(Some(sent));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The first head that is not an interim one.
async fn final_head(response: &mut ResponseFuture) -> Result<http::Response<RecvStream>, Unasked> {
    for heads in 0..HEADS_MAX {
        let interim = poll_fn(|cx| response.poll_informational(cx)).await;
        match interim {
            // There is no such answer in HTTP/2, and nobody asked for a tunnel.
            Some(Ok(head)) if head.status() == StatusCode::SWITCHING_PROTOCOLS => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(unasked(&error, heads == 0)),
            None => return response.await.map_err(|error| unasked(&error, heads == 0)),
        }
    }
    Err(Unasked::Died { silently: false })
}

/// What an error says of what the server did. A GOAWAY of the server's is an error of those streams alone
/// that are above the last one it names.
fn unasked(error: &h2::Error, silent_so_far: bool) -> Unasked {
    if !silent_so_far {
        return Unasked::Died { silently: false };
    }
    match error.is_remote() {
        true if error.is_go_away() => Unasked::Unprocessed(Because::Leaving),
        true if error.reason() == Some(Reason::REFUSED_STREAM) => {
            Unasked::Unprocessed(Because::Refused)
        }
        true => Unasked::Reset,
        // The connection was ended here, over any of its streams: of this one nothing came.
        false if error.is_library() && error.is_go_away() => Unasked::Died { silently: true },
        // Else something came that was wrong.
        false => Unasked::Died { silently: error.is_io() },
    }
}
