//! Reads the path pattern of a route.
//!
//! A literal that no accepted path could ever equal is a fault here, not a route that never
//! answers. Cost: once per configuration.

use crate::path::{OddPath, Target};

/// Most parameters of one pattern: the width of [`Params`](super::Params).
pub(super) const PARAMS_MAX: usize = 8;
/// Most segments of one pattern: the depth of the look-up.
pub(super) const SEGMENTS_MAX: usize = 64;

/// The path part of a route's `match:`, as `/literal/{name}/{name:int}/{name:uuid}/**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    params: Box<[Box<str>]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Empty for a trailing slash, and then last.
    Literal(Box<str>),
    Int,
    Uuid,
    Any,
    Rest,
}

impl Pattern {
    /// Reads a pattern. `/` alone and a trailing `/` are literal.
    ///
    /// # Errors
    /// The first fault from the left.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let mut pieces = text.strip_prefix('/').ok_or(PatternError::NoSlash)?.split('/').peekable();
        let (mut segments, mut params) = (Vec::new(), Vec::new());
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            if segments.len() == SEGMENTS_MAX {
                return Err(PatternError::TooManySegments);
            }
            segments.push(match piece.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(inner) => parse_parameter(inner, &mut params)?,
                None => parse_plain(piece, last)?,
            });
        }
        Ok(Pattern { text: text.into(), segments: segments.into(), params: params.into() })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the parameters, from the left.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(|name| &**name)
    }

    pub(super) fn names(&self) -> &[Box<str>] {
        &self.params
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

fn parse_plain(piece: &str, last: bool) -> Result<Segment, PatternError> {
    let segment = || piece.into();
    match piece {
        "**" if last => Ok(Segment::Rest),
        "**" => Err(PatternError::RestNotLast),
        "" if last => Ok(Segment::Literal(segment())),
        "" => Err(PatternError::EmptySegment),
        _ if piece.contains(['{', '}']) => Err(PatternError::PartOfSegment { segment: segment() }),
        _ if piece.contains('*') => Err(PatternError::Star { segment: segment() }),
        _ if piece.contains('?') => Err(PatternError::Query { segment: segment() }),
        _ => match Target::parse(format!("/{piece}").as_bytes()) {
            Ok(_) => Ok(Segment::Literal(segment())),
            Err(reason) => Err(PatternError::Literal { segment: segment(), reason }),
        },
    }
}

fn parse_parameter(inner: &str, params: &mut Vec<Box<str>>) -> Result<Segment, PatternError> {
    let (name, kind) = match inner.split_once(':') {
        None => (inner, Segment::Any),
        Some((name, "int")) => (name, Segment::Int),
        Some((name, "uuid")) => (name, Segment::Uuid),
        Some((_, kind)) => return Err(PatternError::UnknownType { kind: kind.into() }),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(PatternError::Name { name: name.into() });
    }
    if params.iter().any(|known| **known == *name) {
        return Err(PatternError::NameTwice { name: name.into() });
    }
    if params.len() == PARAMS_MAX {
        return Err(PatternError::TooManyParams);
    }
    params.push(name.into());
    Ok(kind)
}

/// A pattern that does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a path pattern starts with `/`")]
    NoSlash,
    #[error("the pattern has an empty segment (`//`)")]
    EmptySegment,
    #[error("`**` may only be the last segment")]
    RestNotLast,
    #[error("`{segment}`: a parameter is a whole segment, as `{{name}}`")]
    PartOfSegment { segment: Box<str> },
    #[error("`{segment}`: one segment is matched by `{{name}}`, the rest of a path by a last `**`")]
    Star { segment: Box<str> },
    #[error("`{segment}`: a pattern has no query; list the names under `query`")]
    Query { segment: Box<str> },
    #[error("`{segment}` could never match: {reason}")]
    Literal { segment: Box<str>, reason: OddPath },
    #[error("`{kind}` is no parameter type; there are `int` and `uuid`")]
    UnknownType { kind: Box<str> },
    #[error("`{name}` is no parameter name; use letters, digits, `_`, `-` and `.`")]
    Name { name: Box<str> },
    #[error("the parameter `{name}` is there twice")]
    NameTwice { name: Box<str> },
    #[error("more than {PARAMS_MAX} parameters")]
    TooManyParams,
    #[error("more than {SEGMENTS_MAX} segments")]
    TooManySegments,
}
