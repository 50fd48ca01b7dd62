//! What a test expects of an event.

use std::fmt::Display;

use opentelemetry::KeyValue;
use opentelemetry::trace::Event;

/// An event of this name, which is the message of a `tracing` event, for
/// [`ExpectedSpan::with_event`](super::ExpectedSpan::with_event).
pub fn event(name: impl Into<String>) -> ExpectedEvent {
    ExpectedEvent { name: name.into(), attributes: Vec::new() }
}

/// What is expected of an event.
#[derive(Debug, Clone)]
#[must_use = "it is compared as part of a span"]
pub struct ExpectedEvent {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
}

impl ExpectedEvent {
    /// With this attribute, compared as text.
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Display) -> Self {
        self.attributes.push((key.into(), value.to_string()));
        self
    }

    /// What of the event is not as expected.
    pub(super) fn mismatch(&self, event: &Event) -> Option<String> {
        if event.name != self.name {
            return Some(format!("it is {:?}", event.name));
        }
        wrong_attributes(&self.attributes, &event.attributes)
    }
}

impl From<&str> for ExpectedEvent {
    fn from(name: &str) -> Self {
        event(name)
    }
}

pub(super) fn wrong_attributes(
    expected: &[(String, String)],
    attributes: &[KeyValue],
) -> Option<String> {
    expected.iter().find_map(|(key, value)| match find(attributes, key) {
        Some(found) if found == *value => None,
        Some(found) => Some(format!("{key} is {found}")),
        None => Some(format!("there is no {key}")),
    })
}

pub(super) fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    // of a key twice, the last counts
    let found = attributes.iter().rev().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}
