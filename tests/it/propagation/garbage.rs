//! Headers of every kind: never a panic, never a trace that nobody sent. `OTEL_SETUP_CASES` sets
//! how many are tried; without it, few enough for every run.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use otel_setup::propagation::{Propagator, TextMapPropagator as _, TraceCarrier};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let cases = std::env::var("OTEL_SETUP_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases.unwrap_or(48)) }
}

fn all() -> Vec<Propagator> {
    vec![
        Propagator::trace_context(),
        Propagator::b3(),
        Propagator::b3_multi(),
        Propagator::jaeger(),
        Propagator::xray(),
        Propagator::baggage(),
    ]
}

/// Any text, or nearly a header.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9a-fA-F+. -]{0,2}-[0-9a-fA-F+]{30,33}-[0-9a-fA-F+]{15,17}-[0-9a-f]{1,3}[-x]{0,2}",
        "[0-9a-f]{16}([0-9a-f]{16})?-[0-9a-f]{16}(-[01dx])?(-[0-9a-f]{16})?",
        "[0-9a-f+]{0,33}:[0-9a-f]{0,17}:[0-9a-f]{0,2}:[0-9a-f]{0,3}",
        "Root=1-[0-9a-f]{7,9}-[0-9a-f]{23,25};Parent=[0-9a-f]{15,17};Sampled=[01?]",
        "([a-z@= ]{0,5}=[ -~]{0,8},){0,40}",
        "[01d]",
    ]
}

fn key() -> impl Strategy<Value = String> {
    let names = [
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags",
        "uber-trace-id",
        "uberctx-a",
        "x-amzn-trace-id",
    ];
    proptest::sample::select(names.map(str::to_owned).to_vec())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn garbage_never_panics_and_never_makes_a_trace_that_was_not_sent(
        carrier in proptest::collection::hash_map(key(), value(), 0..11),
    ) {
        for propagator in all() {
            let context = propagator.extract_with_context(&Context::new(), &carrier);
            let span = context.span();
            let span = span.span_context();
            prop_assert!(context.baggage().len() <= 64);
            if !span.is_valid() {
                prop_assert!(!context.has_active_span());
                continue;
            }
            let is_denial = carrier.get("b3").is_some_and(|v| v.trim() == "0")
                || carrier.contains_key("x-b3-sampled");
            if is_denial && !span.is_sampled() {
                continue;
            }
            // all digits of the id have been in a header
            let digits = format!("{:x}", span.span_id());
            let digits = digits.trim_start_matches('0');
            let was_sent = |value: &String| value.contains(digits);
            prop_assert!(carrier.values().any(was_sent), "{span:?} of {carrier:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        trace in 1_u128.., span in 1_u64.., sampled: bool,
        state in proptest::collection::btree_map("[a-z][a-z0-9_]{0,8}", "[!-+.-<>-~]{1,10}", 0..8),
    ) {
        let state = TraceState::from_key_value(state).expect("these members are valid");
        let flags = TraceFlags::default().with_sampled(sampled);
        let sent = SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, true, state);
        let context = Context::new().with_remote_span_context(sent.clone());
        for propagator in &all()[..5] {
            let mut carrier = HashMap::new();
            propagator.inject_context(&context, &mut carrier);
            let read = propagator.extract_with_context(&Context::new(), &carrier);
            let read = read.span().span_context().clone();
            prop_assert_eq!(read.trace_id(), sent.trace_id());
            prop_assert_eq!(read.span_id(), sent.span_id());
            prop_assert_eq!(read.is_sampled(), sampled);
            if carrier.contains_key("traceparent") {
                prop_assert_eq!(read.trace_state(), sent.trace_state());
            }
        }
    }

    #[test]
    fn a_carrier_reads_any_text_and_comes_back(text: String, fields: HashMap<String, String>) {
        let read: TraceCarrier = text.parse().expect("parsing never fails");
        prop_assert!(read.iter().count() <= 64);
        let carrier: TraceCarrier = fields.into_iter().collect();
        let back: TraceCarrier = carrier.to_string().parse().expect("parsing never fails");
        prop_assert_eq!(back, carrier);
    }
}
