//! One JSON line a request, written off the request path.
//!
//! The request's own task renders its line into a buffer and puts it into a bounded queue; one
//! thread writes what has gathered with one call. When the writer cannot keep up (a stalled pipe,
//! a full disk) lines are dropped and counted: a log must never hold up or end the service it
//! describes. A line is data from a stranger, so everything in it is escaped and cut: it
//! can neither forge another line nor steer a terminal.
//!
//! Not here: what a field means, the program's own log (`tracing`), rotation itself; after
//! the file was moved, [`AccessLog::reopen`] starts a new one.
//!
//! Cost: one allocation and a queue push a request. The queue holds at most [`QUEUE_LINES_MAX`]
//! lines of at most [`LINE_BYTES_MAX`]: some 5 MiB when the writer stalls, and 40 MiB if by then
//! every request is built to be long.
//!
//! Sources: RFC 8259 §7 (escapes), RFC 3339 (time).

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Stopwatch;
use crate::plain_text::Decimal;

/// Lines that may wait for the writer.
pub(crate) const QUEUE_LINES_MAX: usize = 8192;
/// Most bytes of a line, its line end included.
pub(crate) const LINE_BYTES_MAX: usize = 4096;
/// Most bytes of a field in its escaped form; the rest of the value is cut off.
const PATH_BYTES_MAX: usize = 1024;
const USER_AGENT_BYTES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 192;
/// Written with one call.
const BATCH_BYTES: usize = 64 * 1024;
/// How long lines gather once the writer is awake. Waking it for each one would cost the
/// request more than the line.
const GATHER: Duration = Duration::from_millis(5);
/// After a failed write the log waits this long before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a clean stop waits for the last lines.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What is said of one request. `None` is written as `null`.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessRecord<'a> {
    /// When the request came, in Unix milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    /// As received. A query string is left out here should the caller have left it in.
    pub(crate) path: &'a [u8],
    /// The route's pattern.
    pub(crate) route: Option<&'a str>,
    /// `None` if the client went before there was one.
    pub(crate) status: Option<u16>,
    /// The gateway's own code, if the answer was the gateway's own.
    pub(crate) code: Option<&'a str>,
    pub(crate) key_id: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) team: Option<&'a str>,
    pub(crate) upstream: Option<&'a str>,
    /// From the first byte of the request to the last of the answer.
    pub(crate) duration: Duration,
    /// What of it was spent waiting for the upstream.
    pub(crate) upstream_duration: Option<Duration>,
    /// What of it was spent in the gateway.
    pub(crate) overhead: Option<Duration>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// `None` on an answer that was not filtered.
    pub(crate) columns_hidden: Option<u64>,
    pub(crate) rows_hidden: Option<u64>,
    /// Of the snapshot that decided.
    pub(crate) revision: Option<u64>,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) trace_id: Option<&'a str>,
}

impl AccessRecord<'_> {
    /// Appends the record as one line of JSON with its line end, at most [`LINE_BYTES_MAX`] bytes.
    pub(crate) fn write_line(&self, line: &mut Vec<u8>) {
        let path_end = self.path.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let path = &self.path[..path_end.unwrap_or(self.path.len())];
        let mut object = Object::open(line);
        object.time("time", self.at_ms);
        object.name("request_id", Some(self.request_id));
        object.name("method", Some(self.method));
        object.text("path", Some(path), PATH_BYTES_MAX);
        object.name("route", self.route);
        object.number("status", self.status);
        object.name("code", self.code);
        object.name("key_id", self.key_id);
        object.name("account", self.account);
        object.name("team", self.team);
        object.name("upstream", self.upstream);
        object.millis("duration_ms", Some(self.duration));
        object.millis("upstream_ms", self.upstream_duration);
        object.millis("overhead_ms", self.overhead);
        object.number("bytes_in", Some(self.bytes_in));
        object.number("bytes_out", Some(self.bytes_out));
        object.number("columns_hidden", self.columns_hidden);
        object.number("rows_hidden", self.rows_hidden);
        object.number("revision", self.revision);
        object.address("client_ip", self.client_ip);
        object.text("user_agent", self.user_agent, USER_AGENT_BYTES_MAX);
        object.name("trace_id", self.trace_id);
        object.close();
    }
}

/// A JSON object under construction on one line. Names are ours and need no escaping.
struct Object<'a> {
    line: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    fn open(line: &'a mut Vec<u8>) -> Object<'a> {
        Object { line, separator: b'{' }
    }

    fn close(self) {
        self.line.extend_from_slice(b"}\n");
    }

    fn member(&mut self, name: &str) {
        self.line.push(std::mem::replace(&mut self.separator, b','));
        self.line.push(b'"');
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    fn with<T>(&mut self, name: &str, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
        self.member(name);
        match value {
            Some(value) => put(self.line, value),
            None => self.line.extend_from_slice(b"null"),
        }
    }

    fn text(&mut self, name: &str, value: Option<&[u8]>, bytes_max: usize) {
        self.with(name, value, |line, value| {
            line.push(b'"');
            escape(value, bytes_max, line);
            line.push(b'"');
        });
    }

    fn name(&mut self, name: &str, value: Option<&str>) {
        self.text(name, value.map(str::as_bytes), NAME_BYTES_MAX);
    }

    // Writing into a Vec cannot fail, so the results dropped here say nothing.

    fn number(&mut self, name: &str, value: Option<impl Into<u64>>) {
        self.with(name, value, |line, value| {
            line.extend_from_slice(Decimal::of(value.into()).bytes());
        });
    }

    fn address(&mut self, name: &str, value: Option<IpAddr>) {
        self.with(name, value, |line, address| match address {
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    line.push(if place == 0 { b'"' } else { b'.' });
                    line.extend_from_slice(Decimal::of(octet.into()).bytes());
                }
                line.push(b'"');
            }
            IpAddr::V6(address) => drop(write!(line, "\"{address}\"")),
        });
    }

    /// Milliseconds with the microseconds behind the point.
    fn millis(&mut self, name: &str, value: Option<Duration>) {
        self.with(name, value, |line, span| {
            let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
            line.extend_from_slice(Decimal::of(micros / 1_000).bytes());
            line.push(b'.');
            // A one in front keeps the zeros.
            line.extend_from_slice(&Decimal::of(1_000 + micros % 1_000).bytes()[1..]);
        });
    }

    fn time(&mut self, name: &str, at_ms: u64) {
        let at_ms = i64::try_from(at_ms).ok();
        let at = at_ms.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
        self.with(name, at, |line, at| drop(write!(line, "\"{at:.3}\"")));
    }
}

/// Appends the inside of a JSON string: what is not UTF-8 as U+FFFD, and escaped what could end the
/// string, the line or the terminal's good manners. Ends before an escape that would not fit.
fn escape(value: &[u8], bytes_max: usize, line: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if value.len() <= bytes_max && value.iter().all(plain) {
        line.extend_from_slice(value);
        return;
    }
    let end = line.len() + bytes_max;
    let mut fits = |piece: &[u8]| {
        let fits = line.len() + piece.len() <= end;
        if fits {
            line.extend_from_slice(piece);
        }
        fits
    };
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let whole = match letter {
                '"' => fits(b"\\\""),
                '\\' => fits(b"\\\\"),
                // U+2028 and U+2029 end a line for some readers; the rest are C0, DEL and C1.
                '\u{2028}' | '\u{2029}' => fits(&hex_escape(letter)),
                control if control.is_control() => fits(&hex_escape(control)),
                _ => fits(letter.encode_utf8(&mut buffer).as_bytes()),
            };
            if !whole {
                return;
            }
        }
        if !chunk.invalid().is_empty() && !fits("\u{fffd}".as_bytes()) {
            return;
        }
    }
}

/// `\u00XX`, for letters of the first plane.
fn hex_escape(letter: char) -> [u8; 6] {
    let digit = |shift: u32| b"0123456789abcdef"[(letter as usize >> shift) & 0xf];
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

/// Where access lines go. Shared by all requests; dropping it writes what waits.
#[derive(Debug)]
pub struct AccessLog {
    /// `None` when the log is off.
    queue: Option<Queue>,
}

#[derive(Debug)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    state: Arc<State>,
    /// Disconnected when the writer has ended.
    ended: Mutex<Receiver<()>>,
}

/// What the requests and the writer tell each other beside the lines.
#[derive(Debug, Default)]
struct State {
    dropped: AtomicU64,
    closing: AtomicBool,
    reopen: AtomicBool,
}

impl AccessLog {
    /// No log: a record costs one comparison.
    pub fn off() -> AccessLog {
        AccessLog { queue: None }
    }

    /// To standard output, without its lock or buffer, so nothing else there can wait for it.
    pub fn stdout() -> io::Result<AccessLog> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        AccessLog::start(Box::new(file), None)
    }

    /// Appends to a file, made if it is not there.
    pub fn file(path: &Path) -> io::Result<AccessLog> {
        AccessLog::start(Box::new(open(path)?), Some(path.to_path_buf()))
    }

    fn start(sink: Box<dyn Write + Send>, path: Option<PathBuf>) -> io::Result<AccessLog> {
        let (lines, waiting) = sync_channel(QUEUE_LINES_MAX);
        let (alive, ended) = sync_channel(0);
        let state = Arc::new(State::default());
        let mut writer = Writer {
            waiting,
            state: Arc::clone(&state),
            sink,
            path,
            batch: Vec::with_capacity(BATCH_BYTES),
            torn: false,
            failed: None,
            _alive: alive,
        };
        std::thread::Builder::new().name("access-log".into()).spawn(move || writer.run())?;
        Ok(AccessLog { queue: Some(Queue { lines, state, ended: Mutex::new(ended) }) })
    }

    /// Queues the record's line. Never waits: without room the line is dropped and counted.
    pub(crate) fn write(&self, record: &AccessRecord<'_>) {
        let Some(queue) = &self.queue else {
            return;
        };
        let mut line = Vec::with_capacity(640);
        record.write_line(&mut line);
        debug_assert!(line.len() <= LINE_BYTES_MAX);
        let closing = queue.state.closing.load(Ordering::Relaxed);
        if closing || queue.lines.try_send(line).is_err() {
            queue.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that were lost since the start, to a full queue or a failed write.
    pub fn dropped(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.state.dropped.load(Ordering::Relaxed))
    }

    /// Opens the file anew before the next line, after somebody moved it away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.state.reopen.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what waits and ends the writer, within two seconds; blocks that long at most. Later
    /// records are dropped and counted. Returns whether the writer was done in time; a second call
    /// does not wait again.
    pub fn close(&self) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        if queue.state.closing.swap(true, Ordering::Relaxed) {
            return queue.ended.lock().try_recv() == Err(TryRecvError::Disconnected);
        }
        // Wakes an idle writer; a queue without room has one that is awake.
        let _ = queue.lines.try_send(Vec::new());
        queue.ended.lock().recv_timeout(CLOSE_WAIT) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The one thread that writes.
struct Writer {
    waiting: Receiver<Vec<u8>>,
    state: Arc<State>,
    sink: Box<dyn Write + Send>,
    /// Of a file, to open it anew.
    path: Option<PathBuf>,
    batch: Vec<u8>,
    /// The last write stopped inside a line.
    torn: bool,
    /// Since the last failed write; lines are dropped for a while from then on.
    failed: Option<Stopwatch>,
    /// Dropped with the writer, which is how `close` hears of its end.
    _alive: SyncSender<()>,
}

impl Writer {
    fn run(&mut self) {
        while let Ok(line) = self.waiting.recv() {
            self.batch.extend_from_slice(&line);
            self.drain();
            if self.state.closing.load(Ordering::Relaxed) {
                // Lines of requests that had not seen the flag yet.
                self.drain();
                return;
            }
            std::thread::sleep(GATHER);
        }
        self.write_batch();
    }

    /// Writes all that waits.
    fn drain(&mut self) {
        while let Ok(line) = self.waiting.try_recv() {
            if self.batch.len() + line.len() > BATCH_BYTES {
                self.write_batch();
            }
            self.batch.extend_from_slice(&line);
        }
        self.write_batch();
    }

    fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let written = if self.may_write() { self.write_all() } else { 0 };
        if written < self.batch.len() {
            let lost = self.batch[written..].iter().filter(|&&byte| byte == b'\n').count();
            self.state.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
        self.batch.clear();
    }

    /// Whether it is time to write, on a file that may have been opened anew for it.
    fn may_write(&mut self) -> bool {
        let retry = match self.failed {
            Some(since) if since.elapsed() < RETRY_AFTER => return false,
            failed => failed.is_some(),
        };
        let reopen = self.state.reopen.swap(false, Ordering::Relaxed);
        // A file that cannot be opened anew is written on as it is.
        if (reopen || retry)
            && let Some(Ok(file)) = self.path.as_deref().map(open)
        {
            self.sink = Box::new(file);
            self.torn &= !reopen;
        }
        true
    }

    /// Writes the batch and returns how much of it went out.
    fn write_all(&mut self) -> usize {
        let mut written = 0;
        let result = self
            .end_torn_line()
            .and_then(|()| write_patiently(&mut *self.sink, &self.batch, &mut written));
        self.failed = result.is_err().then(Stopwatch::start);
        self.torn |= written > 0 && self.batch[written - 1] != b'\n';
        written
    }

    /// A line that was cut by a failed write must not swallow the next one.
    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.torn {
            write_patiently(&mut *self.sink, b"\n", &mut 0)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// `write_all` that says how far it came, and waits a while for a pipe that does not block.
fn write_patiently(sink: &mut dyn Write, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    let began = Stopwatch::start();
    while *written < bytes.len() {
        match sink.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if error.kind() == ErrorKind::WouldBlock && began.elapsed() < RETRY_AFTER =>
            {
                std::thread::sleep(GATHER);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
