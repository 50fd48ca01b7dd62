//! A span as the tree keeps it: smaller than the SDK's, and with times that can be reckoned with.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) parent_is_remote: bool,
    pub(crate) kind: SpanKind,
    pub(crate) name: Cow<'static, str>,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) status: Status,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<SpanContext>,
    /// Attributes, events and links that limits have cut.
    pub(crate) dropped: u32,
    pub(crate) service: Arc<str>,
    /// Which of the exporter's clones it came through.
    pub(super) source: usize,
}

/// What happened during a span.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) name: Cow<'static, str>,
    pub(crate) attributes: Vec<KeyValue>,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Plain,
    Warning,
    Error,
}

impl Span {
    pub(super) fn new(span: SpanData, service: Arc<str>, source: usize) -> (TraceId, Self) {
        let trace = span.span_context.trace_id();
        let dropped =
            span.dropped_attributes_count + span.events.dropped_count + span.links.dropped_count;
        let start = nanos(span.start_time);
        let parent = span.parent_span_id;
        let span = Self {
            id: span.span_context.span_id(),
            parent: (parent != SpanId::INVALID).then_some(parent),
            parent_is_remote: span.parent_span_is_remote,
            kind: span.span_kind,
            name: span.name,
            start,
            end: nanos(span.end_time).max(start),
            status: span.status,
            attributes: span.attributes,
            events: span.events.events.into_iter().map(Event::new).collect(),
            links: span.links.links.into_iter().map(|link| link.span_context).collect(),
            dropped,
            service,
            source,
        };
        (trace, span)
    }

    pub(crate) fn duration(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self.status, Status::Error { .. })
    }

    /// The words of an error status that no event of the span repeats.
    pub(crate) fn complaint(&self) -> Option<&str> {
        let Status::Error { description } = &self.status else { return None };
        let is_told = |event: &Event| {
            event.name == *description
                || event.text("exception.message").is_some_and(|text| text == *description)
        };
        (!description.is_empty() && !self.events.iter().any(is_told)).then_some(description)
    }
}

impl Event {
    fn new(event: opentelemetry::trace::Event) -> Self {
        Self { at: nanos(event.timestamp), name: event.name, attributes: event.attributes }
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|a| a.key.as_str() == key).map(|a| &a.value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.value(key).map(Value::as_str)
    }

    pub(crate) fn weight(&self) -> Weight {
        match self.text("level").as_deref() {
            _ if self.name == "exception" => Weight::Error,
            Some("ERROR") => Weight::Error,
            Some("WARN") => Weight::Warning,
            _ => Weight::Plain,
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
