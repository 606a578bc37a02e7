//! Large bodies, and many at a time (E12).

use std::io::Write;

use crate::response_source::Source;
use crate::response_support::{Rig, chunks, json_head};
use crate::support::answer::Ending;
use crate::support::{Gateway, Reply};

/// What a process has in memory, in KiB, by its own account to the kernel.
pub(crate) fn resident_kib(gateway: &Gateway) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
