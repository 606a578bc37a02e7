//! Bytes go to the server and back, as far as the way is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing goes through, nothing ends.
    Held,
    /// Connections end, new ones at once.
    Cut,
}

pub(crate) struct Relay {
    state: Arc<State>,
    url: String,
    accepting: JoinHandle<()>,
}

struct State {
    way: watch::Sender<Way>,
    /// Pieces from clients that still go through, before `then`; negative: all.
    left: AtomicI64,
    then: watch::Sender<Way>,
}

impl Relay {
    pub(crate) async fn before(server: &str) -> Relay {
        let config: Config = server.parse().unwrap();
        let Host::Tcp(host) = &config.get_hosts()[0] else { panic!("{server}: no TCP") };
        let target = (host.clone(), config.get_ports()[0]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
        let state = Arc::new(State {
            way: watch::Sender::new(Way::Open),
            left: AtomicI64::new(-1),
            then: watch::Sender::new(Way::Open),
        });
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&state)));
        let url = format!("postgres://{user}:{password}@{here}/{database}");
        Relay { state, url, accepting }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn set(&self, way: Way) {
        self.state.left.store(-1, Ordering::SeqCst);
        self.state.way.send_replace(way);
    }

    /// Cuts when so many more pieces have come from clients.
    pub(crate) fn cut_after(&self, pieces: i64) {
        self.state.then.send_replace(Way::Cut);
        self.state.left.store(pieces, Ordering::SeqCst);
    }

    /// Holds when so many more pieces have come from clients.
    pub(crate) fn hold_after(&self, pieces: i64) {
        self.state.then.send_replace(Way::Held);
        self.state.left.store(pieces, Ordering::SeqCst);
    }

    /// Waits until it holds.
    pub(crate) async fn holds(&self) {
        self.state.way.subscribe().wait_for(|way| *way == Way::Held).await.unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.way.send_replace(Way::Cut);
    }
}

async fn accept(listener: TcpListener, target: (String, u16), state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        if *state.way.borrow() != Way::Cut {
            tokio::spawn(relay(client, target.clone(), Arc::clone(&state)));
        }
    }
}

async fn relay(client: TcpStream, target: (String, u16), state: Arc<State>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = state.way.subscribe();
    tokio::select! {
        () = pass(from_client, to_server, &state, true) => {}
        () = pass(from_server, to_client, &state, false) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    counted: bool,
) {
    let mut way = state.way.subscribe();
    let mut piece = [0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut piece).await else { return };
        if counted
            && state.left.load(Ordering::SeqCst) >= 0
            && state.left.fetch_sub(1, Ordering::SeqCst) == 0
        {
            state.way.send_replace(*state.then.borrow());
        }
        if way.wait_for(|way| *way != Way::Held).await.is_err() {
            return;
        }
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}
