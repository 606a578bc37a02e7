//! Accepts a request target whose path is in canonical form, and splits it from the query.
//!
//! A gateway that tidies a path judges another request than the upstream serves, and two tidiers
//! never agree. So nothing is rewritten: a path that RFC 3986 §6 would change, or that some upstream
//! reads as another one, is refused, and one that is accepted goes on byte for byte (S17).
//!
//! Stricter than the RFC asks, because upstreams differ: lower-case hex in a code (§6.2.2.1 would
//! raise it), `;` (path parameters), `%3B %3F %23` (delimiters once decoded), `%25` (decoded twice),
//! codes that are not UTF-8, and coded control characters beyond ASCII. `%20`, `%3A` and the other
//! codes of characters that do not delimit anything pass.
//!
//! Not here: which route a path belongs to (`route`), what a query may say (`query`), and the
//! absolute form, which the proxy resolves before.
//!
//! Cost: one pass over the bytes, no allocation. Sources: RFC 3986 §3.3, §3.4 and §6.2.2; RFC 3629.

/// An accepted target: path canonical, split from the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Starts with `/`; visible ASCII.
    pub path: &'a str,
    /// What follows the first `?`, without it; visible ASCII, otherwise as sent. `/a?` has `Some("")`.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads an origin-form target as sent.
    ///
    /// # Errors
    /// The first rule of [`OddPath`] that it breaks, with the offset into `target`.
    pub fn parse(target: &'a [u8]) -> Result<Target<'a>, OddPath> {
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = (&target[..end], target.get(end + 1..));
        check_path(path)?;
        if let Some(query) = query {
            check_query(query, end + 1)?;
        }
        Ok(Target {
            path: text(path, 0)?,
            query: query.map(|query| text(query, end + 1)).transpose()?,
        })
    }
}

fn check_path(path: &[u8]) -> Result<(), OddPath> {
    if path.first() != Some(&b'/') {
        return Err(OddPath::NotOrigin);
    }
    let (mut at, mut segment) = (1, 1);
    while let Some(plain) = path[at..].iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        at += plain;
        match path[at] {
            b'/' if at == segment => return Err(OddPath::EmptySegment { at }),
            b'/' => {
                check_dots(path, segment, at)?;
                at += 1;
                segment = at;
            }
            b'%' => at = check_code(path, at)?,
            byte => return Err(odd_byte(byte, at)),
        }
    }
    check_dots(path, segment, path.len())
}

/// What RFC 3986 allows raw in a segment, without `;`. A table, because every byte is looked up.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        plain[byte as usize] = is_unreserved(byte)
            || matches!(byte, b'!' | b'$' | b'&'..=b'*' | b'+' | b',' | b'=' | b':' | b'@');
        byte += 1;
    }
    plain
};

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn odd_byte(byte: u8, at: usize) -> OddPath {
    match byte {
        b'#' => OddPath::Fragment { at },
        b'\\' => OddPath::Backslash { at },
        b';' => OddPath::Semicolon { at },
        0x00..=0x1f | 0x7f => OddPath::Control { at },
        0x80.. => OddPath::NonAscii { at },
        _ => OddPath::NotAllowed { at },
    }
}

fn check_dots(path: &[u8], from: usize, to: usize) -> Result<(), OddPath> {
    match path.get(from..to) {
        Some(b"." | b"..") => Err(OddPath::DotSegment { at: from }),
        _ => Ok(()),
    }
}

/// Checks the code at `at`, a whole character of it, and answers where the path goes on.
fn check_code(path: &[u8], at: usize) -> Result<usize, OddPath> {
    let byte = octet(path, at)?;
    match byte {
        0x00..=0x1f | 0x7f => return Err(OddPath::CodedControl { at }),
        b'/' | b'\\' => return Err(OddPath::CodedSeparator { at }),
        b';' | b'?' | b'#' => return Err(OddPath::CodedDelimiter { at }),
        b'%' => return Err(OddPath::CodedPercent { at }),
        _ if is_unreserved(byte) => return Err(OddPath::CodedUnreserved { at }),
        _ => {}
    }
    let octets = utf8_length(byte).ok_or(OddPath::CodedNotUtf8 { at })?;
    let mut coded = [byte, 0, 0, 0];
    for (index, slot) in coded.iter_mut().enumerate().take(octets).skip(1) {
        let next = at + 3 * index;
        if path.get(next) != Some(&b'%') {
            return Err(OddPath::CodedNotUtf8 { at });
        }
        *slot = octet(path, next)?;
    }
    let end = at + 3 * octets;
    let character = std::str::from_utf8(&coded[..octets]).ok().and_then(|text| text.chars().next());
    match character {
        None => Err(OddPath::CodedNotUtf8 { at }),
        Some(character) if character.is_control() => Err(OddPath::CodedControl { at }),
        Some(_) if path[at..end].iter().any(u8::is_ascii_lowercase) => {
            Err(OddPath::LowerCaseHex { at })
        }
        Some(_) => Ok(end),
    }
}

/// The byte that `%XX` at `at` stands for.
fn octet(path: &[u8], at: usize) -> Result<u8, OddPath> {
    let digit =
        |offset: usize| path.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
    match (digit(1), digit(2)) {
        // Two digits of base 16 are below 256.
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
        _ => Err(OddPath::BrokenCode { at }),
    }
}

/// Octets of the character that `lead` begins, by RFC 3629 §4.
fn utf8_length(lead: u8) -> Option<usize> {
    match lead {
        0x00..=0x7f => Some(1),
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        _ => None,
    }
}

fn check_query(query: &[u8], offset: usize) -> Result<(), OddPath> {
    match query.iter().position(|byte| !byte.is_ascii_graphic() || *byte == b'#') {
        None => Ok(()),
        Some(at) if query[at] == b'#' => Err(OddPath::Fragment { at: offset + at }),
        Some(at) => Err(OddPath::QueryByte { at: offset + at }),
    }
}

fn text(checked: &[u8], offset: usize) -> Result<&str, OddPath> {
    std::str::from_utf8(checked)
        .map_err(|error| OddPath::NonAscii { at: offset + error.valid_up_to() })
}

/// Why a target is not judged at all. `at` is a byte offset into the target; the target itself is
/// not repeated, because it may carry anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OddPath {
    #[error("the target does not start with `/`")]
    NotOrigin,
    #[error("the target has a fragment at byte {at}")]
    Fragment { at: usize },
    #[error("the path has an empty segment at byte {at}")]
    EmptySegment { at: usize },
    #[error("the path has a dot segment at byte {at}")]
    DotSegment { at: usize },
    #[error("the path has a backslash at byte {at}")]
    Backslash { at: usize },
    #[error("the path has a semicolon at byte {at}")]
    Semicolon { at: usize },
    #[error("the path has a control byte at byte {at}")]
    Control { at: usize },
    #[error("the path has a byte beyond ASCII at byte {at}")]
    NonAscii { at: usize },
    #[error("the path has a byte at byte {at} that must be percent-coded")]
    NotAllowed { at: usize },
    #[error("the percent code at byte {at} is not two hexadecimal digits")]
    BrokenCode { at: usize },
    #[error("the percent code at byte {at} is a slash or a backslash")]
    CodedSeparator { at: usize },
    #[error("the percent code at byte {at} is a semicolon, question mark or hash")]
    CodedDelimiter { at: usize },
    #[error("the percent code at byte {at} is a percent sign")]
    CodedPercent { at: usize },
    #[error("the percent code at byte {at} is a control character")]
    CodedControl { at: usize },
    #[error("the percent code at byte {at} is a character that is never coded")]
    CodedUnreserved { at: usize },
    #[error("the percent codes at byte {at} are not UTF-8")]
    CodedNotUtf8 { at: usize },
    #[error("the percent code at byte {at} has lower-case digits")]
    LowerCaseHex { at: usize },
    #[error("the query has a byte at byte {at} that is not visible ASCII")]
    QueryByte { at: usize },
}

#[cfg(test)]
mod tests;
