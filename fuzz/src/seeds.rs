//! Every seed goes through its target: the oracles hold without a fuzzing engine, on any compiler.

use std::fs;
use std::path::Path;

use crate::TARGETS;

const SEED_BYTES_MAX: u64 = 4 << 10;

#[test]
fn every_seed_passes_its_target_and_is_small() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, run) in TARGETS {
        let files = fs::read_dir(seeds.join(name)).expect("a folder of seeds");
        let paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        assert!(paths.len() >= 5, "{name} has {} seeds", paths.len());
        for path in paths {
            println!("{}", path.display());
            let bytes = fs::read(&path).expect("a seed");
            assert!(bytes.len() as u64 <= SEED_BYTES_MAX, "{} is long", path.display());
            run(&bytes);
        }
    }
}

#[test]
fn every_target_takes_an_empty_input_and_a_short_one() {
    for (_, run) in TARGETS {
        for input in [&b""[..], b"\0", b"{", b"\n", b"\0\0{}", b"GET\n/"] {
            run(input);
        }
    }
}
