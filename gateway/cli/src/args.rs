//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// API-key gateway that filters what streams back.
#[derive(Debug, Parser)]
#[command(name = "colonnade", version, about, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM; SIGHUP reloads.
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Try everything at once: stand-in upstreams, gateway and a ready key, nothing installed.
    Demo(DemoArgs),
    /// Check the configuration and print all faults with their places.
    Check {
        #[command(flatten)]
        config: ConfigArg,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Run one decision offline, and with a body on standard input its rewrite.
    Explain(ExplainArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Ask the running gateway whether it lives, or with --ready whether it wants traffic.
    Health {
        #[command(flatten)]
        config: ConfigArg,
        /// Fail unless a snapshot is loaded and the gateway is not draining.
        #[arg(long)]
        ready: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArg {
    /// The configuration file.
    #[arg(long = "config", short = 'c', value_name = "FILE", env = "COLONNADE_CONFIG")]
    file: Option<PathBuf>,
}

impl ConfigArg {
    pub(crate) fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| PathBuf::from("config/gateway.yaml"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// `json` prints one line with the addresses and the key when all is ready.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print one body as the upstream sends it and as the key gets it, then stop.
    #[arg(long)]
    pub(crate) show_upstream: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Whose request it is, by the key's id.
    #[arg(long, value_name = "ID", conflicts_with = "key", required_unless_present = "key")]
    pub(crate) key_id: Option<String>,
    /// `-`: the key is the first line of standard input.
    #[arg(long, value_name = "-", value_parser = ["-"])]
    pub(crate) key: Option<String>,
    /// A request header, `Name: value`; may be given more than once.
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// The client's address.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) client: std::net::IpAddr,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// Path and query.
    #[arg(value_name = "PATH")]
    pub(crate) target: String,
}
