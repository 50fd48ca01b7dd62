//! The headers of a message as a carrier.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::exception::caught;
use crate::propagation::{further, is_own};

/// Reads a context from the headers of a message.
///
/// Names are compared without regard to case. A null or binary value counts as absent. Of several
/// headers of one name the last that can be read counts, since whoever passes a message on adds his
/// own at the end; but of `tracestate` and `baggage`, which are lists, all count, in order. A header
/// whose name is not UTF-8 is skipped ([how](super#headers)).
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
/// let context = Propagator::trace_context().extract(&HeaderExtractor::new(&headers));
/// assert!(context.span().span_context().is_remote());
/// ```
#[derive(Debug, Clone)]
pub struct HeaderExtractor<'a>(Vec<Header<'a, &'a [u8]>>);

impl<'a> HeaderExtractor<'a> {
    /// Looks at all headers once.
    pub fn new(headers: &'a impl Headers) -> Self {
        Self(readable(headers).0)
    }

    /// The values of this name that are text, the last first.
    fn values<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'_, 'a, 'k> {
        let of_key = self.0.iter().rev().filter(|header| header.key.eq_ignore_ascii_case(key));
        of_key.filter_map(|header| std::str::from_utf8(header.value?).ok())
    }
}

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // a list of more than one value is shown by `get_all`, and there is no second of the others
        let is_repeated = |name: &str| is_list(name) && self.values(name).nth(1).is_some();
        let further = further(key, || true, |name, _| is_repeated(name).then_some(None));
        further.or_else(|| self.values(key).next())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|header| header.key).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let most = if is_list(key) { usize::MAX } else { 1 };
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
    let (all, is_all) = readable(&headers);
    // with one that cannot be read they cannot be copied: the new ones go behind, where they count
    if !is_all || !all.iter().any(|header| is_ours(header.key)) {
        return headers;
    }
    let kept = all.into_iter().filter(|header| !is_ours(header.key));
    kept.fold(OwnedHeaders::new_with_capacity(headers.count()), |kept, header| {
        kept.insert(Header { key: header.key, value: header.value })
    })
}

/// The headers that can be read, in their order, and whether that is all of them.
///
/// rdkafka panics at a name that is not UTF-8, and has no other way to ask. Read from both ends
/// towards it, one such header costs one panic, and any number of them two.
fn readable<H: Headers>(headers: &H) -> (Vec<Header<'_, &[u8]>>, bool) {
    let mut left = 0..headers.count();
    let mut behind = Vec::with_capacity(left.len().min(USUAL));
    let is_all = caught(|| {
        while let Some(index) = left.next_back() {
            behind.extend(headers.try_get(index));
        }
    });
    let mut all = Vec::new();
    if is_all.is_none() {
        caught(|| {
            for index in left {
                all.extend(headers.try_get(index));
            }
        });
    }
    if all.is_empty() {
        behind.reverse();
        return (behind, is_all.is_some());
    }
    all.extend(behind.into_iter().rev());
    (all, false)
}

/// Whether a header of this name may come in several parts.
fn is_list(name: &str) -> bool {
    ["tracestate", "baggage"].iter().any(|list| list.eq_ignore_ascii_case(name))
}

/// More headers than nearly every message has.
const USUAL: usize = 16;
