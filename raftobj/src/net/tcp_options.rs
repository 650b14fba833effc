//! The options of each TCP connection.

use super::options::NetOptions;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;

/// Small messages are sent at once, and a dead connection is detected.
pub(super) fn set_tcp_options(stream: &tokio::net::TcpStream, options: &NetOptions) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(options.keepalive_idle_s))
        .with_interval(Duration::from_secs(options.keepalive_interval_s))
        .with_retries(options.keepalive_probes);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_millis(options.user_timeout_ms.into())))?;
    Ok(())
}
