//! How much a message matters, whoever says it.

use std::fmt;

/// How much a message matters. `OTEL_LOG_LEVEL` sets the least that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Detail for whoever debugs this crate.
    Debug,
    /// A fact that an operator may want: loss has ended, spans flow again.
    Info,
    /// Something does not do what was asked, and what is done instead.
    Warning,
    /// Spans are being lost, or a part of the setup is dead.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
