//! What backends say and how connections fail, the same over HTTP and gRPC.

use std::io::ErrorKind;
use std::time::Duration;

use prost::Message;

use super::secrets::Secrets;
use crate::pipeline::export::{Receipt, Retry};

/// `ExportTraceServiceResponse`
#[derive(Clone, PartialEq, Message)]
pub(in crate::pipeline::exporter) struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// The payload was taken, perhaps not all of it (OTLP specification, "Partial Success").
pub(in crate::pipeline::exporter) fn receipt(answer: Answer, secrets: &Secrets) -> Receipt {
    let success = answer.partial_success.unwrap_or_default();
    let rejected = u64::try_from(success.rejected_spans).unwrap_or(0);
    Receipt { rejected, message: message(&success.error_message, secrets) }
}

/// A backend's words, if it has any.
pub(in crate::pipeline::exporter) fn message(words: &str, secrets: &Secrets) -> Option<String> {
    Some(secrets.out_of(words, LONGEST_WORDS)).filter(|message| !message.is_empty())
}

/// A pause that a backend asked for, within reason.
pub(in crate::pipeline::exporter) fn pause(asked: Duration) -> Retry {
    Retry::After(asked.min(LONGEST_PAUSE))
}

/// Why there is no connection; the endpoint's name follows.
pub(in crate::pipeline::exporter) fn io_problem(cause: &std::io::Error) -> String {
    #[cfg(feature = "tls")]
    if let Some(tls) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_problem(tls);
    }
    match cause.kind() {
        ErrorKind::ConnectionRefused => "connection refused by".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "connection closed by".to_owned(),
        _ => format!("{cause} at"),
    }
}

#[cfg(feature = "tls")]
pub(in crate::pipeline::exporter) fn tls_problem(cause: &rustls::Error) -> String {
    match cause {
        rustls::Error::InvalidCertificate(reason) => {
            format!("certificate not trusted ({reason}) of")
        }
        other => format!("TLS failed ({other}) with"),
    }
}

/// `google.rpc.Status`, which is what OTLP backends explain themselves with.
#[derive(Clone, PartialEq, Message)]
pub(in crate::pipeline::exporter) struct Status {
    #[prost(string, tag = "2")]
    pub(in crate::pipeline::exporter) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

impl Status {
    /// The pause that a `google.rpc.RetryInfo` in it asks for.
    #[cfg(feature = "otlp-grpc")]
    pub(in crate::pipeline::exporter) fn retry_delay(&self) -> Option<Duration> {
        let info = self.details.iter().find(|detail| detail.type_url.ends_with(RETRY_INFO))?;
        let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay.unwrap_or_default();
        let seconds = Duration::from_secs(u64::try_from(delay.seconds).unwrap_or(0));
        Some(seconds + Duration::from_nanos(u64::try_from(delay.nanos).unwrap_or(0)))
    }
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[cfg(feature = "otlp-grpc")]
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[cfg(feature = "otlp-grpc")]
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(feature = "otlp-grpc")]
const RETRY_INFO: &str = "google.rpc.RetryInfo";
const LONGEST_WORDS: usize = 300;
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
