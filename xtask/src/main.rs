//! The one gate and the generators: `cargo xtask ci`, and each of its checks alone.
//!
//! A program instead of scripts, so that the checks run wherever the workspace builds and have
//! tests of their own. It depends on none of the rooms: it must build when they do not.
//!
//! Not here: what a machine needs before the gate can run (`.ci/run`).

mod alerts;
mod bare_path;
mod bundled;
mod ci;
mod deny;
mod examples;
mod generate;
mod image;
mod layers;
mod licences;
mod manifest;
mod metrics;
mod observe;
mod oracle;
mod promql;
mod reference;
mod sbom;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The gate and the generators of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must hold, in order; stops at the first that does not.
    Ci {
        /// Run only this step; may be given more than once.
        #[arg(long, value_name = "STEP", value_parser = ci::step_names())]
        only: Vec<String>,
        /// Leave this step out; may be given more than once.
        #[arg(long, value_name = "STEP", value_parser = ci::step_names())]
        skip: Vec<String>,
        /// Print the steps and what they hold.
        #[arg(long)]
        list: bool,
    },
    /// Who may depend on whom.
    Layers,
    /// Lengths and names of files, machine paths, unfinished code, dead links.
    Tidy,
    /// Writes what is generated: `config/gateway.schema.json` and `docs/configuration.md`.
    Generate {
        /// Change nothing; fail when a file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Licences, banned crates and sources, by cargo-deny where it is installed.
    Deny,
    /// Writes what is inside the binary (CycloneDX) and the licences of all of it, with their texts.
    Sbom {
        /// Where to; the default is `target/sbom`.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// The feature that the binary is built with, as the image's is with `otel`.
        #[arg(long, value_name = "FEATURE")]
        features: Option<String>,
    },
    /// Holds the Dockerfile to the tree, without building an image.
    Image,
    /// Builds the binary with nothing on the PATH but cargo, rustc, cc, ar, ld and as.
    BarePath,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let verdict = match command {
        Command::Ci { list: true, .. } => {
            ci::list();
            return Ok(());
        }
        Command::Ci { only, skip, .. } => return ci::run(&workspace, &only, &skip),
        Command::Layers => layers::check(&workspace),
        Command::Tidy => tidy::check(&workspace),
        Command::Generate { check } => generate::run(&workspace, check),
        Command::Deny => deny::check(&workspace),
        Command::Sbom { out, features } => sbom::run(&workspace, out, features.as_deref()),
        Command::Image => image::check(&workspace),
        Command::BarePath => bare_path::check(&workspace),
    }?;
    println!("{verdict}");
    Ok(())
}
