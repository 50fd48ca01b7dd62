//! The propagator: one format, or several.

use std::fmt;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::b3::B3;
use super::baggage::Baggage;
use super::format::Format;
use super::jaeger::Jaeger;
use super::w3c::TraceContext;
use super::xray::XRay;

/// Reads a remote context from a carrier, and writes the current one into a carrier.
///
/// What is absent or invalid is not read, and what the context holds already stays. Reading is
/// silent and bounded: headers come from strangers.
///
/// Cheap to clone: all clones are one propagator.
///
/// ```
/// use otel_setup::propagation::Propagator;
///
/// // reads both, and the last that is there counts; writes both
/// let both = Propagator::composite([Propagator::b3(), Propagator::trace_context()]);
/// ```
#[derive(Clone)]
pub struct Propagator(Arc<Inner>);

struct Inner {
    parts: Vec<Part>,
    fields: Vec<String>,
}

#[derive(Clone)]
enum Part {
    Own(&'static dyn Format),
    Custom(Arc<dyn TextMapPropagator + Send + Sync>),
}

impl Propagator {
    /// W3C trace context, level 2: the headers `traceparent` and `tracestate` (`tracecontext` in
    /// `OTEL_PROPAGATORS`).
    ///
    /// Strict: an invalid `traceparent`, or more than one, is none, and an invalid `tracestate` is
    /// dropped whole. Of a `tracestate` at most 512 characters and 32 members are kept. The flag
    /// that says that the trace id is random goes through.
    pub fn trace_context() -> Self {
        Self::own(&TraceContext)
    }

    /// W3C baggage: the header `baggage` (`baggage`).
    ///
    /// Members that are invalid are left out; at most 64 members and 8,192 bytes are read and
    /// written.
    pub fn baggage() -> Self {
        Self::own(&Baggage)
    }

    /// B3 in a single header, `b3` (`b3`).
    ///
    /// Read as a single or as several headers. The debug flag is sent on. A denial without
    /// ids is read as an unsampled parent with new ids, unless there is a parent already: every
    /// sampler that obeys its parent obeys. Nothing of this crate links to these ids.
    pub fn b3() -> Self {
        Self::own(&B3::Single)
    }

    /// B3 in several headers, `X-B3-TraceId` and so on (`b3multi`); read as [`b3`](Self::b3).
    pub fn b3_multi() -> Self {
        Self::own(&B3::Multi)
    }

    /// The format of Jaeger's retired clients: the header `uber-trace-id`, with baggage in headers
    /// `uberctx-…` (`jaeger`).
    pub fn jaeger() -> Self {
        Self::own(&Jaeger)
    }

    /// AWS X-Ray: the header `X-Amzn-Trace-Id` (`xray`).
    pub fn xray() -> Self {
        Self::own(&XRay)
    }

    /// Nothing is read or written (`none`).
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    /// Any propagator, of another crate or your own.
    pub fn custom(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Self::of(vec![Part::Custom(Arc::new(propagator))])
    }

    /// Several at once, in this order: each writes its own headers, and of several that find a
    /// trace the last counts.
    pub fn composite(propagators: impl IntoIterator<Item = Self>) -> Self {
        let parts = propagators.into_iter().flat_map(|propagator| propagator.0.parts.clone());
        Self::of(parts.collect())
    }

    fn own(format: &'static dyn Format) -> Self {
        Self::of(vec![Part::Own(format)])
    }

    fn of(parts: Vec<Part>) -> Self {
        let mut fields: Vec<String> = Vec::new();
        for part in &parts {
            for field in part.fields() {
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
        }
        Self(Arc::new(Inner { parts, fields }))
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        for part in &self.0.parts {
            match part {
                Part::Own(format) => format.inject(cx, injector),
                Part::Custom(propagator) => propagator.inject_context(cx, injector),
            }
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        match self.0.parts.as_slice() {
            [Part::Own(format)] => format.extract_alone(cx, extractor),
            parts => extract_by_all(parts, cx, extractor),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0.fields)
    }
}

/// By itself, so that what is usual needs little of the stack.
#[inline(never)]
fn extract_by_all(parts: &[Part], context: &Context, extractor: &dyn Extractor) -> Context {
    let mut found = None;
    for part in parts {
        let before = found.as_ref().unwrap_or(context);
        let after = match part {
            Part::Own(format) => format.extract(before, extractor),
            Part::Custom(custom) => Some(custom.extract_with_context(before, extractor)),
        };
        found = after.or(found);
    }
    found.unwrap_or_else(|| context.clone())
}

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Propagator").field(&self.0.fields).finish()
    }
}

impl Part {
    fn fields(&self) -> Vec<String> {
        match self {
            Self::Own(format) => format.fields().iter().map(ToString::to_string).collect(),
            Self::Custom(propagator) => propagator.fields().map(ToOwned::to_owned).collect(),
        }
    }
}
