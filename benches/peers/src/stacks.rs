//! Each stack as its own README sets it up, without log lines.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tracing_subscriber::prelude::*;

use crate::work::Api;

pub(crate) struct Stack {
    pub(crate) name: &'static str,
    /// Whose figures its own are put in relation to.
    pub(crate) beside: &'static str,
    pub(crate) api: Api,
    pub(crate) sampled: bool,
    /// Sets it up; what comes back exports what is left.
    pub(crate) install: fn() -> Box<dyn FnOnce()>,
}

pub(crate) const STACKS: &[Stack] = &[
    tracing("tracing-opentelemetry", "tracing-opentelemetry", true, stock),
    tracing("init-tracing-opentelemetry", "tracing-opentelemetry", true, init_tracing),
    tracing("logfire", "tracing-opentelemetry", true, logfire),
    fastrace("fastrace", "tracing-opentelemetry", true),
    tracing("otel-setup", "tracing-opentelemetry", true, ours),
    tracing(UNSAMPLED, UNSAMPLED, false, stock),
    tracing("init-tracing-opentelemetry, unsampled", UNSAMPLED, false, init_tracing),
    tracing("logfire, unsampled", UNSAMPLED, false, logfire),
    fastrace("fastrace, unsampled", UNSAMPLED, false),
    tracing("otel-setup, unsampled", UNSAMPLED, false, ours),
];

const UNSAMPLED: &str = "tracing-opentelemetry, unsampled";

const fn tracing(
    name: &'static str,
    beside: &'static str,
    sampled: bool,
    install: fn() -> Box<dyn FnOnce()>,
) -> Stack {
    Stack { name, beside, api: Api::Tracing, sampled, install }
}

const fn fastrace(name: &'static str, beside: &'static str, sampled: bool) -> Stack {
    Stack { name, beside, api: Api::Fastrace, sampled, install: install_fastrace }
}

fn ours() -> Box<dyn FnOnce()> {
    let guard = otel_setup::Setup::new("bench")
        .with_log_format(otel_setup::LogFormat::Off)
        .init()
        .expect("the bench is alone in its process");
    Box::new(move || drop(guard.shutdown(PATIENCE)))
}

fn stock() -> Box<dyn FnOnce()> {
    let provider = SdkTracerProvider::builder().with_batch_exporter(otlp()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing_subscriber::registry().with(layer).init();
    Box::new(move || drop(provider.shutdown_with_timeout(PATIENCE)))
}

/// Stock, exporting or discarding; what comes back waits until all is out.
pub(crate) fn stock_in_waves(is_exporting: bool) -> Box<dyn Fn()> {
    let builder = SdkTracerProvider::builder();
    let builder = if is_exporting {
        builder.with_batch_exporter(otlp())
    } else {
        builder.with_batch_exporter(Discard)
    };
    let provider = builder.build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    tracing_subscriber::registry().with(layer).init();
    Box::new(move || provider.force_flush().expect("the collector takes all"))
}

/// The same with ours.
pub(crate) fn ours_in_waves(is_exporting: bool) -> Box<dyn Fn()> {
    let setup = otel_setup::Setup::new("bench").with_log_format(otel_setup::LogFormat::Off);
    let setup = if is_exporting {
        setup
    } else {
        setup.with_exporter(otel_setup::Exporter::custom(Discard))
    };
    let guard = setup.init().expect("the bench is alone in its process");
    Box::new(move || guard.flush(PATIENCE).expect("the collector takes all"))
}

/// Frees what it gets.
#[derive(Debug)]
struct Discard;

impl opentelemetry_sdk::trace::SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(batch);
        Ok(())
    }
}

fn init_tracing() -> Box<dyn FnOnce()> {
    let guard = init_tracing_opentelemetry::TracingConfig::production()
        .with_stderr()
        .with_quiet_init(true)
        .init_subscriber()
        .expect("the bench is alone in its process");
    Box::new(move || drop(guard))
}

fn logfire() -> Box<dyn FnOnce()> {
    let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").expect("the parent sets it");
    let advanced = logfire::config::AdvancedOptions::default().with_base_url(endpoint);
    let logfire = logfire::configure()
        .with_token("of-nobody")
        .with_console(None)
        .with_metrics(None)
        .with_advanced_options(advanced)
        .finish()
        .expect("the bench is alone in its process");
    Box::new(move || drop(logfire.shutdown()))
}

fn install_fastrace() -> Box<dyn FnOnce()> {
    let scope = InstrumentationScope::builder("bench").build();
    let resource = Cow::Owned(Resource::builder().build());
    let reporter = fastrace_opentelemetry::OpenTelemetryReporter::new(otlp(), resource, scope);
    ::fastrace::set_reporter(reporter, ::fastrace::collector::Config::default());
    Box::new(::fastrace::flush)
}

/// Where to, by the environment.
fn otlp() -> SpanExporter {
    SpanExporter::builder().with_http().build().expect("the endpoint is right")
}

const PATIENCE: Duration = Duration::from_secs(60);
