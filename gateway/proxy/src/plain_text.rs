//! Numbers and addresses as text, digit by digit.
//!
//! A dozen of them are written for every request. The formatting machinery of `core::fmt` would do,
//! at several hundred instructions apiece: it keeps room for widths, signs and fills that are never
//! asked for here.

use std::fmt::Write;
use std::net::IpAddr;

/// Digits of `u64::MAX`.
const DIGITS_MAX: usize = 20;
/// Hex digits of a `u64`.
const HEX_DIGITS: usize = 16;

/// The decimal digits of a number.
pub(crate) struct Decimal {
    digits: [u8; DIGITS_MAX],
    start: usize,
}

impl Decimal {
    pub(crate) fn of(mut number: u64) -> Decimal {
        let mut decimal = Decimal { digits: [b'0'; DIGITS_MAX], start: DIGITS_MAX };
        loop {
            decimal.start -= 1;
            decimal.digits[decimal.start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Appends a number in decimal.
pub(crate) fn push_number(text: &mut String, number: u64) {
    push_ascii(text, Decimal::of(number).bytes());
}

/// Appends sixteen hex digits.
pub(crate) fn push_hex(text: &mut String, number: u64) {
    let digit = |place: usize| {
        b"0123456789abcdef"[(number >> (4 * (HEX_DIGITS - 1 - place))) as usize & 0xf]
    };
    push_ascii(text, &std::array::from_fn::<u8, HEX_DIGITS, _>(digit));
}

/// Digits are text; the check costs less than to push them one by one.
fn push_ascii(text: &mut String, digits: &[u8]) {
    text.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

/// Appends an address as the standard library shows it.
pub(crate) fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // Writing into a String cannot fail.
        let _ = write!(text, "{address}");
        return;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        push_number(text, octet.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let (mut decimal, mut hex) = (String::from("n="), String::from("x="));
            push_number(&mut decimal, number);
            push_hex(&mut hex, number);
            assert_eq!((decimal, hex), (format!("n={number}"), format!("x={number:016x}")));
        }
    }

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        for address in
            ["0.0.0.0", "127.0.0.1", "192.0.2.255", "255.255.255.255", "::1", "2001:db8::1"]
        {
            let parsed: IpAddr = address.parse().expect("an address");
            let mut text = String::new();
            push_address(&mut text, parsed);
            assert_eq!(text, address);
        }
    }
}
