//! The one error of this crate: opaque, one word wide, with predicates. And what every message,
//! error or not, may show.

mod redact;
mod severity;

use std::fmt;
use std::panic::Location;
use std::time::Duration;

pub(crate) use redact::escape;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub(crate) use redact::redact_url;
pub use severity::Severity;

/// What went wrong in setup, flush or shutdown.
///
/// The text names the culprit (a variable, a value, a field) and says what to do. Programs tell
/// errors apart by the `is_*` predicates. No text ever holds a header value or a credential.
pub struct Error(Box<Kind>);

#[derive(Debug)]
pub(crate) enum Kind {
    /// Setup has run before.
    AlreadyInstalled { service_name: String, location: &'static Location<'static> },
    /// Setup was called by something that setup itself is running.
    Reentrant { location: &'static Location<'static> },
    /// Someone else owns the global subscriber.
    ForeignSubscriber,
    /// Every setting that cannot be used, all at once.
    Config(Vec<String>),
    /// A flush or shutdown took longer than it was given.
    Timeout { operation: &'static str, after: Duration, left: u64, losses: Option<Error> },
    /// Spans were lost or refused.
    Lost { operation: &'static str, lost: u64, cause: String },
    /// A part that is not ours failed: a span processor of the user's.
    Failed { operation: &'static str, cause: String },
    /// The operating system refused something that setup needs.
    System { what: &'static str, cause: String },
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(kind))
    }

    pub(crate) fn config(problem: impl Into<String>) -> Self {
        Self::new(Kind::Config(vec![problem.into()]))
    }

    /// What is wrong with the settings, if that is what the error is of.
    pub(crate) fn into_problems(self) -> Result<Vec<String>, Self> {
        match *self.0 {
            Kind::Config(problems) => Ok(problems),
            other => Err(Self::new(other)),
        }
    }

    /// Setup has already run in this process; the text says where.
    pub fn is_already_installed(&self) -> bool {
        matches!(*self.0, Kind::AlreadyInstalled { .. })
    }

    /// Setup was called from within its own initialization (by an exporter, a processor, a layer).
    pub fn is_reentrant(&self) -> bool {
        matches!(*self.0, Kind::Reentrant { .. })
    }

    /// Another library has set the global `tracing` subscriber before us.
    pub fn is_foreign_subscriber(&self) -> bool {
        matches!(*self.0, Kind::ForeignSubscriber)
    }

    /// A setting cannot be used: a filter that does not parse, an impossible service name, and so on.
    pub fn is_config(&self) -> bool {
        matches!(*self.0, Kind::Config(_))
    }

    /// A flush or shutdown ran out of time. What it had not exported is still queued (flush) or
    /// counted as dropped (shutdown).
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Kind::Timeout { .. })
    }

    /// Spans were lost since the last flush: dropped, refused by the backend, or failed to export.
    pub fn is_lost(&self) -> bool {
        matches!(*self.0, Kind::Lost { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::AlreadyInstalled { service_name, location } => write!(
                f,
                "tracing is already set up for service {service_name:?}, at {location}; \
                 call `setup_tracing` to share that setup, or remove one of the two calls"
            ),
            Kind::Reentrant { location } => write!(
                f,
                "setup called at {location} from within its own initialization; \
                 an exporter, processor or layer must not set up tracing"
            ),
            Kind::ForeignSubscriber => f.write_str(
                "something else has already set the global tracing subscriber: call setup before it, \
                 or remove its init call; if nothing else sets one, the program may hold a second \
                 version of otel-setup, which `cargo tree -d` shows",
            ),
            Kind::Config(problems) => f.write_str(&problems.join("; ")),
            Kind::Timeout { operation, after, left, losses } => {
                let left = Spans(*left);
                write!(f, "{operation} did not finish within {after:?}: {left} not exported yet")?;
                losses.iter().try_for_each(|losses| write!(f, "; {losses}"))
            }
            Kind::Lost { operation, lost, cause } => {
                write!(f, "{operation}: {} lost: {cause}", Spans(*lost))
            }
            Kind::Failed { operation, cause } => write!(f, "{operation}: {cause}"),
            Kind::System { what, cause } => write!(f, "cannot {what}: {cause}"),
        }
    }
}

/// So many spans, in words.
struct Spans(u64);

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} span{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.kind_name())
    }
}

impl Error {
    fn kind_name(&self) -> &'static str {
        match *self.0 {
            Kind::AlreadyInstalled { .. } => "AlreadyInstalled",
            Kind::Reentrant { .. } => "Reentrant",
            Kind::ForeignSubscriber => "ForeignSubscriber",
            Kind::Config(_) => "Config",
            Kind::Timeout { .. } => "Timeout",
            Kind::Lost { .. } => "Lost",
            Kind::Failed { .. } => "Failed",
            Kind::System { .. } => "System",
        }
    }
}

impl std::error::Error for Error {}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());
