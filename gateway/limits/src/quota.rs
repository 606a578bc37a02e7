//! Limits as used: validated once, read by every request.
//!
//! [`Quota`] is one limit as declared; [`Quotas`] are all limits of a key, in declared order, with
//! what the arithmetic needs computed beforehand. Every bound is a named constant and every fault a
//! variant with its numbers, so that whoever reads configuration can say place and remedy.
//!
//! Not here: counts (`meters`), YAML and durations (`gateway-settings`).

use crate::window::Rule;

/// Most limits one key may have: four words of a line serve the present configuration and four the
/// next one.
pub const LIMITS_PER_KEY_MAX: usize = 4;
/// Most requests a window may allow: what 20 bits count.
pub const REQUESTS_MAX: u32 = (1 << 20) - 1;
/// Shortest window: headers speak in whole seconds.
pub const WINDOW_MS_MIN: u64 = 1_000;
/// Longest window: 31 days.
pub const WINDOW_MS_MAX: u64 = 31 * 86_400_000;
/// Largest burst of a `gcra` limit.
pub const BURST_MAX: u32 = REQUESTS_MAX;
/// Longest time an empty `gcra` bucket may need to fill: 366 days.
pub const REFILL_MS_MAX: u64 = 366 * 86_400_000;
/// Longest name of a limit, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QuotaKind {
    /// At most `requests` in each window; windows follow one another, shifted by a phase of the
    /// key's own. Up to twice `requests` can pass around a boundary.
    #[default]
    Window,
    /// As `Window`, but the window before still weighs by how much of it the last `window_ms`
    /// cover, taken as evenly loaded.
    Sliding,
    /// A bucket of `burst` requests that refills at `requests` a window (generic cell rate
    /// algorithm). In any span it admits at most `burst` plus what refills in that span.
    Gcra {
        /// Requests that may come at once, 1 to [`BURST_MAX`].
        burst: u32,
    },
}

/// One limit as declared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quota {
    /// 1 to [`NAME_BYTES_MAX`] printable ASCII bytes but `"` and `\`: it is shown in headers.
    pub name: Box<str>,
    /// Requests a window, 1 to [`REQUESTS_MAX`].
    pub requests: u32,
    /// Length of the window, [`WINDOW_MS_MIN`] to [`WINDOW_MS_MAX`] milliseconds. Where it is not
    /// whole seconds, resets are rounded up to the next second.
    pub window_ms: u64,
    pub kind: QuotaKind,
}

/// All limits of a key; a request must pass every one. At least one, at most
/// [`LIMITS_PER_KEY_MAX`], names unique, order as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    declared: Box<[Quota]>,
    rules: Box<[Rule]>,
    signs: Box<[Sign]>,
    order: Box<[u8]>,
    shown: usize,
}

impl Quotas {
    /// Validates; the first fault in declared order is returned.
    pub fn new(declared: Vec<Quota>) -> Result<Quotas, QuotaError> {
        if declared.is_empty() {
            return Err(QuotaError::NoLimit);
        }
        if declared.len() > LIMITS_PER_KEY_MAX {
            return Err(QuotaError::TooMany { count: declared.len() });
        }
        for (index, quota) in declared.iter().enumerate() {
            validate(index, quota)?;
            let before = declared.get(..index).unwrap_or_default();
            if before.iter().any(|other| other.name == quota.name) {
                return Err(QuotaError::NameTwice { name: quota.name.clone() });
            }
        }
        Ok(Quotas {
            rules: declared.iter().map(Rule::of).collect(),
            signs: signs_of(&declared),
            order: reservation_order(&declared),
            shown: declared.iter().position(|quota| &*quota.name == "minute").unwrap_or(0),
            declared: declared.into_boxed_slice(),
        })
    }

    /// In declared order, the order of [`crate::Allowance::states`].
    pub fn iter(&self) -> std::slice::Iter<'_, Quota> {
        self.declared.iter()
    }

    /// Index of the limit that the plain `X-RateLimit-*` headers show: the one named `minute`, else
    /// the first.
    pub fn shown(&self) -> usize {
        self.shown
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn signs(&self) -> &[Sign] {
        &self.signs
    }

    /// Indices in the order in which limits are reserved.
    pub(crate) fn order(&self) -> &[u8] {
        &self.order
    }
}

impl<'a> IntoIterator for &'a Quotas {
    type Item = &'a Quota;
    type IntoIter = std::slice::Iter<'a, Quota>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What makes a count mean the same after a reload: kind and window, and for twins their order.
/// Neither the name nor the numbers belong to it: renaming a limit or raising it refills nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sign(u64);

impl Sign {
    fn of(quota: &Quota, twins_before: usize) -> Sign {
        let kind = match quota.kind {
            QuotaKind::Window => 0,
            QuotaKind::Sliding => 1,
            QuotaKind::Gcra { .. } => 2,
        };
        Sign(quota.window_ms << 4 | kind << 2 | (twins_before as u64 & 3))
    }

    pub(crate) fn window_ms(self) -> u64 {
        self.0 >> 4
    }

    /// `None` for what no version has made. What a bucket holds is not part of it.
    pub(crate) fn kind(self) -> Option<QuotaKind> {
        match self.0 >> 2 & 3 {
            0 => Some(QuotaKind::Window),
            1 => Some(QuotaKind::Sliding),
            2 => Some(QuotaKind::Gcra { burst: 0 }),
            _ => None,
        }
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// Any number is a sign; one that no limit has is never asked for.
    pub(crate) fn from_bits(bits: u64) -> Sign {
        Sign(bits)
    }
}

fn signs_of(declared: &[Quota]) -> Box<[Sign]> {
    let mut signs: Vec<Sign> = Vec::with_capacity(declared.len());
    for quota in declared {
        let twins = signs.iter().filter(|sign| sign.0 >> 2 == Sign::of(quota, 0).0 >> 2).count();
        signs.push(Sign::of(quota, twins));
    }
    signs.into_boxed_slice()
}

/// Counting limits first: what was reserved there can be given back exactly. A bucket also moves
/// with time, so it comes last, where there is hardly ever anything to give back.
fn reservation_order(declared: &[Quota]) -> Box<[u8]> {
    let mut order: Vec<u8> = (0..declared.len() as u8).collect();
    order.sort_by_key(|&index| {
        declared
            .get(usize::from(index))
            .is_some_and(|quota| matches!(quota.kind, QuotaKind::Gcra { .. }))
    });
    order.into_boxed_slice()
}

fn validate(index: usize, quota: &Quota) -> Result<(), QuotaError> {
    let Quota { name, requests, window_ms, kind } = quota;
    let name = || name.clone();
    if quota.name.is_empty() {
        return Err(QuotaError::NameEmpty { index });
    }
    if quota.name.len() > NAME_BYTES_MAX {
        return Err(QuotaError::NameTooLong { name: name(), bytes: quota.name.len() });
    }
    if let Some(character) =
        quota.name.chars().find(|&c| !matches!(c, ' '..='~') || c == '"' || c == '\\')
    {
        return Err(QuotaError::NameCharacter { name: name(), character });
    }
    if !(1..=REQUESTS_MAX).contains(requests) {
        return Err(QuotaError::Requests { name: name(), requests: *requests });
    }
    if !(WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(window_ms) {
        return Err(QuotaError::Window { name: name(), window_ms: *window_ms });
    }
    if let QuotaKind::Gcra { burst } = *kind {
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(QuotaError::Burst { name: name(), burst });
        }
        let refill_ms = (u64::from(burst) * window_ms).div_ceil(u64::from(*requests));
        if refill_ms > REFILL_MS_MAX {
            return Err(QuotaError::Refill { name: name(), refill_ms });
        }
    }
    Ok(())
}

/// Why limits cannot be used. `name` is the limit's, as declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    #[error("there is no limit; at least one is needed")]
    NoLimit,
    #[error("{count} limits are more than the {LIMITS_PER_KEY_MAX} a key may have")]
    TooMany { count: usize },
    #[error("limit {index} has an empty name")]
    NameEmpty { index: usize },
    #[error("the name `{name}` is {bytes} bytes long, more than {NAME_BYTES_MAX}")]
    NameTooLong { name: Box<str>, bytes: usize },
    #[error("the name `{}` holds {character:?}; only printable ASCII but `\"` and `\\` can be shown in a header", name.escape_debug())]
    NameCharacter { name: Box<str>, character: char },
    #[error("two limits are named `{name}`")]
    NameTwice { name: Box<str> },
    #[error("limit `{name}`: {requests} requests are not in 1 to {REQUESTS_MAX}")]
    Requests { name: Box<str>, requests: u32 },
    #[error(
        "limit `{name}`: a window of {window_ms} ms is not in {WINDOW_MS_MIN} ms to {WINDOW_MS_MAX} ms (31 days)"
    )]
    Window { name: Box<str>, window_ms: u64 },
    #[error("limit `{name}`: a burst of {burst} is not in 1 to {BURST_MAX}")]
    Burst { name: Box<str>, burst: u32 },
    #[error(
        "limit `{name}`: a spent burst would need {refill_ms} ms to refill, more than {REFILL_MS_MAX} ms (366 days)"
    )]
    Refill { name: Box<str>, refill_ms: u64 },
}

impl QuotaError {
    /// Name of the faulty limit, where the fault lies in one that has a name.
    pub fn name(&self) -> Option<&str> {
        match self {
            QuotaError::NoLimit | QuotaError::TooMany { .. } | QuotaError::NameEmpty { .. } => None,
            QuotaError::NameTooLong { name, .. }
            | QuotaError::NameCharacter { name, .. }
            | QuotaError::NameTwice { name }
            | QuotaError::Requests { name, .. }
            | QuotaError::Window { name, .. }
            | QuotaError::Burst { name, .. }
            | QuotaError::Refill { name, .. } => Some(name),
        }
    }
}

#[cfg(test)]
mod tests;
