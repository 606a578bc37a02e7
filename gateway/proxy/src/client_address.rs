//! Whose address a request comes from when it came through proxies.
//!
//! `X-Forwarded-For` is what the last hop says about the hop before it. It is believed only as far
//! as each speaker is trusted: from the peer of the connection leftwards, until the first
//! address that is none of `trusted_proxies`. That one is the client; what stands left of it
//! is its own claim. A forged list therefore moves nobody's address.
//!
//! Not here: the allow-list of a key, which is judged by the address found here.
//!
//! Cost: without `trusted_proxies`, or from any other peer, the header is not read. With them, one
//! pass over it and no allocation.
//!
//! Sources: RFC 7239 §8.1 for why the list is not to be trusted; the comma form is custom.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::plain_text::push_address;

/// Hops of a forwarding list that are looked at, from the right.
pub(crate) const HOPS_MAX: usize = 32;

/// The longest v4 address.
const ADDRESS_BYTES: usize = 15;

/// The address that the request comes from. `forwarded_for` are the values of the header's
/// lines in order; v4 addresses in v6 clothes (`::ffff:192.0.2.1`) come out as v4.
pub(crate) fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    trusted: &[IpNet],
) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    for hop in LastHops::read(forwarded_for).rightmost_first() {
        client = hop;
        if !is_trusted(hop, trusted) {
            break;
        }
    }
    client
}

/// The `X-Forwarded-For` to send upstream: the peer's address, behind the list that the peer
/// itself sent where the peer is a trusted proxy. The list is written anew from the addresses that
/// could be read, so nothing but addresses ever goes up in it.
pub(crate) fn forwarded_for<'a>(
    peer: IpAddr,
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    trusted: &[IpNet],
) -> String {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        let mut value = String::with_capacity(ADDRESS_BYTES);
        push_address(&mut value, peer);
        return value;
    }
    let hops = LastHops::read(forwarded_for);
    let known = hops.rightmost_first().count();
    let mut value = String::with_capacity((known + 1) * (ADDRESS_BYTES + 2));
    let mut list = [peer; HOPS_MAX];
    for (place, hop) in list[..known].iter_mut().rev().zip(hops.rightmost_first()) {
        *place = hop;
    }
    for hop in &list[..known] {
        push_address(&mut value, *hop);
        value.push_str(", ");
    }
    push_address(&mut value, peer);
    value
}

/// Whether an address, v4 as v4, is a trusted proxy's.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The rightmost entries of the list, in a ring so that no list however long costs memory.
struct LastHops<'a> {
    ring: [&'a [u8]; HOPS_MAX],
    seen: usize,
}

impl<'a> LastHops<'a> {
    fn read(values: impl Iterator<Item = &'a [u8]>) -> LastHops<'a> {
        let mut hops = LastHops { ring: [b""; HOPS_MAX], seen: 0 };
        for entry in values.flat_map(|value| value.split(|&byte| byte == b',')) {
            hops.ring[hops.seen % HOPS_MAX] = entry;
            hops.seen += 1;
        }
        hops
    }

    /// The addresses from the right, up to the first entry that is none.
    fn rightmost_first(&self) -> impl Iterator<Item = IpAddr> {
        let oldest = self.seen.saturating_sub(HOPS_MAX);
        (oldest..self.seen).rev().map_while(|at| address(self.ring[at % HOPS_MAX]))
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let found = match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip())),
    };
    found.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn nets() -> Vec<IpNet> {
        ["10.0.0.0/8", "2001:db8:aa::/48"].iter().map(|net| net.parse().unwrap()).collect()
    }

    fn client(peer: &str, lines: &[&str]) -> String {
        let lines = lines.iter().map(|line| line.as_bytes());
        client_address(peer.parse().unwrap(), lines, &nets()).to_string()
    }

    fn sent_up(peer: &str, lines: &[&str]) -> String {
        let lines = lines.iter().map(|line| line.as_bytes());
        forwarded_for(peer.parse().unwrap(), lines, &nets())
    }

    #[test]
    fn the_first_untrusted_address_rightmost_first_is_the_client() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("11.0.0.1", &["198.51.100.1"], "11.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.7, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.7, 198.51.100.1 ,10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.7", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["10.3.3.3,10.9.9.9"], "10.3.3.3"),
            ("2001:db8:aa::1", &["2001:db8:bb::1"], "2001:db8:bb::1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
        ] {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_malformed_entry_ends_the_walk_at_the_last_good_hop() {
        for (line, expected) in [
            ("198.51.100.1, unknown", "10.0.0.1"),
            ("198.51.100.1, , 10.9.9.9", "10.9.9.9"),
            ("198.51.100.1, 10.9.9.256, 10.9.9.9", "10.9.9.9"),
            ("198.51.100.1, _hidden, 10.9.9.9", "10.9.9.9"),
            ("198.51.100.1, 10.9.9.9/8", "10.0.0.1"),
            ("198.51.100.1, [10.9.9.9]", "10.0.0.1"),
            ("198.51.100.1, 0x0a000001", "10.0.0.1"),
            ("198.51.100.1, 010.0.0.1", "10.0.0.1"),
            ("198.51.100.1:4711, 10.9.9.9:80", "198.51.100.1"),
            ("[2001:db8::1]:4711, 10.9.9.9", "2001:db8::1"),
            ("[2001:db8::1], 10.9.9.9", "2001:db8::1"),
            ("fe80::1%eth0, 10.9.9.9", "10.9.9.9"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[line]), expected, "{line}");
        }
    }

    #[test]
    fn no_more_than_the_last_hops_are_walked() {
        for (trusted_hops, expected) in
            [(HOPS_MAX - 1, "198.51.100.1"), (HOPS_MAX, "10.0.0.2"), (500, "10.0.0.2")]
        {
            let list = format!("198.51.100.1{}", ", 10.0.0.2".repeat(trusted_hops));
            assert_eq!(client("10.0.0.1", &[&list]), expected, "{trusted_hops}");
        }
    }

    #[test]
    fn upstream_hears_the_peer_behind_what_a_trusted_peer_said() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("::ffff:203.0.113.9", &[], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1, 10.0.0.1"),
            (
                "10.0.0.1",
                &["192.0.2.7,198.51.100.1:80", "10.2.2.2"],
                "192.0.2.7, 198.51.100.1, 10.2.2.2, 10.0.0.1",
            ),
            ("10.0.0.1", &["<script>, 198.51.100.1"], "198.51.100.1, 10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, \u{1b}[31m"], "10.0.0.1"),
        ] {
            assert_eq!(sent_up(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    proptest! {
        /// Whatever bytes arrive, the answer is an address and only addresses go up.
        #[test]
        fn any_bytes_are_read_without_a_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5)) {
            let peer = "10.0.0.1".parse().unwrap();
            let client = client_address(peer, lines.iter().map(Vec::as_slice), &nets());
            let up = forwarded_for(peer, lines.iter().map(Vec::as_slice), &nets());
            let hops: Vec<IpAddr> = up.split(", ").map(|hop| hop.parse().unwrap()).collect();
            prop_assert_eq!(hops.last(), Some(&peer));
            prop_assert!(hops.contains(&client));
        }

        /// The plain reading: split all, parse from the right, stop at the first stranger.
        #[test]
        fn a_naive_walk_agrees(hops in prop::collection::vec(prop_oneof!["10\\.0\\.0\\.[1-9]", "198\\.51\\.100\\.[1-9]", "x"], 0..40)) {
            let list = hops.join(",");
            let mut expected = "10.0.0.1".to_string();
            for hop in hops.iter().rev().take(HOPS_MAX) {
                if hop == "x" { break }
                expected = hop.clone();
                if !hop.starts_with("10.") { break }
            }
            prop_assert_eq!(client("10.0.0.1", &[&list]), expected);
        }
    }
}
