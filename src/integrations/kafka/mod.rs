//! Kafka, by rdkafka: one trace from whoever sends a message to whoever handles it.
//!
//! The producer gets a PRODUCER span for each message and writes its context into the message's
//! headers; the consumer gets a CONSUMER span around its handler, a child of the producer's span or
//! linked to it ([`Relation`]). One line where each is made, and the rest of the program stays as
//! it is:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use otel_setup::kafka::{ConsumerTracing, TracedProducer};
//! use rdkafka::ClientConfig;
//! use rdkafka::consumer::{Consumer as _, StreamConsumer};
//! use rdkafka::message::{BorrowedMessage, Message as _};
//! use rdkafka::producer::{FutureProducer, FutureRecord};
//!
//! async fn store(message: &BorrowedMessage<'_>) -> Result<(), std::str::Utf8Error> {
//!     let order = message.payload_view::<str>().transpose()?;
//!     tracing::info!(order, "stored"); // on the `process orders` span
//!     Ok(())
//! }
//!
//! # async fn example() -> Result<(), rdkafka::error::KafkaError> {
//! let mut config = ClientConfig::new();
//! config.set("bootstrap.servers", "localhost:9092");
//!
//! let producer: FutureProducer = config.create()?;
//! let producer = TracedProducer::new(producer); // the producer's line
//! let record = FutureRecord::to("orders").key("42").payload("a book");
//! producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
//!
//! let consumer: StreamConsumer = config.set("group.id", "storage").create()?;
//! consumer.subscribe(&["orders"])?;
//! let tracing = ConsumerTracing::new().with_group("storage"); // the consumer's line
//! loop {
//!     let message = consumer.recv().await?;
//!     // an error is on the span, and comes back
//!     let _stored = tracing.process(&message, store(&message)).await;
//! }
//! # }
//! ```
//!
//! # Spans
//!
//! They follow the semantic conventions for messaging and for Kafka.
//!
//! | name | kind | what it lasts | made by |
//! |---|---|---|---|
//! | `send {topic}` | PRODUCER | until the broker has answered | [`TracedProducer`], [`ProducerTracing`] |
//! | `poll {topic}` | CLIENT | as long as you keep it | [`ConsumerTracing::poll_span`] |
//! | `process {topic}` | CONSUMER | the handler | [`ConsumerTracing::process`] and its like |
//!
//! | attribute | on | value |
//! |---|---|---|
//! | `messaging.system` | all | `kafka` |
//! | `messaging.operation.name` | all | `send`, `poll`, `process` |
//! | `messaging.operation.type` | all | `send`, `receive`, `process` |
//! | `messaging.destination.name` | all | the topic, if there is one alone |
//! | `messaging.destination.partition.id` | all | the partition as text; when sending, where the broker put it |
//! | `messaging.kafka.offset` | one message | the offset; when sending, where the broker put it |
//! | `messaging.kafka.message.key` | one message | the key, if it is text of at most 1,024 bytes |
//! | `messaging.kafka.message.tombstone` | one message | `true` if there is no payload |
//! | `messaging.consumer.group.name` | `poll`, `process` | [`ConsumerTracing::with_group`] |
//! | `messaging.client.id` | all | [`ConsumerTracing::with_client_id`], [`TracedProducer::with_client_id`] |
//! | `messaging.batch.message_count` | batches | how many messages |
//! | `kafka.consumer.lag_ms` | `process` | see below |
//! | `error.type` | failures | the code of librdkafka (`MessageTimedOut`), the type of a handler's error (`_OTHER` if it is boxed), `panic`, or `cancelled` if the future of a handler or of a `send` was dropped before its end |
//!
//! They are ordinary `tracing` spans at level INFO with the target `otel_setup::kafka`. A filter that
//! refuses them still lets the trace go on: from the span around the sender to what happens inside
//! of the handler.
//!
//! # The consumer's lag
//!
//! `kafka.consumer.lag_ms` of a `process` span is how long the message waited: from its timestamp to
//! the start of the span, in milliseconds. The timestamp is the producer's clock (or the broker's,
//! on a topic with `message.timestamp.type=LogAppendTime`), the start is the consumer's, so where
//! clocks disagree it is off by that, and may be negative. A batch has the lag of its oldest
//! message. There is none if the message has no timestamp. It is no attribute of the conventions,
//! which have none for this; its name says so.
//!
//! # Headers
//!
//! A propagator's headers are added behind the message's own, which keep their order, their
//! duplicates and their null and binary values. Headers of the propagator that are there already (a
//! message that is passed on brings those of its last hop) are replaced, unless
//! [`ProducerTracing::with_creation_context_kept`] says otherwise. Without a current trace, nothing
//! is touched.
//!
//! On the way in, headers may hold anything: a null or binary value counts as absent, and of
//! several of one name the last that can be read counts, as everywhere in Kafka (`tracestate` and
//! `baggage` may come in parts). What cannot be understood starts a new trace.
//!
//! A header whose *name* is not UTF-8 makes rdkafka panic. That is caught, and the header skipped: at
//! the cost of one panic a message, or of two if there are several, where what is between the first
//! and the last of them is skipped, too. It is on no span, and no report of it is on stderr where
//! [`Setup::with_panic_events`](crate::Setup::with_panic_events) or
//! [`with_flush_on_panic`](crate::Setup::with_flush_on_panic) has set the panic hook; any other hook
//! is heard. With `panic = "abort"` nothing can be caught: such a header ends the program.

mod consumer;
mod context;
mod handler;
mod headers;
mod producer;
mod record;

pub use self::consumer::ConsumerTracing;
pub use self::context::{Sent, TracedContext};
pub use self::handler::Process;
pub use self::headers::{HeaderExtractor, inject_context};
pub use self::producer::{TracedDelivery, TracedProducer};
pub use self::record::{ProducerSpan, ProducerTracing, Record};
#[doc(no_inline)]
pub use crate::propagation::Relation;

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use rdkafka::message::{Headers, OwnedHeaders};

use crate::propagation::with_propagator;

/// The propagator that was chosen, or else the global one, whatever that is at the time.
#[derive(Debug, Clone, Default)]
struct Propagation(Option<Arc<dyn TextMapPropagator + Send + Sync>>);

impl Propagation {
    fn by(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(propagator)))
    }

    fn inject(&self, headers: Option<OwnedHeaders>) -> Option<OwnedHeaders> {
        let context = Context::current();
        self.with(|propagator| inject_context(propagator, &context, headers))
    }

    /// What the headers alone say, whatever is current.
    fn extract(&self, headers: &impl Headers) -> Context {
        self.with(|propagator| {
            propagator.extract_with_context(&Context::new(), &HeaderExtractor::new(headers))
        })
    }

    fn with<R>(&self, f: impl FnOnce(&dyn TextMapPropagator) -> R) -> R {
        match &self.0 {
            Some(propagator) => f(propagator.as_ref()),
            None => with_propagator(f),
        }
    }
}

/// A key as an attribute: one that has no form as text is left out (semantic conventions for
/// Kafka, `messaging.kafka.message.key`), and so is one that is more than a name.
fn key_text(key: Option<&[u8]>) -> Option<&str> {
    key.filter(|key| key.len() <= LONGEST_KEY).and_then(|key| std::str::from_utf8(key).ok())
}

const LONGEST_KEY: usize = 1024;

/// The target of every span of this module.
const TARGET: &str = "otel_setup::kafka";
