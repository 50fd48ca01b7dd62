//! One line an event, for people.
//!
//! ```text
//! 2026-11-23T22:01:09.123456Z  INFO checkout: order placed id=42 in place_order{user="alice"} trace_id=… span_id=…
//! ```

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape::Escaped;
use super::{TraceIds, is_left_out};

/// Formats an event with its spans and the ids of its trace.
pub(super) struct TextFormat {
    ids: TraceIds,
}

impl TextFormat {
    pub(super) fn new(ids: TraceIds) -> Self {
        Self { ids }
    }
}

impl<S> FormatEvent<S, TextFields> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, TextFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let from_log = event.normalized_metadata();
        let metadata = from_log.as_ref().unwrap_or_else(|| event.metadata());
        let paint = Paint(line.has_ansi_escapes());

        line.write_str(paint.dim())?;
        SystemTime.format_time(&mut line)?;
        write!(
            line,
            "{} {}{:>5}{} ",
            paint.off(),
            paint.level(*metadata.level()),
            metadata.level(),
            paint.off()
        )?;
        write!(line, "{}{}:{} ", paint.dim(), metadata.target(), paint.off())?;
        cx.format_fields(line.by_ref(), event)?;
        Self::spans(cx, &mut line, event, &paint)?;
        if let Some(ids) = self.ids.of(event) {
            let (dim, off) = (paint.dim(), paint.off());
            write!(line, "{dim} trace_id={} span_id={}{off}", ids.trace_id(), ids.span_id())?;
        }
        writeln!(line)
    }
}

impl TextFormat {
    /// ` in inner{fields} < outer{fields}`
    fn spans<S>(
        cx: &FmtContext<'_, S, TextFields>,
        line: &mut Writer<'_>,
        event: &Event<'_>,
        paint: &Paint,
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
        let mut before = " in ";
        for span in leaf.scope() {
            let extensions = span.extensions();
            // the log filter has refused a span that has none
            let Some(fields) = extensions.get::<FormattedFields<TextFields>>() else { continue };
            write!(line, "{}{before}{}{}", paint.dim(), paint.off(), span.name())?;
            if !fields.is_empty() {
                write!(line, "{{{fields}}}")?;
            }
            before = " < ";
        }
        Ok(())
    }
}

/// Formats fields as `message name=value name="text"`.
#[derive(Debug)]
pub(crate) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = TextVisitor::new(&mut writer, true);
        fields.record(&mut visitor);
        visitor.result
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let first = current.is_empty();
        let mut writer = current.as_writer();
        let mut visitor = TextVisitor::new(&mut writer, first);
        fields.record(&mut visitor);
        visitor.result
    }
}

struct TextVisitor<'a, 'w> {
    writer: &'a mut Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl<'a, 'w> TextVisitor<'a, 'w> {
    fn new(writer: &'a mut Writer<'w>, first: bool) -> Self {
        Self { writer, first, result: Ok(()) }
    }

    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.result.is_err() || is_left_out(field) {
            return;
        }
        self.result = self.try_put(field.name(), value);
    }

    fn try_put(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.writer.write_char(' ')?;
        }
        if name != "message" {
            let paint = Paint(self.writer.has_ansi_escapes());
            // `r#type` is the field `type`
            let name = name.strip_prefix("r#").unwrap_or(name);
            write!(self.writer, "{}{name}{}=", paint.name(), paint.off())?;
        }
        Escaped(self.writer).write_fmt(value)
    }
}

impl Visit for TextVisitor<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.put(field, format_args!("{value}"));
        } else {
            self.put(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, format_args!("{value}{}", Sources(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// `: source: its source`, for an error that was shown before it.
struct Sources<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

/// Escape sequences, or nothing where colour is not wanted.
struct Paint(bool);

impl Paint {
    fn dim(&self) -> &'static str {
        self.on("\x1b[2m")
    }

    fn name(&self) -> &'static str {
        self.on("\x1b[3m")
    }

    fn off(&self) -> &'static str {
        self.on("\x1b[0m")
    }

    fn level(&self, level: Level) -> &'static str {
        self.on(match level {
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            Level::DEBUG => "\x1b[34m",
            Level::TRACE => "\x1b[35m",
        })
    }

    fn on(&self, code: &'static str) -> &'static str {
        if self.0 { code } else { "" }
    }
}
