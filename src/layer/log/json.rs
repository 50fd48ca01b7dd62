//! One JSON object a line, for machines.
//!
//! `timestamp`, `level`, `target`, `message`, `fields`, `span`, `spans`; the ids are the top-level
//! `trace_id`, `span_id` and `trace_flags` of the specification's "Trace Context in non-OTLP Log
//! Formats".

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::{TraceIds, is_left_out};

/// Formats an event with its spans and the ids of its trace.
pub(super) struct JsonFormat {
    ids: TraceIds,
}

impl JsonFormat {
    pub(super) fn new(ids: TraceIds) -> Self {
        Self { ids }
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, JsonFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let from_log = event.normalized_metadata();
        let metadata = from_log.as_ref().unwrap_or_else(|| event.metadata());
        let mut visitor = JsonVisitor::default();
        event.record(&mut visitor);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;

        // written by hand, not as one map, so that the keys keep this order
        write!(line, "{{\"timestamp\":{},\"level\":\"{}\"", json!(time), metadata.level())?;
        write!(line, ",\"target\":{}", json!(metadata.target()))?;
        if let Some(message) = visitor.0.remove("message") {
            write!(line, ",\"message\":{message}")?;
        }
        if let Some(ids) = self.ids.of(event) {
            let (trace, span) = (ids.trace_id(), ids.span_id());
            let flags = ids.trace_flags().to_u8();
            write!(line, ",\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"")?;
            write!(line, ",\"trace_flags\":\"{flags:02x}\"")?;
        }
        if !visitor.0.is_empty() {
            write!(line, ",\"fields\":{}", Value::Object(visitor.0))?;
        }
        Self::spans(cx, &mut line, event)?;
        line.write_str("}\n")
    }
}

impl JsonFormat {
    /// `spans` from the outermost to the one that the event is in.
    fn spans<S>(
        cx: &FmtContext<'_, S, JsonFields>,
        line: &mut Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(leaf) = event
            .parent()
            .and_then(|id| cx.span(id))
            .or_else(|| if event.is_contextual() { cx.lookup_current() } else { None })
        else {
            return Ok(());
        };
        let first = ",\"spans\":[";
        let mut before = first;
        for span in leaf.scope().from_root() {
            let extensions = span.extensions();
            // the log filter has refused a span that has none
            let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            write!(line, "{before}{{\"name\":{}", json!(span.name()))?;
            if !fields.is_empty() {
                // stored as a JSON object already
                write!(line, ",\"fields\":{fields}")?;
            }
            line.write_char('}')?;
            before = ",";
        }
        if before == first { Ok(()) } else { line.write_char(']') }
    }
}

/// Formats fields as one JSON object.
#[derive(Debug)]
pub(super) struct JsonFields;

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = JsonVisitor::default();
        fields.record(&mut visitor);
        if visitor.0.is_empty() {
            return Ok(());
        }
        write!(writer, "{}", Value::Object(visitor.0))
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let known = serde_json::from_str::<Map<String, Value>>(&current.fields);
        let mut visitor = JsonVisitor(known.unwrap_or_default());
        fields.record(&mut visitor);
        current.fields = Value::Object(visitor.0).to_string();
        Ok(())
    }
}

#[derive(Default)]
struct JsonVisitor(Map<String, Value>);

impl JsonVisitor {
    fn put(&mut self, field: &Field, value: Value) {
        if !is_left_out(field) {
            let name = field.name();
            self.0.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
        }
    }
}

impl Visit for JsonVisitor {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no NaN and no infinity: they stay readable as text
        let number = serde_json::Number::from_f64(value);
        self.put(field, number.map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
