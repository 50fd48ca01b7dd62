//! The stacks that are compared, and the work that each of them does.

use std::hint::black_box;
use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider, SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Sampler, Setup};
use tracing_subscriber::prelude::*;

/// One way to listen to `tracing`, installed for the whole process.
pub(crate) struct Stack {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) install: fn(),
}

pub(crate) const STACKS: &[Stack] = &[
    Stack { name: "none", what: "no subscriber", install: || {} },
    Stack {
        name: "off",
        what: "ours, filtered out",
        install: || {
            ours(|setup| setup.with_trace_filter("off").with_log_filter("off"));
        },
    },
    Stack {
        name: "registry",
        what: "Registry and a layer that does nothing",
        install: || {
            tracing_subscriber::registry().with(tracing_subscriber::layer::Identity::new()).init();
        },
    },
    Stack {
        name: "fmt",
        what: "Registry and tracing-subscriber's log layer",
        install: || {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
            tracing_subscriber::registry().with(lines).init();
        },
    },
    Stack {
        name: "stock",
        what: "tracing-opentelemetry, BatchSpanProcessor",
        install: || {
            stock(SdkSampler::ParentBased(Box::new(SdkSampler::AlwaysOn)));
        },
    },
    Stack {
        name: "stock-unsampled",
        what: "the same, unsampled",
        install: || {
            stock(SdkSampler::ParentBased(Box::new(SdkSampler::AlwaysOff)));
        },
    },
    Stack {
        name: "ours",
        what: "otel-setup",
        install: || {
            ours(|setup| setup);
        },
    },
    Stack {
        name: "ours-unsampled",
        what: "the same, unsampled",
        install: || {
            ours(|setup| setup.with_sampler(Sampler::parent_based(Sampler::always_off())));
        },
    },
];

/// tracing-opentelemetry with its defaults, as its README shows.
fn stock(sampler: SdkSampler) {
    let provider =
        SdkTracerProvider::builder().with_sampler(sampler).with_batch_exporter(Discard).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing_subscriber::registry().with(layer).init();
    // lives as long as the process: dropping it would end the pipeline
    STOCK.set(provider).expect("a stack is installed once");
}

fn ours(adjust: fn(Setup) -> Setup) {
    let setup = Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(Exporter::custom(Discard))
        .with_log_format(LogFormat::Off);
    std::mem::forget(adjust(setup).init().expect("the bench is alone in its process"));
}

/// Ends the stock pipeline, if that is what is installed: what is queued is exported.
pub(crate) fn shutdown_stock() {
    if let Some(provider) = STOCK.get() {
        provider.shutdown().expect("the exporter takes everything");
    }
}

static STOCK: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Takes spans and frees them, as the end of every pipeline does.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(black_box(batch));
        Ok(())
    }
}

/// One piece of work, done again and again.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether it happens inside a span that stays open.
    pub(crate) inside: bool,
    pub(crate) work: fn(u64),
}

pub(crate) const CASES: &[Case] = &[
    Case { name: "root", inside: false, work: span },
    Case { name: "child", inside: true, work: span },
    Case { name: "4 attributes", inside: true, work: attributes },
    Case { name: "event", inside: true, work: event },
];

/// Runs `work` where the case wants it, in as many open spans as it wants.
pub(crate) fn within<R>(case: &Case, work: impl FnOnce() -> R) -> R {
    if case.inside { tracing::info_span!("parent").in_scope(work) } else { work() }
}

#[inline(never)]
fn span(n: u64) {
    let span = tracing::info_span!("request", n, user = "alice");
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn attributes(n: u64) {
    let span = tracing::info_span!("request", n, user = "alice", cached = true, ratio = 0.5);
    let _entered = span.enter();
    black_box(n);
}

#[inline(never)]
fn event(n: u64) {
    tracing::info!(n, "hello");
}
