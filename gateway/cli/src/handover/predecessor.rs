//! The process that served before this one, if this was started to go on with what it served.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Duration;

use gateway_policy::Meters;
use gateway_proxy::Moved;
use tokio::sync::mpsc;

use super::VARIABLE;
use super::channel::{Channel, Packet};
use super::message::{Message, counts};

/// How long the predecessor may take for one message before it lets go.
const PATIENCE: Duration = Duration::from_secs(30);

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
        Some(self.sockets.swap_remove(place).1)
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

    /// Tells that this process serves, and brings its connections to the listeners until it ends.
    pub(crate) fn follow(self, listeners: Vec<mpsc::Sender<Moved>>) -> Result<(), HandoverError> {
        let Predecessor { channel, .. } = self;
        channel.send(&Message::Serving.bytes(), &[], PATIENCE)?;
        let take = move || {
            while let Ok(Some(packet)) = channel.receive(None) {
                take_over(packet, &listeners);
            }
        };
        std::thread::Builder::new().name("handover".into()).spawn(take)?;
        Ok(())
    }
}

/// What cannot be understood or has no listener any more is closed.
fn take_over(packet: Packet, listeners: &[mpsc::Sender<Moved>]) {
    let Packet { bytes, mut descriptors } = packet;
    let (Ok(Message::Moved { listener, is_tunnel, peer, read }), Some(socket)) =
        (Message::of(&bytes), descriptors.pop())
    else {
        return;
    };
    let place = usize::from(listener);
    if let Some(listener) = listeners.get(place) {
        let read = read.to_vec().into();
        let _ = listener.blocking_send(Moved { listener: place, socket, peer, is_tunnel, read });
    }
}

fn next(channel: &Channel) -> Result<Packet, HandoverError> {
    channel.receive(Some(PATIENCE))?.ok_or(HandoverError::Gone)
}
