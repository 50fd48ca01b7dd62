//! What is sent: a record gets a span and its headers.

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _, OwnedHeaders, ToBytes};
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{BaseRecord, FutureRecord};
use rdkafka::util::IntoOpaque;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Propagation, Relation, TARGET, key_text};

/// How messages that are sent are traced.
///
/// [`TracedProducer`](super::TracedProducer) does all of it by itself. This is the part that any
/// producer, and any way of sending, can be built on:
///
/// ```no_run
/// use otel_setup::kafka::ProducerTracing;
/// use rdkafka::producer::{BaseProducer, BaseRecord};
///
/// # fn example(producer: &BaseProducer) {
/// let record = BaseRecord::to("orders").key("42").payload("a book");
/// let (record, span) = ProducerTracing::new().start(record);
/// if let Err((error, _record)) = producer.send(record) {
///     span.failed(&error);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ProducerTracing {
    client_id: Option<String>,
    keeps_creation_context: bool,
    propagation: Propagation,
}

impl ProducerTracing {
    /// By the global propagator, whatever that is when a message is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The producer's `client.id` (`messaging.client.id`), which rdkafka does not tell.
    pub fn with_client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Whether a context that is in a record's headers already stays there, instead of that of the
    /// `send` span. Off by default.
    ///
    /// For records that say themselves what they were created in: the `send` span then links to that
    /// context, and consumers follow from it (semantic conventions for messaging, "Producer spans").
    /// A record that is passed on brings the context of its last hop, and one that comes back from a
    /// failed send that of its `send` span, which cannot be told from one of your own.
    pub fn with_creation_context_kept(mut self, on: bool) -> Self {
        self.keeps_creation_context = on;
        self
    }

    /// Writes headers with this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagation = Propagation::by(propagator);
        self
    }

    /// Starts the span of a record, a child of the current one, and adds its context to the
    /// record's headers.
    ///
    /// A span that is filtered out leaves the current one to be the parent of whoever consumes.
    pub fn start<R: Record>(&self, record: R) -> (R, ProducerSpan) {
        let span = send_span(&record, self.client_id.as_deref());
        let Some(creation) = self.creation_context(&record) else {
            let record = span.in_scope(|| record.map_headers(|own| self.propagation.inject(own)));
            return (record, ProducerSpan(span));
        };
        if let Some(link) = Relation::Link.link(&creation) {
            span.add_link(link);
        }
        (record, ProducerSpan(span))
    }

    /// The context in the record's headers, if it is to stay there.
    fn creation_context(&self, record: &impl Record) -> Option<Context> {
        let headers = record.own_headers().filter(|_| self.keeps_creation_context)?;
        let context = self.propagation.extract(headers);
        context.span().span_context().is_valid().then_some(context)
    }
}

/// The span of a message that is on its way. Dropping it ends it, with no word of how the message
/// fared.
#[derive(Debug)]
#[must_use = "dropping it ends the span before the message is delivered"]
pub struct ProducerSpan(Span);

impl ProducerSpan {
    /// The span itself.
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// Ends the span: the broker has the message.
    pub fn delivered(self, partition: i32, offset: i64) {
        self.0.in_scope(|| {
            self.0.record("messaging.destination.partition.id", tracing::field::display(partition));
            self.0.record("messaging.kafka.offset", offset);
        });
    }

    /// Ends the span with an error: the message is not sent.
    pub fn failed(self, error: &KafkaError) {
        self.0.in_scope(|| {
            match error.rdkafka_error_code() {
                Some(code) => self.0.record("error.type", tracing::field::debug(code)),
                None => self.0.record("error.type", "KafkaError"),
            };
            self.0.record("otel.status_description", tracing::field::display(error));
        });
    }

    /// Ends the span: whoever waited for the broker's answer does so no longer.
    pub(super) fn cancelled(self) {
        self.0.in_scope(|| {
            self.0.record("error.type", "cancelled");
            let description = "the send was dropped before the broker had answered";
            self.0.record("otel.status_description", description);
        });
    }

    /// Ends the span as the delivery callback of a
    /// [`ProducerContext`](rdkafka::producer::ProducerContext) is told.
    pub fn finish(self, result: &DeliveryResult<'_>) {
        match result {
            Ok(message) => self.delivered(message.partition(), message.offset()),
            Err((error, _)) => self.failed(error),
        }
    }

    /// Ends the span as a [`FutureProducer`](rdkafka::producer::FutureProducer) says.
    pub fn finish_owned(self, result: &OwnedDeliveryResult) {
        match result {
            Ok(delivery) => self.delivered(delivery.partition, delivery.offset),
            Err((error, _)) => self.failed(error),
        }
    }
}

/// A record of rdkafka: [`FutureRecord`] or [`BaseRecord`].
pub trait Record: private::Sealed {
    #[doc(hidden)]
    fn topic(&self) -> &str;
    #[doc(hidden)]
    fn partition_id(&self) -> Option<i32>;
    #[doc(hidden)]
    fn key_bytes(&self) -> Option<&[u8]>;
    #[doc(hidden)]
    fn is_tombstone(&self) -> bool;
    #[doc(hidden)]
    fn own_headers(&self) -> Option<&OwnedHeaders>;
    #[doc(hidden)]
    fn map_headers(self, f: impl FnOnce(Option<OwnedHeaders>) -> Option<OwnedHeaders>) -> Self;
}

macro_rules! record {
    () => {
        fn topic(&self) -> &str {
            self.topic
        }

        fn partition_id(&self) -> Option<i32> {
            self.partition
        }

        fn key_bytes(&self) -> Option<&[u8]> {
            self.key.map(ToBytes::to_bytes)
        }

        fn is_tombstone(&self) -> bool {
            self.payload.is_none()
        }

        fn own_headers(&self) -> Option<&OwnedHeaders> {
            self.headers.as_ref()
        }

        fn map_headers(
            mut self,
            f: impl FnOnce(Option<OwnedHeaders>) -> Option<OwnedHeaders>,
        ) -> Self {
            self.headers = f(self.headers.take());
            self
        }
    };
}

impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized> Record for FutureRecord<'_, K, P> {
    record!();
}

impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D: IntoOpaque> Record for BaseRecord<'_, K, P, D> {
    record!();
}

mod private {
    use super::{BaseRecord, FutureRecord, IntoOpaque, ToBytes};

    pub trait Sealed {}

    impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized> Sealed for FutureRecord<'_, K, P> {}
    impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D: IntoOpaque> Sealed for BaseRecord<'_, K, P, D> {}
}

fn send_span(record: &impl Record, client_id: Option<&str>) -> Span {
    let topic = record.topic();
    info_span!(
        target: TARGET,
        "send",
        otel.name = %format_args!("send {topic}"),
        otel.kind = "producer",
        otel.status_description = Empty,
        messaging.system = "kafka",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = topic,
        messaging.destination.partition.id = record.partition_id().map(tracing::field::display),
        messaging.client.id = client_id,
        messaging.kafka.offset = Empty,
        messaging.kafka.message.key = key_text(record.key_bytes()),
        messaging.kafka.message.tombstone = record.is_tombstone().then_some(true),
        error.type = Empty,
    )
}
