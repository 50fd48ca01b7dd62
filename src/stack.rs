//! The finished stack: subscriber, provider and propagator that belong together.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Dispatch;

use crate::diagnostics::Diagnostics;
use crate::error::{Error, Severity};
use crate::layer::FilterHandle;
use crate::pipeline::{Pipeline, Stats};
use crate::propagation::Propagator;

/// Everything that [`Setup::init`](crate::Setup::init) would install, installed nowhere.
///
/// For tests, which want a stack each, and for embedders, which own the process's globals. Dropping
/// it flushes and ends its pipeline, within the flush timeout.
///
/// ```
/// use otel_setup::{Exporter, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let stack = Setup::new("my-service").with_exporter(Exporter::none()).build()?;
/// tracing::dispatcher::with_default(stack.dispatch(), || {
///     tracing::info_span!("work").in_scope(|| tracing::info!("traced by this stack alone"));
/// });
/// assert_eq!(stack.stats().started, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the stack ends its pipeline"]
pub struct Stack {
    pub(crate) dispatch: Dispatch,
    pub(crate) pipeline: Pipeline,
    /// Spans are neither made nor recorded (`OTEL_SDK_DISABLED`).
    pub(crate) disabled: bool,
    pub(crate) propagator: Propagator,
    pub(crate) log_filter: FilterHandle,
    pub(crate) trace_filter: FilterHandle,
    pub(crate) flush_timeout: Duration,
    pub(crate) diagnostics: Diagnostics,
}

impl Stack {
    /// The subscriber, for `tracing::dispatcher::with_default` or `set_global_default`.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// The provider, for native tracers: `stack.tracer_provider().tracer("db")`.
    ///
    /// Its spans go through the same sampler, processors and exporters. Shutting the provider down
    /// is not this stack's [`shutdown`](Self::shutdown): new spans would have no valid ids.
    pub fn tracer_provider(&self) -> SdkTracerProvider {
        self.pipeline.provider().clone()
    }

    /// The propagator for incoming and outgoing carriers.
    pub fn propagator(&self) -> Propagator {
        self.propagator.clone()
    }

    /// As [`Guard::flush`](crate::Guard::flush).
    ///
    /// # Errors
    ///
    /// As [`Guard::flush`](crate::Guard::flush).
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.pipeline.flush(timeout)
    }

    /// As [`Guard::shutdown`](crate::Guard::shutdown).
    ///
    /// # Errors
    ///
    /// As [`Guard::shutdown`](crate::Guard::shutdown).
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        self.pipeline.shutdown(timeout)
    }

    /// As [`Guard::stats`](crate::Guard::stats).
    pub fn stats(&self) -> Stats {
        self.pipeline.stats()
    }

    /// As [`Guard::log_filter`](crate::Guard::log_filter).
    pub fn log_filter(&self) -> String {
        self.log_filter.directives()
    }

    /// As [`Guard::set_log_filter`](crate::Guard::set_log_filter).
    ///
    /// # Errors
    ///
    /// As [`Guard::set_log_filter`](crate::Guard::set_log_filter).
    pub fn set_log_filter(&self, directives: &str) -> Result<(), Error> {
        self.change(&self.log_filter, directives)
    }

    /// As [`Guard::trace_filter`](crate::Guard::trace_filter).
    pub fn trace_filter(&self) -> String {
        self.trace_filter.directives()
    }

    /// As [`Guard::set_trace_filter`](crate::Guard::set_trace_filter).
    ///
    /// # Errors
    ///
    /// As [`Guard::set_trace_filter`](crate::Guard::set_trace_filter).
    pub fn set_trace_filter(&self, directives: &str) -> Result<(), Error> {
        self.change(&self.trace_filter, directives)
    }

    /// While there is only one subscriber in the process, `tracing` asks the thread's current one
    /// about its callsites, and takes it that nobody wants them where there is none.
    fn change(&self, filter: &FilterHandle, directives: &str) -> Result<(), Error> {
        tracing::dispatcher::with_default(&self.dispatch, || filter.set(directives))
    }

    pub(crate) fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// A flush for destructors and hooks: bounded, reported on our own voice, never a panic.
    pub(crate) fn flush_on_drop(&self) {
        if self.pipeline.is_idle() {
            return;
        }
        let flushed = catch_unwind(AssertUnwindSafe(|| self.pipeline.flush(self.flush_timeout)));
        if let Ok(Err(error)) = flushed {
            if error.is_lost() && !self.pipeline.has_untold_losses() {
                return;
            }
            self.diagnostics.say_once(Severity::Error, format_args!("{error}"));
        }
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("log_filter", &self.log_filter)
            .field("trace_filter", &self.trace_filter)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.pipeline.shutdown(self.flush_timeout)));
        if let Ok(Err(error)) = ended {
            self.diagnostics.say_once(Severity::Error, format_args!("{error}"));
        }
    }
}
