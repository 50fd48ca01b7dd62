//! From an ended span to the exporter: ours beside the SDK's `BatchSpanProcessor`.
//!
//! `cargo bench --bench pipeline` prints instructions on the calling thread (which need valgrind
//! and have bounds), time at one and two threads, and what is dropped of a burst. Native SDK spans
//! in all rows, so what differs is the processor.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use otel_setup::{Exporter, LogFormat, Setup};

fn main() -> ExitCode {
    if let Ok(row) = std::env::var(ROW) {
        child(&row);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        for row in ROWS {
            produce(&row.start(), 10);
        }
        return ExitCode::SUCCESS;
    }
    for row in ROWS {
        println!("{:<12} {}", row.name, row.what);
    }
    let held = match instructions() {
        Ok(held) => held,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    times();
    bursts();
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A pipeline, what it has exported, and how to end it.
struct Running {
    provider: SdkTracerProvider,
    exported: Arc<AtomicU64>,
    _ours: Option<otel_setup::Stack>,
}

struct Row {
    name: &'static str,
    what: &'static str,
    start: fn(Count) -> (SdkTracerProvider, Option<otel_setup::Stack>),
}

impl Row {
    fn start(&self) -> Running {
        let exported = Arc::new(AtomicU64::new(0));
        let (provider, ours) = (self.start)(Count(exported.clone()));
        Running { provider, exported, _ours: ours }
    }
}

const ROWS: &[Row] = &[
    Row {
        name: "floor",
        what: "no processor",
        start: |_| (SdkTracerProvider::builder().build(), None),
    },
    Row {
        name: "stock",
        what: "BatchSpanProcessor, its defaults: a queue of 2,048 spans",
        start: |exporter| (stock(exporter, 2_048), None),
    },
    Row {
        name: "stock-16k",
        what: "BatchSpanProcessor, a queue of 16,384 spans as ours has",
        start: |exporter| (stock(exporter, 16_384), None),
    },
    Row {
        name: "ours",
        what: "otel-setup's pipeline",
        start: |exporter| {
            let stack = Setup::new("bench")
                .with_env(|_| None)
                .with_exporter(Exporter::custom(exporter))
                .with_log_format(LogFormat::Off)
                // what is lost is in the table
                .with_diagnostics(|_, _| {})
                .build()
                .expect("these settings are right");
            (stack.tracer_provider(), Some(stack))
        },
    },
];

fn stock(exporter: Count, queue: usize) -> SdkTracerProvider {
    let config = BatchConfigBuilder::default().with_max_queue_size(queue).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    SdkTracerProvider::builder().with_span_processor(processor).build()
}

/// Counts spans and frees them.
#[derive(Debug)]
struct Count(Arc<AtomicU64>);

impl SpanExporter for Count {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Relaxed);
        Ok(())
    }
}

fn produce(running: &Running, spans: u64) {
    let tracer = running.provider.tracer("bench");
    for _ in 0..spans {
        drop(tracer.start("span"));
    }
}

fn child(row: &str) {
    let row = ROWS.iter().find(|r| r.name == row).expect("the parent knows the rows");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let running = row.start();
    produce(&running, count.parse().expect("the parent's count is a number"));
    // the end of the pipeline is not the calling thread's work: leave without it
    std::process::exit(0);
}

/// Whether the bound holds.
fn instructions() -> Result<bool, String> {
    println!(
        "\ninstructions on the calling thread, span start and end; more than the floor; ratio"
    );
    let mut counts = Vec::new();
    for row in ROWS {
        let count = callgrind::on_first_thread(|command: &mut Command, n| {
            command.env(ROW, row.name).env(COUNT, n.to_string());
        })?;
        counts.push((row.name, count));
    }
    let of = |name| counts.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, count)| *count);
    let (floor, stock, ours) = (of("floor"), of("stock"), of("ours"));
    for (name, count) in &counts {
        println!("{name:<12}{count:>10.0}{:>10.0}", count - floor);
    }
    let ratio = (ours - floor) / (stock - floor);
    println!("ours/stock, above the floor: {ratio:.2} (at most {HAND_OVER:.2})");
    Ok(ratio <= HAND_OVER)
}

fn times() {
    println!("\nnanoseconds per span and thread; median of {ROUNDS} rounds of {SPANS} spans");
    println!("{:<12}{:>12}{:>12}", "", "1 thread", "2 threads");
    for row in ROWS {
        let medians = [1, 2].map(|threads| {
            let mut rounds: Vec<_> = (0..ROUNDS).map(|_| time(row, threads)).collect();
            rounds.sort_by(f64::total_cmp);
            rounds[ROUNDS / 2]
        });
        println!("{:<12}{:>12.0}{:>12.0}", row.name, medians[0], medians[1]);
    }
}

fn time(row: &Row, threads: usize) -> f64 {
    let running = row.start();
    let elapsed = together(&running, threads, SPANS);
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
    let nanos = elapsed.as_nanos() as f64 / SPANS as f64;
    nanos
}

/// Each of `threads` makes `spans` at full speed; how long the slowest took.
fn together(running: &Running, threads: usize, spans: u64) -> Duration {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let started = Instant::now();
                    produce(running, spans);
                    started.elapsed()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("no panic")).max().unwrap_or_default()
    })
}

fn bursts() {
    println!("\nspans dropped of a burst of 2 threads at full speed, share of all");
    println!("{:<12}{:>16}{:>16}", "", "16,000 spans", "400,000 spans");
    for row in &ROWS[1..] {
        let shares = [8_000, 200_000].map(|each| {
            let running = row.start();
            together(&running, 2, each);
            running.provider.force_flush().ok();
            let lost = 2 * each - running.exported.load(Relaxed);
            #[expect(clippy::cast_precision_loss, reason = "counts of spans are small")]
            let share = lost as f64 * 100.0 / (2 * each) as f64;
            share
        });
        println!("{:<12}{:>15.1}%{:>15.1}%", row.name, shares[0], shares[1]);
    }
}

/// Above what start and end cost without a queue. Ours counts each start, which stock does not; the
/// time that it takes is the table below.
const HAND_OVER: f64 = 1.02;
const ROUNDS: usize = 15;
const SPANS: u64 = 20_000;
const ROW: &str = "OTEL_SETUP_BENCH_ROW";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
