//! The face that the SDK sees: counts at start, moves into a buffer at end.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::core::{Core, FORKED};
use super::limits::{Limits, estimate, has_state, of_state};
use super::queue::Buffer;
use crate::error::Error;
use crate::tracer::SpanSink;

#[derive(Debug, Clone)]
pub(crate) struct Processor {
    core: Arc<Core>,
    /// For threads whose own buffer is out of reach: their thread-locals are gone.
    shared: Arc<Buffer<SpanData>>,
    timeout: Duration,
    limits: Limits,
}

/// A thread's buffer in one core.
struct Slot {
    core: u64,
    buffer: Arc<Buffer<SpanData>>,
}

thread_local! {
    /// The one that was used last. Taken out while it is used: that costs no count of references,
    /// and a span moves straight into the buffer, not into a closure first.
    static LAST: Cell<Option<Slot>> = const { Cell::new(None) };
    /// Those of other cores: tests and stacked providers have some.
    static OTHERS: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

impl Processor {
    pub(crate) fn new(core: Arc<Core>, timeout: Duration, limits: Limits) -> Self {
        let shared = core.buffer();
        Self { core, shared, timeout, limits }
    }

    /// Takes this thread's buffer. `None` if there is none to be had: the thread is ending.
    #[inline]
    fn take(&self) -> Option<Slot> {
        match LAST.try_with(Cell::take).ok()? {
            Some(slot) if slot.core == self.core.id => Some(slot),
            other => self.find(other),
        }
    }

    /// Puts it back where the next span finds it.
    #[inline]
    fn put_back(slot: Slot) {
        // a thread that is ending leaves its buffer to the next sweep
        let _ = LAST.try_with(|last| {
            let other = last.replace(Some(slot));
            if other.is_some() {
                Self::set_aside(other);
            }
        });
    }

    /// What the thread has used meanwhile.
    #[cold]
    #[inline(never)]
    fn set_aside(other: Option<Slot>) {
        let _ = OTHERS.try_with(|slots| slots.borrow_mut().extend(other));
    }

    #[cold]
    #[inline(never)]
    fn find(&self, other: Option<Slot>) -> Option<Slot> {
        OTHERS
            .try_with(|slots| {
                let mut slots = slots.borrow_mut();
                slots.extend(other);
                if let Some(at) = slots.iter().position(|slot| slot.core == self.core.id) {
                    return slots.swap_remove(at);
                }
                // the exchange of a core that is gone holds no reference any more
                slots.retain(|slot| Arc::strong_count(&slot.buffer) > 1);
                Slot { core: self.core.id, buffer: self.core.buffer() }
            })
            .ok()
    }

    /// Says so once, past the locks of stderr: who holds them may not exist in this process.
    #[cold]
    fn drop_in_child(&self) {
        #[cfg(unix)]
        if self.core.end_in_child() {
            let line = format!("otel-setup: error: spans are dropped: {FORKED}\n");
            let _ = rustix::io::write(std::io::stderr(), line.as_bytes());
        }
    }

    /// Has this thread's buffer count something, or else the shared one.
    #[inline]
    fn count(&self, own: fn(&Buffer<SpanData>), shared: fn(&Buffer<SpanData>)) {
        match self.take() {
            Some(slot) => {
                own(&slot.buffer);
                Self::put_back(slot);
            }
            None => shared(&self.shared),
        }
    }

    /// A span that is too big, or with a trace state, which has to be read to be measured. By
    /// value, as everything here: a span that nobody else has the address of is copied once on
    /// its way.
    #[cold]
    #[inline(never)]
    fn push_measured(&self, mut span: SpanData) {
        let state = of_state(span.span_context.trace_state());
        let mut bytes = estimate(&span) + state;
        if bytes > self.limits.span_bytes {
            // first what the other limits take: with them it may be small enough
            self.limits.tidy(&mut span);
            bytes = estimate(&span) + state;
            bytes = self.limits.cut(&mut span, bytes);
        }
        self.push(span, bytes);
    }

    #[inline]
    fn push(&self, span: SpanData, bytes: usize) {
        let slot = self.take();
        let buffer = slot.as_ref().map_or(&self.shared, |slot| &slot.buffer);
        buffer.push(span, bytes, &self.core.exchange);
        if let Some(slot) = slot {
            Self::put_back(slot);
        }
    }
}

impl SpanSink for Processor {
    #[inline]
    fn started(&self) {
        if self.core.is_forked() {
            self.core.start_in_child();
        } else {
            self.count(Buffer::start, Buffer::start_shared);
        }
    }

    #[inline]
    fn ended(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.core.is_forked() {
            return self.drop_in_child();
        }
        if !self.core.has_exporters() {
            // an end that nobody asks for
            return self.count(Buffer::end, Buffer::end_shared);
        }
        // the system's clock may have been set back meanwhile
        if span.end_time < span.start_time {
            span.end_time = span.start_time;
        }
        let bytes = estimate(&span);
        if bytes > self.limits.span_bytes || has_state(span.span_context.trace_state()) {
            self.push_measured(span);
        } else {
            self.push(span, bytes);
        }
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut Span, _cx: &Context) {
        if span.span_context().is_sampled() {
            self.started();
        }
    }

    fn on_end(&self, span: SpanData) {
        self.ended(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.core.flush(self.timeout).map_err(|error| sdk_error(&error))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.core.shutdown(timeout).map_err(|error| sdk_error(&error))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.core.set_resource(resource);
    }
}

fn sdk_error(error: &Error) -> OTelSdkError {
    OTelSdkError::InternalFailure(error.to_string())
}
