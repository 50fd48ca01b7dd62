//! Kafka, against librdkafka's mock cluster.

mod consuming;
mod headers;
mod producing;

use std::future::Future;
use std::time::Duration;

use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::kafka::{ConsumerTracing, TracedProducer};
use otel_setup::propagation::Propagator;
use otel_setup::testing::Capture;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::OwnedMessage;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::spans;

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker with a topic of one partition.
struct Broker(MockCluster<'static, DefaultProducerContext>);

impl Broker {
    fn start() -> Self {
        let cluster = MockCluster::new(1).expect("loopback ports are to be had");
        cluster.create_topic(TOPIC, 1, 1).expect("it is a new topic");
        Self(cluster)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers());
        config
    }

    fn producer(&self) -> TracedProducer<FutureProducer> {
        let producer: FutureProducer = self.config().create().expect("the settings are right");
        TracedProducer::new(producer).with_propagator(Propagator::trace_context())
    }

    /// The first `n` messages of the topic.
    #[track_caller]
    fn messages(&self, n: usize) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer =
            self.config().set("group.id", "tests").create().expect("the settings are right");
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("an offset can be set");
        consumer.assign(&all).expect("the topic is there");
        let mut messages = Vec::new();
        while messages.len() < n {
            let message = consumer.poll(PATIENCE).expect("the message comes in time");
            messages.push(message.expect("the broker has no errors").detach());
        }
        messages
    }

    #[track_caller]
    fn message(&self) -> OwnedMessage {
        self.messages(1).remove(0)
    }
}

fn consuming() -> ConsumerTracing {
    ConsumerTracing::new().with_propagator(Propagator::trace_context()).with_group("tests")
}

/// Runs a future on this thread, where the test's subscriber is.
fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs no more than a thread")
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
}

/// The spans of this name, in order of their end.
fn named(seen: &InMemorySpanExporter, name: &str) -> Vec<SpanData> {
    spans(seen).into_iter().filter(|span| span.name == name).collect()
}

/// The captured spans of this name, in order of their end.
fn captured(capture: &Capture, name: &str) -> Vec<SpanData> {
    capture.spans().into_iter().filter(|span| span.name == name).collect()
}
