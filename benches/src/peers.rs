//! What the rewriter is measured against: the whole page as a tree of `serde_json` or `simd-json`, as lazy
//! values of `sonic-rs`; each keeps the columns that are shown and names the assistant. And the rewriter
//! itself, fed in pieces.

use gateway_rewrite::{Job, Rewriter};
use serde_json::Value;

use crate::calls::{ASSISTANTS, FALLBACK};

/// The rewriter over a page in pieces, as reads from a socket bring them.
///
/// # Panics
/// The page is refused: it is no page of the benches.
pub fn rewrite(job: &Job, page: &[u8], piece_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    let mut rewriter = Rewriter::new(job.clone());
    for piece in page.chunks(piece_bytes) {
        rewriter.write(piece, out).expect("a sound page");
    }
    rewriter.end(out).expect("a sound page");
}

/// Whether all make the same of a page.
///
/// # Panics
/// They do not.
pub fn all_show_the_same(page: &[u8], shown: &[&str], streamed: &[u8]) {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
    let expected = tree(page, shown);
    assert_eq!(read(streamed), expected);
    let mut out = Vec::new();
    if simd_tree(page, shown, &mut simd_room(page.len()), &mut out).is_ok() {
        assert_eq!(read(&out), expected);
    }
    sonic_lazy(page, shown, &mut out);
    assert_eq!(read(&out), expected);
}

fn name_of(id: Option<&str>) -> &'static str {
    ASSISTANTS.iter().find(|(known, _)| id == Some(known)).map_or(FALLBACK, |(_, name)| name)
}

/// Parse, delete, replace: slow and easy to believe.
///
/// # Panics
/// The page is no JSON.
pub fn tree(page: &[u8], shown: &[&str]) -> Value {
    let mut body: Value = serde_json::from_slice(page).expect("JSON");
    for row in body["data"].as_array_mut().into_iter().flatten() {
        let Some(members) = row.as_object_mut() else { continue };
        members.retain(|name, _| shown.contains(&name.as_str()));
        // A null is nobody's id, and stays.
        if let Some(id) = members.get_mut("assistant_id").filter(|id| !id.is_null()) {
            *id = name_of(id.as_str()).into();
        }
    }
    body
}

/// What `simd-json` works in: a copy of the page, and its buffers.
pub type SimdRoom = (Vec<u8>, simd_json::Buffers);

/// For pages of so many bytes.
pub fn simd_room(bytes: usize) -> SimdRoom {
    (Vec::with_capacity(bytes), simd_json::Buffers::new(bytes))
}

/// The same with `simd-json`, which parses in place and so needs a copy; and room that it would else ask
/// for each time. It refuses what serde_json takes: integers of more than 64 bits.
pub fn simd_tree(
    page: &[u8],
    shown: &[&str],
    (copy, buffers): &mut SimdRoom,
    out: &mut Vec<u8>,
) -> Result<(), simd_json::Error> {
    use simd_json::prelude::*;
    copy.clear();
    copy.extend_from_slice(page);
    out.clear();
    let mut body = simd_json::to_borrowed_value_with_buffers(copy, buffers)?;
    let rows = body.get_mut("data").and_then(|rows| rows.as_array_mut());
    for row in rows.into_iter().flatten() {
        let Some(members) = row.as_object_mut() else { continue };
        members.retain(|name, _| shown.contains(&&**name));
        if let Some(id) = members.get_mut("assistant_id").filter(|id| !id.is_null()) {
            *id = name_of(id.as_str()).into();
        }
    }
    body.write(out)?;
    Ok(())
}

/// `sonic-rs` without a tree: members are found one after the other and kept as they stand.
///
/// # Panics
/// The page is no JSON.
pub fn sonic_lazy(page: &[u8], shown: &[&str], out: &mut Vec<u8>) {
    out.clear();
    members(page, &["data", "pagination"], out, |name, value, out| {
        if name != "data" {
            out.extend_from_slice(value.as_raw_str().as_bytes());
            return;
        }
        out.push(b'[');
        for (index, row) in sonic_rs::to_array_iter(value.as_raw_str()).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            sonic_row(row.expect("JSON").as_raw_str(), shown, out);
        }
        out.push(b']');
    });
}

fn sonic_row(row: &str, shown: &[&str], out: &mut Vec<u8>) {
    use sonic_rs::JsonValueTrait;
    members(row.as_bytes(), shown, out, |name, value, out| {
        if name == "assistant_id" && !value.is_null() {
            out.push(b'"');
            out.extend_from_slice(name_of(value.as_str()).as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(value.as_raw_str().as_bytes());
        }
    });
}

/// Writes an object with some of its members.
fn members(
    object: &[u8],
    shown: &[&str],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&str, &sonic_rs::LazyValue<'_>, &mut Vec<u8>),
) {
    out.push(b'{');
    let mut is_first = true;
    for member in sonic_rs::to_object_iter(object) {
        let (name, value) = member.expect("JSON");
        if !shown.contains(&&*name) {
            continue;
        }
        if !std::mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write(&name, &value, out);
    }
    out.push(b'}');
}
