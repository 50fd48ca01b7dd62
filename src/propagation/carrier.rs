//! Carriers: where the headers of a context are read and written.
//!
//! `HashMap<String, String>` is a carrier as it is, by OpenTelemetry's own implementation. Here are
//! those for the `http` crate and for tonic.

use http::header::{GetAll, HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use smallvec::SmallVec;

use super::format::further;
use super::own::is_own;
use super::with_propagator;

/// Reads a context from HTTP headers.
///
/// Every value of a repeated header is seen. A value that is not visible ASCII counts as absent.
///
/// ```
/// use opentelemetry::trace::TraceContextExt as _;
/// use otel_setup::propagation::{HeaderExtractor, Propagator};
/// use otel_setup::propagation::TextMapPropagator as _;
///
/// let mut headers = http::HeaderMap::new();
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// headers.insert("traceparent", http::HeaderValue::from_static(parent));
/// let context = Propagator::trace_context().extract(&HeaderExtractor(&headers));
/// assert!(context.span().span_context().is_remote());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        get(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        get_all(self.0, key)
    }
}

/// Writes a context into HTTP headers, in place of what an earlier hop may have left there.
///
/// What cannot be a header (of a propagator that is not ours, say), or does not fit, is left out. A
/// new `traceparent` removes an old `tracestate`, which belongs to the old one. Of the rest, an
/// injector does not know whether something will take its place: to send on a request that came
/// from somebody else, use [`inject_headers`], which leaves nothing of his.
#[derive(Debug)]
pub struct HeaderInjector<'a>(pub &'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            // an old state would pass for that of the new parent, which may have none
            self.0.remove(&NAMES[1]);
        }
        let Ok(value) = HeaderValue::try_from(value) else { return };
        // into a map that is full nothing goes, and it is not for us to panic
        if let Some(name) = known(key) {
            let _ = self.0.try_insert(name, value);
        } else if let Ok(name) = HeaderName::from_bytes(key.as_bytes()) {
            let _ = self.0.try_insert(name, value);
        }
    }

    fn reserve(&mut self, additional: usize) {
        // only a hint, and a map has a largest size
        let _ = self.0.try_reserve(additional);
    }
}

/// Writes the current context into HTTP headers by the global propagator, in place of all that an
/// earlier hop may have left there.
///
/// Headers of the propagator that are there already are removed, whether or not there is something
/// to take their place: the `baggage` of whoever sent a request does not go along with our
/// `traceparent`. Outside of every trace, and without baggage, nothing is changed.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// otel_setup::propagation::inject_headers(&mut headers);
/// ```
pub fn inject_headers(headers: &mut HeaderMap) {
    Context::map_current(|current| {
        with_propagator(|propagator| {
            inject_headers_by(propagator, current, headers);
        });
    });
}

/// As [`inject_headers`], any context by any propagator.
pub fn inject_headers_by(
    propagator: &dyn TextMapPropagator,
    context: &Context,
    headers: &mut HeaderMap,
) {
    propagator.inject_context(context, &mut Replacing { propagator, headers, is_clean: false });
}

/// Removes what an earlier hop may have left of a context.
pub(crate) fn remove_headers(propagator: &dyn TextMapPropagator, headers: &mut HeaderMap) {
    let old = headers.keys().filter(|name| is_own(propagator, name.as_str())).cloned();
    let old: SmallVec<[HeaderName; 3]> = old.collect();
    for name in old {
        headers.remove(name);
    }
}

/// Removes the old headers once there is a new one.
struct Replacing<'a> {
    propagator: &'a dyn TextMapPropagator,
    headers: &'a mut HeaderMap,
    is_clean: bool,
}

impl Injector for Replacing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !self.is_clean {
            remove_headers(self.propagator, self.headers);
            self.is_clean = true;
        }
        HeaderInjector(self.headers).set(key, value);
    }

    fn reserve(&mut self, additional: usize) {
        HeaderInjector(self.headers).reserve(additional);
    }
}

/// Reads a context from the metadata of a gRPC call.
///
/// As [`HeaderExtractor`]; binary metadata (`-bin`) holds no context and counts as absent.
#[cfg(feature = "tonic")]
#[derive(Debug, Clone, Copy)]
pub struct MetadataExtractor<'a>(pub &'a tonic::metadata::MetadataMap);

#[cfg(feature = "tonic")]
impl Extractor for MetadataExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        get(self.0.as_ref(), key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.as_ref().keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        get_all(self.0.as_ref(), key)
    }
}

/// Writes a context into the metadata of a gRPC call, as [`HeaderInjector`] does into headers.
#[cfg(feature = "tonic")]
#[derive(Debug)]
pub struct MetadataInjector<'a>(pub &'a mut tonic::metadata::MetadataMap);

#[cfg(feature = "tonic")]
impl Injector for MetadataInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        HeaderInjector(self.0.as_mut()).set(key, value);
    }

    fn reserve(&mut self, additional: usize) {
        HeaderInjector(self.0.as_mut()).reserve(additional);
    }
}

fn get<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    let has_several = || headers.len() != headers.keys_len();
    let value = |name: &str, index| all(headers, name).iter().nth(index).map(text);
    let further = further(key, has_several, value);
    if further.is_some() {
        return further;
    }
    match known(key) {
        Some(name) => text(headers.get(name)?),
        None => text(headers.get(key)?),
    }
}

fn get_all<'a>(headers: &'a HeaderMap, key: &str) -> Option<Vec<&'a str>> {
    let values: Vec<_> = all(headers, key).iter().filter_map(text).collect();
    (!values.is_empty()).then_some(values)
}

fn all<'a>(headers: &'a HeaderMap, key: &str) -> GetAll<'a, HeaderValue> {
    match known(key) {
        Some(name) => headers.get_all(name),
        None => headers.get_all(key),
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// The names of the common formats are not parsed anew for each request.
fn known(key: &str) -> Option<&'static HeaderName> {
    // lengths that the compiler knows: it compares them without a call
    let at = match key {
        TRACEPARENT => 0,
        TRACESTATE => 1,
        BAGGAGE => 2,
        B3 => 3,
        _ => return None,
    };
    Some(&NAMES[at])
}

static NAMES: [HeaderName; 4] = [
    HeaderName::from_static(TRACEPARENT),
    HeaderName::from_static(TRACESTATE),
    HeaderName::from_static(BAGGAGE),
    HeaderName::from_static(B3),
];

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";
const B3: &str = "b3";
