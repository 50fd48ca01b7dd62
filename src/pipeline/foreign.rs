//! Span processors of the user's own: their panics stay theirs, and their waits are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tracing::Dispatch;

use super::retry::after;
use crate::diagnostics::Diagnostics;
use crate::error::Severity;
use crate::exception::Quiet;
use crate::guarded::guarded;

/// One of them, shared between the provider and whoever flushes.
#[derive(Debug, Clone)]
pub(crate) struct ForeignProcessor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    processor: Box<dyn SpanProcessor>,
    diagnostics: Diagnostics,
    /// An earlier flush or shutdown has not returned yet.
    busy: AtomicBool,
}

impl ForeignProcessor {
    /// Hands the processor its resource; a panic of it is the caller's to see.
    pub(crate) fn new(
        mut processor: Box<dyn SpanProcessor>,
        resource: &Resource,
        diagnostics: Diagnostics,
    ) -> Self {
        processor.set_resource(resource);
        Self(Arc::new(Inner { processor, diagnostics, busy: AtomicBool::new(false) }))
    }

    /// Runs `operation` on a thread of its own, and waits for it until `deadline`. What it says
    /// went wrong, if anything.
    fn within(
        &self,
        deadline: Instant,
        operation: fn(&dyn SpanProcessor, Duration) -> OTelSdkResult,
    ) -> Option<String> {
        self.begin(deadline, operation).end(deadline)
    }

    /// Has `operation` run on a thread of its own.
    pub(crate) fn begin(
        &self,
        deadline: Instant,
        operation: fn(&dyn SpanProcessor, Duration) -> OTelSdkResult,
    ) -> Begun {
        let inner = self.0.clone();
        if inner.busy.swap(true, AcqRel) {
            let words = "a span processor is still busy with an earlier flush";
            return Begun(Err(words.to_owned()));
        }
        let (done, wait) = mpsc::channel();
        let left = deadline.saturating_duration_since(Instant::now());
        let thread = std::thread::Builder::new().name("otel-processor".to_owned());
        let spawned = thread.spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let result = guarded(|| operation(&*inner.processor, left));
            inner.busy.store(false, Release);
            // nobody waits any more if the deadline has passed
            let _ = done.send(match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("a span processor failed: {error}")),
                Err(_) => Some("a span processor panicked".to_owned()),
            });
        });
        if let Err(error) = spawned {
            self.0.busy.store(false, Release);
            return Begun(Err(format!("no thread for a span processor: {error}")));
        }
        Begun(Ok(wait))
    }

    fn guarded(&self, call: impl FnOnce(&dyn SpanProcessor)) {
        // the SDK calls a processor under the lock of the span
        let _quiet = Quiet::here();
        if guarded(|| call(&*self.0.processor)).is_err() {
            self.0.diagnostics.say(
                Severity::Error,
                "processor panic",
                format_args!("a span processor panicked; the span goes on without it"),
            );
        }
    }
}

/// A flush or a shutdown that is under way, or why it is not.
pub(crate) struct Begun(Result<mpsc::Receiver<Option<String>>, String>);

impl Begun {
    /// Waits for it until `deadline`. What went wrong, if anything.
    pub(crate) fn end(self, deadline: Instant) -> Option<String> {
        let wait = match self.0 {
            Ok(wait) => wait,
            Err(words) => return Some(words),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        wait.recv_timeout(left)
            .unwrap_or_else(|_| Some("a span processor did not return in time".to_owned()))
    }
}

/// As the provider sees it. Ending the provider's processors is the pipeline's business.
impl SpanProcessor for ForeignProcessor {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.guarded(|processor| processor.on_start(span, cx));
    }

    fn on_end(&self, span: SpanData) {
        // a `tracing` span that is made and closed while another one closes is never cleared by the
        // registry, and keeps its parent open for ever: there is no subscriber in here
        tracing::dispatcher::with_default(&Dispatch::none(), || {
            self.guarded(|processor| processor.on_end(span));
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let problem = self.within(after(Instant::now(), timeout), |processor, left| {
            processor.shutdown_with_timeout(left)
        });
        problem.map_or(Ok(()), |words| {
            Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure(words))
        })
    }

    fn set_resource(&mut self, _resource: &Resource) {
        // it has it since `new`
    }
}
