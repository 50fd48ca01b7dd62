//! Many requests at once through web, Kafka, worker and a second service: every trace whole, and
//! none mixed up with another.
//!
//! Ten thousand, unless `OTEL_SETUP_REQUESTS` says otherwise.

#![cfg(feature = "full")]

mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::kafka::{ConsumerTracing, TracedProducer};
use otel_setup::reqwest::ClientMiddleware;
use otel_setup::{LogFormat, Setup};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use support::{attribute, memory, spans, with_variables};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const TOPIC: &str = "numbers";
const PARTITIONS: i32 = 4;

/// From the top down, each the parent of the next.
const WAY: [(&str, SpanKind); 6] = [
    ("POST /numbers/{n}", SpanKind::Server),
    ("send numbers", SpanKind::Producer),
    ("process numbers", SpanKind::Consumer),
    ("handle", SpanKind::Internal),
    ("GET", SpanKind::Client),
    ("GET /squares/{n}", SpanKind::Server),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_trace_is_whole_and_none_is_mixed_up() {
    let requests: usize = std::env::var("OTEL_SETUP_REQUESTS")
        .map_or(10_000, |n| n.parse().expect("OTEL_SETUP_REQUESTS is a number"));
    let (exporter, seen) = memory();
    // what a slow machine has not exported yet may wait
    let room = (requests * 2 * WAY.len()).to_string();
    let guard = Setup::new("whole")
        .with_env(with_variables(&[("OTEL_BSP_MAX_QUEUE_SIZE", &room)]))
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .init()
        .expect("nobody was before");

    tokio::time::timeout(PATIENCE, all(requests)).await.expect("it ends in time");
    guard.flush(Duration::from_secs(60)).expect("nothing is lost");

    let mut traces = HashMap::<TraceId, Vec<SpanData>>::new();
    for span in spans(&seen) {
        traces.entry(span.span_context.trace_id()).or_default().push(span);
    }
    assert_eq!(traces.len(), requests);
    let mut numbers: Vec<usize> = traces.values().map(|trace| assert_whole(trace)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..requests).collect::<Vec<_>>());
}

/// Gives the number that all spans of the trace speak of.
#[track_caller]
fn assert_whole(trace: &[SpanData]) -> usize {
    let mut parent = SpanId::INVALID;
    let mut number = None;
    for (name, kind) in WAY {
        let found: Vec<_> =
            trace.iter().filter(|s| s.name == name && s.span_kind == kind).collect();
        assert_eq!(found.len(), 1, "{name} in {trace:#?}");
        assert_eq!(found[0].parent_span_id, parent, "{name} in {trace:#?}");
        parent = found[0].span_context.span_id();
        let own = number_of(found[0]);
        assert_eq!(*number.get_or_insert(own), own, "{name} in {trace:#?}");
    }
    assert_eq!(trace.len(), WAY.len(), "{trace:#?}");
    number.expect("the way is not empty")
}

/// What a span says of its request: a path, a message's key, or a field.
#[track_caller]
fn number_of(span: &SpanData) -> usize {
    let keys = ["url.path", "url.full", "messaging.kafka.message.key", "n"];
    let text = keys.iter().find_map(|key| attribute(span, key));
    let text = text.unwrap_or_else(|| panic!("no number on {span:#?}"));
    let number = text.rsplit('/').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {text:?}"))
}

/// Sends that many requests, and waits until the worker has handled every message.
async fn all(requests: usize) {
    let cluster = MockCluster::new(1).expect("loopback ports are to be had");
    cluster.create_topic(TOPIC, PARTITIONS, 1).expect("it is a new topic");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer: FutureProducer = config.create().expect("the settings are right");
    let consumer: StreamConsumer = config
        .set("group.id", "workers")
        .set("fetch.wait.max.ms", "20")
        .create()
        .expect("the settings are right");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let added = partitions.add_partition_offset(TOPIC, partition, Offset::Beginning);
        added.expect("an offset can be set");
    }
    // the mock cluster takes seconds to form a group
    consumer.assign(&partitions).expect("the topic is there");

    let squares = serve(Router::new().route("/squares/{n}", get(square))).await;
    let gateway =
        Router::new().route("/numbers/{n}", post(accept)).with_state(TracedProducer::new(producer));
    let gateway = serve(gateway).await;

    let worker = tokio::spawn(work(consumer, squares, requests));
    let client = reqwest::Client::new();
    // all at once; sockets are what a process has few of
    let sockets = Arc::new(Semaphore::new(64));
    let mut clients = JoinSet::new();
    for n in 0..requests {
        let (client, sockets) = (client.clone(), sockets.clone());
        clients.spawn(async move {
            let _socket = sockets.acquire().await.expect("nobody closes it");
            let response = client.post(format!("http://{gateway}/numbers/{n}")).send().await;
            let response = response.expect("the gateway answers");
            assert_eq!(response.status(), 202);
            // the connection is free, and the span has ended, with the body
            response.bytes().await.expect("the gateway answers to the end");
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("its request is answered");
    }
    worker.await.expect("it handles them all");
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let router = router.layer(otel_setup::axum::server_layer());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn accept(
    State(producer): State<TracedProducer<FutureProducer>>,
    Path(n): Path<String>,
) -> StatusCode {
    let record = FutureRecord::to(TOPIC).key(&n).payload(&n);
    match producer.send(record, Duration::from_secs(60)).await {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn square(Path(n): Path<u64>) -> String {
    (n * n).to_string()
}

/// Handles that many messages, as many at once as there are sockets.
async fn work(consumer: StreamConsumer, squares: SocketAddr, messages: usize) {
    let client = ClientBuilder::new(reqwest::Client::new()).with(ClientMiddleware::new()).build();
    let tracing = ConsumerTracing::new().with_group("workers");
    let sockets = Arc::new(Semaphore::new(64));
    let mut handlers = JoinSet::new();
    for _ in 0..messages {
        let socket = sockets.clone().acquire_owned().await.expect("nobody closes it");
        let message = consumer.recv().await.expect("the broker has no errors");
        let n = message.payload_view::<str>().expect("a payload").expect("text").to_owned();
        let handler = handle(client.clone(), squares, n);
        let handler = tracing.process(&message, handler);
        handlers.spawn(async move {
            let _socket = socket;
            handler.await
        });
    }
    while let Some(handled) = handlers.join_next().await {
        handled.expect("no panic").expect("the squares answer");
    }
}

#[tracing::instrument(skip(client, squares))]
async fn handle(
    client: ClientWithMiddleware,
    squares: SocketAddr,
    n: String,
) -> Result<(), reqwest_middleware::Error> {
    let response = client.get(format!("http://{squares}/squares/{n}")).send().await?;
    let square: u64 = response.text().await?.parse().expect("it is a number");
    let n: u64 = n.parse().expect("it is a number");
    assert_eq!(square, n * n);
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(300);
