//! What signals mean: SIGHUP reloads; SIGUSR2 exchanges the binary; SIGTERM and SIGINT drain and stop; a
//! second one stops at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    exchange: Signal,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Stop,
    Reload,
    /// Start the program anew, and let it go on.
    Exchange,
}

impl Signals {
    /// Starts to listen. Must be called inside a runtime.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            exchange: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next wish.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.exchange.recv() => Wish::Exchange,
        }
    }
}
