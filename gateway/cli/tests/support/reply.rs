//! What a scripted upstream writes: exact bytes, in pieces, with gates between them.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::waiting::{self, DEADLINE};

/// A door in the middle of an answer: the upstream waits at it until the test opens it.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    state: Arc<(Mutex<(bool, usize)>, Condvar)>,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate::default()
    }

    pub(crate) fn open(&self) {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        self.state.1.notify_all();
    }

    /// Waits until `answers` answers have come as far as the gate.
    pub(crate) fn await_reached(&self, answers: usize) {
        waiting::until("an answer at the gate", || {
            (self.state.0.lock().unwrap_or_else(PoisonError::into_inner).1 >= answers).then_some(())
        });
    }

    pub(crate) fn pass(&self) {
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        let _ = self.state.1.wait_timeout_while(state, 3 * DEADLINE, |state| !state.0);
    }
}

/// One thing an upstream does.
#[derive(Clone)]
pub(crate) enum Step {
    Write(Vec<u8>),
    Wait(Gate),
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    KeepAlive,
    Close,
}

/// What an upstream writes for one request.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) steps: Vec<Step>,
    pub(crate) then: Then,
}

impl Reply {
    /// 200, `application/json`, with its length.
    pub(crate) fn json(body: impl AsRef<[u8]>) -> Reply {
        Reply::status(200, body)
    }

    pub(crate) fn status(status: u16, body: impl AsRef<[u8]>) -> Reply {
        Reply::with_headers(status, &[("Content-Type", "application/json")], body)
    }

    /// Exactly these headers and the length.
    pub(crate) fn with_headers(
        status: u16,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Reply {
        let body = body.as_ref();
        let mut bytes = head(status, headers);
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend(body);
        Reply::raw(bytes)
    }

    /// These bytes, and the connection stays.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { steps: vec![Step::Write(bytes.into())], then: Then::KeepAlive }
    }

    /// 200, `application/json`, one chunk a piece.
    pub(crate) fn chunked(pieces: &[&[u8]]) -> Reply {
        let mut bytes =
            head(200, &[("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]);
        bytes.extend(b"\r\n");
        for piece in pieces {
            bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend(*piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        Reply::raw(bytes)
    }

    /// 200, `application/json`, the body ends with the connection.
    pub(crate) fn until_close(body: impl AsRef<[u8]>) -> Reply {
        let mut bytes = head(200, &[("Content-Type", "application/json")]);
        bytes.extend(b"\r\n");
        bytes.extend(body.as_ref());
        Reply::raw(bytes).then_close()
    }

    /// Never answers, until the connection goes.
    pub(crate) fn silence() -> Reply {
        Reply { steps: Vec::new(), then: Then::KeepAlive }.wait(&Gate::new())
    }

    /// Ends the connection instead of answering.
    pub(crate) fn nothing() -> Reply {
        Reply { steps: Vec::new(), then: Then::Close }
    }

    /// Waits before the whole answer.
    #[must_use]
    pub(crate) fn behind(mut self, gate: &Gate) -> Reply {
        self.steps.insert(0, Step::Wait(gate.clone()));
        self
    }

    /// Waits here.
    #[must_use]
    pub(crate) fn wait(mut self, gate: &Gate) -> Reply {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Writes more.
    #[must_use]
    pub(crate) fn more(mut self, bytes: impl Into<Vec<u8>>) -> Reply {
        self.steps.push(Step::Write(bytes.into()));
        self
    }

    #[must_use]
    pub(crate) fn then_close(mut self) -> Reply {
        self.then = Then::Close;
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Upstream's Own Words\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.into_bytes()
}
