//! Bytes go to the server and back, as far as the way is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

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
    /// Only a connection that listens goes on.
    Listening,
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
    has_listener: watch::Sender<bool>,
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
            has_listener: watch::Sender::new(false),
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

    /// Waits until a connection listens.
    pub(crate) async fn is_listened_through(&self) {
        self.state.has_listener.subscribe().wait_for(|has| *has).await.unwrap();
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
    let listens = AtomicBool::new(false);
    let up = Pass { state: &state, listens: &listens, is_from_client: true };
    let down = Pass { is_from_client: false, ..up };
    tokio::select! {
        () = up.pass(from_client, to_server) => {}
        () = down.pass(from_server, to_client) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

/// One direction of a connection.
#[derive(Clone, Copy)]
struct Pass<'a> {
    state: &'a State,
    listens: &'a AtomicBool,
    is_from_client: bool,
}

impl Pass<'_> {
    async fn pass(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut way = self.state.way.subscribe();
        let mut piece = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            if self.is_from_client {
                self.count(&piece[..count]);
            }
            let is_open = |way: &Way| match way {
                Way::Held => false,
                Way::Listening => self.listens.load(Ordering::SeqCst),
                Way::Open | Way::Cut => true,
            };
            if way.wait_for(is_open).await.is_err() || to.write_all(&piece[..count]).await.is_err()
            {
                return;
            }
        }
    }

    fn count(self, piece: &[u8]) {
        if piece.windows(6).any(|word| word == b"listen") {
            self.listens.store(true, Ordering::SeqCst);
            self.state.has_listener.send_replace(true);
        }
        let left = &self.state.left;
        if left.load(Ordering::SeqCst) >= 0 && left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.state.way.send_replace(*self.state.then.borrow());
        }
    }
}
