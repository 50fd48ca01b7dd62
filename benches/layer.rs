//! What the layer costs on the calling thread, in instructions; CI holds the bounds.
//!
//! `cargo bench --bench layer` prints each case beside what it is compared with, and fails when a
//! bound is broken. Needs valgrind. Nothing is exported: a processor drops each span, so that the
//! layer and the SDK are all there is. With `-- parts` it prints where the instructions of a sampled
//! root and of an unsampled child go.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::hint::black_box;
use std::process::ExitCode;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor,
};
use otel_setup::{Exporter, LogFormat, Sampler, Setup};
use tracing::{info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        child(&case);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for case in CASES {
            within(case, || (case.work)(0));
        }
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|argument| argument == "parts") {
        return match parts() {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("{problem}");
                ExitCode::FAILURE
            }
        };
    }
    println!("{:<36}{:>10}{:>18}{:>10}", "instructions an operation", "ours", "beside", "ratio");
    let mut all_hold = true;
    for case in CASES {
        match row(case) {
            Ok(holds) => all_hold &= holds,
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", if all_hold { "every bound holds" } else { "a bound is BROKEN" });
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(case: &Case) -> Result<bool, String> {
    let count = |stack: &str| {
        callgrind::per_operation(1, |command, n| {
            command.env(STACK, stack).env(CASE, case.name).env(COUNT, n.to_string());
        })
    };
    let ours = count(if case.sampled { "ours" } else { "ours-unsampled" })?;
    let other = count(case.beside)?;
    let ratio = ours / other;
    println!(
        "{:<36}{ours:>10.0}{:>18}{ratio:>10.2}  at most {:.2}",
        case.name,
        format!("{} {other:.0}", case.beside),
        case.bound
    );
    Ok(ratio <= case.bound)
}

/// Where they go, by the function that they were counted in.
fn parts() -> Result<(), String> {
    let mut columns = Vec::new();
    for (stack, case) in
        [("ours", "root"), ("ours-unsampled", "unsampled child"), ("noop", "child")]
    {
        let functions = callgrind::by_function(|command, n| {
            command.env(STACK, stack).env(CASE, case).env(COUNT, n.to_string());
        })?;
        let mut sums = [0.0; PARTS.len()];
        for (function, count) in &functions {
            // what is inlined counts where it was inlined; the first part that knows a name has it
            let part = PARTS.iter().position(|(_, names)| {
                names.is_empty() || names.iter().any(|name| function.contains(name))
            });
            sums[part.expect("the last part takes the rest")] += count;
        }
        columns.push(sums);
    }
    println!(
        "{:<68}{:>12}{:>18}{:>18}",
        "instructions an operation, by function", "root", "unsampled child", "no-op layer"
    );
    for (at, (part, _)) in PARTS.iter().enumerate() {
        let [root, child, noop] = [0, 1, 2].map(|column: usize| columns[column][at]);
        println!("{part:<68}{root:>12.0}{child:>18.0}{noop:>18.0}");
    }
    let [root, child, noop] = [0, 1, 2].map(|column: usize| columns[column].iter().sum::<f64>());
    println!("{:<68}{root:>12.0}{child:>18.0}{noop:>18.0}", "all");
    Ok(())
}

/// A part, and what the names of its functions contain.
const PARTS: [(&str, &[&str]); 9] = [
    (
        "the layer itself: parent, state, the table of spans, the start",
        &["otel_setup::layer::otel"],
    ),
    (
        "fields into attributes (what is not inlined above)",
        &["tracing_core::field", "opentelemetry::common", "fields::"],
    ),
    (
        "the span's data: made, put together at its end, dropped",
        &["otel_setup::tracer", "SpanData", "Recorded", "OwnSpan"],
    ),
    (
        "sampler, random ids and the count of starts and ends",
        &["sampl", "id_generator", "IdGenerator", "otel_setup::pipeline", "otel_setup::assemble"],
    ),
    (
        "an OpenTelemetry context: made, attached, detached, ended",
        &["opentelemetry::", "opentelemetry_sdk::"],
    ),
    (
        "allocation and freeing",
        &[
            "malloc",
            "free",
            "realloc",
            "__rust",
            "__rdl",
            "unlink_chunk",
            "alloc::sync",
            "alloc::vec",
        ],
    ),
    ("copies of memory", &["memcpy", "memmove", "memset"]),
    ("the clock", &["Timespec", "SystemTime", "clock_gettime"]),
    ("`tracing`, the registry, thread-locals and the work itself", &[]),
];

fn child(case: &str) {
    let stack = std::env::var(STACK).expect("the parent names a stack");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count: u64 = count.parse().expect("the parent's count is a number");
    let case = CASES.iter().find(|c| c.name == case).expect("the parent knows the cases");
    install(&stack);
    within(case, || (0..count).for_each(case.work));
}

fn install(stack: &str) {
    match stack {
        "noop" => {
            tracing_subscriber::registry().with(tracing_subscriber::layer::Identity::new()).init();
        }
        "ours" => ours(Sampler::parent_based(Sampler::always_on())),
        "ours-unsampled" => ours(Sampler::parent_based(Sampler::always_off())),
        "stock" => stock(SdkSampler::AlwaysOn, false),
        "stock-tuned" => stock(SdkSampler::AlwaysOn, true),
        "stock-unsampled" => stock(SdkSampler::AlwaysOff, false),
        other => unreachable!("no stack is called {other}"),
    }
}

fn ours(sampler: impl Into<Sampler>) {
    let setup = Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(Exporter::none())
        .with_sampler(sampler)
        .with_log_format(LogFormat::Off);
    std::mem::forget(setup.init().expect("the bench is alone in its process"));
}

/// tracing-opentelemetry with its defaults, or with all that it adds to a span switched off.
fn stock(root: SdkSampler, tuned: bool) {
    let provider = SdkTracerProvider::builder()
        .with_sampler(SdkSampler::ParentBased(Box::new(root)))
        .with_span_processor(Drop)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let layer = if tuned {
        layer
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
    } else {
        layer
    };
    tracing_subscriber::registry().with(layer).init();
    std::mem::forget(provider);
}

/// Frees spans on the thread that ends them.
#[derive(Debug)]
struct Drop;

impl SpanProcessor for Drop {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        drop(black_box(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Case {
    name: &'static str,
    /// Whether it happens inside a span that stays open.
    inside: bool,
    sampled: bool,
    work: fn(u64),
    beside: &'static str,
    bound: f64,
}

const CASES: &[Case] = &[
    case("root", false, true, root, "stock", 0.55),
    case("root, stock tuned alike", false, true, root, "stock-tuned", 0.75),
    case("child", true, true, root, "stock", 0.55),
    case("unsampled root", false, false, root, "stock-unsampled", 0.50),
    case("unsampled child", true, false, root, "noop", 1.30),
    case("event in an unsampled span", true, false, event, "stock-unsampled", 0.05),
    case("span with an event", true, true, with_event, "stock", 0.55),
    case("entered and left again", true, true, reentered, "stock", 0.55),
    case("u64, str and Debug fields", true, true, fields, "stock", 0.55),
    case("10 attributes", true, true, attributes, "stock", 0.50),
    case("touched by context()", true, true, touched, "stock", 1.20),
];

const fn case(
    name: &'static str,
    inside: bool,
    sampled: bool,
    work: fn(u64),
    beside: &'static str,
    bound: f64,
) -> Case {
    Case { name, inside, sampled, work, beside, bound }
}

fn within<R>(case: &Case, work: impl FnOnce() -> R) -> R {
    if case.inside { info_span!("parent").in_scope(work) } else { work() }
}

#[inline(never)]
fn root(n: u64) {
    let span = info_span!("request", n, user = "alice");
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn event(n: u64) {
    info!(n, "hello");
}

#[inline(never)]
fn with_event(n: u64) {
    let span = info_span!("request", n, user = "alice");
    let _entered = span.enter();
    info!(n, "hello");
}

#[inline(never)]
fn reentered(n: u64) {
    let span = info_span!("request", n, user = "alice");
    for _ in 0..10 {
        let _entered = span.enter();
        black_box(n);
    }
}

#[inline(never)]
fn fields(n: u64) {
    let span = info_span!("request", n, user = "alice", state = ?Some(n));
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn attributes(n: u64) {
    let span = info_span!(
        "request",
        a = n,
        b = n,
        c = n,
        d = true,
        e = false,
        f = 0.5,
        g = "one",
        h = "two",
        i = "three",
        j = 7
    );
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn touched(n: u64) {
    let span = info_span!("request", n, user = "alice");
    black_box(span.context());
    let _entered = span.enter();
}

const STACK: &str = "OTEL_SETUP_BENCH_STACK";
const CASE: &str = "OTEL_SETUP_BENCH_CASE";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
