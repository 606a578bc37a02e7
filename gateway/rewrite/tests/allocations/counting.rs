//! The system's allocator, counted by thread, so that tests beside each other do not count for each
//! other. All the `unsafe` of these tests is here.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub allocations: u64,
    /// Bytes that are allocated; the most there ever were.
    pub live: i64,
    pub peak: i64,
}

thread_local! {
    // Made without allocating and never dropped, so the allocator may use it at any time.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, live: 0, peak: 0 }) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

// SAFETY: every method hands its arguments to `System` and returns what that returns, so what
// `System` promises holds here; the counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps what `alloc` asks for, and `System` asks for the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps what `alloc_zeroed` asks for, and `System` asks for the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment there may be both.
        taken(size);
        given_back(layout.size());
        // SAFETY: `block` came from `System` with this layout, because all of ours do.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given_back(layout.size());
        // SAFETY: `block` came from `System` with this layout, because all of ours do.
        unsafe { System.dealloc(block, layout) }
    }
}

fn taken(bytes: usize) {
    COUNTS.with(|cell| {
        let Counts { allocations, live, peak } = cell.get();
        let live = live + bytes as i64;
        cell.set(Counts { allocations: allocations + 1, live, peak: peak.max(live) });
    });
}

fn given_back(bytes: usize) {
    COUNTS.with(|cell| {
        let counts = cell.get();
        cell.set(Counts { live: counts.live - bytes as i64, ..counts });
    });
}

/// Of this thread.
pub(crate) fn counts() -> Counts {
    COUNTS.get()
}

/// From now on the peak is the peak since now.
pub(crate) fn forget_peak() {
    COUNTS.with(|cell| cell.set(Counts { peak: cell.get().live, ..cell.get() }));
}
