//! A strict look at a raw HTTP/1 request head before any other parser sees it.
//!
//! Two parsers that read one head differently are a smuggled request. So what arrives is held
//! to the one form that all parsers read alike: single spaces, CRLF, no folding, one length,
//! one host. The rest is refused, never repaired. Bounds are judged while bytes arrive, so
//! a head that is too long or broken is refused there and then and not only at its end.
//!
//! Not here: HTTP/2 (its frames have no such ambiguity), body framing on the wire, the form of a
//! path (the router refuses odd ones), credentials, time limits.
//!
//! Cost: each byte is looked at once for its end and once for its form; no allocation. A call
//! looks at the bytes since the last call only, so a dripping client costs no more than a quick one.
//!
//! Sources: RFC 9112 §2 to §6 (message form, length), RFC 9110 §5 (fields), §7.2 (Host), §10.1.1
//! (Expect), RFC 3986 §3.2 (authority).

use memchr::{memchr, memchr2, memchr3_iter};

/// Longest method that is read. The longest registered one has 17 letters (IANA).
const METHOD_BYTES_MAX: usize = 32;
/// `Content-Length` digits: what always fits 64 bits, and no body comes near.
const LENGTH_DIGITS_MAX: usize = 19;

/// How large a request head may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadBounds {
    /// The request target alone.
    pub(crate) target_bytes: usize,
    /// From behind the request line to the end of the empty line.
    pub(crate) header_bytes: usize,
    /// Field lines.
    pub(crate) headers: usize,
}

/// What is known of a head so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Nothing wrong yet, and no end.
    Partial,
    /// The head is whole and sound. `head_bytes` includes its empty line; what follows in the
    /// buffer was not looked at. `padded_credential`: white space stands behind a credential,
    /// which parsers trim; it is not the key that was issued. `chunked`: such a body follows.
    Complete { head_bytes: usize, padded_credential: bool, chunked: bool },
}

/// Why a head was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadFault {
    #[error("the request target is longer than allowed")]
    TargetTooLong,
    #[error("the header section has more bytes or lines than allowed")]
    HeadersTooLarge,
    #[error("malformed or ambiguous request: {why}")]
    BadRequest { why: &'static str },
    #[error("an expectation other than 100-continue")]
    Expectation,
}

fn bad(why: &'static str) -> HeadFault {
    HeadFault::BadRequest { why }
}

/// Looks at a request head as it arrives.
///
/// `buffer` is all that has arrived of this request, `from` its length at the last call (0 at the
/// first). The verdict does not depend on where the bytes were cut.
pub(crate) fn scan(buffer: &[u8], from: usize, bounds: &HeadBounds) -> Result<Scan, HeadFault> {
    let from = from.min(buffer.len());
    let overflow = first_overflow(buffer, from, bounds);
    // An overflow shows at one byte; a fault or the end in the bytes before it came first.
    let seen = &buffer[..overflow.map_or(buffer.len(), |(at, _)| at)];
    match find_end(seen, from)? {
        Some(head_bytes) => lint(&buffer[..head_bytes], bounds),
        None => overflow.map_or(Ok(Scan::Partial), |(_, fault)| Err(fault)),
    }
}

/// The first byte among the new ones that takes a part of the head over its bound, as an offset.
/// The parts follow one another, so at most one of them can be over first.
fn first_overflow(buffer: &[u8], from: usize, bounds: &HeadBounds) -> Option<(usize, HeadFault)> {
    let method = &buffer[..buffer.len().min(METHOD_BYTES_MAX + 1)];
    let Some(method_bytes) = memchr2(b' ', b'\n', method) else {
        let over = method.len() > METHOD_BYTES_MAX;
        return over.then_some((METHOD_BYTES_MAX, bad("the method is too long")));
    };
    let target_end_max = method_bytes.saturating_add(1).saturating_add(bounds.target_bytes);
    if buffer[method_bytes] == b' ' && (from..buffer.len()).contains(&target_end_max) {
        let target = &buffer[method_bytes + 1..=target_end_max];
        if memchr2(b' ', b'\n', target).is_none() {
            return Some((target_end_max, HeadFault::TargetTooLong));
        }
    }
    header_overflow(buffer, from, bounds.header_bytes)
}

/// The header section is over its bound once more than `header_bytes` follow the request line.
/// The line's end is sought only where it would make the new bytes too many, so all calls
/// together search each byte once.
fn header_overflow(buffer: &[u8], from: usize, header_bytes: usize) -> Option<(usize, HeadFault)> {
    let until = buffer.len().checked_sub(header_bytes.checked_add(1)?)?;
    let since = from.saturating_sub(header_bytes.saturating_add(1));
    let line_end = since + memchr(b'\n', &buffer[since..until])?;
    Some((line_end + 1 + header_bytes, HeadFault::HeadersTooLarge))
}

/// The length of the head once its empty line has come. Every line must end in CRLF; either
/// half of it alone, or a NUL, is a fault as soon as it shows.
fn find_end(seen: &[u8], from: usize) -> Result<Option<usize>, HeadFault> {
    // A CR at the end of the last call could not be judged then.
    let since = from.saturating_sub(1).min(seen.len());
    for found in memchr3_iter(b'\r', b'\n', 0, &seen[since..]) {
        let at = since + found;
        match seen[at] {
            b'\r' if matches!(seen.get(at + 1), None | Some(b'\n')) => {}
            b'\r' => return Err(bad("a bare CR")),
            b'\n' if at == 0 || seen[at - 1] != b'\r' => return Err(bad("a bare LF")),
            b'\n' if at == 1 => return Err(bad("an empty line before the request line")),
            b'\n' if at >= 3 && seen[at - 2] == b'\n' => return Ok(Some(at + 1)),
            b'\n' => {}
            _ => return Err(bad("a NUL byte")),
        }
    }
    Ok(None)
}

/// Judges a whole head. Here every CR stands before an LF and every LF behind a CR.
fn lint(head: &[u8], bounds: &HeadBounds) -> Result<Scan, HeadFault> {
    let mut lines = Lines { rest: head };
    let line = parse_request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields { version: line.version, ..Fields::default() };
    let mut count = 0;
    let mut padded_credential = false;
    for field in lines.take_while(|field| !field.is_empty()) {
        count += 1;
        if count > bounds.headers {
            return Err(HeadFault::HeadersTooLarge);
        }
        let (name, value) = parse_field(field)?;
        padded_credential |= is_credential(name) && matches!(field.last(), Some(b' ' | b'\t'));
        fields.judge(name, value)?;
    }
    fields.judge_together()?;
    judge_target(&line, fields.host)?;
    Ok(Scan::Complete { head_bytes: head.len(), padded_credential, chunked: fields.chunked })
}

fn is_credential(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"authorization") || name.eq_ignore_ascii_case(b"x-api-key")
}

/// The lines of a head without their CRLF.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.rest)?;
        let line = &self.rest[..end.saturating_sub(1)];
        self.rest = &self.rest[end + 1..];
        Some(line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Version {
    Http10,
    #[default]
    Http11,
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

fn parse_request_line(line: &[u8]) -> Result<RequestLine<'_>, HeadFault> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("the request line is not three words with single spaces"));
    };
    if !is_token(method) {
        return Err(bad("the method is not a token"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(bad("the target is not visible ASCII"));
    }
    // RFC 9112 §3.2 has no fragment in a target, and parsers cut it off without a word.
    if target.contains(&b'#') {
        return Err(bad("the target has a fragment"));
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(bad("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    Ok(RequestLine { method, target, version })
}

fn parse_field(line: &[u8]) -> Result<(&[u8], &[u8]), HeadFault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(bad("a folded header line"));
    }
    let colon = memchr(b':', line).ok_or(bad("a header line without a colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(bad("a header name is not a token"));
    }
    if value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(bad("a control byte in a header value"));
    }
    Ok((name, value.trim_ascii()))
}

/// The fields that say where a request goes and where it ends.
#[derive(Default)]
struct Fields<'a> {
    version: Version,
    host: Option<&'a [u8]>,
    length: bool,
    chunked: bool,
    expectation: bool,
}

impl<'a> Fields<'a> {
    fn judge(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), HeadFault> {
        // Few names begin like the ones judged here; the others cost one comparison.
        match name[0] | 0x20 {
            b'h' if name.eq_ignore_ascii_case(b"host") => self.judge_host(value)?,
            b'c' if name.eq_ignore_ascii_case(b"content-length") => self.judge_length(value)?,
            b't' if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.judge_transfer(value)?
            }
            b'e' if name.eq_ignore_ascii_case(b"expect") => {
                if self.expectation || !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HeadFault::Expectation);
                }
                self.expectation = true;
            }
            _ => {}
        }
        if is_masked(name) { Err(bad("a header name that passes for another")) } else { Ok(()) }
    }

    fn judge_host(&mut self, value: &'a [u8]) -> Result<(), HeadFault> {
        if self.host.replace(value).is_some() {
            return Err(bad("more than one Host"));
        }
        if is_authority(value) { Ok(()) } else { Err(bad("the Host is not a host and port")) }
    }

    fn judge_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if std::mem::replace(&mut self.length, true) {
            return Err(bad("more than one Content-Length"));
        }
        if is_length(value) { Ok(()) } else { Err(bad("the Content-Length is not a number")) }
    }

    fn judge_transfer(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if std::mem::replace(&mut self.chunked, true) {
            return Err(bad("more than one Transfer-Encoding"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            Ok(())
        } else {
            Err(bad("the Transfer-Encoding is not chunked"))
        }
    }

    fn judge_together(&self) -> Result<(), HeadFault> {
        if self.chunked && self.length {
            return Err(bad("both Transfer-Encoding and Content-Length"));
        }
        if self.chunked && self.version == Version::Http10 {
            return Err(bad("a Transfer-Encoding on HTTP/1.0"));
        }
        if self.host.is_none() && self.version == Version::Http11 {
            return Err(bad("no Host"));
        }
        Ok(())
    }
}

/// RFC 9112 §3.2: a path, an absolute URI that names the Host again, or `*` for OPTIONS.
fn judge_target(line: &RequestLine<'_>, host: Option<&[u8]>) -> Result<(), HeadFault> {
    if line.method == b"CONNECT" {
        return Err(bad("CONNECT"));
    }
    if line.target[0] == b'/' || (line.target == b"*" && line.method == b"OPTIONS") {
        return Ok(());
    }
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| strip_prefix_any_case(line.target, scheme.as_bytes()))
        .ok_or(bad("the target is neither a path nor a URL"))?;
    let slash = memchr(b'/', rest).ok_or(bad("the target is a URL without a path"))?;
    match host {
        Some(host) if rest[..slash].eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(bad("the target names another host than Host")),
    }
}

fn strip_prefix_any_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether a `Content-Length` is a number that fits.
pub(crate) fn is_length(value: &[u8]) -> bool {
    (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// Whether a name with `_` turns into one that matters when a server reads `_` as `-`, as
/// CGI and its heirs do.
pub(crate) fn is_masked(name: &[u8]) -> bool {
    const MATTER: [&[u8]; 5] =
        [b"content-length", b"transfer-encoding", b"host", b"authorization", b"x-api-key"];
    const OURS: &[u8] = b"x-colonnade";
    let reads_as = |known: &[u8]| {
        name.iter().zip(known).all(|(&byte, &other)| {
            byte.to_ascii_lowercase() == other || (byte == b'_' && other == b'-')
        })
    };
    memchr(b'_', name).is_some()
        && (MATTER.iter().any(|known| known.len() == name.len() && reads_as(known))
            || (name.len() >= OURS.len() && reads_as(OURS)))
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[byte as usize])
}

/// The bytes of a token, RFC 9110 §5.6.2.
pub(crate) const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
};

/// RFC 3986 §3.2 without user information: a name, a v4 address or a bracketed v6 one, and
/// perhaps a port. Of the name's marks the comma is left out: it would read as a list of hosts.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    if let Some(rest) = value.strip_prefix(b"[") {
        let Some(end) = memchr(b']', rest) else {
            return false;
        };
        let address = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(&rest[end + 1..]);
    }
    let end = memchr(b':', value).unwrap_or(value.len());
    let name = &value[..end];
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
        && is_port(&value[end..])
}

/// Nothing, or a colon and a port; RFC 3986 lets the digits be none.
fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
