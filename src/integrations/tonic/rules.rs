//! How a call has ended ("Semantic conventions for gRPC").

use std::any::Any;
use std::error::Error;

use http::{HeaderMap, StatusCode};
use tracing::Span;

use crate::integrations::call::{Head, Progress, Rules, Traced};
use crate::integrations::http::percent_decoded;

/// The span of a call that a server gets.
#[derive(Debug)]
pub(super) struct GrpcServer;

/// The span of a call that a client makes.
#[derive(Debug)]
pub(super) struct GrpcClient;

impl Rules for GrpcServer {
    fn responded(&self, traced: &Traced, head: &Head<'_>) -> Progress {
        responded(traced, head, server)
    }

    fn ended(&self, traced: &Traced, trailers: Option<&HeaderMap>) {
        ended(traced, trailers, server);
    }

    fn failed(&self, traced: &Traced, kind: &str, _: Option<&dyn Any>) {
        failed(&traced.span, kind);
        super::span::settle(traced, true);
    }

    fn abandoned(&self, traced: &Traced) {
        server(traced, Code::CANCELLED, None);
    }
}

impl Rules for GrpcClient {
    fn responded(&self, traced: &Traced, head: &Head<'_>) -> Progress {
        responded(traced, head, client)
    }

    fn ended(&self, traced: &Traced, trailers: Option<&HeaderMap>) {
        ended(traced, trailers, client);
    }

    fn failed(&self, traced: &Traced, kind: &str, error: Option<&dyn Any>) {
        let code = error.and_then(Code::of_error).unwrap_or(Code::UNAVAILABLE);
        traced.span.record("rpc.response.status_code", code.name());
        failed(&traced.span, kind);
    }

    fn abandoned(&self, traced: &Traced) {
        client(traced, Code::CANCELLED, None);
    }
}

/// Says how a call has ended.
type Say = fn(&Traced, Code, Option<&HeaderMap>);

fn responded(traced: &Traced, head: &Head<'_>, say: Say) -> Progress {
    if head.headers.contains_key(STATUS) {
        // no message at all: the trailers are in the head
        say(traced, Code::of(head.headers), Some(head.headers));
    } else if head.status != StatusCode::OK {
        // something between the two that does not speak gRPC
        say(traced, Code::of_http(head.status), None);
    } else {
        return Progress::Body;
    }
    Progress::Over
}

fn ended(traced: &Traced, trailers: Option<&HeaderMap>, say: Say) {
    say(traced, trailers.map_or(Code::UNKNOWN, Code::of), trailers);
}

fn server(traced: &Traced, code: Code, trailers: Option<&HeaderMap>) {
    let span = &traced.span;
    span.record("rpc.response.status_code", code.name());
    if SERVER_ERRORS.contains(&code) {
        failed_with(span, code, trailers);
    }
    super::span::settle(traced, code != Code::UNIMPLEMENTED);
}

fn client(traced: &Traced, code: Code, trailers: Option<&HeaderMap>) {
    let span = &traced.span;
    span.record("rpc.response.status_code", code.name());
    if code != Code::OK {
        failed_with(span, code, trailers);
    }
}

fn failed_with(span: &Span, code: Code, trailers: Option<&HeaderMap>) {
    failed(span, code.name());
    let message = trailers.and_then(|trailers| trailers.get("grpc-message")?.to_str().ok());
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        let bytes: Vec<u8> = percent_decoded(message).collect();
        span.record("otel.status_description", &*String::from_utf8_lossy(&bytes));
    }
}

fn failed(span: &Span, error: &str) {
    span.record("error.type", error);
    span.record("otel.status_code", "error");
}

/// A status code of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(usize);

impl Code {
    const OK: Self = Self(0);
    const CANCELLED: Self = Self(1);
    const UNKNOWN: Self = Self(2);
    const UNIMPLEMENTED: Self = Self(12);
    const UNAVAILABLE: Self = Self(14);

    fn of(headers: &HeaderMap) -> Self {
        let code = headers.get(STATUS).and_then(|code| code.to_str().ok()?.parse().ok());
        code.filter(|code| *code < NAMES.len()).map_or(Self::UNKNOWN, Self)
    }

    /// "HTTP to gRPC Status Code Mapping" of the gRPC project.
    fn of_http(status: StatusCode) -> Self {
        Self(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }

    /// The code that tonic makes of an error, as far as it can be seen from outside.
    fn of_error(error: &dyn Any) -> Option<Self> {
        let mut next = as_error(error);
        while let Some(error) = next {
            if let Some(status) = error.downcast_ref::<tonic::Status>() {
                return usize::try_from(i32::from(status.code())).ok().map(Self);
            }
            if error.is::<tonic::TimeoutExpired>() {
                return Some(Self::CANCELLED);
            }
            next = error.source();
        }
        None
    }

    fn name(self) -> &'static str {
        NAMES[self.0]
    }
}

/// An error of one of the types that channels and what is put around them have.
fn as_error<'a>(error: &'a dyn Any) -> Option<&'a (dyn Error + 'static)> {
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**boxed);
    }
    let transport = error.downcast_ref::<tonic::transport::Error>().map(|e| e as &dyn Error);
    let status = || error.downcast_ref::<tonic::Status>().map(|e| e as &dyn Error);
    let timeout = || error.downcast_ref::<tonic::TimeoutExpired>().map(|e| e as &dyn Error);
    transport.or_else(status).or_else(timeout)
}

const STATUS: &str = "grpc-status";

/// By number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const SERVER_ERRORS: [Code; 6] = [Code(2), Code(4), Code(12), Code(13), Code(14), Code(15)];
