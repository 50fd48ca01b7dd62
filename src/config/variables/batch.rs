//! Batches, and the limits of a span.

use std::time::Duration;

use super::super::parse;
use super::{Kind, Row, Variable, variables};

variables! {
    BSP_SCHEDULE_DELAY: Duration = "OTEL_BSP_SCHEDULE_DELAY" {
        parse: parse::millis,
        kind: Duration,
        default: "5000; console 200",
        meaning: "the longest that a span waits for its batch to fill; 10 at least",
        code: "[`BatchSettings::with_schedule_delay`]",
    }
    BSP_EXPORT_TIMEOUT: Duration = "OTEL_BSP_EXPORT_TIMEOUT" {
        parse: parse::timeout,
        kind: Timeout,
        default: "30000",
        meaning: "how long a batch is tried for, retries included; 0 is without end",
        code: "[`BatchSettings::with_export_timeout`]",
    }
    BSP_MAX_QUEUE_SIZE: usize = "OTEL_BSP_MAX_QUEUE_SIZE" {
        parse: parse::positive,
        kind: Integer,
        default: "65536",
        meaning: "spans in the queue of one exporter",
        code: "[`BatchSettings::with_max_queue_size`]",
    }
    BSP_MAX_EXPORT_BATCH_SIZE: usize = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" {
        parse: parse::positive,
        kind: Integer,
        default: "512",
        meaning: "spans in a batch, no more than in the queue, and no more than fit 3 MiB",
        code: "[`BatchSettings::with_max_export_batch_size`]",
    }
    SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: usize = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" {
        parse: parse::count,
        kind: Integer,
        over: Some("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        default: "no limit",
        meaning: "characters of a string attribute, and of each string in an array",
        code: "[`SpanLimits::with_attribute_value_length`]",
    }
    ATTRIBUTE_VALUE_LENGTH_LIMIT: usize = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" {
        parse: parse::count,
        kind: Integer,
        default: "no limit",
    }
    SPAN_ATTRIBUTE_COUNT_LIMIT: u32 = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        over: Some("OTEL_ATTRIBUTE_COUNT_LIMIT"),
        default: "128",
        meaning: "attributes of a span",
        code: "[`SpanLimits::with_attributes`]",
    }
    SPAN_EVENT_COUNT_LIMIT: u32 = "OTEL_SPAN_EVENT_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        default: "128",
        meaning: "events of a span",
        code: "[`SpanLimits::with_events`]",
    }
    SPAN_LINK_COUNT_LIMIT: u32 = "OTEL_SPAN_LINK_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        default: "128",
        meaning: "links of a span",
        code: "[`SpanLimits::with_links`]",
    }
    EVENT_ATTRIBUTE_COUNT_LIMIT: u32 = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        over: Some("OTEL_ATTRIBUTE_COUNT_LIMIT"),
        default: "128",
        meaning: "attributes of an event",
        code: "[`SpanLimits::with_attributes_per_event`]",
    }
    LINK_ATTRIBUTE_COUNT_LIMIT: u32 = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        over: Some("OTEL_ATTRIBUTE_COUNT_LIMIT"),
        default: "128",
        meaning: "attributes of a link",
        code: "[`SpanLimits::with_attributes_per_link`]",
    }
    ATTRIBUTE_COUNT_LIMIT: u32 = "OTEL_ATTRIBUTE_COUNT_LIMIT" {
        parse: parse::limit,
        kind: Integer,
        default: "128",
    }
}
