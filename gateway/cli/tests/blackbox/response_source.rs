//! An upstream that writes with a hand of its own: in pieces, without end, or with a reset.
//!
//! `Upstream` of the common support writes what it is given at once; here a function holds the
//! stream, so that a body need not be in memory and pieces arrive as segments of their own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two pieces, so that the reader sees them apart. No test's outcome hangs on it: were they
/// read together, the same answer would be due.
const APART: Duration = Duration::from_micros(700);

/// Plays one answer; `false` ends the connection.
type Play = dyn Fn(&mut TcpStream) -> std::io::Result<bool> + Send + Sync;

struct State {
    play: Mutex<Arc<Play>>,
    stop: AtomicBool,
}

/// A listening upstream; it stops listening with the value.
pub(crate) struct Source {
    address: SocketAddr,
    state: Arc<State>,
}

impl Source {
    pub(crate) fn playing(
        play: impl Fn(&mut TcpStream) -> std::io::Result<bool> + Send + Sync + 'static,
    ) -> Source {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(State { play: Mutex::new(Arc::new(play)), stop: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Source { address, state }
    }

    /// Writes these pieces, each as a segment of its own, and keeps the connection.
    pub(crate) fn pieces<P: AsRef<[u8]>>(pieces: &[P]) -> Source {
        let source = Source::playing(|_| Ok(false));
        source.now_pieces(pieces, true);
        source
    }

    pub(crate) fn now_plays(
        &self,
        play: impl Fn(&mut TcpStream) -> std::io::Result<bool> + Send + Sync + 'static,
    ) {
        *self.state.play.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(play);
    }

    /// From the next request on; `kept`: whether the connection stays.
    pub(crate) fn now_pieces<P: AsRef<[u8]>>(&self, pieces: &[P], kept: bool) {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.as_ref().to_vec()).collect();
        self.now_plays(move |stream| {
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    std::thread::sleep(APART);
                }
                stream.write_all(piece)?;
            }
            Ok(kept)
        });
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, state: &State) {
    let _ = stream.set_nodelay(true);
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut piece) {
        head.extend(&piece[..bytes]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let play = Arc::clone(&state.play.lock().unwrap_or_else(PoisonError::into_inner));
        if !play(&mut stream).unwrap_or(false) {
            return;
        }
    }
}
