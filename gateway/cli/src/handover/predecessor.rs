//! The process that served before this one, if this was started to go on with what it served.

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway_policy::Meters;
use gateway_proxy::Moved;
use rustix::stdio::dup2_stdin;
use tokio::sync::mpsc;

use super::VARIABLE;
use super::channel::{Channel, Packet};
use super::message::{Message, counts};

/// How long the predecessor may take for one message before it lets go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The proxy's listeners by name, in the order of the configuration, and the way to each.
pub(crate) type Listeners = Vec<(String, mpsc::Sender<Moved>)>;

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("{VARIABLE} is set, but standard input is not the way to another gateway: {0}")]
    NoWay(std::io::Error),
    #[error("the gateway that should be followed is gone")]
    Gone,
    #[error("the gateway that should be followed cannot be understood: it is of another version")]
    Unknown,
    #[error("there are more keys with counts than meters")]
    Full,
    #[error("the way to the gateway that should be followed broke: {0}")]
    Broke(#[from] std::io::Error),
}

/// The way to it, and its listening sockets.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Channel,
    sockets: Vec<(String, TcpListener)>,
}

impl Predecessor {
    /// The one that the environment tells of.
    pub(crate) fn find() -> Result<Option<Predecessor>, HandoverError> {
        if std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()) {
            return Ok(None);
        }
        let socket = std::io::stdin().as_fd().try_clone_to_owned();
        let channel = socket.and_then(Channel::of).map_err(HandoverError::NoWay)?;
        // With another end of it open, the predecessor would not notice that nobody reads any more.
        dup2_stdin(File::open("/dev/null")?).map_err(std::io::Error::from)?;
        let Packet { bytes, descriptors } = next(&channel)?;
        let Ok(Message::Hello(names)) = Message::of(&bytes) else {
            return Err(HandoverError::Unknown);
        };
        let names = names.lines().map(str::to_owned);
        let sockets = names.zip(descriptors.into_iter().map(TcpListener::from)).collect();
        Ok(Some(Predecessor { channel, sockets }))
    }

    /// The socket of this name; each is given once. Those of addresses that are no longer configured are
    /// closed with this value.
    pub(crate) fn socket(&mut self, name: &str) -> Option<TcpListener> {
        let place = self.sockets.iter().position(|(known, _)| known == name)?;
        Some(self.sockets.remove(place).1)
    }

    /// Tells that this process could serve, and waits until it is to: all counts are in `meters` then, and
    /// the predecessor judges nothing more.
    pub(crate) fn await_turn(&self, meters: &Meters) -> Result<(), HandoverError> {
        self.channel.send(&Message::Prepared.bytes(), &[], PATIENCE)?;
        loop {
            let Packet { bytes, .. } = next(&self.channel)?;
            match Message::of(&bytes) {
                Ok(Message::Counts(bytes)) => {
                    for count in counts(bytes) {
                        let count = count.map_err(|_| HandoverError::Unknown)?;
                        meters.resume(count).map_err(|_| HandoverError::Full)?;
                    }
                }
                Ok(Message::EndOfCounts) => return Ok(()),
                _ => return Err(HandoverError::Unknown),
            }
        }
    }

    /// Tells that this process serves, and brings its connections to the listeners until it ends. What comes
    /// back tells when that is.
    pub(crate) fn follow(self, listeners: Listeners) -> Result<Arc<AtomicBool>, HandoverError> {
        let Predecessor { channel, .. } = self;
        channel.send(&Message::Serving.bytes(), &[], PATIENCE)?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let take = move || {
            loop {
                match channel.receive(None) {
                    Ok(Some(packet)) => take_over(packet, &listeners),
                    // Where there are no descriptors left one connection is lost, not all that follow.
                    Err(error) if error.kind() == ErrorKind::InvalidData => {
                        tracing::warn!("a connection could not be taken over and is closed");
                    }
                    Ok(None) | Err(_) => break,
                }
            }
            ended.store(true, Ordering::Release);
        };
        std::thread::Builder::new().name("handover".into()).spawn(take)?;
        Ok(has_ended)
    }
}

/// What cannot be understood or has no listener any more is closed.
fn take_over(packet: Packet, listeners: &Listeners) {
    let Packet { bytes, mut descriptors } = packet;
    let (Ok(Message::Moved { listener, is_tunnel, peer, read }), Some(socket)) =
        (Message::of(&bytes), descriptors.pop())
    else {
        return;
    };
    // By name: the file may name them in another order by now.
    if let Some(place) = listeners.iter().position(|(name, _)| name == listener) {
        let read = read.to_vec().into();
        let moved = Moved { listener: place, socket, peer, is_tunnel, read };
        let _ = listeners[place].1.blocking_send(moved);
    }
}

fn next(channel: &Channel) -> Result<Packet, HandoverError> {
    channel.receive(Some(PATIENCE))?.ok_or(HandoverError::Gone)
}
