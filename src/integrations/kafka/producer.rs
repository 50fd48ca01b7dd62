//! Producers whose messages are traced.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use opentelemetry::propagation::TextMapPropagator;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::ToBytes;
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{
    BaseProducer, BaseRecord, FutureProducer, FutureRecord, Partitioner, ProducerContext,
    ThreadedProducer,
};
use rdkafka::util::{AsyncRuntime, Timeout};
use tracing::Instrument as _;

use super::{ProducerSpan, ProducerTracing, Sent, TracedContext};

/// A producer of rdkafka whose messages are traced.
///
/// `send` has the signature that the producer's own has, and everything else is the producer's own,
/// by `Deref`: what sends with it need not know. Each message gets a span `send {topic}` that lasts
/// until the broker has answered, with the partition and the offset, or the error.
///
/// A [`FutureProducer`] is taken as it is. [`BaseProducer`] and [`ThreadedProducer`] tell of
/// deliveries by their context, so that must be a [`TracedContext`]:
///
/// ```
/// use otel_setup::kafka::{TracedContext, TracedProducer};
/// use rdkafka::ClientConfig;
/// use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext};
///
/// # fn main() -> Result<(), rdkafka::error::KafkaError> {
/// let context = TracedContext::new(DefaultProducerContext); // or a context of your own
/// let producer: BaseProducer<_> = ClientConfig::new().create_with_context(context)?;
/// let producer = TracedProducer::new(producer);
/// let record = BaseRecord::to("orders").key("42").payload("a book");
/// producer.send(record).map_err(|(error, _)| error)?;
/// producer.poll(std::time::Duration::ZERO);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a producer that is dropped sends nothing more"]
pub struct TracedProducer<P> {
    producer: P,
    tracing: ProducerTracing,
}

impl<P> TracedProducer<P> {
    /// Traces what this producer sends.
    pub fn new(producer: P) -> Self {
        Self { producer, tracing: ProducerTracing::new() }
    }

    /// Writes headers with this propagator instead of the global one.
    pub fn with_propagator(
        mut self,
        propagator: impl TextMapPropagator + Send + Sync + 'static,
    ) -> Self {
        self.tracing = self.tracing.with_propagator(propagator);
        self
    }

    /// The producer's `client.id`; as [`ProducerTracing::with_client_id`].
    pub fn with_client_id(mut self, id: impl Into<String>) -> Self {
        self.tracing = self.tracing.with_client_id(id);
        self
    }

    /// Whether a context in a record's headers stays there; as
    /// [`ProducerTracing::with_creation_context_kept`].
    pub fn with_creation_context_kept(mut self, on: bool) -> Self {
        self.tracing = self.tracing.with_creation_context_kept(on);
        self
    }

    /// The producer as it was.
    pub fn into_inner(self) -> P {
        self.producer
    }
}

impl<C, R> TracedProducer<FutureProducer<C, R>>
where
    C: ClientContext + 'static,
    R: AsyncRuntime,
{
    /// Sends a message and waits until the broker has answered, as [`FutureProducer::send`].
    ///
    /// Dropped before (by a timeout of your own, say), it is `cancelled`, an error on the span, though
    /// the message may be sent all the same.
    ///
    /// # Errors
    ///
    /// Those of [`FutureProducer::send`]; the message that comes back has the trace's headers.
    pub async fn send<K, P>(
        &self,
        record: FutureRecord<'_, K, P>,
        queue_timeout: impl Into<Timeout>,
    ) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (record, span) = self.tracing.start(record);
        let sending = self.producer.send(record, queue_timeout.into());
        let sending = sending.instrument(span.span().clone());
        let mut waiting = Waiting(Some(span));
        let result = sending.await;
        if let Some(span) = waiting.0.take() {
            span.finish_owned(&result);
        }
        result
    }

    /// Queues a message and gives a future of the broker's answer, as
    /// [`FutureProducer::send_result`].
    ///
    /// # Errors
    ///
    /// Those of [`FutureProducer::send_result`]; the record that comes back has the trace's
    /// headers, which are replaced when it is sent again.
    #[expect(clippy::result_large_err, reason = "the signature is rdkafka's")]
    pub fn send_result<'a, K, P>(
        &self,
        record: FutureRecord<'a, K, P>,
    ) -> Result<TracedDelivery, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (record, span) = self.tracing.start(record);
        match self.producer.send_result(record) {
            Ok(delivery) => Ok(TracedDelivery { delivery, span: Some(span) }),
            Err((error, record)) => {
                span.failed(&error);
                Err((error, record))
            }
        }
    }
}

impl<C, Part> TracedProducer<BaseProducer<TracedContext<C>, Part>>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    /// Queues a message, as [`BaseProducer::send`]; its span ends in the poll that delivers it.
    ///
    /// # Errors
    ///
    /// Those of [`BaseProducer::send`]; the record that comes back has the trace's headers, which
    /// are replaced when it is sent again.
    #[expect(clippy::result_large_err, clippy::type_complexity, reason = "rdkafka's signature")]
    pub fn send<'a, K, P>(
        &self,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, C::DeliveryOpaque>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (record, span) = self.tracing.start(record);
        self.producer.send(Sent::attach(record, span)).map_err(Sent::detach)
    }
}

impl<C, Part> TracedProducer<ThreadedProducer<TracedContext<C>, Part>>
where
    C: ProducerContext<Part> + 'static,
    Part: Partitioner,
{
    /// Queues a message, as [`ThreadedProducer::send`]; its span ends when it is delivered.
    ///
    /// # Errors
    ///
    /// Those of [`ThreadedProducer::send`]; the record that comes back has the trace's headers,
    /// which are replaced when it is sent again.
    #[expect(clippy::result_large_err, clippy::type_complexity, reason = "rdkafka's signature")]
    pub fn send<'a, K, P>(
        &self,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, C::DeliveryOpaque>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (record, span) = self.tracing.start(record);
        self.producer.send(Sent::attach(record, span)).map_err(Sent::detach)
    }
}

impl<P> Deref for TracedProducer<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.producer
    }
}

impl<P> fmt::Debug for TracedProducer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedProducer").field("tracing", &self.tracing).finish_non_exhaustive()
    }
}

/// The span of a message whose sender waits. Dropped with it, the send is cancelled.
struct Waiting(Option<ProducerSpan>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            span.cancelled();
        }
    }
}

/// The broker's answer to come, as [`DeliveryFuture`]. The span of the message ends with it.
///
/// Dropped before, the message is sent all the same, and the span does not say how it fared: to wait
/// for no answer is no failure here.
#[must_use = "dropping it ends the span before the message is delivered"]
pub struct TracedDelivery {
    delivery: DeliveryFuture,
    /// `None` once there is an answer.
    span: Option<ProducerSpan>,
}

impl Future for TracedDelivery {
    type Output = <DeliveryFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.delivery).poll(cx);
        if let Poll::Ready(answer) = &polled
            && let Some(span) = self.span.take()
        {
            match answer {
                Ok(result) => span.finish_owned(result),
                Err(_) => span.failed(&KafkaError::Canceled),
            }
        }
        polled
    }
}

impl fmt::Debug for TracedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedDelivery").field("span", &self.span).finish_non_exhaustive()
    }
}
