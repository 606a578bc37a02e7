//! Bodies of any size for load runs: `GET /bench/{bytes}` answers exactly that many bytes of
//! `{"data":[rows…],"pagination":{…}}`, 25 columns a row.
//!
//! A body is a head, a block of rows repeated as often as it fits, a last row whose summary is
//! stretched to the byte, and a tail. Four sizes are kept whole; any other goes out block by block,
//! so a body of two gigabytes costs one block of memory whoever reads it, however slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Path;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use crate::answer::{Fault, json_body};
use crate::draw::Draw;
use crate::json;
use crate::moment;

const BYTES_MAX: u64 = 2 << 30;
const HEAD: &str = "{\"data\":[";
const TAIL: &str = "],\"pagination\":{\"limit\":1000,\"offset\":0,\"has_more\":false}}";
/// Rows of the repeated block, each different: about 64 KiB.
const BLOCK_ROWS: u64 = 80;
/// The sizes that load runs compare.
const KEPT: [u64; 4] = [1_024, 10_240, 102_400, 1_048_576];

static ROWS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..BLOCK_ROWS).map(|i| row(i, "") + ",").collect());
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(ROWS.concat()));
static KEPT_BODIES: LazyLock<[Bytes; 4]> = LazyLock::new(|| KEPT.map(|bytes| plan(bytes).whole()));

pub(crate) async fn body(Path(bytes): Path<String>) -> Result<Response, Fault> {
    let fault =
        || Fault::Parameter { name: "bytes", rule: format!("an integer from 0 to {BYTES_MAX}") };
    let bytes: u64 = bytes.parse().map_err(|_| fault())?;
    if bytes > BYTES_MAX {
        return Err(fault());
    }
    Ok(match KEPT.iter().position(|kept| *kept == bytes) {
        Some(place) => json_body(KEPT_BODIES[place].clone()),
        None => json_body(Body::new(plan(bytes))),
    })
}

/// A body not yet sent. A size too small for one row gives that one row.
fn plan(bytes: u64) -> Blocks {
    let frame = (HEAD.len() + TAIL.len() + row(0, "").len()) as u64;
    let mut left = bytes.saturating_sub(frame);
    let blocks = left / BLOCK.len() as u64;
    left -= blocks * BLOCK.len() as u64;
    let mut rest = String::new();
    for row in ROWS.iter() {
        if row.len() as u64 > left {
            break;
        }
        left -= row.len() as u64;
        rest.push_str(row);
    }
    rest.push_str(&row(0, &stretch(left as usize)));
    rest.push_str(TAIL);
    Blocks {
        head: Some(Bytes::from_static(HEAD.as_bytes())),
        blocks,
        rest: Some(Bytes::from(rest)),
    }
}

/// Filler for the last row's summary: words, one byte a character, so its length is exact.
fn stretch(bytes: usize) -> String {
    "the technician will call ahead ".chars().cycle().take(bytes).collect()
}

/// One row of 25 columns, about 800 bytes.
fn row(index: u64, stretch: &str) -> String {
    let draw = &mut Draw::new("bench", index);
    json::object(|o| {
        o.text("call_id", &draw.uuid());
        o.text("created_at", &moment::text(moment::spread(draw, index, BLOCK_ROWS)));
        o.int("duration_seconds", draw.below(3_600));
        o.text("call_reason", "Service request");
        o.text("call_outcome", "Appointment booked");
        o.flag("is_booked", draw.chance(40));
        o.flag("is_bookable", true);
        o.text("booking_result", "Booked");
        o.flag("is_transferred", false);
        o.text("first_name", draw.first_name());
        o.text("last_name", draw.last_name());
        o.text("phone_number", &draw.phone());
        o.text("ai_summary", &format!("Caller asks for a visit. {stretch}"));
        o.text("service_titan_job_id", "62047157");
        o.raw("non_booked_disposition", "null");
        o.raw("non_booked_disposition_code", "null");
        o.text("job_type", "HVAC \u{2013} Repair");
        o.text("assistant_id", draw.assistant());
        o.text("recording_url", "https://recordings.example.com/a.wav?X-Sig=a%2Fb%3D&e=1");
        o.raw("cost", draw.odd_number());
        o.list("tags", ["high-intent", "\u{fc}ber"], json::text_into);
        o.object("custom", |c| c.text("note", "gate code"));
        o.int("team_id", 101);
        o.text("user_email", "ann@acme.test");
        o.flag("is_private", false);
    })
}

/// The pieces of one body, handed out in order without copying.
#[derive(Debug)]
struct Blocks {
    head: Option<Bytes>,
    blocks: u64,
    rest: Option<Bytes>,
}

impl Blocks {
    fn next(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        if self.blocks > 0 {
            self.blocks -= 1;
            return Some(BLOCK.clone());
        }
        self.rest.take()
    }

    fn left(&self) -> u64 {
        let ends = [&self.head, &self.rest].into_iter().flatten().map(Bytes::len).sum::<usize>();
        ends as u64 + self.blocks * BLOCK.len() as u64
    }

    fn whole(mut self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.left() as usize);
        while let Some(piece) = self.next() {
            bytes.extend_from_slice(&piece);
        }
        Bytes::from(bytes)
    }
}

impl HttpBody for Blocks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
