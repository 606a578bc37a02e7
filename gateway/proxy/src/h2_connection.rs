//! HTTP/2 connections, in Pingora's loop and within our bounds.
//!
//! Not here: what a connection begins with (`connection.rs`), what is held against its frames
//! (`h2_guard.rs`, `h2_watch.rs`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use gateway_policy::Bounds;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;

use crate::arrival::{ListenerFacts, WireFacts};
use crate::connection::write_time;
use crate::gateway::{Ending, Gateway};
use crate::h2_watch::Http2Watch;
use crate::incoming::IDLE;
use crate::watched::Watched;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Bytes of bodies that a client may send ahead, of one request and of all of a connection.
const WINDOW: u32 = 65_535;
const FRAME_BYTES_MAX: u32 = 16 << 10;
/// Bytes of one answer that wait for a connection whose client does not read.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Requests reset by their client before they were looked at.
const RESETS_UNSEEN_MAX: usize = 20;
/// Requests reset by us for a fault of the client, in the life of a connection.
const RESETS_BY_US_MAX: usize = 1_024;
/// Reset requests that are remembered, and for how long, as frames of theirs may still come.
const RESETS_KEPT_MAX: usize = 50;
const RESETS_KEPT: Duration = Duration::from_secs(1);
/// What small frames of unread bodies may cost in memory.
const DATA_FRAME_BUDGET: usize = 32 << 10;

/// HTTP/2 connections, accepted by Pingora's loop.
pub(crate) struct Http2 {
    gateway: Arc<Gateway>,
    listener: ListenerFacts,
    options: HttpServerOptions,
}

impl Http2 {
    pub(crate) fn new(gateway: Arc<Gateway>, listener: ListenerFacts) -> Http2 {
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(IDLE);
        // Only connections that have shown the preface come there, under TLS or not.
        options.h2c = true;
        Http2 { gateway, listener, options }
    }

    /// Serves a connection whose beginning, the preface, has been read.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        stream: Stream,
        read: BytesMut,
        shutdown: &ShutdownWatch,
    ) {
        let header_time = Duration::from_millis(self.gateway.bounds().header_time_ms);
        let watch = Http2Watch::new(header_time, Arc::clone(&self.gateway.parts.metrics));
        let stream = Box::new(Watched::http2(stream, read, watch));
        self.process_new(stream, shutdown).await;
    }
}

#[async_trait]
impl HttpServerApp for Http2 {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // Its client was told to go, and does not. By RFC 9113 §8.7 it may ask again elsewhere, whatever it asked.
        if self.gateway.successor.is_known() {
            session.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
            return None;
        }
        session.set_write_timeout(Some(write_time(&self.gateway.bounds())));
        if matches!(session.read_request().await, Ok(true))
            && self.gateway.serve(&mut session, &self.listener, WireFacts::default()).await
                == Ending::Whole
        {
            let _ = session.finish().await;
        }
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(bounded(&self.gateway.bounds()))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// All bounds that `h2` knows, whatever its own are. What it does not know is in [`Http2Watch`].
fn bounded(bounds: &Bounds) -> H2Options {
    // The headers, and the target that comes among them.
    let list_bytes = bounds.header_bytes.saturating_add(bounds.target_bytes);
    let list_bytes = u32::try_from(list_bytes).unwrap_or(u32::MAX);
    let mut options = H2Options::new();
    options
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(list_bytes)
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_UNSEEN_MAX)
        .max_local_error_reset_streams(Some(RESETS_BY_US_MAX))
        .max_concurrent_reset_streams(RESETS_KEPT_MAX)
        .reset_stream_duration(RESETS_KEPT)
        .data_frame_budget(DATA_FRAME_BUDGET);
    options
}
