//! One process hands over to another that serves the same addresses: the binary is exchanged under load.
//!
//! The one that serves starts its successor as a child, with one end of a pair of sockets as its standard
//! input. What is told over it, in order:
//!
//! | from | message |
//! | --- | --- |
//! | old | the listening sockets, by role and address |
//! | new | it has loaded everything, and could serve |
//! | old | all counts; from here on it judges nothing more |
//! | new | it serves |
//! | old | connections, as they owe no answer |
//!
//! Until the new one serves, any failure of it leaves the old one serving as if nothing had been. Messages
//! carry a version: a binary of another one that does not know it refuses, and the old one goes on.
//!
//! Not here: when it happens (`life`), what becomes of connections (`gateway-proxy`), what of counts
//! (`gateway-limits`).
//!
//! Sources: unix(7) for `SCM_RIGHTS` and sequenced packets; nginx's `USR2` for the signal.

use std::net::SocketAddr;

mod channel;
mod message;
pub(crate) mod predecessor;
pub(crate) mod successor;

/// The variable that tells a process that its standard input is the way to its predecessor.
const VARIABLE: &str = "COLONNADE_HANDOVER";

/// What the messages look like; a change of their meaning changes it.
const VERSION: u8 = 1;

/// What a listening socket is called: its role, and its address as configured.
pub(crate) fn name(role: &str, address: impl std::fmt::Display) -> String {
    format!("{role} {address}")
}

/// What the proxy's listeners are called, in the order of the configuration. The kernel chooses a port for
/// each of several at port 0: they are told apart by their number.
pub(crate) fn listener_names(addresses: impl Iterator<Item = SocketAddr>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for address in addresses {
        let name = name("proxy", address);
        let same = names.iter().filter(|other| other.split(" #").next() == Some(&name)).count();
        names.push(if same == 0 { name } else { format!("{name} #{same}") });
    }
    names
}
