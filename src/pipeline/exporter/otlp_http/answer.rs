//! What the backend's answer, or the lack of one, means.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response};
use prost::Message as _;
use ureq::Body;

use crate::error::redact_url;
use crate::pipeline::export::{Failure, Receipt, Retry};
#[cfg(feature = "tls")]
use crate::pipeline::exporter::otlp::verdict::tls_problem;
use crate::pipeline::exporter::otlp::verdict::{
    Answer, Status, io_problem, pause, receipt, without,
};

/// The payload was taken, perhaps not all of it (OTLP specification, "Partial Success").
pub(super) fn accepted(response: Response<Body>) -> Receipt {
    #[cfg(feature = "otlp-json")]
    if is(&response, "application/json") {
        return json(response).map_or_else(Receipt::default, |answer| accepted_json(&answer));
    }
    // a body that is no answer of OTLP's says nothing about spans
    let answer = body(response).and_then(|bytes| Answer::decode(&*bytes).ok());
    receipt(answer.unwrap_or_default())
}

#[cfg(feature = "otlp-json")]
fn accepted_json(answer: &serde_json::Value) -> Receipt {
    let success = &answer["partialSuccess"];
    // a 64-bit integer is a string in OTLP's JSON, and a number is to be understood too
    let rejected = &success["rejectedSpans"];
    let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    let message = success["errorMessage"].as_str().filter(|message| !message.is_empty());
    Receipt { rejected, message: message.map(str::to_owned) }
}

/// The backend answered, and not with success (OTLP specification, "Failures").
pub(super) fn refused<'a>(
    response: Response<Body>,
    endpoint: &str,
    secrets: impl Iterator<Item = &'a str>,
) -> Failure {
    let status = response.status();
    let retry = match status.as_u16() {
        429 | 502 | 503 | 504 => retry_after(response.headers()),
        _ => Retry::Never,
    };
    let mut message = format!("{endpoint} answered {status}");
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
        if let Some(target) = target {
            message = format!("{message} to {}", redact_url(target));
        }
        message.push_str("; redirects are not followed, set this endpoint instead");
    }
    if let Some(words) = words(response) {
        message = format!("{message}: {}", without(&words, secrets));
    }
    Failure { message, retry }
}

/// There was no answer.
pub(super) fn unreachable(error: &ureq::Error, endpoint: &str) -> Failure {
    let (problem, retry) = match error {
        ureq::Error::Io(cause) => (io_problem(cause), Retry::Backoff),
        ureq::Error::Timeout(_) => ("no answer in time from".to_owned(), Retry::Backoff),
        ureq::Error::HostNotFound => ("host not found:".to_owned(), Retry::Backoff),
        ureq::Error::ConnectionFailed => ("cannot connect to".to_owned(), Retry::Backoff),
        ureq::Error::Protocol(cause) => (format!("bad answer ({cause}) from"), Retry::Backoff),
        // certificates are replaced while programs run, so trying again is not in vain
        #[cfg(feature = "tls")]
        ureq::Error::Rustls(cause) => (tls_problem(cause), Retry::Backoff),
        other => (format!("{other} at"), Retry::Never),
    };
    Failure { message: format!("{problem} {endpoint}"), retry }
}

/// Seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Retry {
    let Some(text) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return Retry::Backoff;
    };
    let text = text.trim();
    let asked = text.parse().map(Duration::from_secs).ok().or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    });
    asked.map_or(Retry::Backoff, pause)
}

/// The message of a `google.rpc.Status`, which is what OTLP backends explain themselves with.
fn words(response: Response<Body>) -> Option<String> {
    let message = if is(&response, "application/x-protobuf") {
        Status::decode(&*body(response)?).ok()?.message
    } else {
        #[cfg(not(feature = "otlp-json"))]
        return None;
        #[cfg(feature = "otlp-json")]
        json(response)?["message"].as_str()?.to_owned()
    };
    Some(message).filter(|message| !message.is_empty())
}

fn is(response: &Response<Body>, kind: &str) -> bool {
    let found = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    found.is_some_and(|found| found.starts_with(kind))
}

#[cfg(feature = "otlp-json")]
fn json(response: Response<Body>) -> Option<serde_json::Value> {
    if is(&response, "application/json") {
        serde_json::from_slice(&body(response)?).ok()
    } else {
        None
    }
}

fn body(response: Response<Body>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    response.into_body().into_reader().take(LONGEST_BODY).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

const LONGEST_BODY: u64 = 64 << 10;
