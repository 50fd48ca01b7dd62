//! Log lines that carry the ids of the current trace, with control characters escaped.

mod escape;
#[cfg(feature = "log-json")]
mod json;
mod text;

use std::sync::{Arc, OnceLock};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::dispatcher::WeakDispatch;
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

/// Finds the ids that belong to an event.
///
/// An event's trace is the current OpenTelemetry context: our layer keeps it in step with the
/// entered spans, and native spans set it too. Only an event with an explicit parent needs the
/// subscriber, which is known after the stack is built.
#[derive(Clone, Default)]
pub(crate) struct TraceIds(Arc<OnceLock<WeakDispatch>>);

impl TraceIds {
    /// Called once, when the finished stack has become a dispatcher.
    pub(crate) fn bind(&self, dispatch: WeakDispatch) {
        // a second call would bring the same dispatcher
        let _ = self.0.set(dispatch);
    }

    fn of(&self, event: &Event<'_>) -> Option<SpanContext> {
        let found = match event.parent() {
            Some(id) => {
                let dispatch = self.0.get()?.upgrade()?;
                let cx = tracing_opentelemetry::get_otel_context(id, &dispatch)?;
                cx.span().span_context().clone()
            }
            None if event.is_root() => return None,
            None => Context::map_current(|cx| {
                if cx.has_active_span() {
                    cx.span().span_context().clone()
                } else {
                    SpanContext::NONE
                }
            }),
        };
        found.is_valid().then_some(found)
    }
}

/// The layer for a format; `None` when there shall be no log lines.
pub(crate) fn layer<S, W>(
    format: LogFormat,
    ids: TraceIds,
    writer: W,
    colour: bool,
) -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colour)
        // it would panic on a closed stderr
        .log_internal_errors(false)
        .with_writer(writer);
    match format {
        LogFormat::Off => None,
        LogFormat::Text => Some(Box::new(
            lines.fmt_fields(text::TextFields).event_format(text::TextFormat::new(ids)),
        )),
        #[cfg(feature = "log-json")]
        LogFormat::Json => Some(Box::new(
            lines.fmt_fields(json::JsonFields).event_format(json::JsonFormat::new(ids)),
        )),
    }
}

/// Whether a field has no place in a line: `log.target` and its like say again what the line's head
/// says, and `otel.kind` and its like are words for the layer that makes the trace.
fn is_left_out(field: &Field) -> bool {
    field.name().starts_with("log.") || SPECIAL.contains(&field.name())
}

/// The fields that our layer, and tracing-opentelemetry's, take for something else than attributes.
const SPECIAL: [&str; 4] =
    ["otel.kind", "otel.name", "otel.status_code", "otel.status_description"];

/// A terminal, unless somebody has said (`NO_COLOR`, <https://no-color.org>).
pub(crate) fn stderr_wants_colour(no_color: Option<bool>) -> bool {
    use std::io::IsTerminal as _;
    no_color.map_or_else(|| std::io::stderr().is_terminal(), |no_color| !no_color)
}
