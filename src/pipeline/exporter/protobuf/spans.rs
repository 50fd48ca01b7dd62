//! The messages of `opentelemetry/proto/trace/v1`, by the numbers that their fields have there.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::writer::Writer;

/// The field `resource` of `ResourceSpans`.
pub(super) fn resource(writer: &mut Writer, resource: &Resource) {
    writer.message(1, SMALL, |writer| {
        for (key, value) in resource {
            attribute(writer, 1, key.as_str(), value);
        }
    });
}

/// The fields of an `ExportTraceServiceRequest`.
pub(super) fn request(writer: &mut Writer, batch: &[SpanData], resource: &[u8], schema_url: &str) {
    writer.message(1, LARGE, |writer| {
        writer.raw(resource);
        for (scope, spans) in by_scope(batch) {
            writer.message(2, LARGE, |writer| {
                scope_field(writer, scope);
                for data in spans {
                    span(writer, data);
                }
                writer.text_unless_empty(3, scope.schema_url().unwrap_or_default());
            });
        }
        writer.text_unless_empty(3, schema_url);
    });
}

/// Scopes in the order that they appear in, each with its spans.
fn by_scope(batch: &[SpanData]) -> Vec<(&InstrumentationScope, Vec<&SpanData>)> {
    let mut places = HashMap::new();
    let mut groups: Vec<(&InstrumentationScope, Vec<&SpanData>)> = Vec::new();
    let mut last = usize::MAX;
    for span in batch {
        let scope = &span.instrumentation_scope;
        // most spans have the scope of the one before
        if groups.get(last).is_none_or(|(known, _)| *known != scope) {
            last = *places.entry(scope).or_insert(groups.len());
            if last == groups.len() {
                groups.push((scope, Vec::new()));
            }
        }
        groups[last].1.push(span);
    }
    groups
}

fn scope_field(writer: &mut Writer, scope: &InstrumentationScope) {
    writer.message(1, SMALL, |writer| {
        writer.text_unless_empty(1, scope.name());
        writer.text_unless_empty(2, scope.version().unwrap_or_default());
        for KeyValue { key, value, .. } in scope.attributes() {
            attribute(writer, 3, key.as_str(), value);
        }
    });
}

fn span(writer: &mut Writer, span: &SpanData) {
    writer.message(2, MEDIUM, |writer| {
        ids(writer, &span.span_context);
        if span.parent_span_id != SpanId::INVALID {
            writer.bytes_field(4, &span.parent_span_id.to_bytes());
        }
        writer.text_unless_empty(5, &span.name);
        writer.varint_field(6, kind(&span.span_kind));
        writer.fixed64_unless_zero(7, nanoseconds(span.start_time));
        writer.fixed64_unless_zero(8, nanoseconds(span.end_time));
        attributes(writer, 9, &span.attributes);
        writer.varint_unless_zero(10, span.dropped_attributes_count.into());
        span.events.events.iter().for_each(|one| event(writer, one));
        writer.varint_unless_zero(12, span.events.dropped_count.into());
        span.links.links.iter().for_each(|one| link(writer, one));
        writer.varint_unless_zero(14, span.links.dropped_count.into());
        status(writer, &span.status);
        writer.fixed32_field(16, flags(&span.span_context, span.parent_span_is_remote));
    });
}

fn event(writer: &mut Writer, event: &Event) {
    writer.message(11, SMALL, |writer| {
        writer.fixed64_unless_zero(1, nanoseconds(event.timestamp));
        writer.text_unless_empty(2, &event.name);
        attributes(writer, 3, &event.attributes);
        writer.varint_unless_zero(4, event.dropped_attributes_count.into());
    });
}

fn link(writer: &mut Writer, link: &Link) {
    writer.message(13, SMALL, |writer| {
        ids(writer, &link.span_context);
        attributes(writer, 4, &link.attributes);
        writer.varint_unless_zero(5, link.dropped_attributes_count.into());
        writer.fixed32_field(6, flags(&link.span_context, link.span_context.is_remote()));
    });
}

/// The first three fields of spans and of links.
fn ids(writer: &mut Writer, context: &SpanContext) {
    writer.bytes_field(1, &context.trace_id().to_bytes());
    writer.bytes_field(2, &context.span_id().to_bytes());
    writer.text_unless_empty(3, &context.trace_state().header());
}

fn status(writer: &mut Writer, status: &Status) {
    writer.message(15, SMALL, |writer| match status {
        Status::Unset => {}
        Status::Ok => writer.varint_field(3, 1),
        Status::Error { description } => {
            writer.text_unless_empty(2, description);
            writer.varint_field(3, 2);
        }
    });
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// The flags of the context, and whether the one that `SpanFlags` means came from elsewhere.
fn flags(context: &SpanContext, is_remote: bool) -> u32 {
    let remote = if is_remote { IS_REMOTE } else { 0 };
    u32::from(context.trace_flags().to_u8()) | HAS_IS_REMOTE | remote
}

fn attributes(writer: &mut Writer, field: u32, attributes: &[KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        attribute(writer, field, key.as_str(), value);
    }
}

fn attribute(writer: &mut Writer, field: u32, key: &str, value: &Value) {
    writer.message(field, SMALL, |writer| {
        writer.text_unless_empty(1, key);
        writer.message(2, SMALL, |writer| any_value(writer, value));
    });
}

/// The one field of an `AnyValue`, which is written even if it is empty.
fn any_value(writer: &mut Writer, value: &Value) {
    match value {
        Value::String(text) => writer.bytes_field(1, text.as_str().as_bytes()),
        Value::Bool(value) => writer.varint_field(2, (*value).into()),
        Value::I64(value) => writer.varint_field(3, value.cast_unsigned()),
        Value::F64(value) => writer.fixed64_field(4, value.to_bits()),
        Value::Array(array) => writer.message(5, SMALL, |writer| values(writer, array)),
        // a kind that this version does not know
        other => writer.bytes_field(1, other.as_str().as_bytes()),
    }
}

/// The fields of an `ArrayValue`.
fn values(writer: &mut Writer, array: &Array) {
    fn each<T: Clone + Into<Value>>(writer: &mut Writer, items: &[T]) {
        for item in items {
            writer.message(1, SMALL, |writer| any_value(writer, &item.clone().into()));
        }
    }
    match array {
        Array::Bool(items) => each(writer, items),
        Array::I64(items) => each(writer, items),
        Array::F64(items) => each(writer, items),
        Array::String(items) => each(writer, items),
        other => writer.message(1, SMALL, |writer| {
            writer.bytes_field(1, other.to_string().as_bytes());
        }),
    }
}

/// Since 1970; zero for what was before, and the most that there is for what is too late.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`
const HAS_IS_REMOTE: u32 = 0x100;
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`
const IS_REMOTE: u32 = 0x200;

/// How many bytes the length of a message is likely to take: one up to 127, two up to 16,383, …
const SMALL: usize = 1;
const MEDIUM: usize = 2;
const LARGE: usize = 3;
