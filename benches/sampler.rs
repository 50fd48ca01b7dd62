//! What consistent sampling costs beside the trace id ratio, in instructions; CI holds the bounds.
//!
//! `cargo bench --bench sampler` asks each sampler about a span, as the SDK does when one starts,
//! and prints a decision's price; it fails when a bound is broken. Needs valgrind.

#[path = "support/callgrind.rs"]
mod callgrind;

use std::hint::black_box;
use std::process::ExitCode;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
};
use opentelemetry_sdk::trace::ShouldSample as _;
use otel_setup::{Sampler, SpanMatch};

fn main() -> ExitCode {
    if let Ok(asked) = std::env::var(ASKED) {
        child(&asked);
        return ExitCode::SUCCESS;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches`: that the work runs is all there is to see
        for (sampler, parent, _) in CASES {
            ask(&sampler_of(sampler), &parent_of(parent), 1);
        }
        return ExitCode::SUCCESS;
    }
    println!("{:<26}{:<26}{:>14}", "instructions a decision", "parent", "");
    let mut all_hold = true;
    for (sampler, parent, bound) in CASES {
        let counted = callgrind::per_operation(1, |command, n| {
            command.env(ASKED, format!("{sampler},{parent},{n}"));
        });
        match counted {
            Ok(count) => {
                all_hold &= count <= *bound;
                println!("{sampler:<26}{parent:<26}{count:>14.0}  at most {bound}");
            }
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", if all_hold { "every bound holds" } else { "a bound is BROKEN" });
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn child(asked: &str) {
    let [sampler, parent, count] = asked.split(',').collect::<Vec<_>>()[..] else {
        unreachable!("the parent names a sampler, a parent and a count")
    };
    let (sampler, parent) = (sampler_of(sampler), parent_of(parent));
    let count = count.parse().expect("the parent's count is a number");
    ask(&sampler, &parent, count);
}

/// Every trace is sampled, so that what is written into the trace state is counted too.
#[inline(never)]
fn ask(sampler: &Sampler, parent: &Context, count: u64) {
    for n in 0..count {
        let trace = TraceId::from(u128::MAX - u128::from(n % 256));
        let kind = SpanKind::Internal;
        black_box(sampler.should_sample(Some(parent), trace, "request", &kind, &[], &[]));
    }
}

fn sampler_of(name: &str) -> Sampler {
    let rules = Sampler::rules()
        .dropping("GET /health*")
        .dropping(SpanMatch::any().with_attribute("url.path", "/metrics"))
        .with_fallback(Sampler::always_on());
    match name {
        "traceidratio" => Sampler::ratio(0.99),
        "consistent" => Sampler::consistent(0.1),
        "parentbased_traceidratio" => Sampler::parent_based(Sampler::ratio(0.1)).into(),
        "parentbased_consistent" => Sampler::parent_based(Sampler::consistent(0.1)).into(),
        "rate limited" => Sampler::rate_limited(1e9),
        "two rules" => rules.into(),
        other => unreachable!("no sampler is called {other}"),
    }
}

fn parent_of(name: &str) -> Context {
    let (remote, state) = match name {
        "none" => return Context::new(),
        "local" => (false, ""),
        "local with th" => (false, "ot=th:e666"),
        "remote" => (true, ""),
        "remote with th" => (true, "ot=th:e666"),
        other => unreachable!("no parent is called {other}"),
    };
    let state = state.parse().expect("a trace state");
    let (trace, span) = (TraceId::from(u128::MAX), SpanId::from(1));
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, remote, state);
    Context::new().with_remote_span_context(context)
}

const CASES: &[(&str, &str, f64)] = &[
    ("traceidratio", "none", 310.0),
    ("consistent", "none", 1100.0),
    ("parentbased_traceidratio", "local", 220.0),
    ("parentbased_consistent", "local with th", 1120.0),
    ("parentbased_traceidratio", "remote", 400.0),
    ("parentbased_consistent", "remote with th", 1720.0),
    ("rate limited", "none", 340.0),
    ("two rules", "none", 370.0),
];

/// Sampler, parent and how often.
const ASKED: &str = "OTEL_SETUP_BENCH_ASKED";
