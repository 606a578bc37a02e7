//! A database of a test's own on a real PostgreSQL server, and a way to it that can be cut or frozen.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server on which each test makes a database.
const SERVER: &str = "COLONNADE_TEST_POSTGRES";

/// A database, which goes when the test ends.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// None, said by the test's name, where there is no server.
    pub(crate) fn make(test: &str) -> Option<Database> {
        let Ok(server) = std::env::var(SERVER) else {
            // Past the harness, which would keep it to itself.
            let line = format!("skipped: {test}: {SERVER} is not set\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("colonnade_blackbox_{}_{number}", std::process::id());
        run(&server, &format!("create database {name}"));
        Some(Database { server, name })
    }

    /// Its URL, by way of another address.
    pub(crate) fn url_through(&self, address: SocketAddr) -> String {
        let (scheme, rest) = self.server.split_once("://").unwrap();
        let (place, _) = rest.split_once('/').unwrap();
        let user = place.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        format!("{scheme}://{user}{address}/{}", self.name)
    }

    /// Where the server is.
    pub(crate) fn server_address(&self) -> SocketAddr {
        let (_, rest) = self.server.split_once("://").unwrap();
        let (place, _) = rest.split_once('/').unwrap();
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        host.parse().expect("host and port of the server, as numbers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        run(&self.server, &format!("drop database if exists {} with (force)", self.name));
    }
}

fn run(server: &str, statement: &str) {
    let done = Command::new("psql")
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, server])
        .output();
    let done = done.expect("psql is there where a server is");
    assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
}

const PASSES: u8 = 0;
const FROZEN: u8 = 1;
const CUT: u8 = 2;

/// What lies between a gateway and its database.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Relay { address, state: Arc::default(), open: Arc::default() };
        let (state, open) = (Arc::clone(&relay.state), Arc::clone(&relay.open));
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.load(Ordering::SeqCst) == CUT {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                open.lock()
                    .unwrap()
                    .extend([client.try_clone().unwrap(), upstream.try_clone().unwrap()]);
                for (from, to) in [
                    (client.try_clone().unwrap(), upstream.try_clone().unwrap()),
                    (upstream, client),
                ] {
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || carry(from, to, &state));
                }
            }
        });
        relay
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections are ended, and new ones at once.
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections stand, and nothing comes through: a server that was stopped.
    pub(crate) fn freeze(&self) {
        self.state.store(FROZEN, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.state.store(PASSES, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    let mut bytes = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        while state.load(Ordering::SeqCst) == FROZEN {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
