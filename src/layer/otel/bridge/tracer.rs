//! The tracer of the shadow: it starts our span, or stands for the one that has started.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanRef, Status, TraceContextExt as _, Tracer,
};
use opentelemetry::{Context, KeyValue, Value};
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::registry::LookupSpan;

use super::super::inside::Inside;
use super::super::state::Pending;
use super::handover::{Found, Own, claim, merge};
use super::shadow::REAL_ID;
use super::{Link, find};

pub(crate) struct BridgeTracer<S> {
    link: Arc<Link<S>>,
}

impl<S> BridgeTracer<S> {
    pub(super) fn new(link: Arc<Link<S>>) -> Self {
        Self { link }
    }
}

/// A span of the shadow.
#[derive(Debug)]
pub(crate) enum BridgeSpan {
    /// The one span there is: started here.
    Real(Context, SpanContext),
    /// Another name for a span that had started, or that is not recorded.
    Proxy(Context, SpanContext),
}

impl BridgeSpan {
    fn span(&self) -> SpanRef<'_> {
        let (Self::Real(context, _) | Self::Proxy(context, _)) = self;
        context.span()
    }
}

impl<S> BridgeTracer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn own(&self, id: &Id) -> Option<Own> {
        let dispatch = self.link.dispatch()?;
        let (Found::Own(span) | Found::Inherited(span)) =
            find::<S>(&self.link.core, &dispatch, id)?;
        claim(&span)
    }
}

impl<S> Tracer for BridgeTracer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    type Span = BridgeSpan;

    /// Called by stock code, which holds its lock for this span. `parent` is the one that it was
    /// given last, and `added` what it was told beside.
    fn build_with_context(&self, mut added: SpanBuilder, parent: &Context) -> BridgeSpan {
        match real_id(&mut added).and_then(|id| self.own(&id)) {
            Some(Own::Pending(Pending { mut builder, status, .. })) => {
                merge(&mut builder, added);
                let _inside = Inside::sdk();
                let (context, _) = self.link.core.tracer.start_aside(builder, parent, status);
                let span_context = context.span().span_context().clone();
                BridgeSpan::Real(context, span_context)
            }
            Some(Own::Has(context)) => {
                let span_context = context.span().span_context().clone();
                BridgeSpan::Proxy(context, span_context)
            }
            None => BridgeSpan::Proxy(Context::new(), SpanContext::NONE),
        }
    }
}

/// Takes the field that says which span this is out of the attributes.
fn real_id(builder: &mut SpanBuilder) -> Option<Id> {
    let attributes = builder.attributes.as_mut()?;
    let at = attributes.iter().position(|attribute| attribute.key.as_str() == REAL_ID)?;
    match attributes.remove(at).value {
        Value::I64(id) => NonZeroU64::new(id.cast_unsigned()).map(Id::from_non_zero_u64),
        _ => None,
    }
}

impl Span for BridgeSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.span().add_event_with_timestamp(name, at, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        let (Self::Real(_, context) | Self::Proxy(_, context)) = self;
        context
    }

    fn is_recording(&self) -> bool {
        self.span().is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.span().set_attribute(attribute);
    }

    fn set_status(&mut self, status: Status) {
        self.span().set_status(status);
    }

    fn update_name<T>(&mut self, name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.span().update_name(name);
    }

    fn add_link(&mut self, to: SpanContext, attributes: Vec<KeyValue>) {
        self.span().add_link(to, attributes);
    }

    /// The end of a proxy is not the span's.
    fn end_with_timestamp(&mut self, at: SystemTime) {
        if let Self::Real(context, _) = self {
            context.span().end_with_timestamp(at);
        }
    }
}
