//! What reading and writing headers allocates; counted by an allocator of this process's own.
#![cfg(feature = "http")]

use allocation_counter::measure;
use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::propagation::{
    HeaderExtractor, HeaderInjector, Propagator, TextMapPropagator as _,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn all() -> Propagator {
    Propagator::composite([
        Propagator::trace_context(),
        Propagator::baggage(),
        Propagator::b3(),
        Propagator::b3_multi(),
        Propagator::jaeger(),
        Propagator::xray(),
    ])
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

/// Allocations of one extraction; a first one makes what is made once.
fn extracting(propagator: &Propagator, pairs: &[(&'static str, &'static str)]) -> u64 {
    let headers = headers(pairs);
    let extract = || propagator.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
    drop(extract());
    measure(|| drop(extract())).count_total
}

#[test]
fn absent_headers_allocate_nothing() {
    assert_eq!(extracting(&all(), &[]), 0);
    assert_eq!(extracting(&all(), &[("accept", "*/*"), ("x-request-id", "1")]), 0);
}

#[test]
fn invalid_headers_allocate_nothing() {
    for bad in
        ["", "garbage", "00-0-0-0", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
    {
        let pairs = [
            ("traceparent", bad),
            ("tracestate", "a=1"),
            ("baggage", "%,a b=c,="),
            ("b3", bad),
            ("x-b3-traceid", bad),
            ("uber-trace-id", bad),
            ("x-amzn-trace-id", bad),
        ];
        assert_eq!(extracting(&all(), &pairs), 0, "{bad}");
    }
    for bad in ["%30%3A%31", "1%3A%3A%3A%zz", "%ff%fe", "%31%3a%32%3a%30%3a%31%3a%31"] {
        assert_eq!(extracting(&all(), &[("uber-trace-id", bad)]), 0, "{bad}");
    }
    for many in 2..=7 {
        let repeated = vec![("baggage", "%,a b=c,="); many];
        assert_eq!(extracting(&all(), &repeated), 0, "{many} headers");
    }
    let twice = [("traceparent", PARENT), ("traceparent", PARENT)];
    assert_eq!(extracting(&Propagator::trace_context(), &twice), 0);
}

#[test]
fn a_valid_parent_allocates_what_its_context_needs() {
    let span = Propagator::trace_context().extract_with_context(
        &Context::new(),
        &HeaderExtractor(&headers(&[("traceparent", PARENT)])),
    );
    let span = span.span().span_context().clone();
    let needed = measure(|| drop(Context::new().with_remote_span_context(span))).count_total;
    assert!(needed > 0);
    assert_eq!(extracting(&Propagator::trace_context(), &[("traceparent", PARENT)]), needed);
}

#[test]
fn writing_allocates_the_value_alone() {
    let propagator = Propagator::trace_context();
    let source = headers(&[("traceparent", PARENT)]);
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(&source));
    let mut headers = source.clone();
    let writing =
        measure(|| propagator.inject_context(&context, &mut HeaderInjector(&mut headers)));
    assert_eq!(writing.count_total, 1);
    assert_eq!(headers["traceparent"], PARENT);
}
