//! Reads the configuration and the directory file: text in, settings, rules and records out, or
//! every fault with its place and remedy.
//!
//! ```text
//! text ──text──► tree ──expand──► tree ──check──► model ──compile──► Settings + Rules
//!                  faults of all steps ──report──► file:line:col: path: what is wrong
//! ```
//!
//! One file names the YAML parser (`text`). One derive on the model's types gives the JSON Schema
//! that editors use, the check of every key, type and range, and what is read. The order of the
//! steps is fixed, but a fault in one does not end it: what is sound goes on to the next, so that
//! one `check` shows all there is to mend.
//!
//! Not here: reading files and variables (a passed [`LookUp`] does), watching, the environment,
//! what rules do with a request (`gateway-policy`).

mod check;
mod compile;
pub mod directory;
mod document;
mod expand;
mod model;
mod node;
mod outline;
mod report;
mod settings;
mod text;

use std::path::Path;

use gateway_policy::Rules;

pub use directory::{LoadedDirectory, load_directory};
pub use document::{schema, schema_text};
pub use expand::{FILE_BYTES_MAX, LookUp};
pub use outline::{Outline, Step, fault_at, outline};
pub use report::{Fault, acts_on_terminal};
pub use settings::{
    AccessLog, Admin, AdminToken, Alphabet, Balance, Breaker, CertificateFiles, ClientCertificates,
    ColumnNotes, Drain, Health, Http2, KeyForm, Listener, ListenerTls, Outlier, Permissions,
    ResourceNotes, Retries, Secret, Server, Settings, Store, Telemetry, Timeouts, TlsVersion,
    Traces, Upstream, UpstreamTls,
};

use crate::check::Rule;
use crate::compile::Context;
use crate::model::GatewaySettings;
use crate::node::Node;
use crate::report::Report;

/// Largest configuration that is read: 4 MiB.
pub const SETTINGS_BYTES_MAX: usize = 4 << 20;

/// A configuration that stands.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub rules: Rules,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Fault>,
}

/// Parses, checks and compiles a configuration.
///
/// `file` is what faults call it; relative paths in it are resolved against its directory.
///
/// # Errors
/// All faults and warnings in the order of the file, of which at least one is not a warning.
pub fn load(text: &str, file: &Path, look_up: &dyn LookUp) -> Result<Loaded, Vec<Fault>> {
    let name = file.display().to_string();
    let mut report = Report::new(&name, text);
    let directory = file.parent().unwrap_or(Path::new(""));
    match read(text, directory, look_up, &mut report) {
        Some((settings, rules)) => Ok(Loaded { settings, rules, warnings: report.finish() }),
        None => Err(report.finish()),
    }
}

fn read(
    text: &str,
    directory: &Path,
    look_up: &dyn LookUp,
    report: &mut Report<'_>,
) -> Option<(Settings, Rules)> {
    let mut root = read_tree(text, SETTINGS_BYTES_MAX, report)?;
    expand::expand(&mut root, directory, look_up);
    report.keys_begin_with(&prefix_of(&root));
    let schema = document::checker_schema();
    let rule = Rule::root(&schema)?;
    // The root misses nothing that its defaults could not fill in, so it is read in any case.
    check::check(&mut root, rule, &node::Path::Root, report);
    let model = match serde_json::from_value::<GatewaySettings>(root.to_json()) {
        Ok(model) => model,
        Err(error) => {
            if !report.has_faults() {
                report.add(root.at, String::new(), error.to_string());
            }
            return None;
        }
    };
    let mut context = Context { root: &root, report, directory };
    compile::compile(model, &mut context)
}

/// What keys begin with, as far as a tree that was not checked yet says so.
fn prefix_of(root: &Node) -> String {
    let prefix = root.find("keys").and_then(|keys| keys.find("prefix"));
    match prefix.map(|prefix| &prefix.value) {
        Some(node::Value::Scalar { text, .. }) => text.to_string(),
        _ => KeyForm::default().prefix,
    }
}

/// The tree of a text; an empty one is an empty mapping. Faults of the text itself end everything.
fn read_tree(text: &str, bytes_max: usize, report: &mut Report<'_>) -> Option<Node> {
    match text::parse(text, bytes_max) {
        Ok(root) => Some(root),
        Err(unreadable) => {
            let path = report.path_text(unreadable.path);
            report.add(unreadable.at, path, unreadable.message).help(unreadable.help);
            None
        }
    }
}
