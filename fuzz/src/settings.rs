//! Any text as a configuration: it loads, or every fault has its place, a line to show and a remedy.
//!
//! Nothing that a variable or a file holds is shown in a fault. Of the same text the same is said again.

use std::path::Path;

use gateway_settings::{load, outline};

use crate::faults::{SECRET, Table, hold};

pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let file = Path::new("file.yaml");
    let outline = outline(text, file, &Table);
    match (load(text, file, &Table), load(text, file, &Table)) {
        (Ok(one), Ok(other)) => {
            assert!(outline.is_some(), "it loads, and is no tree");
            assert_eq!(one.settings, other.settings);
            assert!(one.warnings == other.warnings && one.warnings.iter().all(|f| f.warning));
            assert!(!one.settings.listeners.is_empty());
            hold(text, &one.warnings, &[SECRET]);
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert!(one.iter().any(|fault| !fault.warning), "refused, and nothing is wrong");
            hold(text, &one, &[SECRET]);
        }
        _ => panic!("not the same twice"),
    }
}
