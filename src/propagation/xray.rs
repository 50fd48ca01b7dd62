//! AWS X-Ray: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::format::{Format, trim};
use super::hex;

/// The header `X-Amzn-Trace-Id`.
///
/// `Root` and `Parent` are read, and `Sampled`, which counts as no when it is missing or left to the
/// receiver (`?`). Other fields are not sent on.
#[derive(Debug)]
pub(super) struct XRay;

impl Format for XRay {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let trace_id = span.trace_id().to_string();
        let (time, unique) = trace_id.split_at(TIME_DIGITS);
        let sampled = u8::from(span.is_sampled());
        let parent = span.span_id();
        let value = format!("Root=1-{time}-{unique};Parent={parent};Sampled={sampled}");
        carrier.set(HEADER, value);
    }

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
        let mut root = None;
        let mut parent = None;
        let mut sampled = false;
        for field in trim(carrier.get(HEADER)?).split(';') {
            match trim(field).split_once('=') {
                Some(("Root", value)) => root = Some(trace_id(value)?),
                Some(("Parent", value)) => parent = Some(span_id(value)?),
                Some(("Sampled", value)) => sampled = value == "1",
                _ => {}
            }
        }
        let flags = TraceFlags::default().with_sampled(sampled);
        let span = SpanContext::new(root?, parent?, flags, true, TraceState::NONE);
        span.is_valid().then(|| context.with_remote_span_context(span))
    }

    fn fields(&self) -> &'static [&'static str] {
        &[HEADER]
    }
}

/// `1-{time}-{unique}`
fn trace_id(value: &str) -> Option<TraceId> {
    let (time, unique) = value.strip_prefix("1-")?.split_once('-')?;
    if time.len() != TIME_DIGITS || unique.len() != UNIQUE_DIGITS {
        return None;
    }
    let time = hex::lower(time.as_bytes())?;
    Some(TraceId::from(time << (UNIQUE_DIGITS * 4) | hex::lower(unique.as_bytes())?))
}

fn span_id(value: &str) -> Option<SpanId> {
    if value.len() != 16 {
        return None;
    }
    hex::lower_u64(value.as_bytes()).map(SpanId::from)
}

const HEADER: &str = "x-amzn-trace-id";
const TIME_DIGITS: usize = 8;
const UNIQUE_DIGITS: usize = 24;
