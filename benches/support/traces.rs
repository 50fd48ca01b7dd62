//! Traces of several shapes, made with the native API, so that what is compared is what follows.

use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// A request as many programs have it.
pub(crate) fn ten(tracer: &SdkTracer) {
    within(tracer, "POST /orders", SpanKind::Server, &Context::new(), |request| {
        for step in ["load cart", "charge card", "send receipt"] {
            within(tracer, step, SpanKind::Internal, request, |step| {
                for query in ["SELECT carts", "UPDATE carts"] {
                    within(tracer, query, SpanKind::Client, step, |_| {});
                }
            });
        }
    });
}

pub(crate) fn alike(tracer: &SdkTracer) {
    within(tracer, "import", SpanKind::Internal, &Context::new(), |import| {
        for _ in 1..LARGE {
            within(tracer, "row", SpanKind::Internal, import, |_| {});
        }
    });
}

pub(crate) fn unlike(tracer: &SdkTracer) {
    within(tracer, "import", SpanKind::Internal, &Context::new(), |import| {
        for n in 1..LARGE {
            drop(tracer.start_with_context(format!("row {n}"), import));
        }
    });
}

pub(crate) fn deep(tracer: &SdkTracer) {
    let mut contexts = vec![Context::new()];
    for _ in 0..LARGE {
        let parent = contexts.last().expect("there is a first");
        contexts.push(parent.with_span(tracer.start_with_context("deeper", parent)));
    }
    // the innermost ends first
    while contexts.pop().is_some() {}
}

fn within(
    tracer: &SdkTracer,
    name: &'static str,
    kind: SpanKind,
    parent: &Context,
    children: impl FnOnce(&Context),
) {
    let attributes = [KeyValue::new("user", "alice"), KeyValue::new("item", 7)];
    let builder = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
    let context = parent.with_span(builder.start_with_context(tracer, parent));
    children(&context);
}

/// Spans of a large trace.
pub(crate) const LARGE: u64 = 10_000;
