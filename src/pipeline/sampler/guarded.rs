//! The sampler as the provider calls it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::diagnostics::Diagnostics;
use crate::error::Severity;
use crate::guarded::words;

/// A panic of the sampler drops the trace, and nothing else.
#[derive(Debug, Clone)]
pub(crate) struct GuardedSampler {
    pub(crate) sampler: Arc<dyn ShouldSample>,
    pub(crate) diagnostics: Diagnostics,
}

impl ShouldSample for GuardedSampler {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        catch_unwind(AssertUnwindSafe(|| {
            self.sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links)
        }))
        .unwrap_or_else(|panic| self.dropped(parent_context, panic))
    }
}

impl GuardedSampler {
    #[cold]
    fn dropped(&self, parent: Option<&Context>, panic: Box<dyn Any + Send>) -> SamplingResult {
        words(panic);
        self.diagnostics.say(
            Severity::Error,
            "sampler panic",
            format_args!("the sampler panicked; the span is not recorded"),
        );
        let trace_state = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: trace_state.unwrap_or_default(),
        }
    }
}
