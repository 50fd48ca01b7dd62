//! What a span costs under each stack, in time. `cargo bench --bench span` prints the table, and
//! fails when what is nearly free is not: both limits are many times what is measured.
//!
//! A stack is installed for a whole process, as programs install it, so each runs in a process of
//! its own: this one starts them, and reads what criterion measured in each.

#[path = "support/stacks.rs"]
mod stacks;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use stacks::{CASES, Case, STACKS, Stack};

fn main() -> ExitCode {
    match std::env::var(STACK) {
        Ok(name) => child(STACKS.iter().find(|s| s.name == name).expect("the parent knows them")),
        Err(_) if !parent() => return ExitCode::FAILURE,
        Err(_) => {}
    }
    ExitCode::SUCCESS
}

/// Starts a process for each stack, then prints the table; whether the limits hold.
fn parent() -> bool {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    for stack in STACKS {
        let status = Command::new(std::env::current_exe().expect("a bench has a path"))
            .args(&arguments)
            .env(STACK, stack.name)
            .status()
            .expect("a bench can start itself");
        assert!(status.success(), "the bench of {} failed", stack.name);
    }
    // nothing is measured in test mode
    !arguments.iter().any(|a| a == "--bench") || print_table()
}

fn child(stack: &Stack) {
    (stack.install)();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .without_plots()
        .configure_from_args();
    let mut group = criterion.benchmark_group(format!("span-{}", stack.name));
    for case in CASES {
        for threads in THREADS {
            group.bench_function(BenchmarkId::new(case.name, threads), |bencher| {
                bencher.iter_custom(|iterations| time(case, threads, iterations));
            });
        }
    }
    if stack.name == "ours" {
        group.bench_function(SECOND_CALL, |bencher| {
            bencher.iter(|| std::mem::forget(otel_setup::setup_tracing("bench")));
        });
    }
    group.finish();
    stacks::shutdown_stock();
    criterion.final_summary();
}

/// The time in which each of `threads` threads does the work `iterations` times.
fn time(case: &Case, threads: usize, iterations: u64) -> Duration {
    let run = || {
        stacks::within(case, || {
            let started = Instant::now();
            (0..iterations).for_each(case.work);
            started.elapsed()
        })
    };
    if threads == 1 {
        return run();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let times = threads.into_iter().map(|t| t.join().expect("the work does not panic"));
        times.max().unwrap_or_default()
    })
}

fn print_table() -> bool {
    println!();
    for stack in STACKS {
        println!("{:<16} {}", stack.name, stack.what);
    }
    println!("\nnanoseconds per operation and thread, median; the exporter discards");
    print!("{:<24}", "");
    for stack in STACKS {
        print!("{:>17}", stack.name);
    }
    println!("{:>14}", "ours/stock");
    for case in CASES {
        for threads in THREADS {
            print!("{:<24}", format!("{}, {threads} thread(s)", case.name));
            let id = format!("{}/{threads}", case.name);
            for stack in STACKS {
                print!("{:>17.1}", median(stack.name, &id));
            }
            println!("{:>14.2}", median("ours", &id) / median("stock", &id));
        }
    }
    let root = format!("{}/1", CASES[0].name);
    let more = median("off", &root) - median("none", &root);
    let second = median("ours", SECOND_CALL);
    println!("a disabled span costs {more:.2} ns more than without a subscriber (at most 2)");
    println!("a second setup_tracing costs {second:.2} ns (at most 5)");
    // what a filter of criterion's left out is not a number, and breaks no limit
    !(more > 2.0 || second > 5.0)
}

/// The median that criterion stored, in nanoseconds; NaN when this run left the case out.
fn median(stack: &str, id: &str) -> f64 {
    let path: PathBuf = [&*criterion_home(), Path::new(&format!("span-{stack}"))].iter().collect();
    let path = path.join(id.replace(' ', "_")).join("new/estimates.json");
    let path = if path.exists() {
        path
    } else {
        criterion_home().join(format!("span-{stack}")).join(id).join("new/estimates.json")
    };
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .and_then(|estimates| estimates["median"]["point_estimate"].as_f64())
        .unwrap_or(f64::NAN)
}

fn criterion_home() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    target.unwrap_or_else(beside).join("criterion")
}

const STACK: &str = "OTEL_SETUP_BENCH_STACK";
const THREADS: [usize; 2] = [1, 2];
const SECOND_CALL: &str = "second setup_tracing";
