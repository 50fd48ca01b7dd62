//! `tracer_provider`, and the limits that are not its alone.

use super::Traces;
use super::exporter;
use super::reader::{Field, Fields, Reader};
use super::sampler;
use crate::config::SpanLimits;

pub(super) fn read(field: Field, limits: &mut SpanLimits, reader: &mut Reader) -> Option<Traces> {
    let mut fields = reader.map(field)?;
    let processors = fields.required("processors", reader);
    let exporters = processors.map(|field| exporter::processors(field, reader));
    if let Some(field) = fields.take("limits") {
        span_limits(field, limits, reader);
    }
    let sampler = fields.take("sampler").filter(|field| !field.node.is_null());
    let sampler = sampler.and_then(|field| sampler::sampler(field, reader));
    if let Some(field) = fields.take("id_generator").filter(|field| !field.node.is_null()) {
        id_generator(field, reader);
    }
    if let Some(field) = fields.take("tracer_configurator/development") {
        reader.unsupported(&field, "is not supported: OTEL_RUST_TRACE_FILTER can do as much");
    }
    reader.finish(fields);
    Some(Traces { exporters: exporters?, sampler })
}

fn id_generator(field: Field, reader: &mut Reader) {
    let Some((name, field)) = reader.only(field) else { return };
    if name == "random" {
        reader.empty(field);
    } else {
        let what = "this crate has no such generator: its ids are random";
        reader.wrong(field.line, &field.path, what);
    }
}

/// For all signals; the limits of spans come before them.
pub(super) fn attribute_limits(field: Field, limits: &mut SpanLimits, reader: &mut Reader) {
    let Some(mut fields) = reader.map(field) else { return };
    general_limits(&mut fields, limits, reader);
    reader.finish(fields);
}

fn span_limits(field: Field, limits: &mut SpanLimits, reader: &mut Reader) {
    let Some(mut fields) = reader.map(field) else { return };
    general_limits(&mut fields, limits, reader);
    let mut limit = |key| count(&mut fields, key, reader);
    let all = [
        limit("event_count_limit"),
        limit("link_count_limit"),
        limit("event_attribute_count_limit"),
        limit("link_attribute_count_limit"),
    ];
    let with = [
        SpanLimits::with_events,
        SpanLimits::with_links,
        SpanLimits::with_attributes_per_event,
        SpanLimits::with_attributes_per_link,
    ];
    for (count, with) in all.into_iter().zip(with) {
        if let Some(count) = count {
            *limits = with(std::mem::take(limits), count);
        }
    }
    reader.finish(fields);
}

fn general_limits(fields: &mut Fields, limits: &mut SpanLimits, reader: &mut Reader) {
    let length = fields.take("attribute_value_length_limit");
    if let Some(length) = length.and_then(|field| reader.integer(&field, 0)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        *limits = std::mem::take(limits).with_attribute_value_length(length);
    }
    if let Some(attributes) = count(fields, "attribute_count_limit", reader) {
        *limits = std::mem::take(limits).with_attributes(attributes);
    }
}

fn count(fields: &mut Fields, key: &'static str, reader: &mut Reader) -> Option<u32> {
    let field = fields.take(key)?;
    reader.integer(&field, 0).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}
