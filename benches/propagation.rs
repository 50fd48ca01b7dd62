//! What reading and writing `traceparent` costs, ours beside the SDK's; CI holds the
//! bounds.
//!
//! `cargo bench --bench propagation` prints instructions (needs valgrind) and nanoseconds, and fails
//! when a bound on the instructions is broken. The carrier is the same for both: first one that costs
//! next to nothing, so that the propagators are all there is, then the headers of a request. In the
//! last rows each has the carrier of its own that it is used with: the SDK's is opentelemetry-http's.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_setup::propagation::{
    Extractor, HeaderExtractor, HeaderInjector, Injector, Propagator, TextMapPropagator,
};

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        child(&case);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for case in CASES {
            work(case, Whose::Ours, 1);
            work(case, Whose::Sdk, 1);
        }
        return ExitCode::SUCCESS;
    }
    println!("{:<34}{:>15}{:>15}{:>8}", "instructions, (ns)", "ours", "sdk", "ratio");
    let mut all_hold = true;
    for (case, times) in CASES.iter().zip(times()) {
        match row(case, times) {
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

fn row(case: &Case, [our_time, sdk_time]: [f64; 2]) -> Result<bool, String> {
    let count = |whose: &str| {
        callgrind::per_operation(10, |command, n| {
            command.env(WHOSE, whose).env(CASE, case.name).env(COUNT, n.to_string());
        })
    };
    let (ours, sdk) = (count("ours")?, count("sdk")?);
    let ratio = ours / sdk;
    let cell = |count: f64, time: f64| format!("{count:.0} ({time:.0})");
    let (our_cell, sdk_cell) = (cell(ours, our_time), cell(sdk, sdk_time));
    println!(
        "{:<34}{our_cell:>15}{sdk_cell:>15}{ratio:>8.2}  at most {:.2}",
        case.name, case.bound
    );
    Ok(ratio <= case.bound)
}

/// Nanoseconds an operation takes, ours and the SDK's, for each case: the median of rounds in which
/// all take their turn.
fn times() -> Vec<[f64; 2]> {
    let mut rounds = vec![[const { Vec::new() }; 2]; CASES.len()];
    for _ in 0..ROUNDS {
        for (case, rounds) in CASES.iter().zip(&mut rounds) {
            for (whose, round) in [Whose::Ours, Whose::Sdk].into_iter().zip(rounds) {
                let start = Instant::now();
                work(case, whose, OPERATIONS.into());
                round.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS));
            }
        }
    }
    let median = |mut round: Vec<f64>| {
        round.sort_by(f64::total_cmp);
        round[ROUNDS / 2]
    };
    rounds.into_iter().map(|case| case.map(median)).collect()
}

fn child(case: &str) {
    let case = CASES.iter().find(|c| c.name == case).expect("the parent knows the cases");
    let count = std::env::var(COUNT).expect("the parent names a count");
    let count = count.parse().expect("the parent's count is a number");
    match std::env::var(WHOSE).as_deref() {
        Ok("ours") => work(case, Whose::Ours, count),
        _ => work(case, Whose::Sdk, count),
    }
}

fn work(case: &Case, whose: Whose, count: u64) {
    let propagator = whose.propagator();
    let propagator = &*propagator;
    let Some(carrier) = case.request else { return work_without(case, propagator, count) };
    let is_of_sdk = matches!((carrier, whose), (Request::OwnCarrier, Whose::Sdk));
    let mut headers = request(case);
    let context = propagator.extract(&HeaderExtractor(&headers));
    if !case.writes {
        return if is_of_sdk {
            read(propagator, &opentelemetry_http::HeaderExtractor(&headers), count);
        } else {
            read(propagator, &HeaderExtractor(&headers), count);
        };
    }
    for _ in 0..count {
        // in place of what the last one wrote
        let headers = black_box(&mut headers);
        if is_of_sdk {
            let mut carrier = opentelemetry_http::HeaderInjector(headers);
            propagator.inject_context(black_box(&context), &mut carrier);
        } else {
            propagator.inject_context(black_box(&context), &mut HeaderInjector(headers));
        }
    }
}

fn work_without(case: &Case, propagator: &dyn TextMapPropagator, count: u64) {
    let mut carrier = Carrier { parent: case.parent, state: case.state, written: 0 };
    let context = propagator.extract(&carrier);
    if !case.writes {
        return read(propagator, &carrier, count);
    }
    for _ in 0..count {
        propagator.inject_context(black_box(&context), &mut carrier);
    }
    black_box(carrier.written);
}

fn read(propagator: &dyn TextMapPropagator, carrier: &dyn Extractor, count: u64) {
    for _ in 0..count {
        let root = Context::new();
        drop(black_box(propagator.extract_with_context(&root, black_box(carrier))));
    }
}

/// The headers of a request as usual.
fn request(case: &Case) -> HeaderMap {
    let usual = [
        ("host", "orders.example"),
        ("user-agent", "curl/8.14.1"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/json"),
        ("content-length", "17"),
    ];
    let parent = case.parent.map(|value| ("traceparent", value));
    let state = case.state.map(|value| ("tracestate", value));
    let all = usual.into_iter().chain(parent).chain(state);
    all.map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
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

#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Sdk,
}

impl Whose {
    fn propagator(self) -> Box<dyn TextMapPropagator> {
        match self {
            Self::Ours => Box::new(Propagator::trace_context()),
            Self::Sdk => Box::new(TraceContextPropagator::new()),
        }
    }
}

/// How the headers of a request are read and written.
#[derive(Clone, Copy)]
enum Request {
    OurCarrier,
    OwnCarrier,
}

struct Case {
    name: &'static str,
    /// `None`: no headers, but a carrier that costs next to nothing.
    request: Option<Request>,
    writes: bool,
    parent: Option<&'static str>,
    state: Option<&'static str>,
    bound: f64,
}

const CASES: &[Case] = &[
    reads("read", Some(VALID), None, 0.30),
    reads("read, with a state", Some(VALID), Some(STATE), 0.50),
    reads("read, absent", None, None, 0.50),
    reads("read, invalid", Some(INVALID), None, 0.12),
    writes("write", None, 0.18),
    writes("write, with a state", Some(STATE), 0.20),
    of_request(&reads("headers: read", Some(VALID), None, 0.43)),
    of_request(&reads("headers: read, with a state", Some(VALID), Some(STATE), 0.57)),
    of_request(&reads("headers: read, absent", None, None, 0.79)),
    of_request(&reads("headers: read, invalid", Some(INVALID), None, 0.25)),
    of_request(&writes("headers: write", None, 0.28)),
    of_request(&writes("headers: write, with a state", Some(STATE), 0.36)),
    with_own_carrier(&reads("own headers: read", Some(VALID), None, 0.40)),
    with_own_carrier(&reads("own headers: read, with a state", Some(VALID), Some(STATE), 0.55)),
    with_own_carrier(&reads("own headers: read, absent", None, None, 0.60)),
    with_own_carrier(&reads("own headers: read, invalid", Some(INVALID), None, 0.25)),
    with_own_carrier(&writes("own headers: write", None, 0.27)),
    with_own_carrier(&writes("own headers: write, with a state", Some(STATE), 0.33)),
];

const fn reads(
    name: &'static str,
    parent: Option<&'static str>,
    state: Option<&'static str>,
    bound: f64,
) -> Case {
    Case { name, request: None, writes: false, parent, state, bound }
}

const fn writes(name: &'static str, state: Option<&'static str>, bound: f64) -> Case {
    Case { name, request: None, writes: true, parent: Some(VALID), state, bound }
}

const fn of_request(case: &Case) -> Case {
    Case { request: Some(Request::OurCarrier), ..*case }
}

const fn with_own_carrier(case: &Case) -> Case {
    Case { request: Some(Request::OwnCarrier), ..*case }
}

const ROUNDS: usize = 31;
const OPERATIONS: u32 = 10_000;
const STATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";
const INVALID: &str = "00-0af7651916cd43dd8448eb211c80319c-xyz-01";
const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CASE: &str = "OTEL_SETUP_BENCH_CASE";
const WHOSE: &str = "OTEL_SETUP_BENCH_WHOSE";
const COUNT: &str = "OTEL_SETUP_BENCH_COUNT";
