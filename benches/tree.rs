//! The tree exporter under load, beside an exporter that discards.
//!
//! `cargo bench --bench tree` prints what a span costs on the thread that makes it and on the one
//! that paints, the load of a busy program, a terminal that has stopped reading, and large traces.
//! Instructions (which need valgrind) have bounds just above what they are; times fail only where
//! noise cannot explain them, see [`NOISE`]. With `-- instructions` nothing is timed.

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/paper.rs"]
mod paper;
#[path = "support/traces.rs"]
mod traces;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Setup, Stack};
use paper::Paper;
use traces::LARGE;

fn main() -> ExitCode {
    if let Ok(work) = std::env::var(WORK) {
        child(&work);
        return ExitCode::SUCCESS;
    }
    let asks = |word| std::env::args().any(|argument| argument == word);
    if !asks("--bench") {
        for work in WORKS {
            work.run(&tree(&Paper::default()), 10);
        }
        return ExitCode::SUCCESS;
    }
    let mut checks = Checks::default();
    if let Err(problem) = instructions(&mut checks) {
        eprintln!("{problem}");
        return ExitCode::FAILURE;
    }
    if !asks("instructions") {
        steady(&mut checks);
        bursts(&mut checks);
        stopped(&mut checks);
        large(&mut checks);
    }
    checks.outcome()
}

/// Limits that did not hold.
#[derive(Debug, Default)]
struct Checks(Vec<String>);

impl Checks {
    fn that(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.0.push(what.into());
        }
    }

    fn outcome(self) -> ExitCode {
        for broken in &self.0 {
            println!("BROKEN: {broken}");
        }
        if self.0.is_empty() {
            println!("every bound holds");
            return ExitCode::SUCCESS;
        }
        ExitCode::FAILURE
    }
}

/// Spans of a shape, `count` operations of them.
struct Work {
    name: &'static str,
    /// One operation, of this many spans.
    spans: u64,
    make: fn(&SdkTracer),
    /// Operations of the shorter and of the longer run under callgrind.
    runs: (u64, u64),
    /// Instructions that showing one operation takes beyond discarding it: what was measured, and
    /// a seventh. The limits are further off: at two instructions a nanosecond, slower than most
    /// cores are, 50,000 spans a second leave 400,000 for ten spans, and a second has 2,000,000,000.
    bound: f64,
}

const WORKS: &[Work] = &[
    Work { name: "10 spans", spans: 10, make: traces::ten, runs: (50, 200), bound: 305_000.0 },
    Work {
        name: "10,000 of one name",
        spans: LARGE,
        make: traces::alike,
        runs: (1, 2),
        bound: 38_000_000.0,
    },
    Work {
        name: "10,000 names",
        spans: LARGE,
        make: traces::unlike,
        runs: (1, 2),
        bound: 58_000_000.0,
    },
    Work {
        name: "10,000 deep",
        spans: LARGE,
        make: traces::deep,
        runs: (1, 2),
        bound: 72_000_000.0,
    },
];

impl Work {
    fn run(&self, stack: &Stack, operations: u64) {
        let tracer = stack.tracer_provider().tracer("bench");
        for _ in 0..operations {
            (self.make)(&tracer);
            if self.spans == LARGE {
                // the queue holds one of them
                stack.flush(PATIENCE).expect("it is shown in time");
            }
        }
    }
}

/// Frees spans.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(batch);
        Ok(())
    }
}

fn tree(paper: &Paper) -> Stack {
    build(Exporter::tree().with_width(120).with_writer(paper.clone()))
}

fn discard() -> Stack {
    build(Exporter::custom(Discard))
}

fn build(exporter: impl Into<Exporter>) -> Stack {
    Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        // what is lost is in the table
        .with_diagnostics(|_, _| {})
        .build()
        .expect("these settings are right")
}

fn child(work: &str) {
    let work = WORKS.iter().find(|w| w.name == work).expect("the parent knows the works");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count = count.parse().expect("the parent's count is a number");
    let stack = match std::env::var(EXPORTER).as_deref() {
        Ok("tree") => tree(&Paper::default()),
        _ => discard(),
    };
    work.run(&stack, count);
    if std::env::var_os(SHOWS).is_some() {
        stack.flush(PATIENCE).expect("it is shown in time");
    }
    // without the end of the pipeline
    std::process::exit(0);
}

fn instructions(checks: &mut Checks) -> Result<(), String> {
    let count = |work: &Work, exporter: &str, whole: bool| {
        let run = |command: &mut Command, n: u64| {
            command.env(WORK, work.name).env(EXPORTER, exporter).env(COUNT, n.to_string());
            if whole {
                command.env(SHOWS, "1");
            }
        };
        if whole {
            callgrind::between(work.runs, run)
        } else {
            callgrind::on_first_thread(|command, n| run(command, n / work.spans))
        }
    };
    let small = &WORKS[0];
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let spans = |work: &Work| work.spans as f64;
    let (tree, beside) = (count(small, "tree", false)?, count(small, "discard", false)?);
    println!("instructions a span on the thread that makes it");
    println!("{:<22}{tree:>12.0}", "tree");
    println!("{:<22}{beside:>12.0}", "discarded");
    println!("{:<22}{:>12.2}  at most {CALLER:.2}", "ratio", tree / beside);
    checks.that(tree / beside <= CALLER, "the tree costs the application's thread more");

    println!("\ninstructions of all threads, tree less discarded");
    println!("{:<22}{:>12}{:>16}", "a trace of", "a span", "the trace");
    for work in WORKS {
        let more = count(work, "tree", true)? - count(work, "discard", true)?;
        println!(
            "{:<22}{:>12.0}{more:>16.0}  at most {:.0}",
            work.name,
            more / spans(work),
            work.bound
        );
        checks.that(more <= work.bound, format!("{}: too many instructions", work.name));
    }
    Ok(())
}

/// 50,000 spans a second for a while, as they come in a busy program: a few each millisecond.
fn steady(checks: &mut Checks) {
    heading(&format!("{RATE} spans a second for {} s", LASTS.as_secs()));
    let [beside, tree] = EXPORTERS.map(|(name, start)| {
        let stack = start();
        let nanos = paced(&stack);
        let lost = row(checks, name, &stack, nanos);
        let dropped = lost * STALL > stack.stats().started;
        checks.that(!dropped, format!("{name}: {lost} dropped at {RATE} a second"));
        nanos
    });
    println!("{:<22}{:>18.2}  at most {NOISE:.2}", "ratio", tree / beside);
    checks.that(tree / beside <= NOISE, "the tree holds up the thread that makes spans");
}

/// Nanoseconds a span on the calling thread, the median of the milliseconds.
fn paced(stack: &Stack) -> f64 {
    let tracer = stack.tracer_provider().tracer("bench");
    let each = RATE / 1_000 / WORKS[0].spans;
    let (started, mut took) = (Instant::now(), Vec::new());
    let mut next = started;
    while started.elapsed() < LASTS {
        let turn = Instant::now();
        (0..each).for_each(|_| traces::ten(&tracer));
        took.push(turn.elapsed());
        next += Duration::from_millis(1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    took.sort_unstable();
    nanos(took[took.len() / 2], each * WORKS[0].spans)
}

/// As fast as two threads can, which is more than a terminal is for.
fn bursts(checks: &mut Checks) {
    heading(&format!("{BURST} spans of 2 threads at full speed"));
    for (name, start) in EXPORTERS {
        let stack = start();
        let nanos = at_full_speed(&stack);
        row(checks, name, &stack, nanos);
    }
}

/// Somebody has pressed Ctrl-S: the program goes on, and what has no room is counted.
fn stopped(checks: &mut Checks) {
    heading(&format!("{BURST} spans of 2 threads while the terminal does not read"));
    let paper = Paper::default();
    let stack = tree(&paper);
    paper.stop(true);
    let nanos = at_full_speed(&stack);
    paper.stop(false);
    let lost = row(checks, "tree", &stack, nanos);
    checks.that(lost > 0, "stopped: nothing was dropped, so the terminal did read");
}

fn at_full_speed(stack: &Stack) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| WORKS[0].run(stack, BURST / WORKS[0].spans / 2));
        }
    });
    nanos(started.elapsed(), BURST / 2)
}

fn heading(what: &str) {
    println!("\n{what}");
    println!("{:<22}{:>18}{:>12}{:>12}", "", "ns of the caller", "shown", "dropped");
}

/// Returns what was lost.
fn row(checks: &mut Checks, name: &str, stack: &Stack, nanos: f64) -> u64 {
    // that spans were lost is in the row
    stack.flush(PATIENCE).ok();
    let stats = stack.stats();
    let (shown, lost) = (stats.exporters[0].exported, stats.lost());
    println!("{name:<22}{nanos:>18.0}{shown:>12}{lost:>12}");
    checks.that(shown + lost == stats.started, format!("{name}: spans are not accounted for"));
    lost
}

#[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
fn nanos(took: Duration, spans: u64) -> f64 {
    took.as_nanos() as f64 / spans as f64
}

/// From the first span, and from the end of the root, to the last character.
fn large(checks: &mut Checks) {
    println!("\na trace of {LARGE} spans, best of {ROUNDS}");
    println!("{:<22}{:>18}{:>18}{:>12}", "", "ms from start", "ms from end", "lines");
    for work in &WORKS[1..] {
        let (mut whole, mut best) = (Duration::MAX, Duration::MAX);
        let mut lines = 0;
        for _ in 0..ROUNDS {
            let paper = Paper::default();
            let stack = tree(&paper);
            let tracer = stack.tracer_provider().tracer("bench");
            let started = Instant::now();
            (work.make)(&tracer);
            let ended = Instant::now();
            stack.flush(PATIENCE).expect("it is shown in time");
            whole = whole.min(started.elapsed());
            best = best.min(ended.elapsed());
            lines = paper.lines();
            let shown = stack.stats().exporters[0].exported;
            checks.that(shown == LARGE, format!("{}: {shown} spans shown", work.name));
        }
        let millis = |took: Duration| took.as_secs_f64() * 1e3;
        println!("{:<22}{:>18.1}{:>18.1}{lines:>12}", work.name, millis(whole), millis(best));
        checks.that(best < Duration::from_secs(1), format!("{}: not within 1 s", work.name));
        checks.that(lines <= MOST_LINES, format!("{}: {lines} lines are not folded", work.name));
    }
}

type Start = fn() -> Stack;

const EXPORTERS: [(&str, Start); 2] =
    [("discarded", discard), ("tree", || tree(&Paper::default()))];

/// The thread that makes a span does the same for any exporter, so what differs is chance: which
/// thread finds memory that the other has freed. A span that is painted there takes twelve times that.
const CALLER: f64 = 1.10;
/// Painting, or waiting for who paints, would be ten times a span's own cost and more, while
/// medians of two thousand turns on a machine with other work differ by less than two.
const NOISE: f64 = 2.5;
/// The queue holds what comes in a third of a second. A machine that leaves the thread that paints
/// no core for longer than that is not the tree's doing; one span in a hundred is.
const STALL: u64 = 100;
const RATE: u64 = 50_000;
const LASTS: Duration = Duration::from_secs(2);
const BURST: u64 = 200_000;
const ROUNDS: u64 = 3;
/// A screenful or three.
const MOST_LINES: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(60);
const WORK: &str = "OTEL_SETUP_BENCH_WORK";
const EXPORTER: &str = "OTEL_SETUP_BENCH_EXPORTER";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
const SHOWS: &str = "OTEL_SETUP_BENCH_SHOWS";
