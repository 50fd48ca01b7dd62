//! What a span tells of where and how it ran.

use opentelemetry::KeyValue;
use tracing::Metadata;

use super::events::location;

/// Attributes that a span gets beside its fields. All are off by default: each costs its share on
/// every span, and the name of a span says most of what they would.
///
/// ```
/// use otel_setup::{Setup, SpanDetail};
///
/// let setup = Setup::new("my-service")
///     .with_span_detail(SpanDetail::default().with_target(true).with_timings(true));
/// # drop(setup);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[must_use = "it does nothing until it is given to `Setup::with_span_detail`"]
pub struct SpanDetail {
    pub(super) target: bool,
    pub(super) level: bool,
    pub(super) location: bool,
    pub(super) threads: bool,
    pub(super) timings: bool,
}

impl SpanDetail {
    /// `target`: the module, or what the macro was told. Events have it always.
    pub fn with_target(mut self, on: bool) -> Self {
        self.target = on;
        self
    }

    /// `level`. Events have it always.
    pub fn with_level(mut self, on: bool) -> Self {
        self.level = on;
        self
    }

    /// `code.file.path`, `code.module.name` and `code.line.number`, of spans and events.
    pub fn with_location(mut self, on: bool) -> Self {
        self.location = on;
        self
    }

    /// `thread.id` and `thread.name` of the thread that made the span.
    pub fn with_threads(mut self, on: bool) -> Self {
        self.threads = on;
        self
    }

    /// `busy_ns` and `idle_ns`: how long the span was entered, and how long it was not. It tells
    /// work from waiting in async code.
    pub fn with_timings(mut self, on: bool) -> Self {
        self.timings = on;
        self
    }

    pub(super) fn location_attributes(self) -> usize {
        if self.location { 3 } else { 0 }
    }

    /// Room for `fields` more, and in it what is asked for.
    #[inline]
    pub(super) fn attributes(self, metadata: &Metadata<'static>, fields: usize) -> Vec<KeyValue> {
        if self == Self::default() {
            return Vec::with_capacity(fields);
        }
        self.detailed(metadata, fields)
    }

    fn detailed(self, metadata: &Metadata<'static>, fields: usize) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(fields + MOST);
        if self.location {
            location(&mut attributes, metadata, Into::into);
        }
        if self.threads {
            let thread = std::thread::current();
            attributes.push(KeyValue::new("thread.id", thread_number(thread.id())));
            if let Some(name) = thread.name() {
                attributes.push(KeyValue::new("thread.name", name.to_owned()));
            }
        }
        if self.level {
            attributes.push(KeyValue::new("level", metadata.level().as_str()));
        }
        if self.target {
            attributes.push(KeyValue::new("target", metadata.target()));
        }
        attributes
    }
}

/// The conventions want a number, which `ThreadId` gives by its `Debug` alone: `ThreadId(7)`.
fn thread_number(id: std::thread::ThreadId) -> i64 {
    thread_local! {
        static NUMBER: std::cell::OnceCell<i64> = const { std::cell::OnceCell::new() };
    }
    let parsed = || {
        let text = format!("{id:?}");
        text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
    };
    NUMBER.try_with(|number| *number.get_or_init(parsed)).unwrap_or_else(|_| parsed())
}

/// Attributes with everything on.
const MOST: usize = 7;
