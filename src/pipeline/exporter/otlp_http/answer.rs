//! What the backend's answer, or the lack of one, means.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response};
use prost::Message as _;
use ureq::Body;

use crate::error::redact_url;
use crate::pipeline::export::{Failure, Receipt, Retry};
use crate::pipeline::exporter::otlp::secrets::Secrets;
#[cfg(feature = "tls")]
use crate::pipeline::exporter::otlp::verdict::tls_problem;
use crate::pipeline::exporter::otlp::verdict::{
    Answer, Status, io_problem, message, pause, receipt,
};

/// The backend says that it took the payload, perhaps not all of it (OTLP specification, "Partial
/// Success").
///
/// # Errors
///
/// When it is no OTLP backend that says so, or what it says of the spans cannot be read.
pub(super) fn accepted(
    response: Response<Body>,
    endpoint: &str,
    secrets: &Secrets,
) -> Result<Receipt, Failure> {
    let (status, kind) = (response.status(), kind(&response));
    // where the connection breaks amid the body, the status has arrived, and it is success
    let body = body(response, LONGEST_ANSWER).unwrap_or_default();
    if body.is_empty() {
        return Ok(Receipt::default());
    }
    let answer = match kind.as_deref() {
        Some(JSON) => json(&body, secrets),
        _ => Answer::decode(&*body).ok().map(|answer| receipt(answer, secrets)),
    };
    let problem = match (answer, kind.as_deref()) {
        (Some(receipt), _) => return Ok(receipt),
        // the status is all that such a backend says of spans
        (None, None) => return Ok(Receipt::default()),
        (None, Some(kind @ (JSON | PROTOBUF))) => {
            format!("{kind} that is no OTLP answer: what became of the spans is not known")
        }
        (None, Some(kind)) => {
            let kind = secrets.out_of(kind, LONGEST_KIND);
            format!("{kind}, which is no OTLP answer: is the path right?")
        }
    };
    let message = format!("{endpoint} answered {} with {problem}", status.as_u16());
    Err(Failure { message, retry: Retry::Never })
}

#[cfg(feature = "otlp-json")]
fn json(body: &[u8], secrets: &Secrets) -> Option<Receipt> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let success = &answer["partialSuccess"];
    // a 64-bit integer is a string in OTLP's JSON, and a number is to be understood too
    let rejected = &success["rejectedSpans"];
    let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    let words = success["errorMessage"].as_str().and_then(|words| message(words, secrets));
    Some(Receipt { rejected, message: words })
}

/// Nothing can read it.
#[cfg(not(feature = "otlp-json"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
fn json(_body: &[u8], _secrets: &Secrets) -> Option<Receipt> {
    Some(Receipt::default())
}

/// The backend answered, and not with success (OTLP specification, "Failures").
pub(super) fn refused(response: Response<Body>, endpoint: &str, secrets: &Secrets) -> Failure {
    let status = response.status();
    let retry = match status.as_u16() {
        429 | 502 | 503 | 504 => retry_after(response.headers()),
        _ => Retry::Never,
    };
    let mut message = format!("{endpoint} answered {status}");
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
        if let Some(target) = target {
            let target = secrets.out_of(&redact_url(target), LONGEST_TARGET);
            message = format!("{message} to {target}");
        }
        message.push_str("; redirects are not followed, set this endpoint instead");
    }
    if let Some(words) = words(response, secrets) {
        message = format!("{message}: {words}");
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

/// The message of a `google.rpc.Status`, which is what OTLP backends explain themselves with, or the
/// plain text of what stands before them.
fn words(response: Response<Body>, secrets: &Secrets) -> Option<String> {
    let kind = kind(&response)?;
    let body = || body(response, LONGEST_REFUSAL);
    match kind.as_str() {
        PROTOBUF => message(&Status::decode(&*body()?).ok()?.message, secrets),
        #[cfg(feature = "otlp-json")]
        JSON => {
            let status: serde_json::Value = serde_json::from_slice(&body()?).ok()?;
            message(status["message"].as_str()?, secrets)
        }
        "text/plain" => {
            let words = body()?;
            let words = secrets.out_of(String::from_utf8_lossy(&words).trim(), LONGEST_TEXT);
            Some(words).filter(|words| !words.is_empty())
        }
        _ => None,
    }
}

/// The content type without its parameters.
fn kind(response: &Response<Body>) -> Option<String> {
    let kind = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next()?.trim();
    Some(kind.to_ascii_lowercase()).filter(|kind| !kind.is_empty())
}

fn body(response: Response<Body>, longest: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    response.into_body().into_reader().take(longest).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
/// A partial success quotes as much as it likes, and is understood when it has come whole.
const LONGEST_ANSWER: u64 = 4 << 20;
const LONGEST_REFUSAL: u64 = 64 << 10;
/// In characters, as messages show them.
const LONGEST_TEXT: usize = 200;
const LONGEST_TARGET: usize = 300;
const LONGEST_KIND: usize = 100;
