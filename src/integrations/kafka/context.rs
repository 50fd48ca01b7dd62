//! How producers that report by callback end their spans.

use std::error::Error;
use std::fmt;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, ToBytes};
use rdkafka::producer::{BaseRecord, Partitioner, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::util::IntoOpaque;

use super::ProducerSpan;

/// A producer's context around your own: it ends the span of each message that is delivered or has
/// failed, and then tells yours, inside that span.
///
/// For [`TracedProducer`](super::TracedProducer), where there is an example.
#[derive(Debug, Clone, Default)]
pub struct TracedContext<C> {
    inner: C,
}

impl<C> TracedContext<C> {
    /// Around a context; [`DefaultProducerContext`](rdkafka::producer::DefaultProducerContext) is
    /// the one that does nothing.
    pub fn new(inner: C) -> Self {
        Self { inner }
    }

    /// The context inside.
    pub fn inner(&self) -> &C {
        &self.inner
    }
}

impl<C: ClientContext> ClientContext for TracedContext<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.inner.log(level, fac, log_message);
    }

    fn stats(&self, statistics: Statistics) {
        self.inner.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.inner.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.inner.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        oauthbearer_config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn Error>> {
        self.inner.generate_oauth_token(oauthbearer_config)
    }
}

impl<C, Part> ProducerContext<Part> for TracedContext<C>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    type DeliveryOpaque = Box<Sent<C::DeliveryOpaque>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        let Sent { span, opaque } = *sent;
        let entered = span.span().clone();
        span.finish(result);
        entered.in_scope(|| self.inner.delivery(result, opaque));
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.inner.get_custom_partitioner()
    }
}

/// What travels with a message to its delivery: its span, and your own.
pub struct Sent<D> {
    span: ProducerSpan,
    opaque: D,
}

impl<D: IntoOpaque> Sent<D> {
    pub(super) fn attach<K, P>(
        record: BaseRecord<'_, K, P, D>,
        span: ProducerSpan,
    ) -> BaseRecord<'_, K, P, Box<Self>>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } =
            record;
        let delivery_opaque = Box::new(Self { span, opaque: delivery_opaque });
        BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque }
    }

    /// Of a record that was refused; that is the end of its span.
    pub(super) fn detach<K, P>(
        (error, record): (KafkaError, BaseRecord<'_, K, P, Box<Self>>),
    ) -> (KafkaError, BaseRecord<'_, K, P, D>)
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } =
            record;
        let Self { span, opaque } = *delivery_opaque;
        span.failed(&error);
        let delivery_opaque = opaque;
        (error, BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque })
    }
}

impl<D> fmt::Debug for Sent<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("span", &self.span).finish_non_exhaustive()
    }
}
