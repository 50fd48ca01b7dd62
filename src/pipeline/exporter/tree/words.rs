//! Attributes and events in words.

use opentelemetry::trace::SpanContext;
use opentelemetry::{KeyValue, Value};

use super::span::{Event, Span};
use super::text::{Charset, counted};

/// What a span tells of itself, each piece clean.
pub(super) fn attributes(span: &Span, charset: Charset) -> Vec<String> {
    let shown = span.attributes.iter().filter(|attribute| tells(attribute.key.as_str()));
    let mut words: Vec<_> = shown.map(|attribute| pair(attribute, charset)).collect();
    words.extend(span.links.iter().map(|link| linked(link, charset)));
    if span.dropped > 0 {
        words.push(format!("({} dropped)", span.dropped));
    }
    words
}

/// An event's name and attributes, or what an exception says.
pub(super) fn event(event: &Event, charset: Charset) -> String {
    let exception = event.text("exception.message");
    let mut words = match (&exception, event.text("exception.type")) {
        (Some(message), Some(class)) if event.name == "exception" => format!("{class}: {message}"),
        (Some(message), None) if event.name == "exception" => message.to_string(),
        (None, Some(class)) if event.name == "exception" => class.to_string(),
        _ => event.name.to_string(),
    };
    words = charset.clean(&words);
    if let Some(Value::Array(sources)) = event.value("exception.stacktrace")
        && let opentelemetry::Array::String(sources) = sources
    {
        for source in sources {
            words.push_str(charset.pick(" ← ", " <- "));
            words.push_str(&charset.clean(source.as_str()));
        }
    }
    let repeats = |attribute: &KeyValue| {
        let key = attribute.key.as_str();
        key.starts_with("exception.")
            || key.strip_suffix(".chain").is_some()
            || exception.as_ref().is_some_and(|message| attribute.value.as_str() == *message)
    };
    for attribute in &event.attributes {
        if tells(attribute.key.as_str()) && !repeats(attribute) {
            words.push_str("  ");
            words.push_str(&pair(attribute, charset));
        }
    }
    words
}

/// `key=value`, in quotes if the value has blanks in it.
fn pair(attribute: &KeyValue, charset: Charset) -> String {
    let value = charset.clean(&attribute.value.as_str());
    let value = charset.cut(&value, MOST_VALUE);
    let key = charset.clean(attribute.key.as_str());
    match &attribute.value {
        Value::String(_) if value.is_empty() || value.contains([' ', '=']) => {
            format!("{key}=\"{value}\"")
        }
        _ => format!("{key}={value}"),
    }
}

fn linked(link: &SpanContext, charset: Charset) -> String {
    let arrow = charset.pick("↗", "->");
    format!("{arrow}{}/{}", link.trace_id(), link.span_id())
}

/// Several spans in one row.
pub(super) fn sum(spans: &[&Span], charset: Charset) -> String {
    let mut durations: Vec<_> = spans.iter().map(|span| span.duration()).collect();
    durations.sort_unstable();
    let (Some(least), Some(most)) = (durations.first(), durations.last()) else {
        return String::new();
    };
    let median = charset.duration(durations[durations.len() / 2]);
    let (least, most) = (charset.duration(*least), charset.duration(*most));
    let n = counted(durations.len(), "span");
    if least == most {
        return format!("sum of {n}, each {least}");
    }
    let to = charset.pick("…", "..");
    format!("sum of {n}, each {least}{to}{most}, median {median}")
}

/// Attributes that repeat what the picture shows, or that are about the program's text.
fn tells(key: &str) -> bool {
    let silent = ["level", "target", "busy_ns", "idle_ns"];
    let prefixes = ["code.", "thread.", "log.", "exception."];
    !silent.contains(&key) && !prefixes.iter().any(|prefix| key.starts_with(prefix))
}

const MOST_VALUE: usize = 60;
