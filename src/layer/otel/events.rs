//! Events: what an event of `tracing` is on an OpenTelemetry span.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{self as otel, SpanRef, Status};
use opentelemetry::{KeyValue, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_log::NormalizeEvent as _;

use super::SpanDetail;
use super::fields::{Chain, exception, text, unsigned};
use super::state::{Change, Pending};

/// An event, ready to be put on a span.
#[derive(Debug)]
pub(super) struct OtelEvent {
    pub(super) name: Cow<'static, str>,
    pub(super) attributes: Vec<KeyValue>,
    /// The status that it gives its span: an error's message, or none for a mere ERROR.
    pub(super) status: Option<Status>,
    /// Whether `status` replaces a status that the span has.
    pub(super) is_explicit: bool,
    /// Attributes that it gives its span.
    pub(super) of_span: Vec<KeyValue>,
}

impl OtelEvent {
    pub(super) fn of(event: &Event<'_>, detail: SpanDetail) -> Self {
        let own = event.metadata();
        // of the `log` crate; looked at first, for it is the cheaper question
        let normalized = if own.target() == "log" { event.normalized_metadata() } else { None };
        let mut visitor = EventFields {
            name: None,
            attributes: Vec::with_capacity(own.fields().len() + 2 + detail.location_attributes()),
            status: None,
            of_span: Vec::new(),
        };
        visitor.attributes.push(KeyValue::new("level", own.level().as_str()));
        match &normalized {
            None => visitor.attributes.push(KeyValue::new("target", own.target())),
            Some(log) => {
                visitor.attributes.push(KeyValue::new("target", log.target().to_owned()));
            }
        }
        event.record(&mut visitor);
        let EventFields { name, mut attributes, status, of_span } = visitor;
        if detail.location {
            match &normalized {
                None => location(&mut attributes, own, Into::into),
                Some(log) => location(&mut attributes, log, |text| text.to_owned().into()),
            }
        }
        let is_explicit = status.is_some();
        let error = || (*own.level() == Level::ERROR).then(|| Status::error(""));
        Self {
            name: name.filter(|name| !name.is_empty()).unwrap_or(Cow::Borrowed(own.name())),
            attributes,
            status: status.or_else(error),
            is_explicit,
            of_span,
        }
    }
}

impl Change for OtelEvent {
    fn fits(&self, pending: &Pending) -> bool {
        pending.builder.events.as_ref().is_none_or(|events| events.len() < MOST_PENDING)
    }

    fn pending(self, span: &mut Pending) {
        if let Some(status) = self.status
            && (self.is_explicit || span.status == Status::Unset)
            && span.status != Status::Ok
        {
            span.status = status;
        }
        let builder = &mut span.builder;
        if !self.of_span.is_empty() {
            builder.attributes.get_or_insert_default().extend(self.of_span);
        }
        let event = otel::Event::new(self.name, SystemTime::now(), self.attributes, 0);
        builder.events.get_or_insert_default().push(event);
    }

    fn started(self, span: &SpanRef<'_>) {
        if let Some(status) = self.status {
            span.set_status(status);
        }
        if !self.of_span.is_empty() {
            span.set_attributes(self.of_span);
        }
        span.add_event(self.name, self.attributes);
    }
}

/// Where in the source something was made.
pub(super) fn location<'a>(
    attributes: &mut Vec<KeyValue>,
    metadata: &Metadata<'a>,
    value: impl Fn(&'a str) -> Value,
) {
    if let Some(file) = metadata.file() {
        attributes.push(KeyValue::new("code.file.path", value(file)));
    }
    if let Some(module) = metadata.module_path() {
        attributes.push(KeyValue::new("code.module.name", value(module)));
    }
    if let Some(line) = metadata.line() {
        attributes.push(KeyValue::new("code.line.number", i64::from(line)));
    }
}

struct EventFields {
    /// The message.
    name: Option<Cow<'static, str>>,
    attributes: Vec<KeyValue>,
    status: Option<Status>,
    of_span: Vec<KeyValue>,
}

impl EventFields {
    #[inline]
    fn record(&mut self, field: &Field, value: impl Into<Value>) {
        match field.name() {
            "message" => self.name = Some(value.into().to_string().into()),
            // metadata of a record of the `log` crate, which is in its place already
            name if name.starts_with("log.") => {}
            name => self.attributes.push(KeyValue::new(name, value)),
        }
    }

    fn record_text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.name = Some(text.to_owned().into()),
            // `#[instrument(err)]` records an `error` by `Display` or `Debug`, and no message
            "error" if self.name.is_none() => {
                self.status = Some(Status::error(text.to_owned()));
                self.name = Some(Cow::Borrowed("exception"));
                self.attributes.push(KeyValue::new("exception.message", text.to_owned()));
            }
            _ => self.record(field, text.to_owned()),
        }
    }
}

impl Visit for EventFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, unsigned(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        text(value, |text| self.record_text(field, text));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let chain = Chain::of(value);
        self.of_span.extend(chain.conventional());
        exception(&mut self.attributes, field, &chain);
    }
}

/// As many events a span may have by default. With more it is started, and then the SDK bounds and
/// counts them.
const MOST_PENDING: usize = 128;
