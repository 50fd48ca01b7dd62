//! What a test expects of a span.

use std::fmt::{self, Display};

use opentelemetry::trace::{Event, SpanId, SpanKind, Status};

use super::assign::assign_all;
use super::event::{ExpectedEvent, find, wrong_attributes};
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

    /// With this event: its name, or [`event`](super::event) with attributes. Two that are added are two events.
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
            .or_else(|| self.wrong_events(&span.events.events))
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

    /// Each expected event needs an event of its own.
    fn wrong_events(&self, events: &[Event]) -> Option<String> {
        let fits = |expected: &ExpectedEvent| {
            let fits = |event: &usize| expected.mismatch(&events[*event]).is_none();
            (0..events.len()).filter(fits).collect()
        };
        let fits: Vec<_> = self.events.iter().map(fits).collect();
        let without = assign_all(&fits).err()?;
        let ExpectedEvent { name, .. } = &self.events[without];
        let reason = events.iter().filter(|event| event.name == *name).find_map(|event| {
            let wrong = self.events[without].mismatch(event)?;
            Some(format!("of its event {name:?}, {wrong}"))
        });
        Some(match reason {
            Some(reason) => reason,
            None if fits[without].is_empty() => format!("it has no event {name:?}"),
            None => format!("it has no further event {name:?}"),
        })
    }

    /// Each expected child needs a child of its own.
    fn wrong_children(&self, family: &Family, at: usize) -> Option<String> {
        let children = family.children(at);
        let fits = |expected: &Self| {
            let fits = |child: &&usize| expected.mismatch(family, **child).is_none();
            children.iter().filter(fits).copied().collect()
        };
        let fits: Vec<_> = self.children.iter().map(fits).collect();
        let taken = match assign_all(&fits) {
            Ok(taken) => taken,
            Err(without) => {
                let child = &self.children[without];
                let named = children.iter().filter(|at| family.spans[**at].name == child.name);
                let reason = { named }.find_map(|at| child.mismatch(family, *at));
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                return Some(format!("it has no such child: {child}{reason}"));
            }
        };
        let others = children.iter().filter(|child| self.no_others && !taken.contains(child));
        let mut names: Vec<_> = others.map(|at| format!("{:?}", family.spans[*at].name)).collect();
        let more = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("it has other children: {}{more}", names.join(", ")))
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

const MOST_NAMES: usize = 10;
