//! The guard: no bytes, and the door to what was installed.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::global::{self, Installed};
use crate::pipeline::Stats;

/// Keeps nothing, costs nothing, and flushes when it is dropped.
///
/// `main` holds it to its end, so the spans that are still queued when the program finishes are
/// exported. It has no size: what it speaks for is the process's one setup, and every guard speaks
/// for the same.
///
/// # What dropping it does
///
/// It exports what has ended so far, and waits for that no longer than the flush timeout (five
/// seconds; [`Setup::with_flush_timeout`](crate::Setup::with_flush_timeout), variable
/// `OTEL_RUST_FLUSH_TIMEOUT`). With nothing queued it returns at once. It never panics, also while
/// the thread is unwinding, and does not end the pipeline: later spans, and other guards, go on. A
/// flush that fails is reported on stderr.
///
/// # What does not drop it
///
/// `std::process::exit` and an abort run no destructors, and a leaked guard (`mem::forget`) is
/// never dropped: what is queued then (at most the last few seconds) is lost. Call
/// [`shutdown`](Self::shutdown) before `exit`. With `panic = "abort"`, ask for
/// [`Setup::with_flush_on_panic`](crate::Setup::with_flush_on_panic).
///
/// ```
/// # fn main() -> Result<(), otel_setup::Error> {
/// let guard = otel_setup::setup_tracing("my-service")?;
/// tracing::info_span!("work").in_scope(|| tracing::info!("working"));
/// drop(guard); // exported by now, or reported
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the guard flushes: held until the end of main, it saves the last spans"]
pub struct Guard(());

impl Guard {
    /// Only for what is installed: that is what makes `installed` below always answer.
    pub(crate) fn of(_: &'static Installed) -> Self {
        Self(())
    }

    /// Exports every span that has ended before this call.
    ///
    /// # Errors
    ///
    /// [`is_lost`](Error::is_lost) when spans were dropped, refused or could not be exported since
    /// the last flush, with the number and the cause; [`is_timeout`](Error::is_timeout) when
    /// `timeout` passed first: what is left stays queued.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        Self::installed().stack.flush(timeout)
    }

    /// Exports what has ended, then ends the pipeline, for every guard of the process.
    ///
    /// Spans made later keep valid ids and go on propagating; they are counted as dropped. A second
    /// shutdown does nothing.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush); what is left after `timeout` is dropped, and counted.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        Self::installed().stack.shutdown(timeout)
    }

    /// How many spans were started, exported, refused, dropped (and why), and are under way.
    pub fn stats(&self) -> Stats {
        Self::installed().stack.stats()
    }

    /// The directives that decide which events become log lines.
    pub fn log_filter(&self) -> String {
        Self::installed().stack.log_filter()
    }

    /// Replaces them, for the whole process and at once.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) when the directives do not parse; the old ones stay.
    pub fn set_log_filter(&self, directives: &str) -> Result<(), Error> {
        Self::installed().stack.set_log_filter(directives)
    }

    /// The directives that decide which spans and events are traced.
    pub fn trace_filter(&self) -> String {
        Self::installed().stack.trace_filter()
    }

    /// Replaces them, for the whole process and at once. Spans that are open keep their fate.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) when the directives do not parse; the old ones stay.
    pub fn set_trace_filter(&self, directives: &str) -> Result<(), Error> {
        Self::installed().stack.set_trace_filter(directives)
    }

    fn installed() -> &'static Installed {
        global::installed()
            .expect("a guard is made from what is installed, and that is never removed")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(installed) = global::installed() {
            installed.stack.flush_on_drop();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

const _: () = assert!(size_of::<Guard>() == 0);
