//! The consumer's side.

use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt as _};
use otel_setup::kafka::ConsumerTracing;
use otel_setup::propagation::{Propagator, Relation};
use otel_setup::testing::{self, Capture, capture, capture_with};
use otel_setup::{Setup, Stack};
use rdkafka::Timestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::FutureRecord;

use super::{Broker, PATIENCE, TOPIC, captured, consuming, named, wait};
use crate::support::{attribute, span};
use crate::{run, stack};

/// Messages of a producer, one span each.
fn sent(n: usize) -> (Capture, Vec<OwnedMessage>) {
    let (broker, capture) = (Broker::start(), capture());
    let producer = broker.producer();
    for _ in 0..n {
        let record = FutureRecord::to(TOPIC).key("42").payload("a book");
        wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    }
    (capture, broker.messages(n))
}

/// A message with this much behind it, and the context of a span that nobody has.
fn message(made: Timestamp) -> OwnedMessage {
    let parent = format!("00-{:032x}-{:016x}-01", 77, 7);
    let parent = Header { key: "traceparent", value: Some(&parent) };
    let headers = OwnedHeaders::new().insert(parent);
    OwnedMessage::new(None, None, TOPIC.to_owned(), made, 2, 17, Some(headers))
}

fn ids(contexts: impl IntoIterator<Item = SpanContext>) -> Vec<(String, String)> {
    let ids = |c: SpanContext| (c.trace_id().to_string(), c.span_id().to_string());
    contexts.into_iter().map(ids).collect()
}

#[test]
fn the_handlers_span_is_a_child_of_the_senders() {
    let (capture, messages) = sent(1);
    {
        // whatever is current where the consumer runs is not the message's trace, but linked to it
        let _elsewhere = tracing::info_span!("worker").entered();
        let handler = async {
            tracing::info_span!("store").in_scope(|| {});
            Ok::<_, String>(7)
        };
        assert_eq!(wait(consuming().process(&messages[0], handler)), Ok(7));
    }
    let expected = testing::span("process orders")
        .child_of("send orders")
        .with_kind(SpanKind::Consumer)
        .with_attribute("messaging.system", "kafka")
        .with_attribute("messaging.operation.name", "process")
        .with_attribute("messaging.operation.type", "process")
        .with_attribute("messaging.destination.name", "orders")
        .with_attribute("messaging.destination.partition.id", 0)
        .with_attribute("messaging.kafka.offset", 0)
        .with_attribute("messaging.kafka.message.key", 42)
        .with_attribute("messaging.consumer.group.name", "tests")
        .without_attribute("messaging.kafka.message.tombstone")
        .without_attribute("messaging.batch.message_count")
        .without_attribute("error.type");
    capture.assert(expected.with_child(testing::span("store")).without_other_children());
    let (sent, process) = (capture.span("send orders"), capture.span("process orders"));
    assert_eq!(process.span_context.trace_id(), sent.span_context.trace_id());
    assert!(process.parent_span_is_remote);
    assert_eq!(process.status, Status::Unset);
    let links = process.links.iter().map(|link| link.span_context.clone());
    assert_eq!(ids(links), ids([capture.span("worker").span_context]));
}

#[test]
fn a_handlers_span_inside_of_another_is_its_child_or_linked_to_it() {
    for (relation, has_sender) in [
        (Relation::Child, true),
        (Relation::Child, false),
        (Relation::Link, true),
        (Relation::Link, false),
    ] {
        let capture = capture();
        let consuming = consuming().with_relation(relation);
        let mut message = message(Timestamp::now());
        if !has_sender {
            message = message.replace_headers(None);
        }
        let poll = consuming.poll_span([&message]);
        poll.in_scope(|| consuming.process_blocking(&message, || Ok::<_, String>(()))).unwrap();
        drop(poll);
        let sender = consuming.extract(&message).span().span_context().clone();
        let (poll, process) =
            (capture.span("poll orders").span_context, capture.span("process orders"));
        let (parent, links) = match (relation, has_sender) {
            (Relation::Child, true) => (sender, vec![poll]),
            (_, true) => (poll, vec![sender]),
            (_, false) => (poll, vec![]),
        };
        assert_eq!(process.span_context.trace_id(), parent.trace_id());
        assert_eq!(process.parent_span_id, parent.span_id());
        assert_eq!(ids(process.links.iter().map(|l| l.span_context.clone())), ids(links));
    }
}

#[test]
fn a_linked_handlers_span_is_the_root_of_a_trace_of_its_own() {
    let (capture, messages) = sent(1);
    let consuming = consuming().with_relation(Relation::Link);
    consuming.process_blocking(&messages[0], || Ok::<_, String>(())).unwrap();
    capture.assert(testing::span("process orders").root());
    let (sent, process) = (capture.span("send orders"), capture.span("process orders"));
    assert_ne!(process.span_context.trace_id(), sent.span_context.trace_id());
    let links = process.links.iter().map(|link| link.span_context.clone());
    assert_eq!(ids(links), ids([sent.span_context]));
}

#[test]
fn a_batch_has_a_link_to_each_sender() {
    let (capture, messages) = sent(3);
    {
        let _poll = consuming().poll_span(&messages).entered();
        let handler = async { Ok::<_, String>(()) };
        wait(consuming().process_batch(&messages, handler)).unwrap();
        consuming().process_batch_blocking(&messages[..1], || Ok::<_, String>(())).unwrap();
    }
    let process = || {
        testing::span("process orders")
            .with_kind(SpanKind::Consumer)
            .with_attribute("messaging.destination.partition.id", 0)
    };
    capture.assert(
        testing::span("poll orders")
            .with_kind(SpanKind::Client)
            .with_attribute("messaging.operation.type", "receive")
            .with_attribute("messaging.destination.partition.id", 0)
            .without_attribute("messaging.kafka.offset")
            .with_child(process())
            .with_child(process())
            .without_other_children(),
    );
    let senders: Vec<_> =
        captured(&capture, "send orders").into_iter().map(|s| s.span_context).collect();
    let process = captured(&capture, "process orders");
    for (span, n) in [(&capture.span("poll orders"), 3), (&process[0], 3), (&process[1], 1)] {
        let links = span.links.iter().map(|link| link.span_context.clone());
        assert_eq!(ids(links), ids(senders[..n].iter().cloned()));
        let count = attribute(span, "messaging.batch.message_count");
        assert_eq!(count, Some(n.to_string()));
    }
}

#[test]
fn a_batch_of_several_topics_names_none_and_an_empty_one_is_no_panic() {
    let capture = capture();
    let first = message(Timestamp::now());
    let second = first.clone().set_topic("returns".to_owned());
    let third = first.clone().set_partition(3);
    drop(consuming().poll_span([&first, &second]));
    drop(consuming().poll_span([&first, &third]));
    drop(consuming().poll_span(&[] as &[OwnedMessage]));
    drop(consuming().poll_span([&first]));
    let mixed = captured(&capture, "poll");
    assert_eq!(mixed.len(), 2);
    for poll in &mixed {
        assert_eq!(attribute(poll, "messaging.destination.name"), None);
        assert_eq!(attribute(poll, "messaging.destination.partition.id"), None);
    }
    let counts = mixed.iter().map(|poll| attribute(poll, "messaging.batch.message_count"));
    assert_eq!(counts.collect::<Vec<_>>(), [Some("2".to_owned()), Some("0".to_owned())]);
    let polls = captured(&capture, "poll orders");
    assert_eq!(attribute(&polls[0], "messaging.destination.partition.id"), None);
    assert_eq!(attribute(&polls[1], "messaging.destination.partition.id").as_deref(), Some("2"));
    assert_eq!(attribute(&polls[1], "messaging.kafka.offset").as_deref(), Some("17"));
}

#[test]
fn the_lag_is_from_the_messages_timestamp_to_the_start_of_the_handler() {
    let capture = capture();
    let now = Timestamp::now().to_millis().expect("a clock is there");
    let old = message(Timestamp::CreateTime(now - 5_000));
    let older = message(Timestamp::LogAppendTime(now - 60_000));
    let future = message(Timestamp::CreateTime(now + 60_000));
    let unknown = message(Timestamp::NotAvailable);
    for message in [&old, &future, &unknown] {
        drop(consuming().process_span(message));
    }
    drop(consuming().process_batch_span([&old, &unknown, &older]));
    let process = captured(&capture, "process orders");
    let lag = |n: usize| -> Option<i64> {
        let lag = attribute(&process[n], "kafka.consumer.lag_ms")?;
        Some(lag.parse().expect("milliseconds are a number"))
    };
    let passed = Timestamp::now().to_millis().expect("a clock is there") - now;
    assert!((5_000..=5_000 + passed).contains(&lag(0).unwrap()), "{:?}", lag(0));
    assert!((-60_000..=-60_000 + passed).contains(&lag(1).unwrap()), "{:?}", lag(1));
    assert_eq!(lag(2), None);
    assert!((60_000..=60_000 + passed).contains(&lag(3).unwrap()), "{:?}", lag(3));
    assert_eq!(
        attribute(&process[0], "messaging.kafka.message.tombstone").as_deref(),
        Some("true")
    );
}

#[track_caller]
fn assert_failed(capture: &Capture, kind: &str, description: &str) {
    let failed = testing::span("process orders").with_attribute("error.type", kind);
    capture.assert(failed.with_error_of(description));
    assert_eq!(captured(capture, "process orders").len(), 1);
}

#[test]
fn a_handlers_error_is_on_the_span_and_comes_back() {
    for blocking in [true, false] {
        let capture = capture();
        let message = message(Timestamp::now());
        let handler = || "x".parse::<i32>().map(drop);
        let result: Result<(), std::num::ParseIntError> = if blocking {
            consuming().process_blocking(&message, handler)
        } else {
            wait(consuming().process(&message, async { handler() }))
        };
        assert!(result.is_err());
        let kind = "core::num::error::ParseIntError";
        assert_failed(&capture, kind, "invalid digit found in string");
    }
}

#[test]
fn the_type_of_a_boxed_error_is_not_that_of_its_box() {
    let capture = capture();
    let handler = || Err::<(), Box<dyn std::error::Error>>("out of orders".into());
    consuming().process_blocking(&message(Timestamp::now()), handler).unwrap_err();
    assert_failed(&capture, "_OTHER", "out of orders");
}

#[test]
fn a_handler_that_panics_is_recorded_so() {
    for blocking in [true, false] {
        let capture = capture();
        let message = message(Timestamp::now());
        let handler = || -> Result<(), String> { panic!("on purpose") };
        let caught = catch_unwind(AssertUnwindSafe(|| {
            if blocking {
                consuming().process_blocking(&message, handler)
            } else {
                wait(consuming().process(&message, async { handler() }))
            }
        }));
        assert!(caught.is_err());
        assert_failed(&capture, "panic", "the handler panicked");
        let exception = testing::event("exception").with_attribute("exception.type", "panic");
        let exception = exception.with_attribute("exception.message", "on purpose");
        capture.assert(testing::span("process orders").with_event(exception));
        assert_eq!(capture.span("process orders").events.len(), 1);
    }
}

#[test]
fn a_panic_of_a_handler_whose_span_is_refused_is_not_on_the_workers() {
    let filter = "info,otel_setup::kafka=error";
    let capture = capture_with(|setup| setup.with_trace_filter(filter));
    let handler = || -> Result<(), String> { panic!("on purpose") };
    tracing::info_span!(target: "app", "worker").in_scope(|| {
        let message = message(Timestamp::now());
        catch_unwind(AssertUnwindSafe(|| consuming().process_blocking(&message, handler)))
            .expect_err("it is not swallowed");
    });
    assert_eq!(capture.span("worker").events.len(), 0);
}

#[test]
fn a_handler_that_is_dropped_before_its_end_is_recorded_so() {
    let capture = capture();
    let message = message(Timestamp::now());
    drop(consuming().process(&message, std::future::pending::<Result<(), String>>()));
    assert_failed(&capture, "cancelled", "the handler was dropped before its end");
}

#[test]
fn a_handler_can_be_spawned_without_its_message() {
    let capture = capture();
    wait(async {
        let message = message(Timestamp::now());
        let handler = async { Ok::<_, String>(()) };
        let task = tokio::spawn(consuming().process(&message, handler));
        drop(message);
        task.await.expect("it does not panic").unwrap();
    });
    let parent = consuming().extract(&message(Timestamp::now()));
    let process = capture.span("process orders");
    assert_eq!(process.parent_span_id, parent.span().span_context().span_id());
}

#[test]
fn the_trace_and_its_baggage_go_on_to_the_next_topic() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let propagator = Propagator::composite([Propagator::b3(), Propagator::baggage()]);
    let producer = broker.producer().with_propagator(propagator.clone());
    let b3 = format!("{:032x}-{:016x}-1", 77, 7);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "b3", value: Some(&b3) })
        .insert(Header { key: "baggage", value: Some("tenant=shop") });
    let first = message(Timestamp::now()).replace_headers(Some(headers));
    run(&stack, || {
        let handler = async {
            let record = FutureRecord::to(TOPIC).key("42").payload("a book");
            producer.send(record, PATIENCE).await.map(drop).map_err(|(error, _)| error)
        };
        wait(consuming().with_propagator(propagator.clone()).process(&first, handler)).unwrap();
    });
    let second = consuming().with_propagator(propagator).extract(&broker.message());
    assert_eq!(second.baggage().get("tenant").map(ToString::to_string).as_deref(), Some("shop"));
    let (sent, process) = (span(&seen, "send orders"), span(&seen, "process orders"));
    assert_eq!(second.span().span_context().span_id(), sent.span_context.span_id());
    assert_eq!(sent.parent_span_id, process.span_context.span_id());
    assert_eq!(process.parent_span_id.to_string(), format!("{:016x}", 7));
    assert_eq!(sent.span_context.trace_id().to_string(), format!("{:032x}", 77));
}

#[test]
fn the_stock_layer_makes_the_same_traces() {
    let (stack, seen) = stack(Setup::with_stock_layer);
    let message = message(Timestamp::now());
    let linking = consuming().with_relation(Relation::Link);
    run(&stack, || {
        consuming().process_blocking(&message, || Ok::<_, String>(())).unwrap();
        linking.process_blocking(&message, || Err::<(), _>("no")).unwrap_err();
    });
    let process = named(&seen, "process orders");
    assert_eq!(process[0].span_context.trace_id().to_string(), format!("{:032x}", 77));
    assert_eq!(process[0].parent_span_id.to_string(), format!("{:016x}", 7));
    assert_eq!(process[1].parent_span_id, SpanId::INVALID);
    assert_eq!(process[1].links[0].span_context.span_id().to_string(), format!("{:016x}", 7));
    assert_eq!(attribute(&process[1], "error.type").as_deref(), Some("&str"));
}

/// The parents of what happens in handlers of both kinds, and the baggage they see.
fn inside_of(stack: &Stack, consuming: &ConsumerTracing, message: &OwnedMessage) -> Vec<String> {
    let mut seen = Vec::new();
    let mut handler = || {
        let baggage = |cx: &Context| cx.baggage().get("tenant").map(ToString::to_string);
        seen.push(Context::map_current(baggage).unwrap_or_default());
        tracing::info_span!(target: "app", "store").in_scope(|| {});
        Ok::<_, String>(())
    };
    run(stack, || {
        // what is current where the consumer runs is not the message's trace
        let _elsewhere = tracing::info_span!(target: "app", "worker").entered();
        consuming.process_blocking(message, &mut handler).unwrap();
        wait(consuming.process(message, async { handler() })).unwrap();
    });
    seen
}

#[test]
fn a_filter_that_refuses_the_handlers_span_does_not_cut_the_trace() {
    let (stack, seen) = stack(|setup| setup.with_trace_filter("info,otel_setup::kafka=off"));
    let both = Propagator::composite([Propagator::trace_context(), Propagator::baggage()]);
    let parent = format!("00-{:032x}-{:016x}-01", 77, 7);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "traceparent", value: Some(&parent) })
        .insert(Header { key: "baggage", value: Some("tenant=shop") });
    let message = message(Timestamp::now()).replace_headers(Some(headers));
    let consuming = consuming().with_propagator(both);
    assert_eq!(inside_of(&stack, &consuming, &message), ["shop", "shop"]);
    for store in named(&seen, "store") {
        assert_eq!(store.span_context.trace_id().to_string(), format!("{:032x}", 77));
        assert_eq!(store.parent_span_id.to_string(), format!("{:016x}", 7));
    }
    seen.reset();
    let linking = consuming.with_relation(Relation::Link);
    assert_eq!(inside_of(&stack, &linking, &message), ["shop", "shop"]);
    let workers: Vec<_> = named(&seen, "worker").iter().map(|s| s.span_context.span_id()).collect();
    for store in named(&seen, "store") {
        assert_eq!([store.parent_span_id], workers[..], "the trace is the worker's own");
    }
    assert_eq!(named(&seen, "store").len(), 2);
    assert!(named(&seen, "process orders").is_empty());
}

#[test]
fn a_filter_that_refuses_a_batchs_span_leaves_the_current_one() {
    let capture = capture_with(|setup| setup.with_trace_filter("info,otel_setup::kafka=off"));
    let messages = [message(Timestamp::now())];
    let worker = tracing::info_span!(target: "app", "worker").entered();
    let handler = async {
        tracing::info_span!(target: "app", "store").in_scope(|| {});
        Ok::<_, String>(())
    };
    let handling = consuming().process_batch(&messages, handler);
    drop(worker);
    wait(handling).unwrap();
    capture.assert(testing::span("store").child_of("worker"));
    assert_eq!(capture.spans().len(), 2);
}

/// As `FutureExt::catch_unwind` has it: the unwinding is over before the handler is dropped.
#[test]
fn a_panic_that_is_caught_around_the_poll_is_not_a_cancellation() {
    let capture = capture();
    let message = message(Timestamp::now());
    let handler = async { panic!("on purpose") };
    let mut handling = Box::pin(consuming().process::<_, _, (), String>(&message, handler));
    wait(std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        assert!(polled.is_err());
        std::task::Poll::Ready(())
    }));
    drop(handling);
    assert_failed(&capture, "panic", "the handler panicked");
}

#[test]
fn what_is_dropped_with_a_handler_is_in_the_messages_trace() {
    struct Says;
    impl Drop for Says {
        fn drop(&mut self) {
            tracing::info_span!(target: "app", "cleaning up").in_scope(|| {});
        }
    }
    for filter in ["info", "info,otel_setup::kafka=off"] {
        let capture = capture_with(|setup| setup.with_trace_filter(filter));
        let says = Says;
        let handler = async move {
            let _says = says;
            std::future::pending::<Result<(), String>>().await
        };
        drop(consuming().process(&message(Timestamp::now()), handler));
        let trace = capture.span("cleaning up").span_context.trace_id();
        assert_eq!(trace.to_string(), format!("{:032x}", 77));
    }
}
