//! Our layer against the stock one: random programs, and the exports must be equal.
//!
//! What may differ is one list, in `src/guide/migrating.md`. The program generator does none of it, and
//! [`normal`] takes away the `target` that the stock layer puts on every span.
//!
//! `OTEL_SETUP_PROGRAMS` sets the number of programs, `OTEL_SETUP_SEED` the first seed.

#[path = "differential/program.rs"]
mod program;
#[path = "differential/run.rs"]
mod run;
mod support;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanId, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};
use otel_setup::{LogFormat, Sampler, Setup};
use program::{Program, Sampling};
use run::Threads;
use support::{memory, spans};

#[test]
fn exports_are_equal() {
    let number =
        |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let programs: u64 = number("OTEL_SETUP_PROGRAMS", 1_000);
    let first: u64 = number("OTEL_SETUP_SEED", 1);
    let threads = Threads::new();
    let mut seen = HashMap::new();
    for seed in first..first + programs {
        let program = Program::random(seed);
        let exports = Exports::of(&threads, &program);
        if exports.differ() {
            let small = shrunk(&threads, program);
            let steps: Vec<_> = small.steps.iter().map(|step| format!("  {step:?}")).collect();
            panic!(
                "seed {seed}, {:?}, filter {}\n{}\n{}",
                small.sampling,
                small.filter.0,
                steps.join("\n"),
                Exports::of(&threads, &small)
            );
        }
        for line in &exports.ours {
            let name = line.split(' ').nth(1).unwrap_or_default().to_owned();
            *seen.entry(name).or_insert(0_u64) += 1;
        }
    }
    // the programs reach what they are meant to
    for name in ["plain", "fields", "renamed", "status", "failing", "client", "native", "deep"] {
        assert!(seen.get(name).is_some_and(|n| *n > programs / 20), "{name} in {seen:?}");
    }
}

/// Removes steps as long as the exports still differ.
fn shrunk(threads: &Threads, mut program: Program) -> Program {
    let mut at = 0;
    while at < program.steps.len() {
        let smaller = program.without(at);
        if Exports::of(threads, &smaller).differ() {
            program = smaller;
            at = 0;
        } else {
            at += 1;
        }
    }
    program
}

/// What one program exports.
struct Exports {
    ours: Vec<String>,
    /// Ours again, with a layer of the user's own: it is filtered in another way then.
    beside: Vec<String>,
    stock: Vec<String>,
}

impl Exports {
    fn of(threads: &Threads, program: &Program) -> Self {
        let export = |adjust: fn(Setup) -> Setup| {
            let (exporter, seen) = memory();
            let setup = Setup::new("differential")
                .with_env(|_| None)
                .with_exporter(exporter)
                .with_sampler(sampler(program.sampling))
                .with_trace_filter(program.filter.0)
                .with_log_format(LogFormat::Off);
            let ended = Ended::default();
            let is_for_processors = matches!(program.sampling, Sampling::RecordedOnly);
            let setup =
                if is_for_processors { setup.with_span_processor(ended.clone()) } else { setup };
            let stack = adjust(setup).build().expect("these settings are right");
            threads.run(program, stack.dispatch(), &stack.tracer_provider());
            stack.flush(Duration::from_secs(10)).expect("nothing is lost");
            // what is only recorded is exported nowhere
            let seen = if is_for_processors { ended.spans() } else { spans(&seen) };
            let mut lines = normal(&seen);
            // a span that never ends is a difference too
            lines.push(format!("live {}", stack.stats().live));
            lines
        };
        Self {
            ours: export(|setup| setup),
            beside: export(|setup| setup.with_layer(tracing_subscriber::layer::Identity::new())),
            stock: export(Setup::with_stock_layer),
        }
    }

    fn differ(&self) -> bool {
        self.ours != self.stock || self.beside != self.stock
    }
}

impl fmt::Display for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, beside, stock } = self;
        for (name, lines) in [("ours", ours), ("ours, beside another", beside), ("stock", stock)] {
            writeln!(f, "{name}:\n  {}", lines.join("\n  "))?;
        }
        Ok(())
    }
}

fn sampler(sampling: Sampling) -> Sampler {
    let by_name = |decision| Sampler::custom(ByName(decision));
    match sampling {
        Sampling::ByRoot => Sampler::parent_based(by_name(SamplingDecision::Drop)).into(),
        Sampling::RecordedOnly => {
            Sampler::parent_based(by_name(SamplingDecision::RecordOnly)).into()
        }
        Sampling::EachSpan => by_name(SamplingDecision::Drop),
    }
}

/// What becomes of spans whose name begins with `drop`.
#[derive(Debug, Clone)]
struct ByName(SamplingDecision);

impl ShouldSample for ByName {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let decision = if name.starts_with("drop") {
            self.0.clone()
        } else {
            SamplingDecision::RecordAndSample
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

/// What processors see.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl Ended {
    fn spans(&self) -> Vec<SpanData> {
        self.0.lock().expect("no panic under it").clone()
    }
}

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("no panic under it").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Spans as text, in the order of their numbers, without what differs from run to run.
fn normal(spans: &[SpanData]) -> Vec<String> {
    let names: HashMap<SpanId, String> =
        spans.iter().map(|span| (span.span_context.span_id(), number(span))).collect();
    let mut lines: Vec<_> = spans.iter().map(|span| line(span, &names)).collect();
    lines.sort();
    lines
}

fn number(span: &SpanData) -> String {
    let own = span.attributes.iter().find(|attribute| attribute.key.as_str() == "n");
    let n = own.map_or_else(
        || span.name.rsplit(' ').next().unwrap_or_default().to_owned(),
        |attribute| attribute.value.to_string(),
    );
    format!("#{n:0>3}")
}

fn line(span: &SpanData, names: &HashMap<SpanId, String>) -> String {
    assert!(span.start_time <= span.end_time);
    let identity = |id: SpanId| match names.get(&id) {
        Some(name) => name.clone(),
        None if id == SpanId::INVALID => "none".to_owned(),
        // set by the program, so the same in every run
        None if u64::from_be_bytes(id.to_bytes()) < 1_000_000 => format!("remote {id}"),
        None => "unsampled".to_owned(),
    };
    let attributes = |list: &[KeyValue], without: &str| -> Vec<String> {
        let kept = list.iter().filter(|attribute| attribute.key.as_str() != without);
        kept.map(|attribute| format!("{}={:?}", attribute.key, attribute.value.to_string()))
            .collect()
    };
    // in which order an extension and a field came is not kept for a span that has not started
    let mut of_span = attributes(&span.attributes, "target");
    of_span.sort();
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| format!("{}{:?}", event.name, attributes(&event.attributes, "")))
        .collect();
    let mut links: Vec<_> =
        span.links.iter().map(|link| identity(link.span_context.span_id())).collect();
    links.sort();
    format!(
        "{} {} parent {} {:?} {:?} {:?} events {events:?} links {links:?}",
        number(span),
        span.name,
        identity(span.parent_span_id),
        span.span_kind,
        span.status,
        of_span,
    )
}
