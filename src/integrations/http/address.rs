//! IP addresses as text.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

/// An IP address as text, on the stack.
pub(in crate::integrations) struct Address {
    text: [u8; LONGEST],
    length: usize,
}

impl Address {
    pub(in crate::integrations) fn of(peer: &SocketAddr) -> Self {
        let mut address = Self { text: [0; LONGEST], length: 0 };
        // an address of version 6 that stands for one of version 4 is the latter
        let written = write!(address, "{}", peer.ip().to_canonical());
        debug_assert!(written.is_ok(), "every address fits");
        address
    }

    pub(in crate::integrations) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Address {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let space = self.text.get_mut(self.length..end).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
const LONGEST: usize = 45;
