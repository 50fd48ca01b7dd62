//! A context as data. The global propagator is tested in `tests/global_propagator.rs`.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::propagation::{
    Extractor as _, Injector as _, Propagator, TextMapPropagator as _, TraceCarrier,
};

use super::{remote, remote_context};

fn carrier() -> TraceCarrier {
    let mut carrier = TraceCarrier::default();
    Propagator::trace_context().inject_context(&remote_context(), &mut carrier);
    carrier.set("baggage", "a=1,b=%20&".to_owned());
    carrier
}

#[test]
fn as_text_it_is_stable_and_comes_back() {
    let text = carrier().to_string();
    let parent = "00-0000000000000000000000000000004d-0000000000000007-01";
    assert_eq!(text, format!("baggage=a%3D1%2Cb%3D%2520%26&traceparent={parent}"));
    let back: TraceCarrier = text.parse().expect("parsing never fails");
    assert_eq!(back, carrier());
    let context = Propagator::trace_context().extract_with_context(&Context::new(), &back);
    assert_eq!(context.span().span_context(), &remote());
}

#[test]
fn damaged_text_is_what_is_left_of_it() {
    for (text, fields) in [("", 0), ("&&=", 1), ("traceparent", 0), ("a=%ff&b=1&c", 1)] {
        let carrier: TraceCarrier = text.parse().expect("parsing never fails");
        assert_eq!(carrier.iter().count(), fields, "{text}");
    }
}

#[test]
fn what_is_read_is_bounded() {
    let many: TraceCarrier = (0..1000).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    assert_eq!(many.iter().count(), 64);
    let mut long = carrier();
    long.set("tracestate", "x".repeat(20_000));
    assert_eq!(long, carrier(), "one that is too long does not cost the others");
    let text = format!("a={}&b=1", "ü".repeat(60_000));
    assert!(text.parse::<TraceCarrier>().expect("parsing never fails").is_empty());
}

#[test]
fn a_field_whose_name_is_a_colon_and_a_headers_is_no_second_value_of_it() {
    let mut carrier = carrier();
    carrier.set(":traceparent", "x".to_owned());
    carrier.set(":::::::tracestate", "x".to_owned());
    let context = Propagator::trace_context().extract_with_context(&Context::new(), &carrier);
    assert_eq!(context.span().span_context(), &remote());
}

#[test]
fn keys_are_found_in_any_case() {
    let carrier: TraceCarrier = [("TraceParent".to_owned(), "x".to_owned())].into_iter().collect();
    assert_eq!(carrier.get("traceparent"), Some("x"));
}

#[cfg(feature = "serde")]
#[test]
fn work_is_not_lost_because_its_trace_is_damaged_in_serde() {
    #[derive(serde::Deserialize)]
    struct Job {
        order: u64,
        trace: TraceCarrier,
    }
    for (trace, fields) in [
        ("null", 0),
        ("1", 0),
        ("-1.5", 0),
        ("true", 0),
        ("\"traceparent\"", 0),
        ("[1, {\"a\": \"b\"}, \"c\"]", 0),
        ("{\"traceparent\": null}", 0),
        ("{\"traceparent\": 1, \"tracestate\": \"a=1\"}", 1),
        ("{\"traceparent\": {\"a\": [1]}, \"tracestate\": [{}], \"baggage\": \"a=1\"}", 1),
    ] {
        let job = format!("{{\"trace\": {trace}, \"order\": 7}}");
        let job: Job = serde_json::from_str(&job).unwrap_or_else(|e| panic!("{trace}: {e}"));
        assert_eq!((job.trace.iter().count(), job.order), (fields, 7), "{trace}");
        let value: serde_json::Value = serde_json::from_str(trace).expect("it is JSON");
        let carrier: TraceCarrier = serde_json::from_value(value).expect("whatever it is");
        assert_eq!(carrier, job.trace);
    }
}

#[cfg(feature = "serde")]
#[test]
fn in_serde_it_is_a_map_of_strings() {
    let json = serde_json::to_value(carrier()).expect("a map of strings");
    let parent = "00-0000000000000000000000000000004d-0000000000000007-01";
    assert_eq!(json, serde_json::json!({ "baggage": "a=1,b=%20&", "traceparent": parent }));
    let back: TraceCarrier = serde_json::from_value(json).expect("a map of strings");
    assert_eq!(back, carrier());
    let many: serde_json::Value = (0..1000).map(|n| (format!("k{n}"), "v")).collect();
    let bounded: TraceCarrier = serde_json::from_str(&many.to_string()).expect("a map of strings");
    assert_eq!(bounded.iter().count(), 64);
}
