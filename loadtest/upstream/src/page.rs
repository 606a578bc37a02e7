//! Rows, and the envelopes they travel in: limit and offset, or a cursor.
//!
//! Tables are sorted newest first and never change, so a page is a filter, a skip and a take, and
//! a walk from page to page has neither gap nor duplicate.

use axum::response::Response;

use crate::answer::{Fault, json_body};
use crate::ask::Ask;
use crate::json::{self, Object};
use crate::moment;

/// What is known of a row beside its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) team: u32,
    pub(crate) at_us: i64,
    /// Also true where the row does not say: only a plain `false` is public.
    pub(crate) private: bool,
    pub(crate) owner: Option<&'static str>,
}

/// One row, rendered once.
#[derive(Debug)]
pub(crate) struct Row {
    /// Place in its table; cursors are made of it.
    pub(crate) place: u64,
    pub(crate) stamp: Stamp,
    pub(crate) json: String,
}

/// `{"data": [...], "pagination": {limit, offset, has_more}}`.
pub(crate) fn by_offset<'r>(
    ask: &Ask,
    rows: impl Iterator<Item = &'r Row>,
) -> Result<Response, Fault> {
    let limit = ask.limit(100, 1_000)?;
    let offset = ask.int("offset")?.unwrap_or(0);
    let mut rows = rows.skip(usize::try_from(offset).unwrap_or(usize::MAX));
    let body = json::object(|o| {
        o.list("data", rows.by_ref().take(limit), |out, row| out.push_str(&row.json));
        let has_more = rows.next().is_some();
        o.object("pagination", |p| {
            p.int("limit", limit as u64);
            p.int("offset", offset);
            p.flag("has_more", has_more);
        });
    });
    Ok(json_body(body))
}

/// `{"data": [...], "pagination": {cursor, has_more, limit}, "meta": {...}}`; no `meta` for `None`.
///
/// `write` renders one row, so a route can leave members out.
pub(crate) fn by_cursor<'r>(
    ask: &Ask,
    rows: impl Iterator<Item = &'r Row>,
    write: impl FnMut(&mut String, &Row),
    meta: Option<&dyn Fn(&mut Object<'_>)>,
) -> Result<Response, Fault> {
    let limit = ask.limit(50, 500)?;
    let after = ask.text("cursor").map(read_cursor).transpose()?;
    let mut rows = rows.filter(|row| after.is_none_or(|place| row.place > place));
    let mut write = write;
    let mut last = 0;
    let body = json::object(|o| {
        o.list("data", rows.by_ref().take(limit), |out, row| {
            last = row.place;
            write(out, row);
        });
        let has_more = rows.next().is_some();
        o.object("pagination", |p| {
            p.maybe("cursor", has_more.then(|| cursor(last)).as_deref());
            p.flag("has_more", has_more);
            p.int("limit", limit as u64);
        });
        if let Some(meta) = meta {
            o.object("meta", meta);
        }
    });
    Ok(json_body(body))
}

/// `{"data": {...}}` and, on v1 routes, `meta`.
pub(crate) fn one(row: &str, meta: Option<&dyn Fn(&mut Object<'_>)>) -> Response {
    json_body(json::object(|o| {
        o.raw("data", row);
        if let Some(meta) = meta {
            o.object("meta", meta);
        }
    }))
}

/// The members every `meta` of a team route begins with.
pub(crate) fn team_meta(team: u32) -> impl Fn(&mut Object<'_>) {
    move |o| o.int("team_id", u64::from(team))
}

/// Base64 with its padding: a client must encode the `=`, and a gateway must leave it alone.
fn cursor(place: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let plain = format!("{}|{place:05}", moment::date_text(moment::NOW_US));
    let mut text = String::new();
    for chunk in plain.as_bytes().chunks(3) {
        let byte = |i| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = word >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { ALPHABET[index as usize] as char } else { '=' });
        }
    }
    text
}

/// Tables have at most a few thousand places, so finding the one that encodes alike is cheaper
/// than a decoder would be to read.
fn read_cursor(text: &str) -> Result<u64, Fault> {
    let fault =
        || Fault::Parameter { name: "cursor", rule: "one that an earlier page gave".to_owned() };
    (0..PLACES_MAX).find(|place| cursor(*place) == text).ok_or_else(fault)
}

/// More than any table has rows.
const PLACES_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_one_place() {
        assert_eq!(cursor(12_345), "MjAyNi0xMS0yMHwxMjM0NQ==");
        for place in [0, 1, 499, 999] {
            assert_eq!(read_cursor(&cursor(place)), Ok(place));
        }
        for bad in ["", "x", "MjAyNi0xMS0yMHwxMjM0NQ=="] {
            assert!(read_cursor(bad).is_err(), "{bad}");
        }
    }
}
