//! What a service manager is told: ready, reloading, stopping, and that the process is alive.
//!
//! By datagrams to the socket that `NOTIFY_SOCKET` names; without one nothing is told. One thread tells
//! it all, in order, for a manager that does not read would hold up whoever speaks to it: beyond
//! [`WAITING_MAX`] messages that wait, the rest is dropped.
//!
//! Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

/// Most messages that wait for the manager.
const WAITING_MAX: usize = 8;

type Message = Vec<NotifyState<'static>>;

/// The way to the manager, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager {
    messages: Option<SyncSender<Message>>,
}

impl Manager {
    /// The one that the environment names.
    pub(crate) fn find() -> Manager {
        let is_there = std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty());
        Manager { messages: is_there.then(start).flatten() }
    }

    /// Every address answers, or a reload is over.
    pub(crate) fn ready(&self, status: &'static str) {
        self.tell(vec![NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload began; [`ready`](Manager::ready) says that it is over.
    pub(crate) fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(vec![NotifyState::Reloading, now]);
        }
    }

    /// Another process serves from now on, and will tell the rest.
    pub(crate) fn followed_by(&self, pid: u32) {
        self.tell(vec![NotifyState::MainPid(pid)]);
    }

    /// The drain began.
    pub(crate) fn stopping(&self) {
        self.tell(vec![NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// How often the manager is to hear that the process is alive: twice in the time after which it would
    /// end it. None: it does not ask.
    pub(crate) fn alive_every(&self) -> Option<Duration> {
        self.messages.as_ref()?;
        sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| !every.is_zero())
    }

    pub(crate) fn alive(&self) {
        self.tell(vec![NotifyState::Watchdog]);
    }

    fn tell(&self, message: Message) {
        if let Some(messages) = &self.messages
            && messages.try_send(message).is_err()
        {
            tracing::warn!("the service manager does not read what it is told");
        }
    }
}

/// The thread that tells it. It ends with the last [`Manager`].
fn start() -> Option<SyncSender<Message>> {
    let (messages, told) = sync_channel::<Message>(WAITING_MAX);
    let tell = move || {
        for message in told {
            if let Err(error) = sd_notify::notify(&message) {
                tracing::warn!(%error, "the service manager could not be told");
            }
        }
    };
    let thread = std::thread::Builder::new().name("service-manager".into()).spawn(tell);
    thread.is_ok().then_some(messages)
}
