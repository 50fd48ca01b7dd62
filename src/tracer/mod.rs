//! What the layer makes spans with, and the pipeline provides: the one thing that both know.
//!
//! The SDK's span keeps its data in a form of its own, which is moved and rebuilt when it ends, and
//! counts references to its tracer and provider. Ours is what is exported, from its start on. Only
//! span processors can tell: they are shown the SDK's span when it starts. So with processors of the
//! user's own all spans are the SDK's, as those of native tracers always are.

mod keys;
mod own;

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, Status, TraceContextExt as _, TraceFlags, Tracer as _,
};
use opentelemetry_sdk::trace::{SdkTracer, SpanData};

pub(crate) use self::keys::last_of_each_key;
pub(crate) use self::own::OwnTracer;

#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    sdk: SdkTracer,
    own: Option<OwnTracer>,
}

/// Where the spans of our own tracer go.
pub(crate) trait SpanSink: fmt::Debug + Send + Sync {
    /// A sampled span has started.
    fn started(&self);

    /// A span has ended, sampled or not.
    fn ended(&self, span: SpanData);
}

impl Tracer {
    pub(crate) fn new(sdk: SdkTracer, own: Option<OwnTracer>) -> Self {
        Self { sdk, own }
    }

    /// For those who want spans of the SDK's.
    pub(crate) fn sdk(&self) -> &SdkTracer {
        &self.sdk
    }

    /// Starts a span: its context, and whether it is recorded.
    ///
    /// Code of others runs here: the sampler, and processors.
    #[expect(clippy::inline_always, reason = "a builder and a span would go through memory")]
    #[inline(always)]
    pub(crate) fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        status: Status,
    ) -> (Context, bool) {
        match &self.own {
            Some(own) => match own.start(builder, parent, status) {
                Ok(span) => (parent.with_span(span), true),
                Err(context) => (parent.with_remote_span_context(context), false),
            },
            None => self.start_sdk(builder, parent, status),
        }
    }

    /// As [`start`](Self::start), for a span that starts in no hurry.
    #[cold]
    #[inline(never)]
    pub(crate) fn start_aside(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        status: Status,
    ) -> (Context, bool) {
        self.start(builder, parent, status)
    }

    #[cold]
    fn start_sdk(&self, builder: SpanBuilder, parent: &Context, status: Status) -> (Context, bool) {
        let mut span = self.sdk.build_with_context(builder, parent);
        if !span.is_recording() {
            // no box around a span that does nothing
            let context = with_random_flag(span.span_context(), parent);
            return (parent.with_remote_span_context(context), false);
        }
        if status != Status::Unset {
            span.set_status(status);
        }
        (parent.with_span(span), true)
    }
}

/// The SDK forgets, of what it does not sample, that the trace id is random; whoever continues the
/// trace has to be told ("Random Trace ID Flag", W3C trace context level 2).
fn with_random_flag(span: &SpanContext, parent: &Context) -> SpanContext {
    let parent = parent.span();
    let parent = parent.span_context();
    let flags = span.trace_flags() | (parent.trace_flags() & RANDOM);
    if flags == span.trace_flags() || parent.trace_id() != span.trace_id() {
        return span.clone();
    }
    let state = span.trace_state().clone();
    SpanContext::new(span.trace_id(), span.span_id(), flags, span.is_remote(), state)
}

const RANDOM: TraceFlags = TraceFlags::new(0x02);
