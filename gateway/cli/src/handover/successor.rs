//! The process that is to serve after this one.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::{Child, Command};
use std::time::Duration;

use gateway_policy::{Meters, UnixMs};
use gateway_proxy::Moved;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use super::VARIABLE;
use super::channel::{Channel, DESCRIPTORS_MAX};
use super::message::{CountsBytes, Message};
use super::predecessor::Listeners;

/// How long it may take to load everything: the configuration, and all keys of the store.
const PREPARE_TIME: Duration = Duration::from_secs(60);
/// How long it may take from the counts until it serves, and for any message to be taken.
const TAKE_TIME: Duration = Duration::from_secs(10);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuccessorError {
    #[error("the new process cannot be started: {0}")]
    Start(io::Error),
    #[error("there are more listeners than can be handed over ({DESCRIPTORS_MAX})")]
    TooMany,
    #[error("the new process ended before it served: {0}")]
    Ended(String),
    #[error("the new process did not serve in time")]
    Late,
    #[error("this process was told to stop")]
    Stopped,
    #[error("this process does not serve")]
    Unserved,
    #[error("the new process cannot be understood: it is of another version")]
    Unknown,
}

/// A started process, and the way to it.
#[derive(Debug)]
pub(crate) struct Successor {
    child: Child,
    channel: Channel,
}

impl Successor {
    /// Starts the program anew as this one was started, whatever its file is by now, and gives it the sockets.
    pub(crate) fn start(sockets: &[(String, TcpListener)]) -> Result<Successor, SuccessorError> {
        if sockets.len() > DESCRIPTORS_MAX {
            return Err(SuccessorError::TooMany);
        }
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| "colonnade".into());
        let (channel, theirs) = Channel::pair().map_err(SuccessorError::Start)?;
        let child = Command::new(program)
            .args(arguments)
            .env(VARIABLE, "1")
            // It names the process that is watched, which will be another one.
            .env_remove("WATCHDOG_PID")
            .stdin(theirs)
            .spawn()
            .map_err(SuccessorError::Start)?;
        let successor = Successor { child, channel };
        let names: String = sockets.iter().map(|(name, _)| format!("{name}\n")).collect();
        let descriptors: Vec<_> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
        let hello = Message::Hello(&names).bytes();
        match successor.channel.send(&hello, &descriptors, TAKE_TIME) {
            Ok(()) => Ok(successor),
            Err(error) => Err(successor.given_up(SuccessorError::Start(error))),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop, as this process was told.
    pub(crate) fn stop(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
            tracing::warn!(%error, "the new process cannot be told to stop");
        }
    }

    /// Waits until it has loaded everything.
    pub(crate) fn await_prepared(self) -> Result<Successor, SuccessorError> {
        self.await_message(Message::Prepared, PREPARE_TIME)
    }

    /// Gives it all counts, and waits until it serves.
    pub(crate) fn await_serving(
        self,
        meters: &Meters,
        at: UnixMs,
    ) -> Result<Successor, SuccessorError> {
        match self.send_counts(meters, at) {
            Ok(()) => self.await_message(Message::Serving, TAKE_TIME),
            Err(_) => Err(self.given_up(SuccessorError::Late)),
        }
    }

    /// Gives it connections as they come, until none can come any more or it is gone.
    pub(crate) fn give(self, mut moved: mpsc::Receiver<Moved>, listeners: &Listeners) {
        while let Some(Moved { listener, socket, peer, is_tunnel, read }) = moved.blocking_recv() {
            let Some((listener, _)) = listeners.get(listener) else { continue };
            let message = Message::Moved { listener, is_tunnel, peer, read: &read }.bytes();
            if let Err(error) = self.channel.send(&message, &[socket.as_fd()], TAKE_TIME) {
                tracing::warn!(%error, "a connection could not be handed over and is closed");
            }
        }
    }

    fn send_counts(&self, meters: &Meters, at: UnixMs) -> io::Result<()> {
        let send =
            |counts: &[u8]| self.channel.send(&Message::Counts(counts).bytes(), &[], TAKE_TIME);
        let mut packed = CountsBytes::default();
        let mut result = Ok(());
        meters.counts(at, |count| {
            if let Some(full) = packed.push(count)
                && result.is_ok()
            {
                result = send(&full);
            }
        });
        result?;
        send(&packed.rest())?;
        self.channel.send(&Message::EndOfCounts.bytes(), &[], TAKE_TIME)
    }

    fn await_message(
        self,
        expected: Message<'_>,
        within: Duration,
    ) -> Result<Successor, SuccessorError> {
        let told = match self.channel.receive(Some(within)) {
            Ok(Some(packet)) if Message::of(&packet.bytes) == Ok(expected) => return Ok(self),
            Ok(Some(_)) => SuccessorError::Unknown,
            Ok(None) => SuccessorError::Ended(String::new()),
            Err(_) => SuccessorError::Late,
        };
        Err(self.given_up(told))
    }

    /// Ends it, and says why.
    fn given_up(mut self, why: SuccessorError) -> SuccessorError {
        // One that has closed its end is ending by itself, and its status says more.
        let has_ended = matches!(why, SuccessorError::Ended(_));
        if !has_ended || !self.ends_within(TAKE_TIME) {
            let _ = self.child.kill();
        }
        match (self.child.wait(), why) {
            (Ok(status), SuccessorError::Ended(_)) => SuccessorError::Ended(status.to_string()),
            (_, why) => why,
        }
    }

    fn ends_within(&mut self, time: Duration) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        (0..time.as_millis() / LOOK_EVERY.as_millis()).any(|_| {
            std::thread::sleep(LOOK_EVERY);
            matches!(self.child.try_wait(), Ok(Some(_)))
        })
    }
}
