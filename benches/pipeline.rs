//! From an ended span to the exporter: ours beside the SDK's `BatchSpanProcessor`.
//!
//! `cargo bench --bench pipeline` prints instructions on the calling thread (which need valgrind
//! and have bounds), time at one and two threads, and what is dropped of a burst; with `--
//! instructions`, the first alone. Native SDK spans in all rows, so what differs is the processor.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use otel_setup::{BatchSettings, Exporter, LogFormat, Setup};

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
    if !std::env::args().any(|argument| argument == "instructions") {
        times();
        alone();
        bursts();
    }
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
        start: |exporter| (stock(exporter, 2_048, 512), None),
    },
    Row {
        name: "stock-16k",
        what: "BatchSpanProcessor, a queue of 16,384 spans",
        start: |exporter| (stock(exporter, 16_384, 512), None),
    },
    Row {
        name: "ours-16k",
        what: "otel-setup's pipeline, a queue of 16,384 spans",
        start: |exporter| ours(exporter, BatchSettings::new().with_max_queue_size(16_384)),
    },
    Row {
        name: "ours",
        what: "otel-setup's pipeline, its defaults: a queue of 65,536 spans and 32 MiB",
        start: |exporter| ours(exporter, BatchSettings::new()),
    },
];

fn ours(exporter: Count, batch: BatchSettings) -> (SdkTracerProvider, Option<otel_setup::Stack>) {
    let stack = Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(Exporter::custom(exporter))
        .with_batch(batch)
        .with_log_format(LogFormat::Off)
        // what is lost is in the table
        .with_diagnostics(|_, _| {})
        .build()
        .expect("these settings are right");
    (stack.tracer_provider(), Some(stack))
}

/// Without a worker, and with one that sleeps until it is told to flush.
const SLEEPERS: [Row; 3] = [
    Row {
        name: "floor",
        what: "no processor",
        start: |_| (SdkTracerProvider::builder().build(), None),
    },
    Row {
        name: "stock-16k",
        what: "BatchSpanProcessor, in batches of 8,192",
        start: |exporter| (stock(exporter, 16_384, 8_192), None),
    },
    Row {
        name: "ours",
        what: "otel-setup's pipeline, in batches of 8,192",
        start: |exporter| ours(exporter, BatchSettings::new().with_max_export_batch_size(8_192)),
    },
];

fn stock(exporter: Count, queue: usize, batch: usize) -> SdkTracerProvider {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(batch)
        .build();
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
    println!(
        "\nnanoseconds per span and thread, on the clock and (on the thread's processor);\n\
         median of {ROUNDS} rounds of {SPANS} spans, in which the rows take turns"
    );
    println!("{:<12}{:>20}{:>20}", "", "1 thread", "2 threads");
    let mut rounds = vec![[const { Vec::new() }; 2]; ROWS.len()];
    for _ in 0..ROUNDS {
        for (row, rounds) in ROWS.iter().zip(&mut rounds) {
            for (threads, rounds) in [1, 2].into_iter().zip(rounds) {
                rounds.push(together(&row.start(), threads, SPANS));
            }
        }
    }
    let medians: Vec<_> = rounds.into_iter().map(|row| row.map(median)).collect();
    let floor = medians[0];
    for (row, medians) in ROWS.iter().zip(&medians) {
        let [one, two] = medians.map(|Took { clock, processor }| {
            format!("{:.0} ({:.0})", per_span(clock, SPANS), per_span(processor, SPANS))
        });
        println!("{:<12}{one:>20}{two:>20}", row.name);
    }
    let hand_over = |name: &str, threads: usize| {
        let at = ROWS.iter().position(|row| row.name == name).expect("it is a row");
        let (took, floor) = (medians[at][threads - 1], floor[threads - 1]);
        [took.clock.saturating_sub(floor.clock), took.processor.saturating_sub(floor.processor)]
    };
    let said = |one: [Duration; 2], other: [Duration; 2]| {
        let [clock, processor] =
            [0, 1].map(|which| one[which].as_secs_f64() / other[which].as_secs_f64());
        format!("{clock:.2} ({processor:.2})")
    };
    let two = hand_over("ours", 2);
    println!(
        "handing over, above the floor: ours at 2 threads is {} of stock's (at most 0.60) and {} \
         of ours at 1 (at most 1.20)",
        said(two, hand_over("stock", 2)),
        said(two, hand_over("ours", 1)),
    );
}

/// What producers do to each other, and nothing else: no worker takes a core from them.
fn alone() {
    println!(
        "\nthe same while the worker sleeps: rounds of {FEW} spans a thread, each flushed before the \
         next"
    );
    println!("{:<12}{:>20}{:>20}", "", "1 thread", "2 threads");
    let mut rounds = [const { [const { Vec::new() }; 2] }; SLEEPERS.len()];
    let running = SLEEPERS.each_ref().map(Row::start);
    for _ in 0..MANY_ROUNDS {
        for (running, rounds) in running.iter().zip(&mut rounds) {
            for (threads, rounds) in [1, 2].into_iter().zip(rounds) {
                rounds.push(together(running, threads, FEW));
                running.provider.force_flush().ok();
            }
        }
    }
    let medians = rounds.map(|row| row.map(median));
    for (row, medians) in SLEEPERS.iter().zip(&medians) {
        let [one, two] = medians.map(|took| {
            format!("{:.0} ({:.0})", per_span(took.clock, FEW), per_span(took.processor, FEW))
        });
        println!("{:<12}{one:>20}{two:>20}", row.name);
    }
    let above = |row: usize, threads: usize, of: fn(&Took) -> Duration| {
        let [floor, row] = [0, row].map(|row: usize| of(&medians[row][threads - 1]));
        row.saturating_sub(floor).as_secs_f64()
    };
    let ratio = |one: (usize, usize), other: (usize, usize)| {
        let [clock, processor]: [fn(&Took) -> Duration; 2] =
            [|took| took.clock, |took| took.processor];
        let [clock, processor] =
            [clock, processor].map(|of| above(one.0, one.1, of) / above(other.0, other.1, of));
        format!("{clock:.2} ({processor:.2})")
    };
    println!(
        "handing over, above the floor: ours at 2 threads is {} of stock's (at most 0.60) and {} of \
         ours at 1 (at most 1.20)",
        ratio((2, 2), (1, 2)),
        ratio((2, 2), (2, 1)),
    );
}

/// What one thread took for its spans, at the worst of those that ran together.
#[derive(Debug, Clone, Copy, Default)]
struct Took {
    clock: Duration,
    processor: Duration,
}

fn median(mut rounds: Vec<Took>) -> Took {
    let mut of = |field: fn(&Took) -> Duration| {
        rounds.sort_by_key(field);
        field(&rounds[rounds.len() / 2])
    };
    Took { clock: of(|took| took.clock), processor: of(|took| took.processor) }
}

fn per_span(took: Duration, spans: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
    let nanos = took.as_nanos() as f64 / spans as f64;
    nanos
}

/// Each of `threads` makes `spans` at full speed.
fn together(running: &Running, threads: usize, spans: u64) -> Took {
    let barrier = Barrier::new(threads);
    let one = |at: usize| {
        pin(at);
        barrier.wait();
        let (clock, processor) = (Instant::now(), ThreadTime::now());
        produce(running, spans);
        Took { clock: clock.elapsed(), processor: processor.elapsed() }
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|at| scope.spawn(move || one(at))).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).fold(
            Took::default(),
            |worst, one| Took {
                clock: worst.clock.max(one.clock),
                processor: worst.processor.max(one.processor),
            },
        )
    })
}

/// Each thread has a core of its own, or they might take turns on one and never meet.
#[cfg(target_os = "linux")]
fn pin(at: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(may) = sched_getaffinity(None) else { return };
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| may.is_set(*core)).collect();
    let mut own = CpuSet::new();
    own.set(cores[at % cores.len()]);
    // where that is not allowed, the figures are less steady
    let _ = sched_setaffinity(None, &own);
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) {}

fn bursts() {
    println!(
        "\nspans dropped of a burst of 2 threads at full speed, share of all;\nmedian of {BURSTS} \
         bursts, in which the rows take turns"
    );
    println!("{:<12}{:>16}{:>16}", "", "16,000 spans", "400,000 spans");
    let rows = &ROWS[1..];
    let mut shares = vec![[const { Vec::new() }; 2]; rows.len()];
    for _ in 0..BURSTS {
        for (row, shares) in rows.iter().zip(&mut shares) {
            for (each, shares) in [8_000, 200_000].into_iter().zip(shares) {
                shares.push(dropped(row, each));
            }
        }
    }
    for (row, shares) in rows.iter().zip(shares) {
        let [fits, exceeds] = shares.map(|mut shares| {
            shares.sort_by(f64::total_cmp);
            shares[BURSTS / 2]
        });
        println!("{:<12}{fits:>15.1}%{exceeds:>15.1}%", row.name);
    }
}

/// Of a burst of `each` by two threads, percent.
fn dropped(row: &Row, each: u64) -> f64 {
    let running = row.start();
    together(&running, 2, each);
    running.provider.force_flush().ok();
    let lost = 2 * each - running.exported.load(Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "counts of spans are small")]
    let share = lost as f64 * 100.0 / (2 * each) as f64;
    share
}

/// Above what start and end cost without a queue. Ours counts each start, which stock does not; the
/// time that it takes is the table below.
const HAND_OVER: f64 = 1.02;
const ROUNDS: usize = 15;
const BURSTS: usize = 11;
const SPANS: u64 = 20_000;
/// No more than the buffers that the pipeline keeps for reuse.
const FEW: u64 = 1_000;
const MANY_ROUNDS: usize = 301;
const ROW: &str = "OTEL_SETUP_BENCH_ROW";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
