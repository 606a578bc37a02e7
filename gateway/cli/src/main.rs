//! `colonnade`: the only main. Reads arguments, wires the rooms together, decides nothing.

mod api;
mod args;
mod check;
mod control;
mod counting;
mod demo;
mod descriptors;
mod directory;
mod explain;
mod feed;
mod handover;
mod health;
mod holdings;
mod import;
mod life;
mod load;
mod logging;
mod memory;
mod mint;
mod node;
mod openapi;
mod preview;
mod publish;
mod rewritten;
mod serve;
mod service;
mod signals;
mod sockets;
mod store_metrics;
mod terminal;
mod tls;
mod traces;
mod upstreams;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes (CONTRACT section 1).
pub(crate) mod exit {
    /// Why a command gives up: the exit code, and what to print.
    pub(crate) type Failed = (u8, Vec<String>);

    pub(crate) const OK: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const STORE_UNREACHABLE: u8 = 69;
    pub(crate) const INVALID_CONFIGURATION: u8 = 78;

    /// Whatever has no code of its own.
    pub(crate) fn failed(error: &dyn std::fmt::Display) -> Failed {
        (FAILED, vec![error.to_string()])
    }
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ExitCode::from(args::refused(&error)),
    };
    let code = match args.command {
        Command::Run { config } => serve::run(&config.path()),
        Command::Demo(demo) => demo::run(&demo),
        Command::Check { config, format } => check::run(&config.path(), format),
        Command::Explain(explain) => explain::run(&explain),
        Command::Keys(keys) => directory::keys(&keys),
        Command::Accounts(accounts) => directory::accounts(&accounts),
        Command::Users(users) => directory::users(&users),
        Command::Openapi { config } => openapi::run(&config.path()),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Args::command(),
                "colonnade",
                &mut std::io::stdout(),
            );
            exit::OK
        }
        Command::Schema => {
            print!("{}", gateway_settings::schema_text());
            exit::OK
        }
        Command::Health { config, ready } => health::run(&config.path(), ready),
    };
    ExitCode::from(code)
}
