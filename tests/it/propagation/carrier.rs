use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::propagation::{
    Extractor as _, HeaderExtractor, HeaderInjector, Injector as _, Propagator,
    TextMapPropagator as _, inject_headers_by,
};

use super::remote_context;

#[test]
fn every_value_of_a_repeated_header_is_seen() {
    let mut headers = HeaderMap::new();
    headers.append("tracestate", HeaderValue::from_static("a=1"));
    headers.append("tracestate", HeaderValue::from_static("b=2"));
    let carrier = HeaderExtractor(&headers);
    assert_eq!(carrier.get("tracestate"), Some("a=1"));
    assert_eq!(carrier.get_all("TraceState"), Some(vec!["a=1", "b=2"]));
    assert_eq!(carrier.get_all("absent"), None);
    assert_eq!(carrier.keys(), ["tracestate"]);
}

#[test]
fn a_binary_value_counts_as_absent() {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_bytes(b"\xff\xfe").expect("obs-text"));
    assert_eq!(HeaderExtractor(&headers).get("traceparent"), None);
    assert_eq!(HeaderExtractor(&headers).get_all("traceparent"), None);
}

#[test]
fn what_an_earlier_hop_left_is_replaced() {
    let mut headers = HeaderMap::new();
    for old in ["old", "older"] {
        headers.append("traceparent", HeaderValue::from_static(old));
    }
    HeaderInjector(&mut headers).set("traceparent", "new".to_owned());
    HeaderInjector(&mut headers).set("X-Custom", "1".to_owned());
    assert_eq!(headers.get_all("traceparent").iter().collect::<Vec<_>>(), ["new"]);
    assert_eq!(headers["x-custom"], "1");
}

#[test]
fn of_what_an_earlier_hop_left_of_a_context_nothing_stays() {
    let old = [
        ("accept", "*/*"),
        ("b3", "0"),
        ("baggage", "a=1"),
        ("uber-trace-id", "1:1:0:1"),
        ("uberctx-a", "1"),
        ("x-b3-flags", "1"),
    ];
    let old: HeaderMap = old
        .into_iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let names = |headers: &HeaderMap| {
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    let w3c = Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    for (propagator, expected) in [
        (w3c, "accept b3 traceparent uber-trace-id uberctx-a x-b3-flags"),
        (Propagator::b3(), "accept b3 baggage uber-trace-id uberctx-a"),
        (Propagator::jaeger(), "accept b3 baggage uber-trace-id x-b3-flags"),
    ] {
        let mut headers = old.clone();
        inject_headers_by(&propagator, &remote_context(), &mut headers);
        assert_eq!(names(&headers), expected, "{propagator:?}");
        let mut headers = old.clone();
        inject_headers_by(&propagator, &Context::new(), &mut headers);
        assert_eq!(headers, old, "outside of every trace nothing is changed");
    }
}

#[test]
fn what_cannot_be_a_header_is_left_out() {
    let mut headers = HeaderMap::new();
    let mut carrier = HeaderInjector(&mut headers);
    carrier.reserve(usize::MAX);
    carrier.set("not a name", "1".to_owned());
    carrier.set("baggage", "line\nbreak".to_owned());
    assert!(headers.is_empty());
}

#[cfg(feature = "tonic")]
#[test]
fn grpc_metadata_is_a_carrier() {
    use otel_setup::propagation::{MetadataExtractor, MetadataInjector};
    use tonic::metadata::{MetadataMap, MetadataValue};

    let mut metadata = MetadataMap::new();
    metadata.insert_bin("traceparent-bin", MetadataValue::from_bytes(b"\x00\x01"));
    MetadataInjector(&mut metadata).set("tracestate", "a=1".to_owned());
    metadata.append("tracestate", "b=2".parse().expect("ASCII"));
    let carrier = MetadataExtractor(&metadata);
    assert_eq!(carrier.get("tracestate"), Some("a=1"));
    assert_eq!(carrier.get_all("tracestate"), Some(vec!["a=1", "b=2"]));
    assert_eq!(carrier.get("traceparent"), None);
}

#[test]
fn of_any_number_of_values_each_is_read_in_its_order() {
    let both = Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    let parent = "00-0000000000000000000000000000004d-0000000000000007-01";
    for many in 1..=12_usize {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(parent));
        for n in 0..many {
            let member = HeaderValue::try_from(format!("k{n}={n}")).expect("it is text");
            headers.append("tracestate", member.clone());
            headers.append("baggage", member);
            // neither says anything, and neither hides what comes after it
            let nothing: &[u8] = if n % 2 == 0 { b"" } else { b"\xff" };
            headers.append("tracestate", HeaderValue::from_bytes(nothing).expect("obs-text"));
            headers.append("baggage", HeaderValue::from_bytes(nothing).expect("obs-text"));
        }
        let context = both.extract(&HeaderExtractor(&headers));
        let expected: Vec<_> = (0..many).map(|n| format!("k{n}={n}")).collect();
        let state = context.span().span_context().trace_state().header();
        assert_eq!(state, expected.join(","));
        let mut baggage: Vec<_> = context.baggage().into_iter().collect();
        baggage.sort_by_key(|(key, _)| key.as_str()[1..].parse::<usize>().expect("a number"));
        let baggage = baggage.into_iter().map(|(key, (value, _))| format!("{key}={value}"));
        assert_eq!(baggage.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn into_a_map_that_is_full_nothing_is_written_and_nobody_panics() {
    let mut headers = crate::support::full_headers();
    let everything = Propagator::composite([Propagator::trace_context(), Propagator::b3_multi()]);
    inject_headers_by(&everything, &remote_context(), &mut headers);
    assert_eq!(headers, crate::support::full_headers());
}
