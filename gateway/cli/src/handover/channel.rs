//! Packets with descriptors between two processes, each whole or not at all.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// Largest packet. Below what a socket takes unless a machine was set to less (212 992).
pub(super) const PACKET_BYTES_MAX: usize = 160 << 10;
/// Most descriptors in one packet (unix(7): SCM_MAX_FD).
pub(super) const DESCRIPTORS_MAX: usize = 253;
const RIGHTS_BYTES: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// One end of the way between two processes.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What came in one packet.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// This process's end, and the other.
    pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(here), there))
    }

    /// # Errors
    /// It is no end of such a pair.
    pub(super) fn of(socket: OwnedFd) -> io::Result<Channel> {
        match socket_type(&socket)? {
            SocketType::SEQPACKET => Ok(Channel(socket)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Sends one packet, and waits no longer than `within` for room.
    pub(super) fn send(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> io::Result<()> {
        let Channel(socket) = self;
        set_socket_timeout(socket, Timeout::Send, Some(within))?;
        let mut space = [MaybeUninit::uninit(); RIGHTS_BYTES];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !rights.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let parts = [IoSlice::new(bytes)];
        loop {
            match sendmsg(socket, &parts, &mut rights, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return sent.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// The next packet, within the time if one is given; `None` when the other end is closed.
    pub(super) fn receive(&self, within: Option<Duration>) -> io::Result<Option<Packet>> {
        let Channel(socket) = self;
        set_socket_timeout(socket, Timeout::Recv, within)?;
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); RIGHTS_BYTES];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(socket, &mut parts, &mut rights, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                // The other end was closed with packets unread.
                Err(Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        let mut descriptors = Vec::new();
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.truncate(received.bytes);
        Ok((!bytes.is_empty()).then_some(Packet { bytes, descriptors }))
    }
}
