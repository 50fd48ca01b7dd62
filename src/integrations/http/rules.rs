//! When an HTTP request has failed ("Semantic conventions for HTTP spans", Status).

use std::any::Any;

use http::StatusCode;
use tracing::Span;

use super::protocol_version;
use crate::integrations::call::{Head, Progress, Rules, Traced};

/// Up to the end of the response's body. 5xx is an error, 4xx is the client's.
#[cfg(feature = "tower")]
#[derive(Debug)]
pub(in crate::integrations) struct HttpServer;

/// Up to the head of the response. 4xx and 5xx are errors.
#[derive(Debug)]
pub(in crate::integrations) struct HttpClient;

#[cfg(feature = "tower")]
impl Rules for HttpServer {
    fn responded(&self, Traced { span, .. }: &Traced, head: &Head<'_>) -> Progress {
        let status = head.status;
        status_code(span, status, status.is_server_error());
        let is_bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let media = head.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        if is_bodiless {
            Progress::Over
        } else if media.is_some_and(|media| media.starts_with(b"text/event-stream")) {
            Progress::EndlessBody
        } else {
            Progress::Body
        }
    }

    fn failed(&self, Traced { span, .. }: &Traced, kind: &str, _: Option<&dyn Any>) {
        failed(span, kind);
    }

    fn abandoned(&self, Traced { span, .. }: &Traced) {
        span.record("error.type", "cancelled");
        span.record("otel.status_description", "dropped before its end: the client went away");
    }
}

impl Rules for HttpClient {
    fn responded(&self, Traced { span, .. }: &Traced, head: &Head<'_>) -> Progress {
        let status = head.status;
        span.record("network.protocol.version", protocol_version(head.version));
        status_code(span, status, status.is_server_error() || status.is_client_error());
        Progress::Over
    }

    fn failed(&self, Traced { span, .. }: &Traced, kind: &str, _: Option<&dyn Any>) {
        failed(span, kind);
    }

    fn abandoned(&self, Traced { span, .. }: &Traced) {
        span.record("error.type", "cancelled");
        span.record("otel.status_description", "dropped before there was a response");
    }
}

fn status_code(span: &Span, status: StatusCode, is_error: bool) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if is_error {
        failed(span, status.as_str());
    }
}

fn failed(span: &Span, error: &str) {
    span.record("error.type", error);
    span.record("otel.status_code", "error");
}
