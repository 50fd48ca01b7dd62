//! Fields of spans: attributes, and the special ones that name the span, its kind and its status.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::trace::{SpanKind, SpanRef, Status};
use opentelemetry::{KeyValue, StringValue, Value};
use tracing::field::{Field, Visit};

use super::state::{Change, Pending};
use crate::guarded::{guarded, words};

/// More than any limit that is likely.
const MOST_PENDING: usize = 1_024;

/// What one recording of fields brings.
#[derive(Debug)]
pub(super) struct SpanFields {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) kind: Option<SpanKind>,
    pub(super) status: Option<Status>,
}

impl SpanFields {
    pub(super) fn new(attributes: Vec<KeyValue>) -> Self {
        Self { attributes, name: None, kind: None, status: None }
    }

    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    #[inline]
    fn push_text(&mut self, field: &Field, text: &str) {
        match field.name().strip_prefix("otel.") {
            Some(name) if self.special(name, text) => {}
            _ => self.push(field, text.to_owned()),
        }
    }

    /// Takes the fields that are not attributes.
    #[cold]
    fn special(&mut self, name: &str, text: &str) -> bool {
        match name {
            "name" => {
                let common = common(text).map(Cow::Borrowed);
                self.name = Some(common.unwrap_or_else(|| text.to_owned().into()));
            }
            "kind" => self.kind = kind(text),
            "status_code" => self.status = Some(status(text)),
            "status_description" => self.status = Some(Status::error(text.to_owned())),
            _ => return false,
        }
        true
    }
}

/// Fields that are recorded later.
impl Change for SpanFields {
    /// A span that is never entered is started when there are many, and its limits hold from then on.
    fn fits(&self, pending: &Pending) -> bool {
        let known = pending.builder.attributes.as_ref().map_or(0, Vec::len);
        known + self.attributes.len() <= MOST_PENDING
    }

    fn pending(mut self, span: &mut Pending) {
        let builder = &mut span.builder;
        if let Some(name) = self.name {
            builder.name = name;
        }
        if self.kind.is_some() {
            builder.span_kind = self.kind;
        }
        if let Some(status) = self.status
            && span.status != Status::Ok
        {
            span.status = status;
        }
        builder.attributes.get_or_insert_default().append(&mut self.attributes);
    }

    fn started(self, span: &SpanRef<'_>) {
        if let Some(name) = self.name {
            span.update_name(name);
        }
        if let Some(status) = self.status {
            span.set_status(status);
        }
        span.set_attributes(self.attributes);
    }
}

impl Visit for SpanFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, unsigned(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(word) = common(value)
            && !field.name().starts_with("otel.")
        {
            self.push(field, word);
        } else {
            self.push_text(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        text(value, |text| self.push_text(field, text));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        exception(&mut self.attributes, field, &Chain::of(value));
    }
}

/// An integer where it is one for OpenTelemetry, which has no unsigned ones.
pub(super) fn unsigned(value: u64) -> Value {
    i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::I64)
}

/// Reads a value by its `Debug`. A panic of it is the value's fault, and not the program's end.
///
/// It is written where the thread wrote the last one: a text that grows by and by is allocated again
/// and again, and once more to fit.
pub(super) fn text<R>(value: &dyn fmt::Debug, read: impl FnOnce(&str) -> R) -> R {
    let mut text = WRITTEN.try_with(Cell::take).unwrap_or_default();
    let written = catch_unwind(AssertUnwindSafe(|| write!(text, "{value:?}")));
    if let Err(panic) = written {
        words(panic);
        text.push_str("[its Debug panicked]");
    }
    let read = read(&text);
    if text.capacity() <= MOST_KEPT {
        text.clear();
        let _ = WRITTEN.try_with(|written| written.set(text));
    }
    read
}

thread_local! {
    /// Taken while it is written to: a `Debug` may record fields itself.
    static WRITTEN: Cell<String> = const { Cell::new(String::new()) };
}

/// An error's own message, and those of its sources from the outside in.
pub(super) struct Chain {
    pub(super) message: String,
    sources: Vec<StringValue>,
}

impl Chain {
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let sources = std::iter::successors(source(error), |&error| source(error));
        Self {
            message: displayed(error),
            sources: sources.take(LONGEST_CHAIN).map(|error| displayed(error).into()).collect(),
        }
    }

    fn sources(&self) -> Value {
        Value::Array(self.sources.clone().into())
    }

    /// As the semantic conventions for exceptions name them.
    pub(super) fn conventional(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("exception.message", self.message.clone()),
            KeyValue::new("exception.stacktrace", self.sources()),
        ]
    }
}

/// The attributes of an error that was recorded as a field.
pub(super) fn exception(attributes: &mut Vec<KeyValue>, field: &Field, chain: &Chain) {
    attributes.extend(chain.conventional());
    attributes.push(KeyValue::new(field.name(), chain.message.clone()));
    attributes.push(KeyValue::new(format!("{}.chain", field.name()), chain.sources()));
}

/// None if it panics over the question.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    guarded(|| error.source()).ok().flatten()
}

fn displayed(error: &(dyn Error + 'static)) -> String {
    text(&format_args!("{error}"), ToOwned::to_owned)
}

/// Words that requests of a server say again and again, which need not be copied for each.
#[inline]
fn common(text: &str) -> Option<&'static str> {
    Some(match text {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "http" => "http",
        "https" => "https",
        "1.1" => "1.1",
        "2" => "2",
        "grpc" => "grpc",
        "OK" => "OK",
        "kafka" => "kafka",
        _ => return None,
    })
}

fn kind(text: &str) -> Option<SpanKind> {
    let kinds = [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ];
    kinds.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
}

fn status(text: &str) -> Status {
    if text.eq_ignore_ascii_case("ok") {
        Status::Ok
    } else if text.eq_ignore_ascii_case("error") {
        Status::error("")
    } else {
        Status::Unset
    }
}

/// A chain that comes back to itself would have no end.
const LONGEST_CHAIN: usize = 64;
/// Bytes that a thread keeps for the next text.
const MOST_KEPT: usize = 4 << 10;
