//! A tracer whose spans are what is exported.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{
    Event, Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLimits, SpanLinks,
};

use super::{RANDOM, SpanSink, last_of_each_key};

#[derive(Debug, Clone)]
pub(crate) struct OwnTracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sampler: Box<dyn ShouldSample>,
    ids: Box<dyn IdGenerator>,
    limits: SpanLimits,
    /// Made anew for each span: that is cheaper than a copy.
    scope: fn() -> InstrumentationScope,
    sink: Box<dyn SpanSink>,
}

/// A recorded span.
#[derive(Debug)]
pub(super) struct OwnSpan {
    context: SpanContext,
    /// `None` once it has ended.
    data: Option<Recorded>,
    tracer: OwnTracer,
}

/// What is recorded of a span. What is said once, or the same for all, is put to it when it ends: a
/// span is moved into its context and out of it again.
#[derive(Debug)]
struct Recorded {
    parent: SpanId,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'static, str>,
    start: SystemTime,
    attributes: Vec<KeyValue>,
    dropped_attributes: u32,
    events: SpanEvents,
    links: SpanLinks,
    status: Status,
}

impl OwnTracer {
    pub(crate) fn new(
        sampler: Box<dyn ShouldSample>,
        ids: Box<dyn IdGenerator>,
        limits: SpanLimits,
        scope: fn() -> InstrumentationScope,
        sink: Box<dyn SpanSink>,
    ) -> Self {
        Self(Arc::new(Inner { sampler, ids, limits, scope, sink }))
    }

    /// The span, or the context of one that is not recorded.
    #[inline]
    pub(super) fn start(
        &self,
        builder: SpanBuilder,
        parent: &Context,
        status: Status,
    ) -> Result<OwnSpan, SpanContext> {
        if parent.is_telemetry_suppressed() {
            return Err(SpanContext::NONE);
        }
        let Inner { sampler, ids, sink, .. } = &*self.0;
        let span_id = ids.new_span_id();
        let of_parent = parent.span();
        // one that is not valid is none
        let of_parent = Some(of_parent.span_context()).filter(|context| context.is_valid());
        let of_parent = of_parent.unwrap_or(&SpanContext::NONE);
        let is_root = !of_parent.is_valid();
        let trace_id = if is_root { ids.new_trace_id() } else { of_parent.trace_id() };
        let result = sampler.should_sample(
            Some(parent),
            trace_id,
            &builder.name,
            builder.span_kind.as_ref().unwrap_or(&SpanKind::Internal),
            builder.attributes.as_deref().unwrap_or_default(),
            builder.links.as_deref().unwrap_or_default(),
        );
        // what says that the trace id is random is for whoever continues the trace, and ours are
        let inherited = if is_root { RANDOM } else { of_parent.trace_flags() };
        let flags = match result.decision {
            SamplingDecision::Drop => inherited & RANDOM,
            SamplingDecision::RecordOnly => inherited.with_sampled(false),
            SamplingDecision::RecordAndSample => inherited.with_sampled(true),
        };
        let context = SpanContext::new(trace_id, span_id, flags, false, result.trace_state);
        if result.decision == SamplingDecision::Drop {
            return Err(context);
        }
        if context.is_sampled() {
            sink.started();
        }
        Ok(self.record(builder, context, of_parent, result.attributes, status))
    }

    #[inline]
    fn record(
        &self,
        builder: SpanBuilder,
        context: SpanContext,
        parent: &SpanContext,
        of_sampler: Vec<KeyValue>,
        status: Status,
    ) -> OwnSpan {
        let limits = &self.0.limits;
        let SpanBuilder { span_kind, name, start_time, attributes, events, links } = builder;
        let mut attributes = attributes.unwrap_or_default();
        if !of_sampler.is_empty() {
            attributes.extend(of_sampler);
        }
        if attributes.len() > limits.max_attributes_per_span as usize {
            last_of_each_key(&mut attributes);
        }
        let dropped_attributes = cut(&mut attributes, limits.max_attributes_per_span);
        let data = Recorded {
            parent: parent.span_id(),
            parent_is_remote: parent.is_remote(),
            kind: span_kind.unwrap_or(SpanKind::Internal),
            name,
            start: start_time.unwrap_or_else(SystemTime::now),
            attributes,
            dropped_attributes,
            events: events.map(|events| all_events(events, limits)).unwrap_or_default(),
            links: links.map(|links| all_links(links, limits)).unwrap_or_default(),
            status,
        };
        OwnSpan { context, data: Some(data), tracer: self.clone() }
    }
}

impl OwnSpan {
    fn limits(&self) -> SpanLimits {
        self.tracer.0.limits
    }

    fn finish(&mut self, at: Option<SystemTime>) {
        let Some(data) = self.data.take() else { return };
        let Inner { scope, sink, .. } = &*self.tracer.0;
        sink.ended(SpanData {
            span_context: self.context.clone(),
            parent_span_id: data.parent,
            parent_span_is_remote: data.parent_is_remote,
            span_kind: data.kind,
            name: data.name,
            start_time: data.start,
            end_time: at.unwrap_or_else(SystemTime::now),
            attributes: data.attributes,
            dropped_attributes_count: data.dropped_attributes,
            events: data.events,
            links: data.links,
            status: data.status,
            instrumentation_scope: scope(),
        });
    }
}

impl Span for OwnSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        let limits = self.limits();
        let Some(data) = &mut self.data else { return };
        if data.events.events.len() < limits.max_events_per_span as usize {
            data.events.events.push(event(name.into(), at, attributes, &limits));
        } else {
            data.events.dropped_count += 1;
        }
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.data.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        let limits = self.limits();
        let Some(data) = &mut self.data else { return };
        if data.attributes.len() < limits.max_attributes_per_span as usize {
            data.attributes.push(attribute);
        } else {
            data.set_when_full(attribute, limits.max_attributes_per_span as usize);
        }
    }

    /// Ok is more than an error, and both are more than nothing (Tracing API, "Set Status").
    fn set_status(&mut self, status: Status) {
        if let Some(data) = &mut self.data
            && status > data.status
        {
            data.status = status;
        }
    }

    fn update_name<T>(&mut self, name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(data) = &mut self.data {
            data.name = name.into();
        }
    }

    fn add_link(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        let limits = self.limits();
        let Some(data) = &mut self.data else { return };
        if data.links.links.len() < limits.max_links_per_span as usize {
            data.links.links.push(link(Link::new(to, attributes, 0), &limits));
        } else {
            data.links.dropped_count += 1;
        }
    }

    fn end_with_timestamp(&mut self, at: SystemTime) {
        self.finish(Some(at));
    }
}

impl Drop for OwnSpan {
    fn drop(&mut self) {
        self.finish(None);
    }
}

impl Recorded {
    /// A key that is there has a new value, and one that is there twice makes room for another.
    #[cold]
    fn set_when_full(&mut self, attribute: KeyValue, most: usize) {
        let known = self.attributes.iter_mut().rfind(|known| known.key == attribute.key);
        if let Some(known) = known {
            known.value = attribute.value;
            return;
        }
        // once some are dropped, no key is there twice
        if self.dropped_attributes == 0 {
            last_of_each_key(&mut self.attributes);
        }
        if self.attributes.len() < most {
            self.attributes.push(attribute);
        } else {
            self.dropped_attributes += 1;
        }
    }
}

#[cold]
fn all_events(mut events: Vec<Event>, limits: &SpanLimits) -> SpanEvents {
    let mut all = SpanEvents::default();
    all.dropped_count = cut(&mut events, limits.max_events_per_span);
    for event in &mut events {
        event.dropped_attributes_count =
            cut(&mut event.attributes, limits.max_attributes_per_event);
    }
    all.events = events;
    all
}

#[cold]
fn all_links(mut links: Vec<Link>, limits: &SpanLimits) -> SpanLinks {
    let mut all = SpanLinks::default();
    all.dropped_count = cut(&mut links, limits.max_links_per_span);
    all.links = links.into_iter().map(|one| link(one, limits)).collect();
    all
}

fn event(
    name: Cow<'static, str>,
    at: SystemTime,
    mut attributes: Vec<KeyValue>,
    limits: &SpanLimits,
) -> Event {
    let dropped = cut(&mut attributes, limits.max_attributes_per_event);
    Event::new(name, at, attributes, dropped)
}

fn link(mut link: Link, limits: &SpanLimits) -> Link {
    link.dropped_attributes_count = cut(&mut link.attributes, limits.max_attributes_per_link);
    link
}

/// Keeps the first `most`; how many there were beyond.
#[inline]
fn cut<T>(items: &mut Vec<T>, most: u32) -> u32 {
    let beyond = items.len().saturating_sub(most as usize);
    if beyond > 0 {
        items.truncate(most as usize);
    }
    u32::try_from(beyond).unwrap_or(u32::MAX)
}
