//! B3, of Zipkin: <https://github.com/openzipkin/b3-propagation>.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use super::format::{Format, trim};
use super::hex;

/// Written as one header or as several; read as either, and the single header counts first.
///
/// OpenTelemetry's specification, "B3 Requirements".
#[derive(Debug)]
pub(super) enum B3 {
    /// `b3`
    Single,
    /// `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled`, `X-B3-Flags`
    Multi,
}

impl Format for B3 {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let state = match (span.is_sampled(), Debug::is_set(context)) {
            (true, true) => "d",
            (true, false) => "1",
            (false, _) => "0",
        };
        match self {
            Self::Single => {
                let value = format!("{}-{}-{state}", span.trace_id(), span.span_id());
                carrier.set(SINGLE, value);
            }
            Self::Multi => {
                carrier.set(TRACE_ID, span.trace_id().to_string());
                carrier.set(SPAN_ID, span.span_id().to_string());
                let (key, value) = if state == "d" { (FLAGS, "1") } else { (SAMPLED, state) };
                carrier.set(key, value.to_owned());
            }
        }
    }

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
        let single = carrier.get(SINGLE).and_then(|value| single(trim(value)));
        single.or_else(|| multi(carrier))?.into_context(context)
    }

    fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Single => &[SINGLE],
            Self::Multi => &[TRACE_ID, SPAN_ID, SAMPLED, FLAGS],
        }
    }
}

/// That a trace is to be recorded by all means: it is sent on as it came.
pub(super) struct Debug;

impl Debug {
    pub(super) fn is_set(context: &Context) -> bool {
        context.get::<Self>().is_some()
    }
}

/// What the headers say.
struct Parent {
    ids: Option<(u128, u64)>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Left to whoever receives it. There is no telling it from a denial in OpenTelemetry, where a
    /// parent is sampled or not.
    Deferred,
    Denied,
    Accepted,
    Debug,
}

impl Parent {
    fn into_context(self, context: &Context) -> Option<Context> {
        let Self { ids, state } = self;
        let (trace_id, span_id) = match ids {
            Some((trace_id, span_id)) => (TraceId::from(trace_id), SpanId::from(span_id)),
            None if state == State::Denied => return denied(context),
            None => return None,
        };
        let is_sampled = matches!(state, State::Accepted | State::Debug);
        let span = SpanContext::new(
            trace_id,
            span_id,
            TraceFlags::default().with_sampled(is_sampled),
            true,
            TraceState::NONE,
        );
        let context = context.with_remote_span_context(span);
        Some(if state == State::Debug { context.with_value(Debug) } else { context })
    }
}

/// There is no trace to continue, but one that is not to be sampled: OpenTelemetry can only say so of
/// a parent that is valid. Where there is one already, it is that one's to decide.
fn denied(context: &Context) -> Option<Context> {
    if context.span().span_context().is_valid() {
        return None;
    }
    let ids = RandomIdGenerator::default();
    let (trace_id, span_id) = (ids.new_trace_id(), ids.new_span_id());
    let span = SpanContext::new(trace_id, span_id, TraceFlags::default(), true, TraceState::NONE);
    Some(context.with_remote_span_context(span).with_value(MadeUp(span_id)))
}

/// The id of a span that there is not; nobody can find what refers to it.
struct MadeUp(SpanId);

/// Whether the span of this context is one that there is not: it says that nothing is to be sampled,
/// and is not to be shown to anybody.
pub(super) fn is_made_up(context: &Context) -> bool {
    let is_current = |id| context.span().span_context().span_id() == id;
    context.get().is_some_and(|MadeUp(id)| is_current(*id))
}

/// `{trace id}-{span id}-{state}-{parent's span id}`, of which the last two can be left out; or the
/// state alone.
fn single(value: &str) -> Option<Parent> {
    if let Some(state) = state(value) {
        return Some(Parent { ids: None, state });
    }
    let mut fields = value.split('-');
    let ids = ids(fields.next()?, fields.next()?)?;
    let state = fields.next().map_or(Some(State::Deferred), state)?;
    if let Some(parent) = fields.next() {
        span_id(parent)?;
    }
    fields.next().is_none().then_some(Parent { ids: Some(ids), state })
}

fn multi(carrier: &dyn Extractor) -> Option<Parent> {
    let header = |name| carrier.get(name).map(trim);
    let state = match (header(FLAGS), header(SAMPLED)) {
        (Some("1"), _) => State::Debug,
        (_, None) => State::Deferred,
        (_, Some("0" | "false")) => State::Denied,
        (_, Some("1" | "true")) => State::Accepted,
        (_, Some(_)) => return None,
    };
    match (header(TRACE_ID), header(SPAN_ID)) {
        (None, None) => Some(Parent { ids: None, state }),
        (Some(trace), Some(span)) => Some(Parent { ids: Some(ids(trace, span)?), state }),
        _ => None,
    }
}

fn state(text: &str) -> Option<State> {
    match text {
        "0" => Some(State::Denied),
        "1" => Some(State::Accepted),
        "d" => Some(State::Debug),
        _ => None,
    }
}

fn ids(trace: &str, span: &str) -> Option<(u128, u64)> {
    let trace = trace.as_bytes();
    // the short form is of systems whose trace ids have 64 bits
    let trace = if matches!(trace.len(), 16 | 32) { hex::lower(trace)? } else { 0 };
    let span = span_id(span)?;
    (trace != 0 && span != 0).then_some((trace, span))
}

fn span_id(text: &str) -> Option<u64> {
    if text.len() == 16 { hex::lower_u64(text.as_bytes()) } else { None }
}

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
