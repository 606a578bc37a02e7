//! The plainest Pingora proxy: every request goes to one upstream, every answer comes back.
//!
//! It is what the gateway is measured against, so whatever is not the gateway's job is the same on
//! both sides: build profile, allocator, one single-thread runtime, the timeouts and pool of its
//! default configuration. What is left is Pingora as its guide shows it, `ProxyHttp` with one method
//! written and no other, and a comparison with it says what the job costs.
//!
//! Not here: keys, limits, filters, logs, metrics.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many idle upstream connections as the gateway keeps.
const POOL_CONNECTIONS: usize = 1_024;

/// Forwards everything to one upstream.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where everything goes.
    #[arg(long, default_value = "127.0.0.1:9101", value_name = "ADDR")]
    upstream: SocketAddr,
}

struct Plain {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Plain {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, false, String::new());
        // The gateway's defaults; Pingora's own are none, and timers cost.
        peer.options.connection_timeout = Some(Duration::from_secs(1));
        peer.options.total_connection_timeout = Some(Duration::from_secs(1));
        peer.options.read_timeout = Some(Duration::from_secs(30));
        peer.options.write_timeout = Some(Duration::from_secs(60));
        peer.options.idle_timeout = Some(Duration::from_secs(55));
        Ok(Box::new(peer))
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // Pingora asks for a provider when its connector is made, also where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: POOL_CONNECTIONS,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Plain { upstream: args.upstream });
    proxy.add_tcp(&args.listen.to_string());
    server.add_service(proxy);
    server.run_forever()
}
