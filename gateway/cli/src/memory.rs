//! How the process takes memory from the system.

/// Takes no huge pages. The allocator would ask for them: two megabytes at a time, which the kernel fills by
/// copying whenever it likes, so that twice the memory is held for the same work and a limit set with care is met by a
/// jump. What they would save, a few look-ups of addresses a request, is below what can be measured here.
/// A process that takes over inherits it.
pub(crate) fn without_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages are left to the system");
    }
}
