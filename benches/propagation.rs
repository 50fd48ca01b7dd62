//! What reading and writing `traceparent` costs, ours beside the SDK's; CI holds the
//! bounds.
//!
//! `cargo bench --bench propagation` prints instructions (needs valgrind) and fails when a bound is
//! broken. The carrier is the same for both and costs next to nothing, so that the propagators are
//! all there is.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::hint::black_box;
use std::process::ExitCode;

use opentelemetry::Context;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_setup::propagation::{Extractor, Injector, Propagator, TextMapPropagator};

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        child(&case);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for case in CASES {
            work(case, &Propagator::trace_context(), 1);
        }
        return ExitCode::SUCCESS;
    }
    println!("{:<28}{:>10}{:>10}{:>10}", "instructions an operation", "ours", "sdk", "ratio");
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
    let count = |whose: &str| {
        callgrind::per_operation(10, |command, n| {
            command.env(WHOSE, whose).env(CASE, case.name).env(COUNT, n.to_string());
        })
    };
    let (ours, sdk) = (count("ours")?, count("sdk")?);
    let ratio = ours / sdk;
    println!("{:<28}{ours:>10.0}{sdk:>10.0}{ratio:>10.2}  at most {:.2}", case.name, case.bound);
    Ok(ratio <= case.bound)
}

fn child(case: &str) {
    let case = CASES.iter().find(|c| c.name == case).expect("the parent knows the cases");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count = count.parse().expect("the parent's count is a number");
    match std::env::var(WHOSE).as_deref() {
        Ok("ours") => work(case, &Propagator::trace_context(), count),
        _ => work(case, &TraceContextPropagator::new(), count),
    }
}

fn work(case: &Case, propagator: &dyn TextMapPropagator, count: u64) {
    let mut carrier = Carrier { parent: case.parent, state: case.state, written: 0 };
    let context = propagator.extract_with_context(&Context::new(), &carrier);
    for _ in 0..count {
        if case.writes {
            propagator.inject_context(black_box(&context), &mut carrier);
        } else {
            let root = Context::new();
            drop(black_box(propagator.extract_with_context(&root, black_box(&carrier))));
        }
    }
    black_box(carrier.written);
}

/// Headers as they are after a look-up.
struct Carrier {
    parent: Option<&'static str>,
    state: Option<&'static str>,
    written: usize,
}

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.parent,
            "tracestate" => self.state,
            // one value each, as `HeaderExtractor` says it
            ":traceparent" | ":tracestate" => Some(""),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Injector for Carrier {
    fn set(&mut self, _: &str, value: String) {
        self.written += black_box(value).len();
    }
}

struct Case {
    name: &'static str,
    writes: bool,
    parent: Option<&'static str>,
    state: Option<&'static str>,
    bound: f64,
}

const CASES: &[Case] = &[
    case("read", false, Some(VALID), None, 0.30),
    case(
        "read, with a state",
        false,
        Some(VALID),
        Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        0.50,
    ),
    case("read, absent", false, None, None, 0.50),
    case("read, invalid", false, Some("00-0af7651916cd43dd8448eb211c80319c-xyz-01"), None, 0.12),
    case("write", true, Some(VALID), None, 0.18),
    case(
        "write, with a state",
        true,
        Some(VALID),
        Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        0.20,
    ),
];

const fn case(
    name: &'static str,
    writes: bool,
    parent: Option<&'static str>,
    state: Option<&'static str>,
    bound: f64,
) -> Case {
    Case { name, writes, parent, state, bound }
}

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CASE: &str = "OTEL_SETUP_BENCH_CASE";
const WHOSE: &str = "OTEL_SETUP_BENCH_WHOSE";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
