//! What a span costs under each stack, in instructions; CI holds the bounds.
//!
//! `cargo bench --bench instructions` prints the table, and fails when a bound is broken. Needs
//! valgrind. The whole path counts, the export thread's share and the freeing included.

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/stacks.rs"]
mod stacks;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use stacks::{CASES, Case, STACKS};

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        child(&case);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for case in CASES {
            stacks::within(case, || (case.work)(0));
        }
        return ExitCode::SUCCESS;
    }
    match table() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one case under one stack, as many times as the parent says.
fn child(case: &str) {
    let stack = std::env::var(STACK).expect("the parent names a stack");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count: u64 = count.parse().expect("the parent's count is a number");
    let stack = STACKS.iter().find(|s| s.name == stack).expect("the parent knows the stacks");
    (stack.install)();
    if case == SECOND_CALL {
        (0..count).for_each(|_| std::mem::forget(otel_setup::setup_tracing("bench")));
    } else {
        let threads = std::env::var(THREADS).expect("the parent names a number of threads");
        let threads: u64 = threads.parse().expect("the parent's threads are a number");
        let case = CASES.iter().find(|c| c.name == case).expect("the parent knows the cases");
        work(case, threads, count / threads);
    }
    if stack.name.starts_with("ours") {
        let guard = otel_setup::setup_tracing("bench").expect("it is installed");
        guard.shutdown(Duration::from_secs(60)).expect("nothing is lost");
    }
    stacks::shutdown_stock();
}

/// On the thread of `main`, or on so many others at a time.
fn work(case: &Case, threads: u64, each: u64) {
    let run = || stacks::within(case, || (0..each).for_each(case.work));
    if threads == 1 {
        return run();
    }
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(run);
        }
    });
}

/// One row a case; whether all bounds hold.
fn table() -> Result<bool, String> {
    for stack in STACKS {
        println!("{:<16} {}", stack.name, stack.what);
    }
    println!("\ninstructions per operation; ratio (bound)");
    print!("{:<25}", "");
    for stack in STACKS {
        print!("{:>17}", stack.name);
    }
    println!(
        "{:>20}{:>20}{:>20}{:>20}",
        "ours/stock", "unsampled/stock", "ours/registry", "off - none"
    );
    let mut all_hold = true;
    for bounds in &BOUNDS {
        all_hold &= row(bounds)?;
    }
    let calls = callgrind::per_operation(50, |command, n| {
        command.env(STACK, "ours").env(CASE, SECOND_CALL).env(COUNT, n.to_string());
    })?;
    println!("{SECOND_CALL:<25}{calls:>17.1} (at most {SECOND_CALL_AT_MOST})");
    all_hold &= calls <= SECOND_CALL_AT_MOST;
    println!("{}", if all_hold { "every bound holds" } else { "a bound is BROKEN" });
    Ok(all_hold)
}

fn row(bounds: &Bounds) -> Result<bool, String> {
    let (case, threads) = (bounds.case, bounds.threads.to_string());
    print!("{:<25}", format!("{case}, {threads} thread(s)"));
    let mut counts = Vec::new();
    for stack in STACKS {
        // these queue nothing
        let times = if ["none", "off", "registry"].contains(&stack.name) { 50 } else { 1 };
        let count = callgrind::per_operation(times, |command, n| {
            command.env(STACK, stack.name).env(CASE, case).env(COUNT, n.to_string());
            command.env(THREADS, &threads);
        })?;
        print!("{count:>17.0}");
        counts.push((stack.name, count));
    }
    let of = |name| counts.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, count)| *count);
    let held = [
        (of("ours") / of("stock"), bounds.sampled),
        (of("ours-unsampled") / of("stock-unsampled"), bounds.unsampled),
        (of("ours") / of("registry"), bounds.registry),
        (of("off") - of("none"), bounds.off),
    ];
    for (value, bound) in held {
        print!("{:>20}", format!("{value:.2} ({bound:.2})"));
    }
    println!();
    Ok(held.into_iter().all(|(value, bound)| value <= bound))
}

/// What CI holds for a case: ratios to the stock stack and to the registry alone on the same work,
/// and instructions more than without a subscriber for a span that is filtered out.
struct Bounds {
    case: &'static str,
    threads: u64,
    sampled: f64,
    unsampled: f64,
    registry: f64,
    off: f64,
}

const BOUNDS: [Bounds; 8] = [
    Bounds { case: "root", threads: 1, sampled: 0.60, unsampled: 0.52, registry: 8.0, off: 2.0 },
    Bounds { case: "root", threads: 2, sampled: 0.60, unsampled: 0.52, registry: 8.0, off: 2.0 },
    Bounds { case: "child", threads: 1, sampled: 0.60, unsampled: 0.25, registry: 5.6, off: 2.0 },
    Bounds { case: "child", threads: 2, sampled: 0.60, unsampled: 0.25, registry: 5.6, off: 2.0 },
    Bounds {
        case: "4 attributes",
        threads: 1,
        sampled: 0.60,
        unsampled: 0.25,
        registry: 5.8,
        off: 2.0,
    },
    Bounds {
        case: "4 attributes",
        threads: 2,
        sampled: 0.60,
        unsampled: 0.25,
        registry: 5.8,
        off: 2.0,
    },
    Bounds { case: "event", threads: 1, sampled: 0.50, unsampled: 0.06, registry: 16.0, off: 2.0 },
    Bounds { case: "event", threads: 2, sampled: 0.50, unsampled: 0.06, registry: 16.0, off: 2.0 },
];

/// Instructions that a second `setup_tracing` of the same name costs.
const SECOND_CALL_AT_MOST: f64 = 20.0;

const STACK: &str = "OTEL_SETUP_BENCH_STACK";
const CASE: &str = "OTEL_SETUP_BENCH_CASE";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
const THREADS: &str = "OTEL_SETUP_BENCH_THREADS";
const SECOND_CALL: &str = "second setup_tracing";
