//! Captured spans as a text that is the same in every run.

use std::fmt::{self, Write as _};

use opentelemetry::trace::{SpanContext, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::family::Family;

/// Captured spans as text, from [`Capture::snapshot`](super::Capture::snapshot).
///
/// A line a span, children indented, with kind, status, attributes, events and links. Nothing in it
/// depends on the run: there are no ids and no times, attributes are sorted by key, and siblings by
/// their text, since concurrent ones have no order. Of threads and source lines only the presence is
/// shown. What else differs from run to run, a random number in an attribute, is left out by
/// [`without`](Self::without).
///
/// It compares with a text, whose first line feed does not count.
#[derive(Clone)]
pub struct Snapshot {
    spans: Vec<SpanData>,
    without: Vec<String>,
}

impl Snapshot {
    pub(super) fn new(spans: Vec<SpanData>) -> Self {
        Self { spans, without: Vec::new() }
    }

    /// Leaves attributes of this key out, those of events too.
    pub fn without(mut self, key: impl Into<String>) -> Self {
        self.without.push(key.into());
        self
    }

    fn text(&self) -> String {
        let family = Family::new(self.spans.clone());
        let mut blocks: Vec<_> = family.tops().map(|top| self.block(&family, top)).collect();
        blocks.sort_unstable();
        blocks.concat()
    }

    /// A span and its children. Deep captures are rare, but their depth must not end the test.
    fn block(&self, family: &Family, top: usize) -> String {
        let mut order = vec![top];
        let mut next = 0;
        while next < order.len() {
            order.extend(family.children(order[next]));
            next += 1;
        }
        let mut blocks: Vec<String> = vec![String::new(); family.spans.len()];
        for &span in order.iter().rev() {
            let mut children: Vec<_> = family
                .children(span)
                .iter()
                .map(|child| std::mem::take(&mut blocks[*child]))
                .collect();
            children.sort_unstable();
            let mut text = self.span(family, span);
            for line in children.iter().flat_map(|child| child.lines()) {
                text.push_str("  ");
                text.push_str(line);
                text.push('\n');
            }
            blocks[span] = text;
        }
        std::mem::take(&mut blocks[top])
    }

    fn span(&self, family: &Family, at: usize) -> String {
        let span = &family.spans[at];
        let mut text = one_line(&span.name);
        if let Some(kind) = kind(&span.span_kind) {
            text.extend([" (", kind, ")"]);
        }
        match &span.status {
            Status::Unset => {}
            Status::Ok => text.push_str(" [ok]"),
            Status::Error { description } if description.is_empty() => text.push_str(" [error]"),
            Status::Error { description } => {
                text.extend([" [error: ", &one_line(description), "]"]);
            }
        }
        if span.parent_span_is_remote && family.parent(at).is_none() {
            text.push_str(" [remote parent]");
        }
        text.push('\n');
        let attributes = self.attributes(&span.attributes);
        if !attributes.is_empty() {
            text.extend(["  ", attributes.join("  ").as_str(), "\n"]);
        }
        for link in span.links.iter() {
            text.extend(["  -> ", linked(family, &link.span_context).as_str(), "\n"]);
        }
        for event in &span.events.events {
            text.extend(["  - ", &one_line(&event.name)]);
            for attribute in self.attributes(&event.attributes) {
                text.extend(["  ", attribute.as_str()]);
            }
            text.push('\n');
        }
        text
    }

    fn attributes(&self, attributes: &[KeyValue]) -> Vec<String> {
        let mut shown: Vec<_> = attributes
            .iter()
            .filter(|attribute| {
                let key = attribute.key.as_str();
                key != "target" && !self.without.iter().any(|without| without == key)
            })
            .map(|attribute| {
                let key = attribute.key.as_str();
                let mut text = one_line(key);
                if VARIES.contains(&key) {
                    text.push_str("=_");
                } else if let Value::String(value) = &attribute.value {
                    let _ = write!(text, "={:?}", value.as_str());
                } else {
                    let _ = write!(text, "={}", attribute.value);
                }
                text
            })
            .collect();
        shown.sort_unstable();
        shown
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// As it is displayed, so that a failed `assert_eq!` can be read.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl PartialEq<str> for Snapshot {
    fn eq(&self, text: &str) -> bool {
        self.text() == text.strip_prefix('\n').unwrap_or(text)
    }
}

impl PartialEq<&str> for Snapshot {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

fn linked(family: &Family, link: &SpanContext) -> String {
    match family.name_of(link.span_id()) {
        Some(name) => one_line(name),
        None => "a span that was not captured".to_owned(),
    }
}

fn kind(kind: &SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

fn one_line(text: &str) -> String {
    crate::error::escape(text)
}

/// Attributes that differ from run to run, or with every line of the program that is added.
const VARIES: [&str; 5] = ["busy_ns", "idle_ns", "thread.id", "thread.name", "code.line.number"];
