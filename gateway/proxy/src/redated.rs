//! The upstream's `Date` in a head that Pingora writes.
//!
//! Pingora sets the time at which it writes a head, and has no switch. Both dates have the same length
//! (IMF-fixdate, RFC 9110 §5.6.7), so the one is written over the other on its way to the client.
//!
//! Not here: HTTP/2, whose heads are packed before anybody could reach them.

use std::time::SystemTime;

const NAME: &[u8] = b"date: ";
const LENGTH: usize = b"Sun, 06 Nov 1994 08:49:37 GMT".len();

/// A date on its way over another one.
pub(crate) struct Redated {
    date: String,
    /// Where the other one is, once it is found: a head may be written in parts.
    begins: Option<Place>,
}

/// Where the date begins in what is still to be written, and how many of its bytes were written.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    done: usize,
}

impl Redated {
    pub(crate) fn new(date: SystemTime) -> Redated {
        Redated { date: httpdate::fmt_http_date(date), begins: None }
    }

    /// The bytes with this date in them; `None` where there is no date, and nothing to be changed.
    pub(crate) fn changed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let found = || place_of_date(bytes).map(|at| Place { at, done: 0 });
        let Place { at, done } = self.begins.or_else(found)?;
        self.begins = Some(Place { at, done });
        let mut changed = bytes.to_vec();
        let rest = self.date.as_bytes().get(done..)?;
        for (byte, new) in changed.iter_mut().skip(at).zip(rest) {
            *byte = *new;
        }
        Some(changed)
    }

    /// What is left to be done once so many of the bytes are written.
    pub(crate) fn behind(mut self, written: usize) -> Option<Redated> {
        let Place { at, done } = self.begins?;
        let done = done + written.saturating_sub(at);
        self.begins = Some(Place { at: at.saturating_sub(written), done });
        (done < LENGTH).then_some(self)
    }
}

/// Where the value of the head's `Date` begins, if it has the usual form.
fn place_of_date(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let has_length = line.len() == NAME.len() + LENGTH + b"\r\n".len();
        if has_length && line[..NAME.len()].eq_ignore_ascii_case(NAME) && line.ends_with(b"\r\n") {
            return Some(from + NAME.len());
        }
        from += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nA: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nC: d\r\n\r\n";

    fn redated() -> Redated {
        Redated::new(UNIX_EPOCH + Duration::from_secs(86_400))
    }

    /// What arrives where each write takes at most so many bytes.
    fn written(head: &str, at_once: usize) -> String {
        let (mut redated, mut out, mut rest) = (Some(redated()), Vec::new(), head.as_bytes());
        while !rest.is_empty() {
            let changed = redated.as_mut().and_then(|redated| redated.changed(rest));
            let length = at_once.min(rest.len());
            match changed {
                Some(changed) => {
                    out.extend_from_slice(&changed[..length]);
                    redated = redated.and_then(|redated| redated.behind(length));
                }
                None => {
                    redated = None;
                    out.extend_from_slice(&rest[..length]);
                }
            }
            rest = &rest[length..];
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_tells_the_other_date_in_however_many_parts_it_is_written() {
        let expected = HEAD.replace("Sun, 06 Nov 1994 08:49:37", "Fri, 02 Jan 1970 00:00:00");
        for at_once in 1..=HEAD.len() {
            assert_eq!(written(HEAD, at_once), expected, "{at_once}");
        }
        assert_eq!(written(&HEAD.to_lowercase(), 1_000).len(), HEAD.len());
    }

    #[test]
    fn a_head_without_a_date_of_that_length_stays_as_it_is() {
        for head in [
            HEAD.replace("Date", "Dates"),
            HEAD.replace("GMT", "UTC+1"),
            HEAD.replace(" GMT", ""),
            "HTTP/1.1 200 OK\r\nDate: ".to_owned(),
            String::new(),
        ] {
            assert_eq!(written(&head, 1_000), head);
        }
    }
}
