//! W3C trace context, level 2: <https://www.w3.org/TR/trace-context-2/>.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::format::{Format, Header, trim};
use super::{hex, tracestate};

/// The headers `traceparent` and `tracestate`.
#[derive(Debug)]
pub(super) struct TraceContext;

impl Format for TraceContext {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        carrier.set(TRACEPARENT.name, traceparent(span));
        if let Some(state) = tracestate::write(span.trace_state()) {
            carrier.set(TRACESTATE.name, state);
        }
    }

    #[inline]
    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
        read(carrier.get(TRACEPARENT.name)?, context, carrier)
    }

    fn fields(&self) -> &'static [&'static str] {
        &["traceparent", "tracestate"]
    }
}

/// By itself, so that an absent header costs a look-up and no more.
#[inline(never)]
fn read(traceparent: &str, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
    let Parent { trace_id, span_id, flags } = parse(traceparent)?;
    if TRACEPARENT.is_repeated(carrier) {
        return None;
    }
    let state = match carrier.get(TRACESTATE.name) {
        Some(first) => tracestate::read(first, &TRACESTATE, carrier),
        None => TraceState::NONE,
    };
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    Some(context.with_remote_span_context(span))
}

struct Parent {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

/// Section 3.2, "Traceparent Header Field Values", and 3.3.3, "Versioning of `traceparent`".
#[inline]
fn parse(value: &str) -> Option<Parent> {
    let bytes = value.as_bytes();
    // nearly always there is no white space around it
    let bytes = if bytes.len() == LENGTH { bytes } else { trim(value).as_bytes() };
    let (fields, rest) = bytes.split_first_chunk::<LENGTH>()?;
    if fields[2] != b'-' || fields[35] != b'-' || fields[52] != b'-' {
        return None;
    }
    let version = hex::lower_u64(&fields[..2])?;
    let may_continue = version != 0 && rest.first() == Some(&b'-');
    if version == FORBIDDEN_VERSION || !(rest.is_empty() || may_continue) {
        return None;
    }
    let trace_id = hex::lower(&fields[3..35])?;
    let span_id = hex::lower_u64(&fields[36..52])?;
    let flags = hex::lower_u64(&fields[53..])?;
    if trace_id == 0 || span_id == 0 {
        return None;
    }
    Some(Parent {
        trace_id: TraceId::from(trace_id),
        span_id: SpanId::from(span_id),
        // what the other flags mean is not known, so nobody can vouch for them
        flags: TraceFlags::new(u8::try_from(flags).ok()?) & KNOWN_FLAGS,
    })
}

fn traceparent(span: &SpanContext) -> String {
    let mut text = Words(*b"00-................................-................-..         ");
    let flags = [(span.trace_flags() & KNOWN_FLAGS).to_u8()];
    text.0[3..35].copy_from_slice(hex::digits(span.trace_id().to_bytes()).as_flattened());
    text.0[36..52].copy_from_slice(hex::digits(span.span_id().to_bytes()).as_flattened());
    text.0[53..LENGTH].copy_from_slice(hex::digits(flags).as_flattened());
    let text = str::from_utf8(&text.0).expect("digits and dashes are ASCII");
    text[..LENGTH].to_owned()
}

/// Whole words of text, which is looked over a word at a time.
#[repr(align(8))]
struct Words([u8; 64]);

const TRACEPARENT: Header = Header::new(":traceparent");
const TRACESTATE: Header = Header::new(":::::::tracestate");
const LENGTH: usize = 55;
const FORBIDDEN_VERSION: u64 = 0xff;
/// Sampled, and that the trace id is random.
const KNOWN_FLAGS: TraceFlags = TraceFlags::new(0x03);
