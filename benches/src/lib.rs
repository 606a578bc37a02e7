//! What the benches are fed with: a directory of any number of keys, and bodies of call rows.
//!
//! Everything is made from small seeds, so two runs measure the same bytes. Rules come from a
//! configuration as an operator writes it, through the same loader, never put together by hand: a
//! bench of something that no file can say would measure nothing. The allocator is the gateway's.

pub mod calls;
pub mod directory;
pub mod draw;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
