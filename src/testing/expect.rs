//! What a test expects of a span.

use std::fmt::{self, Display};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanId, SpanKind, Status};

use super::family::Family;

/// A span of this name, for [`Capture::assert`](super::Capture::assert).
///
/// ```
/// use otel_setup::testing::{capture, event, span};
///
/// let capture = capture();
/// tracing::info_span!("request", user = "alice").in_scope(|| {
///     tracing::info_span!("query").in_scope(|| tracing::error!(code = 7, "no rows"));
/// });
/// capture.assert(
///     span("request").root().with_attribute("user", "alice").without_error().with_child(
///         span("query").with_error().with_event(event("no rows").with_attribute("code", 7)),
///     ),
/// );
/// ```
pub fn span(name: impl Into<String>) -> ExpectedSpan {
    ExpectedSpan {
        name: name.into(),
        place: Place::Any,
        kind: None,
        outcome: None,
        attributes: Vec::new(),
        absent: Vec::new(),
        events: Vec::new(),
        children: Vec::new(),
        no_others: false,
    }
}

/// An event of this name, which is the message of a `tracing` event, for
/// [`ExpectedSpan::with_event`].
pub fn event(name: impl Into<String>) -> ExpectedEvent {
    ExpectedEvent { name: name.into(), attributes: Vec::new() }
}

/// What is expected of a span: its name, and all that was added to it.
#[derive(Debug, Clone)]
#[must_use = "it is compared by `Capture::assert`"]
pub struct ExpectedSpan {
    name: String,
    place: Place,
    kind: Option<SpanKind>,
    outcome: Option<Outcome>,
    attributes: Vec<(String, String)>,
    absent: Vec<String>,
    events: Vec<ExpectedEvent>,
    children: Vec<ExpectedSpan>,
    no_others: bool,
}

/// What is expected of an event.
#[derive(Debug, Clone)]
#[must_use = "it is compared as part of a span"]
pub struct ExpectedEvent {
    name: String,
    attributes: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Place {
    Any,
    Root,
    Under(String),
}

#[derive(Debug, Clone)]
enum Outcome {
    Error(Option<String>),
    NoError,
    Ok,
}

impl ExpectedSpan {
    /// Its parent is the span of this name.
    pub fn child_of(mut self, parent: impl Into<String>) -> Self {
        self.place = Place::Under(parent.into());
        self
    }

    /// It has no parent, not even a remote one.
    pub fn root(mut self) -> Self {
        self.place = Place::Root;
        self
    }

    /// Of this kind (`otel.kind`).
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// With this attribute, compared as text: `200`, `"200"` and `200_i64` are the same.
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Display) -> Self {
        self.attributes.push((key.into(), value.to_string()));
        self
    }

    /// Without an attribute of this key.
    pub fn without_attribute(mut self, key: impl Into<String>) -> Self {
        self.absent.push(key.into());
        self
    }

    /// With this event: its name, or [`event`] with attributes.
    pub fn with_event(mut self, event: impl Into<ExpectedEvent>) -> Self {
        self.events.push(event.into());
        self
    }

    /// With the status Error.
    pub fn with_error(mut self) -> Self {
        self.outcome = Some(Outcome::Error(None));
        self
    }

    /// With the status Error and this description.
    pub fn with_error_of(mut self, description: impl Into<String>) -> Self {
        self.outcome = Some(Outcome::Error(Some(description.into())));
        self
    }

    /// With any status but Error.
    pub fn without_error(mut self) -> Self {
        self.outcome = Some(Outcome::NoError);
        self
    }

    /// With the status Ok.
    pub fn with_ok(mut self) -> Self {
        self.outcome = Some(Outcome::Ok);
        self
    }

    /// With this child, and maybe others. Two that are added are two children.
    pub fn with_child(mut self, child: ExpectedSpan) -> Self {
        self.children.push(child);
        self
    }

    /// With no children but those that were added.
    pub fn without_other_children(mut self) -> Self {
        self.no_others = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What of the span is not as expected.
    pub(super) fn mismatch(&self, family: &Family, at: usize) -> Option<String> {
        let span = &family.spans[at];
        if span.name != self.name {
            return Some(format!("it is {:?}", span.name));
        }
        self.wrong_place(family, at)
            .or_else(|| self.wrong_kind(&span.span_kind))
            .or_else(|| self.wrong_outcome(&span.status))
            .or_else(|| wrong_attributes(&self.attributes, &span.attributes))
            .or_else(|| {
                let present = self.absent.iter().find(|key| find(&span.attributes, key).is_some());
                present.map(|key| format!("it has the attribute {key}"))
            })
            .or_else(|| self.events.iter().find_map(|event| event.mismatch(&span.events)))
            .or_else(|| self.wrong_children(family, at))
    }

    fn wrong_place(&self, family: &Family, at: usize) -> Option<String> {
        let parent = family.parent(at).map(|parent| &*parent.name);
        let is_root = family.spans[at].parent_span_id == SpanId::INVALID;
        let is_right = match &self.place {
            Place::Any => true,
            Place::Root => is_root,
            Place::Under(name) => parent == Some(name),
        };
        (!is_right).then(|| match parent {
            Some(parent) => format!("it is a child of {parent:?}"),
            None if is_root => "it is a root".to_owned(),
            None => "its parent was not captured".to_owned(),
        })
    }

    fn wrong_kind(&self, kind: &SpanKind) -> Option<String> {
        let expected = self.kind.as_ref()?;
        (expected != kind).then(|| format!("its kind is {kind:?}"))
    }

    fn wrong_outcome(&self, status: &Status) -> Option<String> {
        let is_right = match (self.outcome.as_ref()?, status) {
            (Outcome::Error(None), Status::Error { .. }) | (Outcome::Ok, Status::Ok) => true,
            (Outcome::Error(Some(text)), Status::Error { description }) => *text == **description,
            (Outcome::NoError, status) => !matches!(status, Status::Error { .. }),
            _ => false,
        };
        (!is_right).then(|| match status {
            Status::Unset => "it has no status".to_owned(),
            Status::Ok => "its status is Ok".to_owned(),
            Status::Error { description } => format!("its status is the error {description:?}"),
        })
    }

    /// Each expected child needs a child of its own.
    fn wrong_children(&self, family: &Family, at: usize) -> Option<String> {
        let children = family.children(at);
        let fits: Vec<Vec<usize>> = self
            .children
            .iter()
            .map(|expected| {
                let fits = |child: &&usize| expected.mismatch(family, **child).is_none();
                children.iter().filter(fits).copied().collect()
            })
            .collect();
        let mut taken = Vec::new();
        for (expected, child) in self.children.iter().enumerate() {
            if assign(expected, &fits, &mut taken, &mut Vec::new()) {
                continue;
            }
            let reason = children
                .iter()
                .filter(|at| family.spans[**at].name == child.name)
                .find_map(|at| child.mismatch(family, *at));
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            return Some(format!("it has no such child: {child}{reason}"));
        }
        let others: Vec<_> = children
            .iter()
            .filter(|child| self.no_others && !taken.iter().any(|(_, taken)| taken == *child))
            .map(|child| format!("{:?}", family.spans[*child].name))
            .collect();
        (!others.is_empty()).then(|| format!("it has other children: {}", others.join(", ")))
    }
}

/// Finds a child for an expected one, and other children for those that are in its way.
fn assign(
    expected: usize,
    fits: &[Vec<usize>],
    taken: &mut Vec<(usize, usize)>,
    tried: &mut Vec<usize>,
) -> bool {
    for &child in &fits[expected] {
        if tried.contains(&child) {
            continue;
        }
        tried.push(child);
        let holder = taken.iter().position(|(_, taken)| *taken == child);
        let is_free = match holder {
            None => true,
            Some(at) => {
                let (other, _) = taken[at];
                assign(other, fits, taken, tried)
            }
        };
        if is_free {
            taken.retain(|(holder, taken)| *holder != expected && *taken != child);
            taken.push((expected, child));
            return true;
        }
    }
    false
}

impl ExpectedEvent {
    /// With this attribute, compared as text.
    pub fn with_attribute(mut self, key: impl Into<String>, value: impl Display) -> Self {
        self.attributes.push((key.into(), value.to_string()));
        self
    }

    fn mismatch(&self, events: &[Event]) -> Option<String> {
        let mut reason = format!("it has no event {:?}", self.name);
        for event in events.iter().filter(|event| event.name == self.name) {
            let wrong = wrong_attributes(&self.attributes, &event.attributes)?;
            reason = format!("of its event {:?}, {wrong}", self.name);
        }
        Some(reason)
    }
}

impl From<&str> for ExpectedEvent {
    fn from(name: &str) -> Self {
        event(name)
    }
}

/// `span "charge", child of "checkout", with amount=13`
impl Display for ExpectedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {:?}", self.name)?;
        match &self.place {
            Place::Any => {}
            Place::Root => f.write_str(", a root")?,
            Place::Under(parent) => write!(f, ", child of {parent:?}")?,
        }
        if let Some(kind) = &self.kind {
            write!(f, ", of kind {kind:?}")?;
        }
        match &self.outcome {
            None => {}
            Some(Outcome::Error(None)) => f.write_str(", with an error")?,
            Some(Outcome::Error(Some(text))) => write!(f, ", with the error {text:?}")?,
            Some(Outcome::NoError) => f.write_str(", without an error")?,
            Some(Outcome::Ok) => f.write_str(", with the status Ok")?,
        }
        for (key, value) in &self.attributes {
            write!(f, ", with {key}={value}")?;
        }
        for key in &self.absent {
            write!(f, ", without {key}")?;
        }
        for event in &self.events {
            write!(f, ", with the event {:?}", event.name)?;
            for (key, value) in &event.attributes {
                write!(f, " {key}={value}")?;
            }
        }
        for child in &self.children {
            write!(f, ", with the child [{child}]")?;
        }
        if self.no_others { f.write_str(", with no other children") } else { Ok(()) }
    }
}

fn wrong_attributes(expected: &[(String, String)], attributes: &[KeyValue]) -> Option<String> {
    expected.iter().find_map(|(key, value)| match find(attributes, key) {
        Some(found) if found == *value => None,
        Some(found) => Some(format!("{key} is {found}")),
        None => Some(format!("there is no {key}")),
    })
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    // of a key twice, the last counts
    let found = attributes.iter().rev().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}
