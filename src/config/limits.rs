//! How much one span may carry (Tracing SDK, "Span Limits").

use super::resolver::Resolver;
use super::variables::{
    ATTRIBUTE_COUNT_LIMIT, ATTRIBUTE_VALUE_LENGTH_LIMIT, EVENT_ATTRIBUTE_COUNT_LIMIT,
    LINK_ATTRIBUTE_COUNT_LIMIT, SPAN_ATTRIBUTE_COUNT_LIMIT, SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    SPAN_EVENT_COUNT_LIMIT, SPAN_LINK_COUNT_LIMIT, Variable,
};

/// How much one span may carry, for [`Setup::with_span_limits`](crate::Setup::with_span_limits).
///
/// What is cut is counted in the span's own `dropped_*` fields. What is left open here comes from
/// the environment, then from the default.
///
/// ```
/// use otel_setup::{Setup, SpanLimits};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let limits = SpanLimits::new().with_attribute_value_length(4096).with_events(32);
/// let setup = Setup::new("checkout").with_span_limits(limits);
/// # drop(setup.with_env(|_| None).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "it has an effect once it is given to `Setup::with_span_limits`"]
pub struct SpanLimits {
    attribute_value_length: Option<usize>,
    attributes: Option<u32>,
    events: Option<u32>,
    links: Option<u32>,
    attributes_per_event: Option<u32>,
    attributes_per_link: Option<u32>,
}

impl SpanLimits {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Characters of a string attribute, and of each string in an array: no limit by default
    /// (`OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`).
    pub fn with_attribute_value_length(mut self, characters: usize) -> Self {
        self.attribute_value_length = Some(characters);
        self
    }

    /// Attributes of a span: 128 by default (`OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`,
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT`).
    pub fn with_attributes(mut self, count: u32) -> Self {
        self.attributes = Some(count);
        self
    }

    /// Events of a span: 128 by default (`OTEL_SPAN_EVENT_COUNT_LIMIT`).
    pub fn with_events(mut self, count: u32) -> Self {
        self.events = Some(count);
        self
    }

    /// Links of a span: 128 by default (`OTEL_SPAN_LINK_COUNT_LIMIT`).
    pub fn with_links(mut self, count: u32) -> Self {
        self.links = Some(count);
        self
    }

    /// Attributes of an event: 128 by default (`OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`,
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT`).
    pub fn with_attributes_per_event(mut self, count: u32) -> Self {
        self.attributes_per_event = Some(count);
        self
    }

    /// Attributes of a link: 128 by default (`OTEL_LINK_ATTRIBUTE_COUNT_LIMIT`,
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT`).
    pub fn with_attributes_per_link(mut self, count: u32) -> Self {
        self.attributes_per_link = Some(count);
        self
    }
}

/// Effective limits of spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitSettings {
    pub(crate) attribute_value_length: Option<usize>,
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) attributes_per_event: u32,
    pub(crate) attributes_per_link: u32,
}

impl LimitSettings {
    pub(super) fn resolve(r: &mut Resolver<'_>) -> Self {
        let length = r.said(|s| s.limits.attribute_value_length);
        let lengths = [&SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, &ATTRIBUTE_VALUE_LENGTH_LIMIT];
        let length = r.optional(length, &lengths, "no limit").map(|length| length.value);
        let mut limit = |of: fn(&SpanLimits) -> Option<u32>,
                         variables: &[&'static Variable<u32>]| {
            let said = r.said(|settings| of(&settings.limits));
            r.setting(said, variables, DEFAULT_LIMIT).value
        };
        let all = &ATTRIBUTE_COUNT_LIMIT;
        Self {
            attribute_value_length: length,
            attributes: limit(|l| l.attributes, &[&SPAN_ATTRIBUTE_COUNT_LIMIT, all]),
            events: limit(|l| l.events, &[&SPAN_EVENT_COUNT_LIMIT]),
            links: limit(|l| l.links, &[&SPAN_LINK_COUNT_LIMIT]),
            attributes_per_event: limit(
                |l| l.attributes_per_event,
                &[&EVENT_ATTRIBUTE_COUNT_LIMIT, all],
            ),
            attributes_per_link: limit(
                |l| l.attributes_per_link,
                &[&LINK_ATTRIBUTE_COUNT_LIMIT, all],
            ),
        }
    }
}

const DEFAULT_LIMIT: u32 = 128;
