//! The producer's side.

use std::future::Future as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::trace::{SpanKind, Status};
use otel_setup::kafka::{ProducerTracing, TracedContext, TracedProducer};
use otel_setup::propagation::Propagator;
use otel_setup::testing::{self, capture, capture_with};
use rdkafka::ClientContext;
use rdkafka::message::{DeliveryResult, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, FutureRecord, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{Broker, PATIENCE, TOPIC, captured, consuming, named, wait};
use crate::support::attribute;
use crate::{run, stack};

#[test]
fn a_future_producers_message_has_a_span_with_the_conventions_attributes() {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer();
    let delivery = {
        let _outer = tracing::info_span!("outer").entered();
        let record = FutureRecord::to(TOPIC).key("42").payload("a book");
        wait(producer.send(record, PATIENCE)).expect("the broker takes it")
    };
    capture.assert(
        testing::span("send orders")
            .child_of("outer")
            .with_kind(SpanKind::Producer)
            .with_attribute("messaging.system", "kafka")
            .with_attribute("messaging.operation.name", "send")
            .with_attribute("messaging.operation.type", "send")
            .with_attribute("messaging.destination.name", "orders")
            .with_attribute("messaging.destination.partition.id", 0)
            .with_attribute("messaging.kafka.message.key", 42)
            .with_attribute("messaging.kafka.offset", delivery.offset)
            .without_attribute("messaging.kafka.message.tombstone")
            .without_attribute("error.type"),
    );
    let sent = capture.span("send orders");
    assert_eq!(sent.status, Status::Unset);
    // until the broker has answered, and not until the message is queued
    assert!(sent.end_time > sent.start_time);
}

#[test]
fn what_can_be_no_key_as_text_is_no_attribute_and_no_payload_is_a_tombstone() {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer();
    for key in [&b"\xff\xfe"[..], &[b'k'; 1025]] {
        let record = FutureRecord::<[u8], [u8]>::to(TOPIC).key(key);
        wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    }
    let sent = captured(&capture, "send orders");
    assert_eq!(sent.len(), 2);
    for sent in sent {
        assert_eq!(attribute(&sent, "messaging.kafka.message.key"), None);
        assert_eq!(attribute(&sent, "messaging.kafka.message.tombstone").as_deref(), Some("true"));
    }
}

#[test]
fn a_message_that_the_broker_refuses_is_an_error_on_its_span() {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    broker.0.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let record = FutureRecord::to(TOPIC).key("42").payload("a book");
    wait(producer.send(record, PATIENCE)).expect_err("the broker refuses it");
    let sent = capture.span("send orders");
    assert_eq!(attribute(&sent, "error.type").as_deref(), Some("MessageSizeTooLarge"));
    let Status::Error { description } = &sent.status else { panic!("{:?}", sent.status) };
    assert!(description.contains("Message size too large"), "{description}");
}

#[test]
fn a_message_that_is_not_even_queued_is_an_error_on_its_span_and_comes_back() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let own = Counting::default();
    let mut config = broker.config();
    config.set("message.max.bytes", "1000");
    let context = TracedContext::new(own.clone());
    let base: BaseProducer<_> =
        config.create_with_context(context.clone()).expect("the settings are right");
    let base = TracedProducer::new(base);
    let threaded: ThreadedProducer<_> =
        config.create_with_context(context).expect("the settings are right");
    let threaded = TracedProducer::new(threaded);
    let future = TracedProducer::new(
        config.create::<rdkafka::producer::FutureProducer>().expect("the settings are right"),
    );
    let large = "x".repeat(2000);
    run(&stack, || {
        let record =
            || BaseRecord::<str, str, _>::with_opaque_to(TOPIC, Box::new(7)).payload(&large);
        let (_, back) = base.send(record()).expect_err("it is too large");
        assert_eq!(*back.delivery_opaque, 7);
        let (_, back) = threaded.send(record()).expect_err("it is too large");
        assert_eq!(*back.delivery_opaque, 7);
        let record = FutureRecord::<str, str>::to(TOPIC).payload(&large);
        assert!(future.send_result(record).is_err());
    });
    let sent = named(&seen, "send orders");
    assert_eq!(sent.len(), 3);
    for sent in sent {
        assert_eq!(attribute(&sent, "error.type").as_deref(), Some("MessageSizeTooLarge"));
    }
    assert_eq!(own.sum(), 0);
}

#[test]
fn producers_with_callbacks_end_the_span_and_then_tell_the_context_inside() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let own = Counting::default();
    let context = TracedContext::new(own.clone());
    let base: BaseProducer<_> =
        broker.config().create_with_context(context.clone()).expect("the settings are right");
    let base = TracedProducer::new(base).with_propagator(Propagator::trace_context());
    let threaded: ThreadedProducer<_> =
        broker.config().create_with_context(context).expect("the settings are right");
    let threaded = TracedProducer::new(threaded).with_propagator(Propagator::trace_context());
    run(&stack, || {
        let record = |n| BaseRecord::with_opaque_to(TOPIC, Box::new(n)).key("42").payload("a book");
        base.send(record(3)).map_err(|(error, _)| error).expect("it is queued");
        base.flush(PATIENCE).expect("the broker takes it");
        threaded.send(record(4)).map_err(|(error, _)| error).expect("it is queued");
        threaded.flush(PATIENCE).expect("the broker takes it");
        // a callback may still be running on the producer's own thread
        drop(threaded);
    });
    assert_eq!(own.sum(), 7);
    let sent = named(&seen, "send orders");
    let offsets = sent.iter().map(|span| attribute(span, "messaging.kafka.offset"));
    assert_eq!(offsets.collect::<Vec<_>>(), [Some("0".to_owned()), Some("1".to_owned())]);
    // the callback is part of the trace, where this test's subscriber is
    assert_eq!(sent[0].events[0].name, "told");
    for (sent, message) in sent.iter().zip(broker.messages(2)) {
        let remote = consuming().extract(&message);
        let remote = opentelemetry::trace::TraceContextExt::span(&remote).span_context().clone();
        assert_eq!(remote.span_id(), sent.span_context.span_id());
        assert_eq!(remote.trace_id(), sent.span_context.trace_id());
    }
}

#[test]
fn messages_in_flight_together_have_a_span_each() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let producer = broker.producer();
    run(&stack, || {
        let sent: Vec<_> = (0..10)
            .map(|n: u8| {
                let payload = [n];
                let record = FutureRecord::<[u8], _>::to(TOPIC).payload(&payload);
                producer.send_result(record).map_err(|(error, _)| error).expect("it is queued")
            })
            .collect();
        for delivery in sent {
            wait(delivery).expect("the producer is there").expect("the broker takes it");
        }
    });
    let mut offsets: Vec<i64> = named(&seen, "send orders")
        .iter()
        .map(|span| attribute(span, "messaging.kafka.offset").expect("it was delivered"))
        .map(|offset| offset.parse().expect("an offset is a number"))
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_send_span_that_is_filtered_out_leaves_the_current_span_to_be_the_parent() {
    let capture = capture_with(|setup| setup.with_trace_filter("info,otel_setup::kafka=off"));
    let broker = Broker::start();
    let producer = broker.producer();
    tracing::info_span!("outer").in_scope(|| {
        let record = FutureRecord::<str, _>::to(TOPIC).payload("a book");
        wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    });
    let remote = consuming().extract(&broker.message());
    let remote = opentelemetry::trace::TraceContextExt::span(&remote).span_context().clone();
    assert_eq!(remote.span_id(), capture.span("outer").span_context.span_id());
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn a_span_that_is_dropped_says_nothing_of_the_delivery() {
    let capture = capture();
    let record = FutureRecord::<str, _>::to(TOPIC).payload("a book").partition(3);
    let (_, span) = ProducerTracing::new().start(record);
    drop(span);
    capture.assert(
        testing::span("send orders")
            .with_attribute("messaging.destination.partition.id", 3)
            .without_attribute("messaging.kafka.offset"),
    );
    assert_eq!(capture.span("send orders").status, Status::Unset);
}

#[test]
fn a_send_that_is_dropped_before_the_brokers_answer_is_no_success() {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer();
    let record = || FutureRecord::<str, _>::to(TOPIC).payload("a book");
    let mut sending = Box::pin(producer.send(record(), PATIENCE));
    let waker = std::task::Waker::noop();
    // the answer, if it has come at once, is not asked for again
    let polled = sending.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(polled.is_pending(), "the broker is on another thread");
    drop(sending);
    capture.assert(
        testing::span("send orders")
            .with_attribute("error.type", "cancelled")
            .with_error_of("the send was dropped before the broker had answered"),
    );
    // one that nobody has begun is none, and whoever waits for no answer has not failed
    drop(producer.send(record(), PATIENCE));
    drop(producer.send_result(record()));
    let sent = captured(&capture, "send orders");
    assert_eq!(sent.len(), 2);
    assert_eq!((attribute(&sent[1], "error.type"), &sent[1].status), (None, &Status::Unset));
}

const CREATION: &str = "00-0000000000000000000000000000004d-0000000000000007-01";

/// What is in a record's headers, and in the links of its span.
fn kept(tracing: &ProducerTracing, own: &str) -> (Vec<String>, Vec<String>) {
    let capture = capture();
    let own = Header { key: "traceparent", value: Some(own) };
    let headers = OwnedHeaders::new().insert(own).insert(Header { key: "a", value: Some("1") });
    let record = FutureRecord::<str, _>::to(TOPIC).payload("a book").headers(headers);
    let (record, span) = tracing.start(record);
    span.delivered(0, 1);
    let headers = record.headers.expect("there are some");
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into();
    let values = headers.iter().map(|header| text(header.value)).collect();
    let links = capture.span("send orders").links;
    (values, links.iter().map(|link| link.span_context.span_id().to_string()).collect())
}

#[test]
fn a_creation_context_of_the_users_own_is_kept_and_linked_to_where_that_is_wanted() {
    let tracing = ProducerTracing::new().with_propagator(Propagator::trace_context());
    let (headers, links) = kept(&tracing, CREATION);
    assert_eq!((&*headers[0], headers.len(), links.len()), ("1", 2, 0), "replaced");
    let tracing = tracing.with_creation_context_kept(true);
    let (headers, links) = kept(&tracing, CREATION);
    assert_eq!(headers, [CREATION, "1"]);
    assert_eq!(links, ["0000000000000007"]);
    // what is none is no more than a header of an old hop
    let (headers, links) = kept(&tracing, "garbage");
    assert_eq!((&*headers[0], headers.len(), links.len()), ("1", 2, 0));
    assert!(headers[1].starts_with("00-"), "{headers:?}");
}

#[test]
fn the_clients_id_is_on_every_span() {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer().with_client_id("shop-1");
    let record = FutureRecord::<str, _>::to(TOPIC).payload("a book");
    wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    let consuming = consuming().with_client_id("shop-1");
    let message = broker.message();
    drop(consuming.poll_span([&message]));
    drop(consuming.process_batch_span([&message]));
    drop(consuming.process_span(&message));
    for span in capture.spans() {
        assert_eq!(attribute(&span, "messaging.client.id").as_deref(), Some("shop-1"));
    }
    assert_eq!(capture.spans().len(), 4);
}

/// A context that adds up what its callbacks are handed, and says so.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicI64>);

impl Counting {
    fn sum(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = Box<i64>;

    fn delivery(&self, result: &DeliveryResult<'_>, own: Box<i64>) {
        assert!(result.is_ok());
        tracing::info!("told");
        self.0.fetch_add(*own, Ordering::SeqCst);
    }
}
