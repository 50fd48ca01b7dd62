//! How much one span may carry, and how much memory it takes.

use opentelemetry::trace::{Event, Link};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};

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

    /// Cuts a span that takes more memory than one may: its last events, then its links, then its
    /// last attributes. Gives its new size.
    #[cold]
    pub(crate) fn cut(&self, span: &mut SpanData, mut bytes: usize) -> usize {
        while bytes > self.span_bytes {
            if span.events.events.pop().is_some() {
                span.events.dropped_count += 1;
            } else if span.links.links.pop().is_some() {
                span.links.dropped_count += 1;
            } else if span.attributes.pop().is_some() {
                span.dropped_attributes_count += 1;
            } else {
                break;
            }
            bytes = estimate(span);
        }
        bytes
    }
}

/// Of several attributes with the same key the last one stays, in the place of the first.
fn last_of_each_key(attributes: &mut Vec<KeyValue>) {
    let mut at = 1;
    while at < attributes.len() {
        let (before, rest) = attributes.split_at_mut(at);
        match before.iter_mut().find(|known| known.key == rest[0].key) {
            Some(known) => {
                known.value = std::mem::replace(&mut rest[0].value, Value::Bool(false));
                attributes.remove(at);
            }
            None => at += 1,
        }
    }
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

/// About how many bytes a span takes in memory. Cheap: no string is read, only measured.
#[inline]
pub(crate) fn estimate(span: &SpanData) -> usize {
    let own = size_of::<SpanData>() + span.name.len() + attributes(&span.attributes);
    let (events, links) = (&*span.events.events, &*span.links.links);
    if events.is_empty() && links.is_empty() { own } else { own + nested(events, links) }
}

// not given the span: one whose address gets around is copied more often on its way
#[cold]
fn nested(events: &[Event], links: &[Link]) -> usize {
    let events: usize = events
        .iter()
        .map(|event| size_of_val(event) + event.name.len() + attributes(&event.attributes))
        .sum();
    let links: usize =
        links.iter().map(|link| size_of_val(link) + attributes(&link.attributes)).sum();
    events + links
}

#[inline]
fn attributes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(|attribute| size_of::<KeyValue>() + heap(&attribute.value)).sum()
}

/// Keys are not counted: nearly all of them are literals.
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

    #[test]
    fn the_last_value_of_a_key_stays_once() {
        let mut attributes = ["a", "b", "a", "c", "a", "b"]
            .into_iter()
            .zip(0_i64..)
            .map(|(key, n)| KeyValue::new(key, n))
            .collect();
        last_of_each_key(&mut attributes);
        let expected = [("a", 4), ("b", 5), ("c", 3)];
        assert_eq!(attributes, expected.map(|(key, n)| KeyValue::new(key, n)));
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
