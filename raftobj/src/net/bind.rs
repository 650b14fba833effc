//! Listens on an address.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The address is not `host:port`, `1.2.3.4:port` or `[::1]:port`, or the name is unknown.
    #[error("cannot listen on {address}: it does not resolve to an address")]
    Resolve { address: String, source: io::Error },
    /// The name is known and has no address.
    #[error("cannot listen on {address}: the name has no address")]
    NoAddress { address: String },
    /// Another process listens on this port.
    #[error("cannot listen on {address}: the port is in use")]
    InUse { address: String, source: io::Error },
    /// The address belongs to another machine.
    #[error("cannot listen on {address}: it is no address of this machine")]
    NotLocal { address: String, source: io::Error },
    /// Any other error.
    #[error("cannot listen on {address}: {source}")]
    Other { address: String, source: io::Error },
}

/// Listens on the first of the addresses that `address` resolves to and that can be listened on. Port 0 takes any
/// free port. May wait for a name server, so do not call it on the engine thread.
pub(crate) fn bind(address: &str) -> Result<TcpListener, BindError> {
    let text = || address.to_string();
    let resolved =
        address.to_socket_addrs().map_err(|source| BindError::Resolve { address: text(), source })?;
    let mut error = BindError::NoAddress { address: text() };
    for one in resolved {
        match listen(one) {
            Ok(listener) => return Ok(listener),
            Err(source) => {
                error = match source.kind() {
                    io::ErrorKind::AddrInUse => BindError::InUse { address: text(), source },
                    io::ErrorKind::AddrNotAvailable => BindError::NotLocal { address: text(), source },
                    _ => BindError::Other { address: text(), source },
                }
            }
        }
    }
    Err(error)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted node gets its port although connections of its last run are still in TIME_WAIT. On Windows the same
    // option would take the port from a process that listens.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Connections that the system queues until they are accepted: a thousand at once must not push out a good one.
const BACKLOG: i32 = 1024;
