//! The lines that a process writes, gathered while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use super::waiting;

/// What a pipe has brought so far.
#[derive(Clone)]
pub(crate) struct Lines {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    /// Reads `pipe` on a thread of its own until it ends.
    pub(crate) fn gather(pipe: impl Read + Send + 'static) -> (Lines, JoinHandle<()>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines { seen: Arc::clone(&seen) };
        let thread = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        });
        (lines, thread)
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines that are JSON objects.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.all();
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect()
    }

    /// The first JSON line that `wanted` likes; waits for it.
    pub(crate) fn await_json(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        waiting::until(what, || self.json().into_iter().find(&wanted))
    }
}
