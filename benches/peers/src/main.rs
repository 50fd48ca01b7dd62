//! Ours beside the peers: what a user of each would write, on the same work, in one run.
//!
//! Every stack exports OTLP over HTTP, by its own defaults, to a collector in this process that
//! counts what arrives. Each runs in a process of its own. `cargo run --release` prints the tables
//! and draws the plots beside `benches/README.md`.

mod callgrind;
mod collector;
mod hello;
mod plot;
mod stacks;
mod throughput;
mod work;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use collector::Collector;
use stacks::{STACKS, Stack};
use work::CASES;

fn main() -> ExitCode {
    if let Ok(stack) = std::env::var(STACK) {
        child(&stack);
        return ExitCode::SUCCESS;
    }
    let outcome = match std::env::args().nth(1).as_deref() {
        None => compare(),
        Some("hello") => hello::print(),
        Some("throughput") => throughput(),
        Some(other) => {
            Err(format!("{other:?} is not a part of this bench; try none, `hello` or `throughput`"))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Sets one stack up and does what the parent says.
fn child(stack: &str) {
    if throughput::child(stack) {
        return;
    }
    let variable = |name: &str| std::env::var(name).expect("the parent sets it");
    let count: u64 = variable(COUNT).parse().expect("the parent's count is a number");
    let stack = STACKS.iter().find(|s| s.name == stack).expect("the parent knows the stacks");
    let end = (stack.install)();
    let case = variable(CASE);
    if case == BURST {
        let threads =
            [(); 2].map(|()| std::thread::spawn(move || work::burst(stack.api, count / 2)));
        threads.into_iter().for_each(|thread| thread.join().expect("the work does not panic"));
    } else {
        let case = CASES.iter().find(|c| c.name == case).expect("the parent knows the cases");
        case.run(stack.api, count, stack.sampled);
    }
    end();
}

fn compare() -> Result<(), String> {
    let collector = Collector::start().map_err(|e| format!("no port on loopback: {e}"))?;
    let costs = costs(&collector)?;
    let delivered = delivered(&collector)?;
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let write = |name: &str, svg: String| {
        std::fs::write(benches.join(name), svg).map_err(|e| format!("cannot write {name}: {e}"))
    };
    write("span-cost.svg", plot::costs(&costs))?;
    write("delivered.svg", plot::delivered(&delivered))?;
    println!();
    throughput()
}

fn throughput() -> Result<(), String> {
    throughput::print(|case, endpoint| {
        let itself = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(itself);
        command.env(STACK, case).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        command.env("OTEL_SERVICE_NAME", "bench").env_remove("RUST_LOG");
        Ok(command)
    })
}

/// The instructions of one stack on the thread that makes the spans, one a case.
pub(crate) struct Cost {
    pub(crate) stack: &'static Stack,
    pub(crate) by_case: Vec<f64>,
}

fn costs(collector: &Collector) -> Result<Vec<Cost>, String> {
    println!(
        "instructions a span on the thread that makes it (callgrind), and the share of stock's"
    );
    let mut head = format!("{:<36}", "");
    for case in CASES {
        let _ = write!(head, "{:>22}", case.name);
    }
    println!("{head}");
    let mut costs = Vec::<Cost>::new();
    for stack in STACKS {
        let counted = CASES.iter().map(|case| {
            callgrind::measured(|command| {
                environment(command, stack, case.name, COUNTED, collector);
            })
            .map(|total| total / COUNTED as f64)
        });
        let by_case = counted.collect::<Result<Vec<_>, _>>()?;
        let mut line = format!("{:<36}", stack.name);
        let base = costs.iter().find(|c| c.stack.name == stack.beside);
        for (at, count) in by_case.iter().enumerate() {
            let ratio = base.map_or(1.0, |base| count / base.by_case[at]);
            let _ = write!(line, "{:>22}", format!("{count:.0} ({ratio:.2})"));
        }
        println!("{line}");
        costs.push(Cost { stack, by_case });
    }
    Ok(costs)
}

/// The share that arrived of each of [`BURSTS`].
pub(crate) struct Delivered {
    pub(crate) stack: &'static Stack,
    pub(crate) shares: [f64; 2],
}

fn delivered(collector: &Collector) -> Result<Vec<Delivered>, String> {
    println!(
        "\nof the spans that two threads make as fast as they can, the share that arrived; median of \
         {ROUNDS} rounds,\nin which the stacks take turns"
    );
    let [small, large] = BURSTS.map(|spans| format!("{spans} at once"));
    println!("{:<36}{small:>22}{large:>22}", "");
    let sampled: Vec<_> = STACKS.iter().filter(|stack| stack.sampled).collect();
    let mut rounds = vec![[const { Vec::new() }; 2]; sampled.len()];
    for _ in 0..ROUNDS {
        for (stack, rounds) in sampled.iter().zip(&mut rounds) {
            for (spans, shares) in BURSTS.into_iter().zip(rounds) {
                shares.push(burst(stack, spans, collector)?);
            }
        }
    }
    let delivered = sampled.into_iter().zip(rounds).map(|(stack, rounds)| {
        let shares = rounds.map(|mut shares| {
            shares.sort_by(f64::total_cmp);
            shares[ROUNDS / 2]
        });
        let [small, large] = shares.map(|share| format!("{:.1}%", share * 100.0));
        println!("{:<36}{small:>22}{large:>22}", stack.name);
        Delivered { stack, shares }
    });
    Ok(delivered.collect())
}

/// The share of so many spans that arrived.
fn burst(stack: &Stack, spans: u64, collector: &Collector) -> Result<f64, String> {
    let before = collector.spans();
    let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
    environment(&mut command, stack, BURST, spans, collector);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Err(format!("{} failed: {status:?}", stack.name));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = (collector.spans() - before) as f64 / spans as f64;
    Ok(share)
}

fn environment(command: &mut Command, stack: &Stack, case: &str, n: u64, collector: &Collector) {
    command.env(STACK, stack.name).env(CASE, case).env(COUNT, n.to_string());
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    command.env("OTEL_SERVICE_NAME", "bench").env_remove("RUST_LOG");
    if !stack.sampled {
        command.env("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    }
}

const STACK: &str = "OTEL_SETUP_PEERS_STACK";
const CASE: &str = "OTEL_SETUP_PEERS_CASE";
const COUNT: &str = "OTEL_SETUP_PEERS_COUNT";
const BURST: &str = "burst";
/// Spans that are counted, after as many that are not. Fewer than any queue holds.
pub(crate) const COUNTED: u64 = 500;
const BURSTS: [u64; 2] = [16_000, 200_000];
const ROUNDS: usize = 5;
