//! Against prost and opentelemetry-proto's messages, which nobody here wrote.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::RequestEncoder;

fn by_prost(batch: Vec<SpanData>, resource: &Resource) -> Vec<u8> {
    let resource = ResourceAttributesWithSchema::from(resource);
    let resource_spans = group_spans_by_resource_and_scope(batch, &resource);
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn by_us(batch: &[SpanData], resource: &Resource) -> Vec<u8> {
    let mut encoder = RequestEncoder::default();
    encoder.set_resource(resource);
    encoder.encode(batch)
}

proptest! {
    #[test]
    fn it_is_byte_for_byte_what_prost_writes(
        batch in vec(span(), 0..6),
        attributes in vec(attribute(), 0..3),
        schema in proptest::option::of(".{0,4}"),
    ) {
        let resource = Resource::builder_empty();
        let resource = match schema {
            Some(schema) => resource.with_schema_url(attributes, schema),
            None => resource.with_attributes(attributes),
        };
        let resource = resource.build();
        prop_assert_eq!(by_us(&batch, &resource), by_prost(batch, &resource));
    }
}

/// Lengths whose own length is not the one that was left room for.
#[test]
fn a_message_of_any_length_is_what_prost_writes() {
    let resource = Resource::builder_empty().build();
    let lengths =
        (0..300).chain(16_000..16_500).step_by(1).chain([2_097_000, 2_097_152, 3_000_000]);
    for length in lengths {
        let data = SpanData { attributes: vec![KeyValue::new("k", "v".repeat(length))], ..empty() };
        let ours = by_us(std::slice::from_ref(&data), &resource);
        assert_eq!(ours, by_prost(vec![data], &resource), "an attribute of {length} bytes");
    }
}

#[test]
fn a_span_before_1970_or_after_all_time_has_a_time() {
    let resource = Resource::builder_empty().build();
    let data = SpanData {
        start_time: UNIX_EPOCH - Duration::from_secs(1),
        end_time: UNIX_EPOCH + Duration::from_secs(600 * 366 * 24 * 3600),
        ..empty()
    };
    let request = ExportTraceServiceRequest::decode(&*by_us(&[data], &resource)).expect("valid");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (0, u64::MAX));
}

fn empty() -> SpanData {
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

prop_compose! {
    fn span()(
        span_context in context(),
        parent in prop_oneof![Just(0), any::<u64>()],
        parent_span_is_remote: bool,
        span_kind in kind(),
        name in text(),
        (start_time, end_time) in (time(), time()),
        (attributes, events, links) in
            (vec(attribute(), 0..4), vec(event(), 0..3), vec(link(), 0..3)),
        (dropped_attributes_count, dropped_events, dropped_links) in (count(), count(), count()),
        status in status(),
        instrumentation_scope in scope(),
    ) -> SpanData {
        let (mut all_events, mut all_links) = (SpanEvents::default(), SpanLinks::default());
        (all_events.events, all_events.dropped_count) = (events, dropped_events);
        (all_links.links, all_links.dropped_count) = (links, dropped_links);
        SpanData {
            span_context,
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote,
            span_kind,
            name: name.into(),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count,
            events: all_events,
            links: all_links,
            status,
            instrumentation_scope,
        }
    }
}

prop_compose! {
    fn context()(
        trace: u128,
        span: u64,
        flags: u8,
        is_remote: bool,
        state in prop_oneof![Just(""), Just("a=1"), Just("vendor=x,ot=th:8")],
    ) -> SpanContext {
        let state: TraceState = state.parse().expect("these are valid");
        let flags = TraceFlags::new(flags);
        SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, is_remote, state)
    }
}

prop_compose! {
    fn event()(name in text(), at in time(), attributes in vec(attribute(), 0..3), dropped in count())
        -> Event
    {
        Event::new(name, at, attributes, dropped)
    }
}

prop_compose! {
    fn link()(context in context(), attributes in vec(attribute(), 0..3), dropped in count())
        -> Link
    {
        Link::new(context, attributes, dropped)
    }
}

prop_compose! {
    fn attribute()(key in ".{0,12}", value in value()) -> KeyValue {
        KeyValue::new(Key::from(key), value)
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
        text().prop_map(Value::from),
        vec(any::<bool>(), 0..4).prop_map(|items| Value::Array(Array::Bool(items))),
        vec(any::<i64>(), 0..40).prop_map(|items| Value::Array(Array::I64(items))),
        vec(any::<f64>(), 0..4).prop_map(|items| Value::Array(Array::F64(items))),
        vec(text(), 0..4).prop_map(|items| {
            Value::Array(Array::String(items.into_iter().map(Into::into).collect()))
        }),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)]
}

fn kind() -> impl Strategy<Value = SpanKind> {
    prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ]
}

/// Few, so that spans share some.
fn scope() -> impl Strategy<Value = InstrumentationScope> {
    prop_oneof![
        Just(InstrumentationScope::default()),
        Just(InstrumentationScope::builder("a").with_version("1").build()),
        Just(
            InstrumentationScope::builder("b")
                .with_schema_url("https://opentelemetry.io/schemas/1.30.0")
                .with_attributes([KeyValue::new("k", 1)])
                .build()
        ),
    ]
}

/// Short ones, and some that take two bytes to tell their length.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,8}", "[a-z]{100,300}"]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
}
