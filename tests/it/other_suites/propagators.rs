//! `OTEL_PROPAGATORS`, by the headers that are written.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};

use super::says;
use crate::stack;
use crate::support::with_variables;

const NAME: &str = "OTEL_PROPAGATORS";

/// A header that the propagator of the name alone writes.
const HEADERS: [(&str, &str); 7] = [
    ("tracecontext", "traceparent"),
    ("baggage", "baggage"),
    ("b3", "b3"),
    ("b3multi", "x-b3-traceid"),
    ("xray", "x-amzn-trace-id"),
    ("jaeger", "uber-trace-id"),
    ("ottrace", "ot-tracer-traceid"),
];

#[track_caller]
fn writes(case: &str, value: &str, expected: &[&str], wrong: &[&str]) {
    let env = || with_variables(&[(NAME, value)]);
    let (stack, _) = stack(|setup| setup.with_env(env()));
    let (trace, span) = (TraceId::from(7_u128), SpanId::from(7_u64));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    let context = Context::new()
        .with_remote_span_context(span)
        .with_baggage([KeyValue::new("otel.propagators", "selected")]);
    let mut carrier = HashMap::<String, String>::new();
    stack.propagator().inject_context(&context, &mut carrier);
    let headers: Vec<_> = carrier.keys().map(|name| name.to_ascii_lowercase()).collect();
    let written = HEADERS.iter().filter(|(_, header)| headers.iter().any(|h| h == header));
    let written: Vec<_> = written.map(|(name, _)| *name).collect();
    assert_eq!(written, expected, "{case}: {headers:?}");
    let explanation = otel_setup::Setup::new("it").with_env(env()).explain();
    let wrong: Vec<_> = wrong.iter().map(|part| (NAME, *part)).collect();
    says(case, &explanation, &wrong);
}

#[test]
fn headers() {
    let both: &[_] = &["tracecontext", "baggage"];
    for name in ["tracecontext", "b3multi", "b3", "baggage", "xray", "jaeger"] {
        writes("Datadog test_trace_propagators, test_deprecated_values", name, &[name], &[]);
    }
    writes("Datadog test_none", "none", &[], &[]);
    writes("Java defaultPropagators, Datadog test_default_matches_specification", "", both, &[]);
    writes(
        "Datadog test_multiple_trace_propagators",
        "b3,tracecontext",
        &["tracecontext", "b3"],
        &[],
    );
    writes("Datadog test_composite_propagators", "tracecontext,baggage", both, &[]);
    writes(
        "Datadog test_duplicate_propagators",
        "tracecontext,b3multi,tracecontext,b3multi",
        &["tracecontext", "b3multi"],
        &[],
    );
    writes(
        "Datadog test_case_insensitive_values",
        "TRACEContext,B3MULTI",
        &["tracecontext", "b3multi"],
        &[],
    );
    writes("Java uncleanList", "  b3  ,baggage,,   ,", &["baggage", "b3"], &[]);
    // retired by the specification
    let ottrace = "\"ottrace\" is deprecated in the specification, and not supported; ";
    writes("Datadog test_deprecated_values", "ottrace", both, &[ottrace]);
    for name in ["not-a-propagator", "cat"] {
        let part = format!("\"{name}\" is not one of tracecontext, ");
        let case = "Datadog test_invalid_is_ignored, _logs_warning, Java invalidPropagator";
        writes(case, name, both, &[&part]);
    }
}
