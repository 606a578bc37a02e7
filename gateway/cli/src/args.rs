//! The command line.
//!
//! A key is easily put where an argument should stand, and what an argument was ends up in logs of
//! shells and build servers. So a refusal never repeats one: it names the argument, not its value.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand, ValueEnum};

use crate::exit;

pub(crate) mod directory;

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
    /// Make, list, show, rename, regenerate, revoke and import keys.
    Keys(directory::KeysArgs),
    /// Make, list, show and change accounts.
    Accounts(directory::AccountsArgs),
    /// Make, change and list an account's users.
    Users(directory::UsersArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print the OpenAPI 3.1 document of the routes that the configuration serves.
    Openapi {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Print the completions of a shell.
    Completions { shell: clap_complete::Shell },
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
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        env = "COLONNADE_CONFIG",
        global = true
    )]
    config_file: Option<PathBuf>,
}

impl ConfigArg {
    pub(crate) fn path(&self) -> PathBuf {
        self.config_file.clone().unwrap_or_else(|| PathBuf::from("config/gateway.yaml"))
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
    #[arg(long, value_name = "-")]
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

/// Prints help or version, or what is wrong with the arguments; the exit code.
pub(crate) fn refused(error: &clap::Error) -> u8 {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // To a pipe that is closed, there is nobody to tell.
        let _ = error.print();
        return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
    }
    eprintln!("error: {}", fault(error));
    for (kind, what) in [
        (ContextKind::ValidValue, "possible values"),
        (ContextKind::ValidSubcommand, "commands"),
        (ContextKind::SuggestedArg, "did you mean"),
        (ContextKind::SuggestedSubcommand, "did you mean"),
        (ContextKind::SuggestedValue, "did you mean"),
    ] {
        if let Some(words) = words(error.get(kind)) {
            eprintln!("  {what}: {words}");
        }
    }
    eprintln!("  see `colonnade --help`");
    exit::USAGE
}

/// What is wrong, by the names that this file gives to arguments.
fn fault(error: &clap::Error) -> String {
    let argument = || words(error.get(ContextKind::InvalidArg)).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("the value of {} is not one that it takes", argument())
        }
        ErrorKind::InvalidSubcommand => "there is no such command".into(),
        ErrorKind::MissingRequiredArgument => format!("missing: {}", argument()),
        ErrorKind::ArgumentConflict => match words(error.get(ContextKind::PriorArg)) {
            Some(prior) => format!("{} cannot be used with {prior}", argument()),
            None => format!("{} cannot be used here", argument()),
        },
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{} needs a value", argument())
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".into(),
        // It names what was given, which might be anything.
        _ => "there is an argument that this command does not have".into(),
    }
}

fn words(value: Option<&ContextValue>) -> Option<String> {
    match value? {
        ContextValue::String(word) => Some(word.clone()),
        ContextValue::Strings(words) => Some(words.join(", ")).filter(|words| !words.is_empty()),
        _ => None,
    }
}
