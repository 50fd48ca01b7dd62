//! The way to Kafka: a real broker, or one inside of this process.

use otel_setup::kafka::TracedProducer;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

pub const TOPIC: &str = "orders";
pub const GROUP: &str = "fulfilment";

pub type Producer = TracedProducer<FutureProducer>;

pub struct Broker {
    servers: String,
    /// Lives as long as it is kept.
    embedded: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Broker {
    /// `KAFKA_BROKERS`, or else librdkafka's mock cluster.
    pub fn from_environment() -> KafkaResult<Self> {
        if let Some(servers) = std::env::var("KAFKA_BROKERS").ok().filter(|s| !s.is_empty()) {
            return Ok(Self { servers, embedded: None });
        }
        let cluster = MockCluster::new(1)?;
        cluster.create_topic(TOPIC, 1, 1)?;
        Ok(Self { servers: cluster.bootstrap_servers(), embedded: Some(cluster) })
    }

    pub fn producer(&self) -> KafkaResult<Producer> {
        let producer: FutureProducer = self.config().set("linger.ms", "0").create()?;
        Ok(TracedProducer::new(producer)) // the producer's line
    }

    pub fn consumer(&self) -> KafkaResult<StreamConsumer> {
        let consumer: StreamConsumer = self
            .config()
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "true")
            .set("topic.metadata.refresh.interval.ms", "1000")
            // how long a broker may wait for more than one message
            .set("fetch.wait.max.ms", "20")
            .create()?;
        if self.embedded.is_some() {
            // it takes seconds to form a group of one, and sometimes a session's timeout
            let mut all = TopicPartitionList::new();
            all.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
            consumer.assign(&all)?;
        } else {
            consumer.subscribe(&[TOPIC])?;
        }
        Ok(consumer)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }
}
