//! The headers of a message as a carrier.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::propagation::is_own;

/// Reads a context from the headers of a message.
///
/// Names are compared without regard to case. A null or binary value counts as absent. Of several
/// headers of one name the last that can be read counts, since whoever passes a message on adds his
/// own at the end; but of `tracestate` and `baggage`, which are lists, all count, in order.
///
/// ```
/// use opentelemetry::trace::TraceContextExt as _;
/// use otel_setup::kafka::HeaderExtractor;
/// use otel_setup::propagation::{Propagator, TextMapPropagator as _};
/// use rdkafka::message::{Header, OwnedHeaders};
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let headers = OwnedHeaders::new()
///     .insert(Header { key: "color", value: None::<&str> })
///     .insert(Header { key: "traceparent", value: Some(parent) });
/// let context = Propagator::trace_context().extract(&HeaderExtractor(&headers));
/// assert!(context.span().span_context().is_remote());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HeaderExtractor<'a, H>(pub &'a H);

impl<H: Headers> HeaderExtractor<'_, H> {
    /// The values of this name that are text, the last first.
    fn values<'k>(&self, key: &'k str) -> impl Iterator<Item = &str> + use<'_, 'k, H> {
        (0..self.0.count()).rev().filter_map(move |index| {
            let header = header(self.0, index)?;
            if !header.key.eq_ignore_ascii_case(key) {
                return None;
            }
            std::str::from_utf8(header.value?).ok()
        })
    }
}

impl<H: Headers> Extractor for HeaderExtractor<'_, H> {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    fn keys(&self) -> Vec<&str> {
        (0..self.0.count()).filter_map(|index| Some(header(self.0, index)?.key)).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let is_list = LISTS.iter().any(|list| list.eq_ignore_ascii_case(key));
        let most = if is_list { usize::MAX } else { 1 };
        let mut values: Vec<_> = self.values(key).take(most).collect();
        values.reverse();
        (!values.is_empty()).then_some(values)
    }
}

/// Adds a context to the headers of a message that is to be sent.
///
/// The headers of the propagator that are there already are replaced; all others stay as they are
/// and where they are. A context that has nothing to say leaves everything as it is.
///
/// ```
/// use otel_setup::kafka::inject_context;
/// use otel_setup::propagation::{Context, Propagator};
///
/// let propagator = Propagator::trace_context();
/// assert!(inject_context(&propagator, &Context::new(), None).is_none());
/// ```
pub fn inject_context(
    propagator: &dyn TextMapPropagator,
    context: &Context,
    headers: Option<OwnedHeaders>,
) -> Option<OwnedHeaders> {
    let mut new = Collected::default();
    propagator.inject_context(context, &mut new);
    if new.0.is_empty() {
        return headers;
    }
    let kept = headers.map_or_else(OwnedHeaders::new, |headers| {
        let is_ours = |key: &str| {
            is_own(propagator, key) || new.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
        };
        without(headers, is_ours)
    });
    Some(new.0.iter().fold(kept, |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value.as_str()) })
    }))
}

/// What a propagator writes.
#[derive(Default)]
struct Collected(Vec<(String, String)>);

impl Injector for Collected {
    fn set(&mut self, key: &str, value: String) {
        self.0.retain(|(name, _)| name != key);
        self.0.push((key.to_owned(), value));
    }

    fn reserve(&mut self, additional: usize) {
        self.0.reserve(additional);
    }
}

/// The headers that are not ours. As they were, byte for byte, if none is.
fn without(headers: OwnedHeaders, is_ours: impl Fn(&str) -> bool) -> OwnedHeaders {
    let all: Option<Vec<_>> = (0..headers.count()).map(|index| header(&headers, index)).collect();
    // with one that cannot be read they cannot be copied: the new ones go behind, where they count
    let Some(all) = all else { return headers };
    if !all.iter().any(|header| is_ours(header.key)) {
        return headers;
    }
    let kept = all.into_iter().filter(|header| !is_ours(header.key));
    kept.fold(OwnedHeaders::new_with_capacity(headers.count()), |kept, header| {
        kept.insert(Header { key: header.key, value: header.value })
    })
}

/// A header, unless its name is not UTF-8, at which rdkafka panics.
fn header<H: Headers>(headers: &H, index: usize) -> Option<Header<'_, &[u8]>> {
    catch_unwind(AssertUnwindSafe(|| headers.try_get(index))).ok().flatten()
}

/// Headers that may come in several parts.
const LISTS: [&str; 2] = ["tracestate", "baggage"];
