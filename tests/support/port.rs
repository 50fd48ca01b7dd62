//! Ports for the programs of others, which must be told theirs before they start.

#![allow(unreachable_pub, reason = "it is a module of several test binaries")]

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of the loopback that nobody else gets for as long as this process lives.
///
/// It stays bound here, without listening. Who asks for it by its number can still have it (with
/// `SO_REUSEADDR`, which servers set), but the system gives it to nobody who asks for any port.
/// A port that is let go of could go to another test's server, which then answers in place of
/// the program that was meant.
pub fn reserved_port() -> u16 {
    let socket = TcpSocket::new_v4().expect("a socket can be had");
    socket.set_reuseaddr(true).expect("a socket can be set so");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("there is a free port");
    let port = socket.local_addr().expect("it is bound").port();
    std::mem::forget(socket);
    port
}
