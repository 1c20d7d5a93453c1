//! Which process serves a Unix socket: "unix(7)", SO_PEERCRED.
//!
//! The kernel names the process that called listen(2) last. QEMU calls it also on
//! a socket that a manager hands over; other servers may not. Nothing is sent,
//! but the server sees a client that comes and goes.

use crate::advice::{Advice, Part, Setting};
use std::{io, os::fd::AsRawFd, path::Path};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket,
        sockopt::PeerCredentials,
    },
};
use thiserror::Error;

/// Why nobody could be found behind a socket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The server has a client, and others wait already.
    #[error("the socket is busy: it has a client, and others wait")]
    Busy,
    /// The file is no socket, or its server has ended.
    #[error("nobody serves it")]
    NotServed,
    /// The server's number means nothing here.
    #[error("its server is in another PID namespace")]
    Elsewhere,
    /// The operating system's words.
    #[error("{0}")]
    Io(#[from] io::Error),
}

crate::advice::explain!(SocketError);

impl SocketError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NotServed => "not_served",
            Self::Elsewhere => "elsewhere",
            Self::Io(_) => "io",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Busy => Advice::Parts(&[
                Part::Say("end the client that talks to it, or give "),
                Part::Name(Setting::Process),
                Part::Say(" of the emulator"),
            ]),
            Self::NotServed => {
                Advice::Say("give the socket of a running QEMU's -qmp or -monitor unix:SOCKET")
            }
            Self::Elsewhere => Advice::Parts(&[
                Part::Say("run in the emulator's PID namespace, or give "),
                Part::Name(Setting::Process),
                Part::Say(" as seen from here"),
            ]),
            Self::Io(_) => Advice::Parts(&[
                Part::Say("check the path and your rights to it, or give "),
                Part::Name(Setting::Process),
            ]),
        }
    }
}

impl From<Errno> for SocketError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN => Self::Busy,
            Errno::ECONNREFUSED | Errno::EPROTOTYPE => Self::NotServed,
            other => Self::Io(other.into()),
        }
    }
}

/// The number of the process that serves the stream socket at `path`.
///
/// # Errors
/// When nobody does, or too many clients wait.
pub fn server(path: &Path) -> Result<u32, SocketError> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
    let pid = getsockopt(&client, PeerCredentials)?.pid();
    u32::try_from(pid).ok().filter(|pid| *pid != 0).ok_or(SocketError::Elsewhere)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_process_that_listens_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).expect("is free");
        assert_eq!(server(&path).expect("it listens"), std::process::id());
    }

    #[test]
    fn a_socket_that_nobody_serves_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        assert_eq!(server(&path).expect_err("no such file").kind(), "io");
        drop(UnixListener::bind(&path).expect("is free"));
        assert_eq!(server(&path).expect_err("nobody listens").kind(), "not_served");
        let long = folder.path().join("x".repeat(200));
        assert_eq!(server(&long).expect_err("too long for a socket").kind(), "io");
    }

    #[test]
    fn a_queue_that_is_full_is_busy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("is free");
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).expect("in range"))
            .expect("is a socket");
        let refused = (0..3).find_map(|_| server(&path).err()).expect("one is too many");
        assert_eq!(refused.kind(), "busy");
    }
}
