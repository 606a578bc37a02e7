//! `colonnade demo`: three stand-in upstreams, the gateway, a store in a temporary folder and one
//! fresh key. The same code paths as `run`, on the example that `config/examples` ships.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use colonnade_upstream::{Journal, Service};
use gateway_policy::Digest;
use gateway_proxy::Clock;
use gateway_store::Author;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::{DemoArgs, Format};
use crate::exit;
use crate::feed;
use crate::import::import;
use crate::load::{self, Surroundings};
use crate::logging;
use crate::publish::StartError;
use crate::serve::Server;

const CONFIG: &str = include_str!("../../../config/examples/avoca.yaml");
const DIRECTORY: &str = include_str!("demo/directory.yaml");
const HEADER: &str = "\
# The demo's configuration. It is looked at twice a second, and the first request after a change is
# published sees it; listeners and addresses take effect at a start. Accounts and keys are in the
# SQLite database beside it.
#
#   colonnade check   --config gateway.yaml
#   colonnade keys    --config gateway.yaml list --account 7
#   colonnade explain --config gateway.yaml --key-id key_demo GET /api/calls
";
/// What the example says of its store, and what the demo says.
const FILE_STORE: &str = "store: { file: \"${COLONNADE_DIRECTORY:-avoca-directory.yaml}\" }";
const STORE: &str = "store: { sqlite: colonnade.db }";
/// The ports of the documentation; a taken one is replaced and the banner says so.
const PROXY: &str = "127.0.0.1:8080";
const ADMIN: &str = "127.0.0.1:8081";
const TELEMETRY: &str = "127.0.0.1:9090";
const KERNELS_CHOICE: &str = "127.0.0.1:0";

/// Runs the demo until Ctrl-C; the exit code.
pub(crate) fn run(args: &DemoArgs) -> u8 {
    if std::env::var_os("COLONNADE_LOG").is_none() {
        logging::start_at("warn");
    } else {
        logging::start();
    }
    match Demo::start() {
        Ok(demo) if args.show_upstream => demo.show_upstream(),
        Ok(demo) => {
            demo.print(args.format);
            demo.server.until_stopped()
        }
        Err(lines) => {
            lines.iter().for_each(|line| eprintln!("{line}"));
            exit::FAILED
        }
    }
}

struct Demo {
    server: Server,
    upstreams: [SocketAddr; 3],
    key: String,
    admin_token: String,
    /// Removed with everything in it when the demo ends.
    folder: TempDir,
}

impl Demo {
    fn start() -> Result<Demo, Vec<String>> {
        let told = |error: std::io::Error| vec![error.to_string()];
        let folder = tempfile::Builder::new().prefix("colonnade-demo-").tempdir().map_err(told)?;
        let key = format!("avoca_{}", random_hex(32).map_err(told)?);
        let admin_token = random_hex(24).map_err(told)?;
        let upstreams = upstreams().map_err(told)?;
        let config = folder.path().join("gateway.yaml");
        let around = surroundings(&upstreams, &admin_token);
        fs::write(&config, configuration(&around)).map_err(told)?;
        fill(&config, &around, &directory(&key))?;
        let server = Server::start(&config, around).map_err(|(_, lines)| lines)?.alone();
        Ok(Demo { server, upstreams, key, admin_token, folder })
    }

    fn proxy(&self) -> SocketAddr {
        self.server
            .addresses()
            .proxy
            .first()
            .copied()
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn print(&self, format: Format) {
        let addresses = self.server.addresses();
        if format == Format::Json {
            println!(
                "{}",
                json!({
                    "proxy": format!("http://{}", self.proxy()),
                    "admin": format!("http://{}", addresses.admin),
                    "telemetry": format!("http://{}", addresses.telemetry),
                    "key": self.key,
                    "admin_token": self.admin_token,
                })
            );
            return;
        }
        let proxy = self.proxy();
        let [calls, coach, leads] = self.upstreams;
        println!(
            "\n  colonnade {version} demo: nothing leaves this machine; Ctrl-C stops it and cleans up\n\
             {build}\n  \
             upstreams  calls http://{calls}  coach http://{coach}  leads http://{leads}\n  \
             gateway    http://{proxy}   reference http://{proxy}/api-docs\n  \
             admin API  http://{admin}/admin/v1/status   (token below)\n  \
             metrics    http://{telemetry}/metrics\n  \
             files      {folder}   (looked at twice a second)\n\n  \
             Your key, for team 101 of Acme Heating, 300 requests a minute:\n\n    \
             export KEY={key}\n    \
             export ADMIN_TOKEN={token}\n\n  \
             Try:\n\n    \
             curl -s -H \"Authorization: Bearer $KEY\" 'http://{proxy}/api/calls?limit=2'\n    \
             curl -s -H \"Authorization: Bearer $KEY\" http://{proxy}/api/coach/rubrics\n    \
             curl -s -H \"Authorization: Bearer $KEY\" 'http://{proxy}/api/leads?limit=1'\n    \
             curl -s -H \"Authorization: Bearer $KEY\" http://{proxy}/api/key\n    \
             curl -si 'http://{proxy}/api/calls?limit=2'                     # no key: 401\n    \
             curl -s 'http://{calls}/api/calls?limit=2' -H 'X-Colonnade-Team: 101'   # what the upstream sends\n\n  \
             Then hide columns of calls, and ask again:\n\n    \
             curl -s -X PUT -H \"Authorization: Bearer $ADMIN_TOKEN\" -H 'Content-Type: application/json' \\\n      \
             -d '{{\"calls\": [\"created_at\"]}}' http://{admin}/admin/v1/accounts/7/columns\n\n  \
             Revoke the key and see it refused: POST http://{admin}/admin/v1/keys/key_demo/revoke;\n  \
             call 301 times for a 429 with Retry-After; or run `colonnade demo --show-upstream`.\n",
            version = env!("CARGO_PKG_VERSION"),
            build = if cfg!(debug_assertions) {
                "  (debug build: fine for looking around, not for load)\n"
            } else {
                ""
            },
            admin = addresses.admin,
            telemetry = addresses.telemetry,
            folder = self.folder.path().display(),
            key = self.key,
            token = self.admin_token,
        );
    }

    /// One body before and after, side by side in time: the whole product in one screen.
    fn show_upstream(self) -> u8 {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let fetch = |url: String, name: &str, value: String| {
            let body = agent.get(&url).header(name, value).call()?.body_mut().read_to_string()?;
            Ok::<Value, ureq::Error>(serde_json::from_str(&body).unwrap_or(Value::Null))
        };
        let target = "/api/calls?limit=1";
        let before = fetch(
            format!("http://{}{target}", self.upstreams[0]),
            "x-colonnade-team",
            "101".to_owned(),
        );
        let after = fetch(
            format!("http://{}{target}", self.proxy()),
            "authorization",
            format!("Bearer {}", self.key),
        );
        let (Ok(before), Ok(after)) = (before, after) else {
            eprintln!("the demo's own request failed");
            return exit::FAILED;
        };
        println!(
            "GET {target}\n\n--- as the upstream sends it\n{before:#}\n\n--- as the key gets it\n{after:#}"
        );
        exit::OK
    }
}

/// Writes the records of the demo into the store that its configuration names.
fn fill(config: &Path, around: &Surroundings, directory: &str) -> Result<(), Vec<String>> {
    let told = |error: &dyn std::fmt::Display| vec![error.to_string()];
    let text = fs::read_to_string(config).map_err(|error| told(&error))?;
    let loaded = load::configuration(&text, config, around).map_err(|error| error.lines())?;
    let read = load::directory(directory, config, around, &loaded.settings.keys);
    let read = read.map_err(|error| error.lines())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| told(&error))?;
    let store = feed::store(&loaded.settings, &runtime).map_err(|error| match error {
        StartError::Configuration(lines) | StartError::Store(lines) => lines,
    })?;
    let author = Author { name: "demo".to_owned(), address: None, request_id: None };
    let now = Clock::default().wall();
    let imported = runtime.block_on(import(&*store, &read.directory, &author, now));
    let imported = imported.map_err(|error| told(&error))?;
    if imported.left.is_empty() { Ok(()) } else { Err(imported.left) }
}

/// The example under a header of its own, with the demo's values as defaults: other commands, which
/// do not have its variables, read it too.
fn configuration(around: &Surroundings) -> String {
    let body = CONFIG.split_once("\nversion:").map_or(CONFIG, |(_, body)| body);
    let mut text = format!("{HEADER}\nversion:{body}").replace(FILE_STORE, STORE);
    for (name, value) in &around.overrides {
        let start = format!("${{{name}:-");
        if let Some((before, (_, after))) =
            text.split_once(&start).and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            text = format!("{before}{start}{value}}}{after}");
        }
    }
    text
}

/// One account, whose key is `key`.
fn directory(key: &str) -> String {
    DIRECTORY
        .replace("DIGEST", &Digest::sha256(key.as_bytes()).to_string())
        .replace("DISPLAY", &format!("{}…{}", &key[..10], &key[key.len() - 4..]))
}

fn surroundings(upstreams: &[SocketAddr; 3], admin_token: &str) -> Surroundings {
    let [calls, coach, leads] = upstreams.map(|address| address.to_string());
    let overrides = [
        ("CALLS_ADDRESS", calls),
        ("COACH_ADDRESS", coach),
        ("LEADS_ADDRESS", leads),
        ("COLONNADE_PROXY", free(PROXY)),
        ("COLONNADE_ADMIN", free(ADMIN)),
        ("COLONNADE_TELEMETRY", free(TELEMETRY)),
        ("COLONNADE_ACCESS_LOG", "access.log".to_owned()),
        ("COLONNADE_ADMIN_TOKEN", admin_token.to_owned()),
    ];
    Surroundings {
        overrides: overrides
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect::<HashMap<_, _>>(),
    }
}

/// The address if nobody has it, else one of the kernel's choice.
fn free(address: &str) -> String {
    let wanted = std::net::TcpListener::bind(address).map(|_| address);
    wanted.unwrap_or(KERNELS_CHOICE).to_owned()
}

fn random_hex(bytes: usize) -> std::io::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Starts the three upstreams on a thread of their own; it ends with the process.
fn upstreams() -> std::io::Result<[SocketAddr; 3]> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("upstreams".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let mut addresses = Vec::new();
            for service in [Service::Calls, Service::Coach, Service::Leads] {
                let Ok(listener) = TcpListener::bind(KERNELS_CHOICE).await else { return };
                addresses.extend(listener.local_addr());
                tokio::spawn(colonnade_upstream::serve(listener, service, Journal::new(0)));
            }
            let _ = sender.send(addresses);
            std::future::pending::<()>().await;
        });
    })?;
    let addresses = receiver.blocking_recv().unwrap_or_default();
    addresses.try_into().map_err(|_| std::io::Error::other("the stand-in upstreams did not start"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::check;

    /// What the demo writes is what `check` reads, without the demo's variables.
    #[test]
    fn the_files_of_the_demo_are_good_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let upstreams = [SocketAddr::from(([127, 0, 0, 1], 47_001)); 3];
        let text = configuration(&surroundings(&upstreams, "token"));
        assert_eq!(text.matches("127.0.0.1:47001").count(), 3, "{text}");
        assert!(!text.contains("avoca-directory") && !text.contains("avoca.yaml"), "{text}");
        assert!(!text.contains("token"), "{text}");
        let key = format!("avoca_{}", "0".repeat(64));
        fs::write(folder.path().join("gateway.yaml"), text).unwrap();
        fs::write(folder.path().join("directory.yaml"), directory(&key)).unwrap();
        assert_eq!(check::run(&folder.path().join("gateway.yaml"), Format::Text), exit::OK);
    }
}
