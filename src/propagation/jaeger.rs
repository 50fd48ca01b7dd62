//! Jaeger's own format, of its retired clients:
//! <https://www.jaegertracing.io/sdk-migration/#propagation-format>.

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::b3::Debug;
use super::baggage::with_baggage;
use super::format::{Format, trim};
use super::hex;

/// The header `uber-trace-id`, and baggage in headers whose names start with `uberctx-`.
///
/// Baggage is read where there is a valid `uber-trace-id`: no more of it than of W3C baggage.
#[derive(Debug)]
pub(super) struct Jaeger;

impl Format for Jaeger {
    fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            let flags = match (span.is_sampled(), Debug::is_set(context)) {
                (true, true) => SAMPLED | DEBUG,
                (true, false) => SAMPLED,
                (false, _) => 0,
            };
            // the third field is the parent's span id, which nobody reads any more
            let value = format!("{}:{}:0:{flags:x}", span.trace_id(), span.span_id());
            carrier.set(HEADER, value);
        }
        for (key, (value, _)) in context.baggage() {
            let value = utf8_percent_encode(value.as_str(), NON_ALPHANUMERIC).to_string();
            carrier.set(&format!("{BAGGAGE}{key}"), value);
        }
    }

    fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Option<Context> {
        let value = trim(carrier.get(HEADER)?);
        if value.len() > MAX_LENGTH {
            return None;
        }
        // not into a `String`: what is invalid is to cost no allocation
        let mut decoded = [0; MAX_LENGTH];
        let mut length = 0;
        for (slot, byte) in decoded.iter_mut().zip(percent_decode_str(value)) {
            *slot = byte;
            length += 1;
        }
        let (span, flags) = parse(str::from_utf8(&decoded[..length]).ok()?)?;
        let mut context = context.with_remote_span_context(span);
        if flags & (SAMPLED | DEBUG) == (SAMPLED | DEBUG) {
            context = context.with_value(Debug);
        }
        let baggage = baggage(carrier);
        Some(if baggage.is_empty() { context } else { with_baggage(&context, baggage) })
    }

    fn fields(&self) -> &'static [&'static str] {
        &[HEADER]
    }
}

/// `{trace id}:{span id}:{parent's span id}:{flags}`, numbers without their leading zeros.
fn parse(value: &str) -> Option<(SpanContext, u64)> {
    let mut fields = value.split(':');
    let trace_id = number(fields.next()?, 32)?;
    let span_id = u64::try_from(number(fields.next()?, 16)?).ok()?;
    number(fields.next()?, 16)?;
    let flags = u64::try_from(number(fields.next()?, 2)?).ok()?;
    if fields.next().is_some() || trace_id == 0 || span_id == 0 {
        return None;
    }
    let span = SpanContext::new(
        TraceId::from(trace_id),
        SpanId::from(span_id),
        TraceFlags::default().with_sampled(flags & SAMPLED != 0),
        true,
        TraceState::NONE,
    );
    Some((span, flags))
}

fn number(text: &str, max: usize) -> Option<u128> {
    if (1..=max).contains(&text.len()) { hex::lower(text.as_bytes()) } else { None }
}

fn baggage(carrier: &dyn Extractor) -> Baggage {
    let mut baggage = Baggage::new();
    let mut left = MAX_BAGGAGE;
    for header in carrier.keys() {
        let Some(key) = strip(header).filter(|key| !key.is_empty()) else { continue };
        let Some(value) = carrier.get(header) else { continue };
        let Some(rest) = left.checked_sub(key.len() + value.len()) else { continue };
        left = rest;
        // refuses what is no key, and what is too much
        let value = percent_decode_str(trim(value)).decode_utf8_lossy().into_owned();
        baggage.insert(key.to_ascii_lowercase(), value);
    }
    baggage
}

fn strip(header: &str) -> Option<&str> {
    let (prefix, key) = header.split_at_checked(BAGGAGE.len())?;
    prefix.eq_ignore_ascii_case(BAGGAGE).then_some(key)
}

const HEADER: &str = "uber-trace-id";
const BAGGAGE: &str = "uberctx-";
const SAMPLED: u64 = 1;
const DEBUG: u64 = 2;
/// Of the header, each character of it percent-encoded.
const MAX_LENGTH: usize = 3 * (32 + 16 + 16 + 2 + 3);
const MAX_BAGGAGE: usize = 8192;
