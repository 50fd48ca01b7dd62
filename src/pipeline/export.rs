//! The contract between the worker thread and an exporter.
//!
//! An exporter here is blocking and is driven by one thread. It encodes a batch once, and is then
//! asked to send the same payload as often as the worker's retry policy and time budget allow.

use std::fmt;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

/// One destination of spans.
pub(crate) trait BlockingExporter: Send + fmt::Debug {
    /// What to call it in statistics and messages, `otlp-http` for instance.
    fn name(&self) -> &str;

    /// How long a span may wait for its batch, where nobody has set that.
    fn schedule_delay(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Called once, before anything is exported.
    fn set_resource(&mut self, resource: &Resource);

    /// Turns a batch into what [`send`](Self::send) transmits.
    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure>;

    /// One attempt. Returns before `deadline`, or as soon after it as it can.
    fn send(&mut self, payload: &mut Payload, deadline: Instant) -> Result<Receipt, Failure>;

    /// Whether spans that [`send`](Self::send) took are settled later, through
    /// [`settled`](Self::settled).
    fn holds_back(&self) -> bool {
        false
    }

    /// What has become, since the last call, of spans that were held back.
    fn settled(&mut self) -> Settled {
        Settled::default()
    }

    /// Called on schedule, whether or not there were spans.
    fn tick(&mut self) {}

    /// Pushes out what the exporter itself still buffers.
    fn flush(&mut self, _deadline: Instant) -> Result<(), Failure> {
        Ok(())
    }

    /// Called once, after the last payload.
    fn shutdown(&mut self, _deadline: Instant) -> Result<(), Failure> {
        Ok(())
    }
}

/// A batch as the exporter wants to send it.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Spans as they are, for exporters that cannot be asked twice (they take the spans out).
    Spans(Vec<SpanData>),
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc", feature = "file"))]
    /// Bytes on the wire, sent again as they are by a retry.
    Encoded(Vec<u8>),
}

impl Payload {
    /// The spans, once; nothing of a payload that is bytes.
    pub(crate) fn take_spans(&mut self) -> Vec<SpanData> {
        match self {
            Self::Spans(spans) => std::mem::take(spans),
            #[cfg(any(feature = "otlp-http", feature = "otlp-grpc", feature = "file"))]
            Self::Encoded(_) => Vec::new(),
        }
    }
}

/// What the backend said of a payload that it took.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// Spans that the backend refused (OTLP partial success).
    pub(crate) rejected: u64,
    /// The backend's words, if it had any, or the exporter's own of what went wrong beside; a
    /// warning where nothing was refused.
    pub(crate) message: Option<String>,
}

/// The end of spans that an exporter had held back.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) exported: u64,
    pub(crate) dropped: u64,
    /// Why some were dropped.
    pub(crate) trouble: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// In words for an operator, secrets redacted: `connection refused by http://localhost:4318`.
    pub(crate) message: String,
    pub(crate) retry: Retry,
}

/// Whether another attempt can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The same payload will fail again.
    Never,
    /// After a pause of the worker's choosing.
    Backoff,
    /// Not before this much time has passed: the backend said so.
    #[cfg_attr(
        not(any(test, feature = "otlp-http", feature = "otlp-grpc")),
        expect(dead_code, reason = "only backends on a network say so")
    )]
    After(Duration),
}
