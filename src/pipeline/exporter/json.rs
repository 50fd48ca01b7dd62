//! OTLP's JSON (OTLP specification, "JSON Protobuf Encoding"): the same over HTTP and in files.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, TracesData};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

/// A `TracesData`, which in JSON is what an export request is, for each batch of one resource's
/// spans.
#[derive(Debug, Default)]
pub(super) struct JsonEncoder {
    resource: ResourceAttributesWithSchema,
}

impl JsonEncoder {
    pub(super) fn set_resource(&mut self, resource: &Resource) {
        self.resource = ResourceAttributesWithSchema::from(resource);
    }

    pub(super) fn encode(&mut self, batch: Vec<SpanData>) -> serde_json::Result<Vec<u8>> {
        json(group_spans_by_resource_and_scope(batch, &self.resource))
    }
}

fn json(mut resource_spans: Vec<ResourceSpans>) -> serde_json::Result<Vec<u8>> {
    for batch in &mut resource_spans {
        batch.resource.iter_mut().for_each(|resource| finite(&mut resource.attributes));
        for scope in &mut batch.scope_spans {
            scope.scope.iter_mut().for_each(|scope| finite(&mut scope.attributes));
            scope.spans.iter_mut().for_each(finite_span);
        }
    }
    serde_json::to_vec(&TracesData { resource_spans })
}

fn finite_span(span: &mut Span) {
    finite(&mut span.attributes);
    span.events.iter_mut().for_each(|event| finite(&mut event.attributes));
    span.links.iter_mut().for_each(|link| finite(&mut link.attributes));
}

fn finite(attributes: &mut [KeyValue]) {
    attributes.iter_mut().filter_map(|attribute| attribute.value.as_mut()).for_each(finite_value);
}

/// JSON has no number for NaN and the infinities, and the `null` that serde writes instead makes
/// backends refuse the whole batch: such a value becomes a string of protobuf's name for it.
fn finite_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::DoubleValue(number)) if !number.is_finite() => {
            let name = match *number {
                f64::INFINITY => "Infinity",
                f64::NEG_INFINITY => "-Infinity",
                _ => "NaN",
            };
            value.value = Some(Value::StringValue(name.to_owned()));
        }
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(finite_value),
        _ => {}
    }
}
