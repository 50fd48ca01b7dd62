//! What a server layer costs a request, beside axum-tracing-opentelemetry's and tower-http's.
//!
//! `cargo bench --bench http` prints instructions and nanoseconds, each above what the bare service
//! costs, and fails when a bound is broken. Needs valgrind. The service answers at once; a processor
//! drops each span. axum-tracing-opentelemetry's layer runs on the stack that it is made for,
//! tracing-opentelemetry with its defaults, and on ours. tower-http's propagates nothing, and its
//! spans know less.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor};
use otel_setup::tower::ServerLayer;
use otel_setup::{Exporter, LogFormat, Setup};
use tower::{Layer as _, Service, service_fn};
use tower_http::trace::{DefaultMakeSpan, TraceLayer};
use tracing::Level;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    if let Ok(subject) = std::env::var(SUBJECT) {
        child(&subject);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for case in CASES {
            send(bare(), case.traceparent, 1);
            send(ServerLayer::new().layer(bare()), case.traceparent, 1);
        }
        return ExitCode::SUCCESS;
    }
    match table() {
        Ok(true) => {
            println!("every bound holds");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("a bound is BROKEN");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> Result<bool, String> {
    print!("{:<20}", "instructions, (ns)");
    for subject in &SUBJECTS[1..] {
        print!("{subject:>22}");
    }
    println!("{:>14}{:>18}", "ours/theirs", "on our stack");
    let mut all_hold = true;
    for case in CASES {
        let traceparent = case.traceparent;
        let mut costs = Vec::new();
        for subject in SUBJECTS {
            costs.push((instructions(subject, traceparent)?, nanoseconds(subject, traceparent)?));
        }
        print!("{:<20}", case.name);
        let (floor, floor_time) = costs[0];
        for (count, time) in &costs[1..] {
            print!("{:>22}", format!("{:.0} ({:.0})", count - floor, time - floor_time));
        }
        let above = |at: usize| costs[at].0 - floor;
        let (ratio, on_ours) = (above(1) / above(2), above(1) / above(3));
        let Case { bound, bound_on_ours, .. } = case;
        println!("{ratio:>14.2}{on_ours:>18.2}  at most {bound:.2}, {bound_on_ours:.2}");
        all_hold &= ratio <= *bound && on_ours <= *bound_on_ours;
    }
    Ok(all_hold)
}

fn instructions(subject: &str, traceparent: Option<&str>) -> Result<f64, String> {
    callgrind::per_operation(1, |command, n| prepare(command, subject, traceparent, n))
}

/// The median of several processes.
fn nanoseconds(subject: &str, traceparent: Option<&str>) -> Result<f64, String> {
    let mut times = Vec::new();
    for _ in 0..PROCESSES {
        let itself = std::env::current_exe().map_err(|e| format!("no path to this bench: {e}"))?;
        let mut command = Command::new(itself);
        prepare(&mut command, subject, traceparent, REQUESTS);
        let output = command.env(TIMED, "1").output().map_err(|e| format!("{subject}: {e}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        times.push(said.trim().parse().map_err(|e| format!("{subject} said {said:?}: {e}"))?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[PROCESSES / 2])
}

fn prepare(command: &mut Command, subject: &str, traceparent: Option<&str>, n: u64) {
    command.env(SUBJECT, subject).env(COUNT, n.to_string());
    if let Some(traceparent) = traceparent {
        command.env(TRACEPARENT, traceparent);
    }
}

fn child(subject: &str) {
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count: u64 = count.parse().expect("the parent's count is a number");
    let traceparent = std::env::var(TRACEPARENT).ok();
    let traceparent = traceparent.as_deref();
    let took = match subject {
        "bare" => {
            ours("info");
            send(bare(), traceparent, count)
        }
        "otel-setup" => {
            ours("info");
            send(ServerLayer::new().layer(bare()), traceparent, count)
        }
        "axum-tracing-otel" => {
            stock();
            send(OtelAxumLayer::default().layer(bare()), traceparent, count)
        }
        "the same on our stack" => {
            // its spans are at level TRACE
            ours("info,otel::tracing=trace");
            send(OtelAxumLayer::default().layer(bare()), traceparent, count)
        }
        "tower-http" => {
            stock();
            let span = DefaultMakeSpan::new().level(Level::INFO);
            let layer = TraceLayer::new_for_http().make_span_with(span);
            // without the events, which would be counted too
            let layer = layer.on_request(()).on_response(()).on_eos(()).on_body_chunk(());
            send(layer.on_failure(()).layer(bare()), traceparent, count)
        }
        other => unreachable!("nothing is called {other}"),
    };
    if std::env::var_os(TIMED).is_some() {
        println!("{took}");
    }
}

fn bare() -> impl Service<
    Request<Empty<Bytes>>,
    Response = Response<Empty<Bytes>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request<Empty<Bytes>>| {
        black_box(&request);
        std::future::ready(Ok(Response::new(Empty::new())))
    })
}

/// Nanoseconds a request.
fn send<S, B>(mut service: S, traceparent: Option<&str>, count: u64) -> f64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    let mut template = Request::get("http://shop.example:8080/orders/7");
    for (name, value) in [("user-agent", "curl/8.14.1"), ("accept", "*/*")] {
        template = template.header(name, value);
    }
    if let Some(traceparent) = traceparent {
        template = template.header("traceparent", traceparent);
    }
    let template = template.body(Empty::new()).expect("it is valid");
    let started = Instant::now();
    for _ in 0..count {
        let answer = pin!(service.call(template.clone()));
        let Poll::Ready(response) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("the service answers at once");
        };
        drop(black_box(response));
    }
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
    let each = started.elapsed().as_nanos() as f64 / count.max(1) as f64;
    each
}

fn ours(trace_filter: &str) {
    let setup = Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(Exporter::none())
        .with_trace_filter(trace_filter)
        .with_log_format(LogFormat::Off);
    std::mem::forget(setup.init().expect("the bench is alone in its process"));
}

/// tracing-opentelemetry with its defaults.
fn stock() {
    let provider = SdkTracerProvider::builder().with_span_processor(Drop).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing_subscriber::registry().with(layer).init();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    std::mem::forget(provider);
}

/// Frees spans on the thread that ends them.
#[derive(Debug)]
struct Drop;

impl SpanProcessor for Drop {
    fn on_start(&self, _: &mut SdkSpan, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        drop(black_box(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The floor, ours, and what ours is compared with.
const SUBJECTS: [&str; 5] =
    ["bare", "otel-setup", "axum-tracing-otel", "the same on our stack", "tower-http"];

struct Case {
    name: &'static str,
    traceparent: Option<&'static str>,
    /// Against theirs on the stack that it is made for.
    bound: f64,
    /// Against theirs on our stack, which makes both cheaper, and theirs more.
    bound_on_ours: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "sampled parent",
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        bound: 0.50,
        bound_on_ours: 0.55,
    },
    Case {
        name: "unsampled parent",
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        bound: 0.46,
        bound_on_ours: 0.51,
    },
    Case { name: "no parent", traceparent: None, bound: 0.50, bound_on_ours: 0.55 },
];

const PROCESSES: usize = 5;
const REQUESTS: u64 = 20_000;

const SUBJECT: &str = "OTEL_SETUP_BENCH_SUBJECT";
const TRACEPARENT: &str = "OTEL_SETUP_BENCH_TRACEPARENT";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
const TIMED: &str = "OTEL_SETUP_BENCH_TIMED";
