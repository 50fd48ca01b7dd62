//! One request, one trace: through a web server, Kafka, a background worker and a second service.
//!
//! ```text
//! client ─HTTP→ gateway ─Kafka→ worker ─HTTP→ inventory
//!                  └──────── store ←──┘
//! ```
//!
//! `cargo run --features full --example gateway` starts all of it in one process, with nothing to
//! start before (the broker is librdkafka's own mock cluster, every port is the kernel's choice),
//! sends itself a few orders, one of which fails, prints their traces, and ends. With `--serve` it
//! stays for you and curl, until Ctrl-C or SIGTERM. Gateway, worker and inventory have a setup each,
//! with a name of their own, as three processes would.
//!
//! - `KAFKA_BROKERS=localhost:9092` uses a real broker;
//! - `OTEL_TRACES_EXPORTER=otlp` sends the traces to a real collector, `OTEL_EXPORTER_OTLP_ENDPOINT`.
//!
//! The other files are what a service is made of. Three lines in them are there for the traces: the
//! layer in `gateway.rs` and `inventory.rs`, and the wrappers in `broker.rs` and `worker.rs`.

#![expect(unreachable_pub, reason = "of a program nothing is public but to its own files")]

mod broker;
mod gateway;
mod inventory;
mod service;
mod store;
mod worker;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use otel_setup::{Exporter, Setup, TreeExporter};
use tokio::net::TcpListener;
use tokio::signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::store::{Answer, Store};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let serves = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--serve") => true,
        Some(other) => {
            return Err(format!("unknown argument {other}; there is only --serve").into());
        }
    };
    let traces = Traces::from_environment();
    // from here on every `tracing` macro of the program is part of a trace
    let _guard = traces.of("gateway").init()?;

    let broker = Broker::from_environment()?;
    let store = Store::default();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();

    let (inventory, socket) = loopback()?;
    let router = inventory::router();
    let serving = serve(socket, router, stopped.clone());
    tasks.spawn_blocking(service::main(traces.of("inventory").build()?, serving));
    let worker = worker::Worker::new(inventory, store.clone());
    let working = worker.run(broker.consumer()?, stopped.clone());
    tasks.spawn_blocking(service::main(traces.of("worker").build()?, working));
    let (gateway, socket) = loopback()?;
    tasks.spawn(serve(socket, gateway::router(broker.producer()?, store.clone()), stopped));

    if serves {
        println!("listening on http://{gateway}; try");
        println!("  curl -d '{{\"item\":\"book\",\"quantity\":1}}' http://{gateway}/orders");
        println!("  curl http://{gateway}/orders/1");
        interrupted().await?;
    } else {
        orders(gateway, &store).await?;
    }

    // the servers finish what they have begun, and the worker; then the traces, of the gateway's by
    // its guard
    stop.send_replace(true);
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// Where the traces go: to the terminal as trees, which all services share, unless the environment
/// names a place for them.
struct Traces(Option<TreeExporter>);

impl Traces {
    fn from_environment() -> Self {
        let places = [
            "OTEL_TRACES_EXPORTER",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ];
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self((!places.into_iter().any(is_set)).then(Exporter::tree))
    }

    fn of(&self, service: &'static str) -> Setup {
        let setup = Setup::new(service);
        match &self.0 {
            Some(tree) => setup.with_exporter(tree.clone()),
            None => setup,
        }
    }
}

/// A loopback port of the kernel's choice.
fn loopback() -> std::io::Result<(SocketAddr, std::net::TcpListener)> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok((socket.local_addr()?, socket))
}

/// Serves until it is told to stop.
async fn serve(
    socket: std::net::TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let told = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let listener = TcpListener::from_std(socket)?;
    Ok(axum::serve(listener, router).with_graceful_shutdown(told).await?)
}

/// A few orders, as clients would send them. The inventory has lost its list of anvils.
async fn orders(gateway: SocketAddr, store: &Store) -> Result<(), Failure> {
    let client = reqwest::Client::new();
    for (item, quantity) in [("book", 2), ("lamp", 1), ("anvil", 1)] {
        let order = serde_json::json!({ "item": item, "quantity": quantity });
        let response = client
            .post(format!("http://{gateway}/orders"))
            .header("content-type", "application/json")
            .body(order.to_string())
            .send()
            .await?
            .error_for_status()?;
        let accepted: gateway::Accepted = serde_json::from_slice(&response.bytes().await?)?;
        let answer = match store.answer_to(accepted.id).await {
            Answer::Reserved => "reserved",
            Answer::SoldOut => "sold out",
            Answer::Failed => "failed",
        };
        println!("order {} of {quantity} {item}: {answer}", accepted.id);
    }
    Ok(())
}

/// Ctrl-C, or SIGTERM where there is one.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = signal::ctrl_c() => result,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}
