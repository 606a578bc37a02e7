//! One body as a key gets it, offline, and what was done to it.
//!
//! Runs the code that serves. What was dropped and mapped is found by comparing the body before and
//! after, so it tells what happened, not what was meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_policy::Admission;
use gateway_rewrite::{Job, Rewriter, Totals};
use serde_json::Value;

/// A body before and after.
pub(crate) struct BodyChange {
    pub(crate) after: String,
    /// Dropped member paths, and how often.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Path, value before, value after; and how often.
    pub(crate) mapped: BTreeMap<(String, String, String), u64>,
    pub(crate) rows_hidden: u64,
    pub(crate) totals: Totals,
}

pub(crate) fn rewritten(admission: &Admission, body: &[u8]) -> Result<BodyChange, String> {
    let job = admission.grant().job();
    let (after, totals) = if job.is_identity() {
        (String::from_utf8_lossy(body).into_owned(), Totals::default())
    } else {
        filtered(job.clone(), body)?
    };
    if totals.single_row_hidden {
        return Err("404 not_found: the row is hidden from this key".to_owned());
    }
    let mut change = BodyChange {
        after,
        dropped: BTreeMap::new(),
        mapped: BTreeMap::new(),
        rows_hidden: totals.rows_hidden,
        totals,
    };
    // With hidden rows the lists no longer stand side by side, so the columns are told of all rows.
    let beside = match totals.rows_hidden {
        0 => change.after.clone(),
        _ => filtered(Job { rows: Arc::default(), ..job.clone() }, body)?.0,
    };
    let is_lines = job.shape.is_lines();
    if let (Some(before), Some(after)) =
        (parsed(body, is_lines), parsed(beside.as_bytes(), is_lines))
    {
        compare(&before, &after, "", &mut change);
    }
    Ok(change)
}

/// The body; of lines, the array of their rows.
fn parsed(body: &[u8], is_lines: bool) -> Option<Value> {
    if is_lines {
        let rows = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
        return rows.collect::<Result<_, _>>().ok().map(Value::Array);
    }
    serde_json::from_slice(body).ok()
}

fn filtered(job: Job, body: &[u8]) -> Result<(String, Totals), String> {
    let mut out = Vec::with_capacity(body.len());
    let mut rewriter = Rewriter::new(job);
    let told =
        |error: gateway_rewrite::RewriteError| format!("502 response_not_filterable: {error}");
    rewriter.write(body, &mut out).map_err(told)?;
    let totals = rewriter.end(&mut out).map_err(told)?;
    Ok((String::from_utf8(out).map_err(|error| error.to_string())?, totals))
}

/// Walks both bodies side by side. The rewriter keeps order, so what remains of an object or an
/// array is a subsequence of what was.
fn compare(before: &Value, after: &Value, path: &str, change: &mut BodyChange) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match new.get(name) {
                    Some(kept) => compare(value, kept, &below, change),
                    None => *change.dropped.entry(below).or_default() += 1,
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            old.iter()
                .zip(new)
                .for_each(|(old, new)| compare(old, new, &format!("{path}[]"), change));
        }
        (old, new) if old != new => {
            *change
                .mapped
                .entry((path.to_owned(), old.to_string(), new.to_string()))
                .or_default() += 1;
        }
        _ => {}
    }
}
