//! What the benches are fed with: a directory of any number of keys, and bodies of call rows.
//!
//! Everything is made from small seeds, so two runs measure the same bytes. Rules come from a
//! configuration as an operator writes it, through the same loader, never put together by hand: a
//! bench of something that no file can say would measure nothing. The allocator is the gateway's.

pub mod calls;
pub mod cases;
pub mod directory;
pub mod draw;
pub mod pages;
pub mod peers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The `main` of a bench: these functions, each measurement warmed up for half a second and taken for
/// two. Criterion's arguments say otherwise where wanted.
#[macro_export]
macro_rules! measure {
    ($($target:path),+) => {
        criterion::criterion_group! {
            name = benches;
            config = criterion::Criterion::default()
                .warm_up_time(std::time::Duration::from_millis(500))
                .measurement_time(std::time::Duration::from_secs(2));
            targets = $($target),+
        }
        criterion::criterion_main!(benches);
    };
}
