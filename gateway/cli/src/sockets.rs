//! The listening sockets of a process, by name: a predecessor's where it has one of that name, else new ones.
//!
//! Each is kept once more, to be handed over in turn (`handover`).

use std::io;
use std::net::{SocketAddr, TcpListener};

use gateway_proxy::{Bound, ListenerSpec, bind};

use crate::exit::{Failed, failed};
use crate::handover::predecessor::Predecessor;
use crate::handover::{listener_names, name};
use crate::publish::Publisher;

/// Those that are bound so far.
pub(crate) struct Sockets<'a> {
    predecessor: Option<&'a mut Predecessor>,
    kept: Vec<(String, TcpListener)>,
}

impl Sockets<'_> {
    pub(crate) fn of(predecessor: Option<&mut Predecessor>) -> Sockets<'_> {
        Sockets { predecessor, kept: Vec::new() }
    }

    /// The proxy's listeners with their names, in the order of the settings.
    pub(crate) fn proxy(&mut self, publisher: &Publisher) -> Result<Vec<(String, Bound)>, Failed> {
        let listeners = &publisher.settings().listeners;
        let names = listener_names(listeners.iter().map(|listener| listener.address));
        let mut all = Vec::new();
        for (place, ((listener, tls), name)) in
            listeners.iter().zip(publisher.tls()).zip(names).enumerate()
        {
            let spec = ListenerSpec {
                place,
                address: listener.address.to_string(),
                tls: tls.cloned(),
                trusted_proxies: listener.trusted_proxies.clone(),
                h2c: listener.h2c,
            };
            let bound = bind(spec, self.inherited(&name)).map_err(|error| failed(&error))?;
            self.keep(&name, bound.socket())?;
            all.push((name, bound));
        }
        Ok(all)
    }

    /// The socket of admin or telemetry; call it in a runtime.
    pub(crate) fn control(
        &mut self,
        role: &str,
        address: SocketAddr,
    ) -> Result<tokio::net::TcpListener, Failed> {
        let name = name(role, address);
        let refused = |error| failed(&format!("cannot listen on {address} ({role}): {error}"));
        let socket = match self.inherited(&name) {
            Some(socket) => socket,
            None => TcpListener::bind(address).map_err(refused)?,
        };
        socket.set_nonblocking(true).map_err(refused)?;
        self.keep(&name, socket.try_clone())?;
        tokio::net::TcpListener::from_std(socket).map_err(refused)
    }

    /// All of them, for a process that is to go on with them.
    pub(crate) fn kept(self) -> Vec<(String, TcpListener)> {
        self.kept
    }

    fn inherited(&mut self, name: &str) -> Option<TcpListener> {
        self.predecessor.as_mut()?.socket(name)
    }

    fn keep(&mut self, name: &str, copy: io::Result<TcpListener>) -> Result<(), Failed> {
        self.kept.push((name.to_owned(), copy.map_err(|error| failed(&error))?));
        Ok(())
    }
}
