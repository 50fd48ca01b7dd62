//! What is received: spans of messages, and of the handlers that they are given to.

use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt as _;
use rdkafka::message::Message;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::handler::{self, Handling};
use super::{Process, Propagation, TARGET, key_text};
use crate::propagation::Relation;

/// How messages that are received are traced.
///
/// Cheap to clone. By default the span of a handler is a child of the span that sent the message,
/// so that a request and all that follows from it are one trace, and links to the span that is
/// current where the consumer runs (a `poll` span, say), if there is one. Choose [`Relation::Link`]
/// where that would be wrong: for messages that wait for long, or from senders that are not to decide
/// on sampling. The handler's span is then a child of the current span, or the root of a trace of its
/// own, with a link to the sender. A message without a sender's context gives a child of the current
/// span either way.
///
/// ```
/// use otel_setup::kafka::{ConsumerTracing, Relation};
/// use rdkafka::Timestamp;
/// use rdkafka::message::{Message as _, OwnedMessage};
///
/// let message = OwnedMessage::new(
///     Some(b"two books".to_vec()),
///     None,
///     "orders".to_owned(),
///     Timestamp::now(),
///     0,
///     17,
///     None,
/// );
/// let tracing = ConsumerTracing::new().with_group("billing").with_relation(Relation::Link);
/// let billed = tracing.process_blocking(&message, || {
///     tracing::info!("billed");
///     std::str::from_utf8(message.payload().unwrap_or_default())
/// });
/// assert_eq!(billed, Ok("two books"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ConsumerTracing {
    group: Option<String>,
    client_id: Option<String>,
    relation: Relation,
    propagation: Propagation,
}

impl ConsumerTracing {
    /// Children of who sent them, by the global propagator.
    pub fn new() -> Self {
        Self::default()
    }

    /// The consumer's group (`messaging.consumer.group.name`), which rdkafka does not tell.
    pub fn with_group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// The consumer's `client.id` (`messaging.client.id`), which rdkafka does not tell.
    pub fn with_client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// How a handler's span follows from the message: [`Relation::Child`] by default. Batches have
    /// links to all their messages, whatever is chosen here.
    pub fn with_relation(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    /// Reads headers with this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.propagation = Propagation::by(propagator);
        self
    }

    /// The context in a message's headers: that of whoever sent it, or an empty one.
    pub fn extract<M: Message>(&self, message: &M) -> Context {
        message.headers().map_or_else(Context::new, |headers| self.propagation.extract(headers))
    }

    /// Runs a handler in the `process` span of its message.
    ///
    /// The future that comes back may be awaited or spawned; the span is started here, and ends
    /// with the handler. An error is recorded on the span and comes back as it is. A handler that
    /// panics, or is dropped before its end, is recorded as such; what the panic says is in an event
    /// `exception` (`exception.type`, `exception.message`).
    pub fn process<M, F, T, E>(&self, message: &M, handler: F) -> Process<F>
    where
        M: Message,
        F: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        Process::new(self.handling(message), handler)
    }

    /// Runs a handler in the `process` span of its message, as [`process`](Self::process), on this
    /// thread.
    ///
    /// # Errors
    ///
    /// The handler's own.
    pub fn process_blocking<M, T, E>(
        &self,
        message: &M,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>
    where
        M: Message,
        E: fmt::Display,
    {
        handler::run(self.handling(message), handler)
    }

    /// Runs a handler that takes a batch as a whole in one `process` span with a link to the sender
    /// of each message. It is a child of the current span.
    ///
    /// There is no choice of a parent: a span has one, a batch has as many senders as messages, and
    /// the conventions for messaging ask for links then ("Consumer spans"). To have each message in
    /// its sender's trace, handle each by [`process`](Self::process).
    ///
    /// A span keeps 128 links, unless `OTEL_SPAN_LINK_COUNT_LIMIT` says otherwise, and counts those
    /// it has dropped.
    pub fn process_batch<'m, M, F, T, E>(
        &self,
        messages: impl IntoIterator<Item = &'m M>,
        handler: F,
    ) -> Process<F>
    where
        M: Message + 'm,
        F: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        Process::new(self.handling_batch(messages), handler)
    }

    /// As [`process_batch`](Self::process_batch), on this thread.
    ///
    /// # Errors
    ///
    /// The handler's own.
    pub fn process_batch_blocking<'m, M, T, E>(
        &self,
        messages: impl IntoIterator<Item = &'m M>,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>
    where
        M: Message + 'm,
        E: fmt::Display,
    {
        handler::run(self.handling_batch(messages), handler)
    }

    /// The `process` span of a message, for a handler that is none of the above.
    ///
    /// Where a filter refuses the span, what happens inside of it is not part of the message's
    /// trace, which the handlers above take care of: attach [`extract`](Self::extract)'s context.
    pub fn process_span<M: Message>(&self, message: &M) -> Span {
        self.span_after(&self.extract(message), message)
    }

    fn handling<M: Message>(&self, message: &M) -> Handling {
        let sender = self.extract(message);
        let span = self.span_after(&sender, message);
        Handling::new(span, self.relation.parent(&sender))
    }

    fn handling_batch<'m, M>(&self, messages: impl IntoIterator<Item = &'m M>) -> Handling
    where
        M: Message + 'm,
    {
        Handling::new(self.process_batch_span(messages), Context::current())
    }

    fn span_after<M: Message>(&self, sender: &Context, message: &M) -> Span {
        self.relation.span(sender, || {
            let topic = message.topic();
            info_span!(
                target: TARGET,
                "process",
                otel.name = %format_args!("process {topic}"),
                otel.kind = "consumer",
                otel.status_description = Empty,
                messaging.system = "kafka",
                messaging.operation.name = "process",
                messaging.operation.type = "process",
                messaging.destination.name = topic,
                messaging.destination.partition.id = %message.partition(),
                messaging.consumer.group.name = self.group.as_deref(),
                messaging.client.id = self.client_id.as_deref(),
                messaging.kafka.offset = message.offset(),
                messaging.kafka.message.key = key_text(message.key()),
                messaging.kafka.message.tombstone = message.payload().is_none().then_some(true),
                kafka.consumer.lag_ms = lag(message),
                error.type = Empty,
            )
        })
    }

    /// The `process` span of a batch, for a handler that is none of the above.
    pub fn process_batch_span<'m, M>(&self, messages: impl IntoIterator<Item = &'m M>) -> Span
    where
        M: Message + 'm,
    {
        let batch = self.batch(messages);
        let (topic, before) = (batch.topic.unwrap_or_default(), batch.space());
        let span = info_span!(
            target: TARGET,
            "process",
            otel.name = %format_args!("process{before}{topic}"),
            otel.kind = "consumer",
            otel.status_description = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = batch.topic,
            messaging.destination.partition.id = batch.partition.map(tracing::field::display),
            messaging.consumer.group.name = self.group.as_deref(),
            messaging.client.id = self.client_id.as_deref(),
            messaging.batch.message_count = batch.count,
            kafka.consumer.lag_ms = batch.lag,
            error.type = Empty,
        );
        link(&span, batch.senders);
        span
    }

    /// The `poll` span of messages that have come together: a child of the current span, with a
    /// link to the sender of each.
    ///
    /// It says that they have come, and lasts as long as it is kept: enter it to have what follows
    /// inside. A batch of one has its offset and key, too.
    pub fn poll_span<'m, M>(&self, messages: impl IntoIterator<Item = &'m M>) -> Span
    where
        M: Message + 'm,
    {
        let batch = self.batch(messages);
        let (topic, before) = (batch.topic.unwrap_or_default(), batch.space());
        let alone = batch.first.filter(|_| batch.count == 1);
        let span = info_span!(
            target: TARGET,
            "poll",
            otel.name = %format_args!("poll{before}{topic}"),
            otel.kind = "client",
            messaging.system = "kafka",
            messaging.operation.name = "poll",
            messaging.operation.type = "receive",
            messaging.destination.name = batch.topic,
            messaging.destination.partition.id = batch.partition.map(tracing::field::display),
            messaging.consumer.group.name = self.group.as_deref(),
            messaging.client.id = self.client_id.as_deref(),
            messaging.batch.message_count = batch.count,
            messaging.kafka.offset = alone.map(Message::offset),
            messaging.kafka.message.key = alone.and_then(|message| key_text(message.key())),
        );
        link(&span, batch.senders);
        span
    }

    fn batch<'m, M: Message + 'm>(
        &self,
        messages: impl IntoIterator<Item = &'m M>,
    ) -> Batch<'m, M> {
        let mut batch = Batch {
            first: None,
            topic: None,
            partition: None,
            count: 0,
            lag: None,
            senders: Vec::new(),
        };
        for message in messages {
            let (topic, partition) = (message.topic(), message.partition());
            let first = *batch.first.get_or_insert(message);
            if batch.count == 0 {
                (batch.topic, batch.partition) = (Some(topic), Some(partition));
            }
            let is_same_topic = first.topic() == topic;
            batch.topic = batch.topic.filter(|_| is_same_topic);
            batch.partition = batch.partition.filter(|p| is_same_topic && *p == partition);
            batch.count += 1;
            batch.lag = batch.lag.max(lag(message));
            batch.senders.push(self.extract(message));
        }
        batch
    }
}

/// What is known of several messages together.
struct Batch<'m, M> {
    first: Option<&'m M>,
    /// If they are all of one.
    topic: Option<&'m str>,
    /// If they are all of one.
    partition: Option<i32>,
    count: u64,
    /// Of the oldest.
    lag: Option<i64>,
    senders: Vec<Context>,
}

impl<M> Batch<'_, M> {
    /// What separates the topic from the operation, if there is one.
    fn space(&self) -> &'static str {
        if self.topic.is_some() { " " } else { "" }
    }
}

fn link(span: &Span, senders: Vec<Context>) {
    for sender in senders {
        let context = sender.span().span_context().clone();
        if context.is_valid() {
            span.add_link(context);
        }
    }
}

/// How long ago a message was made, in milliseconds.
fn lag(message: &impl Message) -> Option<i64> {
    let made = message.timestamp().to_millis()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Some(i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_sub(made))
}
