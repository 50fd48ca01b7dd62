//! How much one span may carry, and how much memory it takes.

use std::borrow::Cow;

use opentelemetry::trace::{Event, Link, Status, TraceState};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};

use crate::tracer::last_of_each_key;

/// What is kept of one span. What is cut is counted in the span's own `dropped_*` fields.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Characters of a string attribute, and of each string in an array. `None`: no limit.
    pub(crate) attribute_value_length: Option<usize>,
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) attributes_per_event: u32,
    pub(crate) attributes_per_link: u32,
    /// Estimated bytes of a whole span.
    pub(crate) span_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attribute_value_length: None,
            attributes: 128,
            events: 128,
            links: 128,
            attributes_per_event: 128,
            attributes_per_link: 128,
            span_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// The part of them that the SDK enforces while the span is open.
    pub(crate) fn sdk(&self) -> SpanLimits {
        SpanLimits {
            max_events_per_span: self.events,
            max_attributes_per_span: self.attributes,
            max_links_per_span: self.links,
            max_attributes_per_event: self.attributes_per_event,
            max_attributes_per_link: self.attributes_per_link,
        }
    }

    /// The part that is left for the export thread: each key once, and no value too long.
    pub(crate) fn tidy(&self, span: &mut SpanData) {
        self.tidy_attributes(&mut span.attributes);
        for event in &mut span.events.events {
            self.tidy_attributes(&mut event.attributes);
        }
        for link in &mut span.links.links {
            self.tidy_attributes(&mut link.attributes);
        }
    }

    fn tidy_attributes(&self, attributes: &mut Vec<KeyValue>) {
        last_of_each_key(attributes);
        if let Some(longest) = self.attribute_value_length {
            for attribute in attributes {
                shorten(&mut attribute.value, longest);
            }
        }
    }

    /// Cuts a span that takes more memory than one may: a name that is a fourth of it, its last
    /// events, then its links, then its last attributes, then the words of its status. Gives its new
    /// size.
    #[cold]
    pub(crate) fn cut(&self, span: &mut SpanData, mut bytes: usize) -> usize {
        bytes -= shorten_name(&mut span.name, self.span_bytes / 4);
        while bytes > self.span_bytes {
            bytes -= if let Some(event) = span.events.events.pop() {
                span.events.dropped_count += 1;
                of_event(&event)
            } else if let Some(link) = span.links.links.pop() {
                span.links.dropped_count += 1;
                of_link(&link)
            } else if let Some(attribute) = span.attributes.pop() {
                span.dropped_attributes_count += 1;
                of_attribute(&attribute)
            } else {
                return bytes - shorten_status(&mut span.status, bytes - self.span_bytes);
            };
        }
        bytes
    }
}

/// Cuts a name to `most` bytes; how many it had more.
fn shorten_name(name: &mut Cow<'static, str>, most: usize) -> usize {
    let before = name.len();
    if before > most {
        *name = name[..boundary(name, most)].to_owned().into();
    }
    before - name.len()
}

/// Takes so many bytes, or as many as there are, off the end of a status; how many.
fn shorten_status(status: &mut Status, excess: usize) -> usize {
    let Status::Error { description } = status else { return 0 };
    let most = description.len().saturating_sub(excess);
    let end = boundary(description, most);
    let cut = description.len() - end;
    *description = description[..end].to_owned().into();
    cut
}

/// Where a character begins, at `most` or before.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

/// Cuts strings to `longest` characters (Common specification, "Attribute Limits").
fn shorten(value: &mut Value, longest: usize) {
    let end = |text: &str| text.char_indices().nth(longest).map(|(end, _)| end);
    match value {
        Value::String(text) => {
            if let Some(end) = end(text.as_str()) {
                *text = text.as_str()[..end].to_owned().into();
            }
        }
        Value::Array(Array::String(items)) => {
            for item in items {
                if let Some(end) = end(item.as_str()) {
                    *item = item.as_str()[..end].to_owned().into();
                }
            }
        }
        _ => {}
    }
}

/// About how many bytes a span takes in memory, but for its own [trace state](of_state). Cheap: no
/// string is read, only measured.
#[inline]
pub(crate) fn estimate(span: &SpanData) -> usize {
    let status =
        if let Status::Error { description } = &span.status { description.len() } else { 0 };
    let own = size_of::<SpanData>() + span.name.len() + status + attributes(&span.attributes);
    let (events, links) = (&*span.events.events, &*span.links.links);
    if events.is_empty() && links.is_empty() { own } else { own + nested(events, links) }
}

// not given the span: one whose address gets around is copied more often on its way
#[cold]
fn nested(events: &[Event], links: &[Link]) -> usize {
    events.iter().map(of_event).sum::<usize>() + links.iter().map(of_link).sum::<usize>()
}

fn of_event(event: &Event) -> usize {
    size_of_val(event) + event.name.len() + attributes(&event.attributes)
}

fn of_link(link: &Link) -> usize {
    size_of_val(link) + attributes(&link.attributes) + of_state(link.span_context.trace_state())
}

/// Whether there is something to [measure](of_state).
#[inline]
pub(crate) fn has_state(state: &TraceState) -> bool {
    *state != TraceState::NONE
}

/// The members, which each span of a trace has a copy of.
pub(crate) fn of_state(state: &TraceState) -> usize {
    let of = |(key, value): (&str, &str)| 2 * size_of::<String>() + key.len() + value.len();
    state.into_iter().map(of).sum()
}

#[inline]
fn attributes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(of_attribute).sum()
}

#[inline]
fn of_attribute(attribute: &KeyValue) -> usize {
    size_of::<KeyValue>() + attribute.key.as_str().len() + heap(&attribute.value)
}

#[inline]
fn heap(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(array) => array_heap(array),
        _ => 0,
    }
}

#[cold]
fn array_heap(array: &Array) -> usize {
    match array {
        Array::Bool(items) => items.len(),
        Array::I64(items) => size_of_val(&**items),
        Array::F64(items) => size_of_val(&**items),
        Array::String(items) => {
            items.iter().map(|item| size_of_val(item) + item.as_str().len()).sum()
        }
        // a kind that this version does not know
        _ => size_of::<Array>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span() -> SpanData {
        let now = std::time::SystemTime::now();
        SpanData {
            span_context: opentelemetry::trace::SpanContext::NONE,
            parent_span_id: opentelemetry::trace::SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: opentelemetry::trace::SpanKind::Internal,
            name: "s".into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: opentelemetry_sdk::trace::SpanEvents::default(),
            links: opentelemetry_sdk::trace::SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: opentelemetry::InstrumentationScope::default(),
        }
    }

    #[test]
    fn words_of_a_status_and_keys_took_no_memory() {
        let long = "x".repeat(10_000);
        let plain = estimate(&span());
        let said = SpanData { status: Status::error(long.clone()), ..span() };
        assert_eq!(estimate(&said), plain + 10_000);
        let keyed = SpanData { attributes: vec![KeyValue::new(long, 1)], ..span() };
        assert!(estimate(&keyed) >= plain + 10_000);
    }

    #[test]
    fn what_is_cut_is_what_is_too_much() {
        let limits = Limits { span_bytes: 4_000, ..Limits::default() };
        let mut data = SpanData { status: Status::error("é".repeat(10_000)), ..span() };
        for n in 0..100_000_i64 {
            data.events.events.push(Event::new("e", data.start_time, Vec::new(), 0));
            data.attributes.truncate(1);
            data.attributes.push(KeyValue::new("n", n));
        }
        let before = estimate(&data);
        let bytes = limits.cut(&mut data, before);
        assert_eq!(bytes, estimate(&data));
        assert!(bytes <= 4_000, "{bytes}");
        assert_eq!((data.events.dropped_count, data.dropped_attributes_count), (100_000, 2));
    }

    #[track_caller]
    fn shortens(value: impl Into<Value>, longest: usize, expected: impl Into<Value>) {
        let mut value = value.into();
        shorten(&mut value, longest);
        assert_eq!(value, expected.into());
    }

    #[test]
    fn values_are_cut_by_characters() {
        shortens("héllo", 2, "hé");
        shortens("hé", 2, "hé");
        shortens("hé", 0, "");
        shortens(12345_i64, 2, 12345_i64);
        let strings = |items: [&'static str; 2]| {
            Value::Array(Array::String(items.into_iter().map(Into::into).collect()))
        };
        shortens(strings(["日本語", "x"]), 2, strings(["日本", "x"]));
    }
}
