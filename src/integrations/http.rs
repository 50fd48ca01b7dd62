//! What the semantic conventions for HTTP say, for servers and clients alike
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).

mod address;
mod client;
mod conventions;
#[cfg(feature = "tower")]
mod forwarded;
mod redact;
mod rules;
#[cfg(feature = "tower")]
mod said;
mod secrets;

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};

#[cfg(feature = "tower")]
pub(super) use address::Address;
#[cfg(feature = "tower")]
pub(super) use client::Attempts;
pub(super) use client::{ClientRequest, client_span};
pub(super) use conventions::Conventions;
#[cfg(feature = "tower")]
pub(super) use forwarded::Forwarded;
pub(super) use redact::full_url;
#[cfg(feature = "tonic")]
pub(super) use redact::percent_decoded;
#[cfg(feature = "tower")]
pub(super) use redact::redacted;
pub(super) use rules::HttpClient;
#[cfg(feature = "tower")]
pub(super) use rules::HttpServer;
#[cfg(feature = "tower")]
pub(super) use said::Said;

use crate::propagation::{inject_headers_by, remove_headers, with_propagator};

/// The target of the spans of HTTP servers and clients.
pub(super) const TARGET: &str = "otel_setup::http";

pub(super) fn protocol_version(version: http::Version) -> Option<&'static str> {
    match version {
        http::Version::HTTP_09 => Some("0.9"),
        http::Version::HTTP_10 => Some("1.0"),
        http::Version::HTTP_11 => Some("1.1"),
        http::Version::HTTP_2 => Some("2"),
        http::Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// A header as text; `None` if it is absent or not text.
pub(super) fn header<N: http::header::AsHeaderName>(
    headers: &http::HeaderMap,
    name: N,
) -> Option<&str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

/// `example.com:8080`, `[::1]:8080`, either without a port. The brackets are not the host's.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<i64>) {
    // one pass by bytes: it is done for every request
    let (mut start, mut colon, mut colons) = (0, 0, 0);
    for (at, byte) in authority.bytes().enumerate() {
        match byte {
            // what is before it are credentials
            b'@' => (start, colons) = (at + 1, 0),
            b':' => (colon, colons) = (at, colons + 1),
            _ => {}
        }
    }
    let (host, rest) = if colons == 1 {
        (&authority[start..colon], Some(&authority[colon + 1..]))
    } else {
        (&authority[start..], None)
    };
    let authority = &authority[start..];
    if let Some((host, rest)) =
        authority.strip_prefix('[').and_then(|inside| inside.split_once(']'))
    {
        return (host, rest.strip_prefix(':').and_then(port));
    }
    // an address of version 6 without brackets has no port
    (host, rest.and_then(port))
}

/// As [`host_and_port`] of what anybody may have written; `None` if it names no host.
pub(super) fn checked_host_and_port(authority: &str) -> Option<(&str, Option<i64>)> {
    let (host, port) = host_and_port(authority);
    let is_host = if host.contains(':') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        // what RFC 3986 has in a name, and letters of other alphabets
        let is_part = |byte: u8| {
            byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-._~%!$&'()*+,;=".contains(&byte)
        };
        !host.is_empty() && host.bytes().all(is_part)
    };
    is_host.then_some((host, port))
}

fn port(text: &str) -> Option<i64> {
    text.parse::<u16>().ok().map(i64::from)
}

/// The port that a URL of this scheme means when it names none.
pub(super) fn default_port(scheme: &str) -> Option<i64> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The propagator: the global one, unless another was given.
#[derive(Clone, Default)]
pub(super) struct Propagation(Option<Arc<dyn TextMapPropagator + Send + Sync>>);

impl Propagation {
    pub(super) fn new(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(propagator)))
    }

    /// The context with what the carrier brings.
    pub(super) fn extract(&self, context: &Context, carrier: &dyn Extractor) -> Context {
        self.with(|propagator| propagator.extract_with_context(context, carrier))
    }

    /// Writes the current context, in place of any other.
    pub(super) fn inject(&self, headers: &mut http::HeaderMap) {
        Context::map_current(|current| {
            self.with(|propagator| inject_headers_by(propagator, current, headers));
        });
    }

    /// Removes what the headers bring.
    pub(super) fn remove(&self, headers: &mut http::HeaderMap) {
        self.with(|propagator| remove_headers(propagator, headers));
    }

    fn with<R>(&self, f: impl FnOnce(&dyn TextMapPropagator) -> R) -> R {
        match &self.0 {
            Some(propagator) => f(propagator.as_ref()),
            None => with_propagator(f),
        }
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(given) => f.debug_list().entries(given.fields()).finish(),
            None => f.write_str("global"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_taken_apart() {
        for (authority, expected) in [
            ("example.com", ("example.com", None)),
            ("example.com:8080", ("example.com", Some(8080))),
            ("user:pass@example.com:8080", ("example.com", Some(8080))),
            ("[2001:db8::1]:443", ("2001:db8::1", Some(443))),
            ("[2001:db8::1]", ("2001:db8::1", None)),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("example.com:", ("example.com", None)),
            ("example.com:99999", ("example.com", None)),
            ("", ("", None)),
        ] {
            assert_eq!(host_and_port(authority), expected, "{authority}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        for nonsense in ["", ":80", "[", "[]", "a:b:c", "a b", "<script>", "user@", "a/b"] {
            assert_eq!(checked_host_and_port(nonsense), None, "{nonsense}");
        }
        for host in ["localhost", "my_service", "bücher.example", "a%2Db", "10.0.0.1"] {
            assert_eq!(checked_host_and_port(host), Some((host, None)));
        }
        assert_eq!(checked_host_and_port("[::1]:80"), Some(("::1", Some(80))));
    }
}
