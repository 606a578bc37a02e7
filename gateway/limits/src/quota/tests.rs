//! Bounds of a declared limit, each with its edge in the middle of a table.
#![allow(clippy::unwrap_used)]

use super::*;

fn quota(name: &str, requests: u32, window_ms: u64, kind: QuotaKind) -> Quota {
    Quota { name: name.into(), requests, window_ms, kind }
}

fn minute(requests: u32) -> Quota {
    quota("minute", requests, 60_000, QuotaKind::Window)
}

fn fault(declared: Vec<Quota>) -> Option<QuotaError> {
    Quotas::new(declared).err()
}

/// R1: the bounds of a number, each with its edge in the middle.
#[test]
fn numbers_are_held_to_their_bounds() {
    for (requests, good) in
        [(0, false), (1, true), (3_000, true), (1_048_575, true), (1_048_576, false)]
    {
        let error = (!good).then(|| QuotaError::Requests { name: "minute".into(), requests });
        assert_eq!(fault(vec![minute(requests)]), error, "{requests}");
    }
    for (window_ms, good) in [
        (0, false),
        (999, false),
        (1_000, true),
        (1_250, true),
        (2_678_400_000, true),
        (2_678_400_001, false),
        (u64::MAX, false),
    ] {
        let error = (!good).then(|| QuotaError::Window { name: "w".into(), window_ms });
        assert_eq!(fault(vec![quota("w", 1, window_ms, QuotaKind::Sliding)]), error, "{window_ms}");
    }
    for (burst, good) in [(0, false), (1, true), (1_048_575, true), (1_048_576, false)] {
        let error = (!good).then(|| QuotaError::Burst { name: "b".into(), burst });
        assert_eq!(
            fault(vec![quota("b", 60, 60_000, QuotaKind::Gcra { burst })]),
            error,
            "{burst}"
        );
    }
    for (burst, good) in [(11, true), (12, false)] {
        let refill_ms = u64::from(burst) * WINDOW_MS_MAX;
        let error = (!good).then(|| QuotaError::Refill { name: "b".into(), refill_ms });
        assert_eq!(
            fault(vec![quota("b", 1, WINDOW_MS_MAX, QuotaKind::Gcra { burst })]),
            error,
            "{burst}"
        );
    }
}

#[test]
fn a_name_can_be_shown_in_a_header_and_is_there_once() {
    let long = "n".repeat(65);
    for (name, error) in [
        ("minute", None),
        ("per hour (1.000)", None),
        (&long[..64], None),
        ("", Some(QuotaError::NameEmpty { index: 0 })),
        (&long, Some(QuotaError::NameTooLong { name: long.as_str().into(), bytes: 65 })),
        ("a\"b", Some(QuotaError::NameCharacter { name: "a\"b".into(), character: '"' })),
        ("a\\b", Some(QuotaError::NameCharacter { name: "a\\b".into(), character: '\\' })),
        ("a\r\nb", Some(QuotaError::NameCharacter { name: "a\r\nb".into(), character: '\r' })),
        ("stündlich", Some(QuotaError::NameCharacter { name: "stündlich".into(), character: 'ü' })),
    ] {
        assert_eq!(fault(vec![quota(name, 1, 1_000, QuotaKind::Window)]), error, "{name}");
    }
    let twice = fault(vec![minute(1), quota("day", 9, 86_400_000, QuotaKind::Window), minute(2)]);
    assert_eq!(twice, Some(QuotaError::NameTwice { name: "minute".into() }));
}

#[test]
fn a_key_has_one_to_four_limits() {
    let limits = |count: usize| {
        (0..count).map(|i| quota(&format!("l{i}"), 1, 1_000, QuotaKind::Window)).collect()
    };
    for (count, error) in [
        (0, Some(QuotaError::NoLimit)),
        (1, None),
        (4, None),
        (5, Some(QuotaError::TooMany { count: 5 })),
    ] {
        assert_eq!(fault(limits(count)), error, "{count}");
    }
}

#[test]
fn the_limit_named_minute_is_shown_else_the_first() {
    let hour = || quota("hour", 9, 3_600_000, QuotaKind::Window);
    let day = || quota("day", 9, 86_400_000, QuotaKind::Window);
    for (declared, shown) in [
        (vec![minute(1)], 0),
        (vec![hour(), minute(1)], 1),
        (vec![hour(), day(), minute(1)], 2),
        (vec![hour(), day()], 0),
    ] {
        let quotas = Quotas::new(declared.clone()).unwrap();
        assert_eq!(quotas.shown(), shown);
        assert_eq!(quotas.iter().cloned().collect::<Vec<_>>(), declared, "order is kept");
    }
}

#[test]
fn an_error_names_the_limit_the_value_and_the_bound() {
    let error = fault(vec![minute(0)]).unwrap();
    assert_eq!(error.to_string(), "limit `minute`: 0 requests are not in 1 to 1048575");
    assert_eq!(error.name(), Some("minute"));
    let error = fault(vec![quota("a\nb", 1, 1_000, QuotaKind::Window)]).unwrap();
    assert!(error.to_string().starts_with("the name `a\\nb` holds '\\n'"), "{error}");
}
