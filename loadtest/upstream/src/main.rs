//! The three stand-in upstreams in one process.
//!
//! Prints one JSON line with the bound addresses when all three listen, so a script can pass port 0
//! and read where to connect.

use std::net::SocketAddr;

use clap::Parser;
use colonnade_upstream::{Journal, Service, serve};
use tokio::net::TcpListener;

/// Stand-in upstreams with deterministic data: calls, coach and leads.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where `calls` listens; port 0 lets the kernel choose.
    #[arg(long, default_value = "127.0.0.1:9101", value_name = "ADDR")]
    calls: SocketAddr,
    /// Where `coach` listens.
    #[arg(long, default_value = "127.0.0.1:9102", value_name = "ADDR")]
    coach: SocketAddr,
    /// Where `leads` listens.
    #[arg(long, default_value = "127.0.0.1:9103", value_name = "ADDR")]
    leads: SocketAddr,
    /// How many requests each service remembers at GET /_journal; 0 for load runs.
    #[arg(long, default_value_t = Journal::REQUESTS_DEFAULT, value_name = "N")]
    journal: usize,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let calls = TcpListener::bind(args.calls).await?;
    let coach = TcpListener::bind(args.coach).await?;
    let leads = TcpListener::bind(args.leads).await?;
    println!(
        "{}",
        serde_json::json!({
            "calls": calls.local_addr()?.to_string(),
            "coach": coach.local_addr()?.to_string(),
            "leads": leads.local_addr()?.to_string(),
        })
    );
    tokio::select! {
        ended = serve(calls, Service::Calls, Journal::new(args.journal)) => ended,
        ended = serve(coach, Service::Coach, Journal::new(args.journal)) => ended,
        ended = serve(leads, Service::Leads, Journal::new(args.journal)) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
