//! Samplers from code, well-behaved and not.

use std::time::Instant;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SamplingDecision, SamplingResult, ShouldSample,
};
use otel_setup::{Sampler, SpanMatch, SpanParent};
use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::{Said, span, spans, with_variables};
use crate::{run, stack};

#[test]
fn an_unsampled_trace_propagates_and_exports_nothing() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::parent_based(Sampler::always_off())));
    run(&stack, || {
        tracing::info_span!("outer").in_scope(|| {
            let outer = Context::current().span().span_context().clone();
            assert!(outer.is_valid() && !outer.is_sampled());
            tracing::info_span!("inner").in_scope(|| {
                let inner = Context::current().span().span_context().clone();
                assert_eq!(inner.trace_id(), outer.trace_id());
                assert!(!inner.is_sampled());
            });
        });
    });
    assert!(spans(&seen).is_empty());
    assert_eq!(stack.stats().started, 0);
}

/// Panics for spans of one name, samples all others.
#[derive(Debug, Clone)]
struct Picky;

impl ShouldSample for Picky {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        assert_ne!(name, "unlucky", "a sampler's bug");
        SdkSampler::AlwaysOn.should_sample(parent, trace, name, kind, attributes, links)
    }
}

#[test]
fn a_sampler_that_panics_costs_its_span_alone() {
    let said = Said::default();
    let (stack, seen) =
        stack(|s| s.with_sampler(Sampler::custom(Picky)).with_diagnostics(said.sink()));
    run(&stack, || {
        tracing::info_span!("unlucky").in_scope(|| tracing::info!("goes nowhere"));
        tracing::info_span!("lucky").in_scope(|| tracing::info!("an event"));
    });
    assert_eq!(span(&seen, "lucky").events.len(), 1);
    assert_eq!(spans(&seen).len(), 1);
    assert_eq!(said.lines(), ["the sampler panicked; the span is not recorded"]);
}

/// A context as it came from another process, or from this one.
fn parent(trace: u128, flags: u8, remote: bool, state: &str) -> Context {
    let state = state.parse().expect("a trace state");
    let flags = TraceFlags::new(flags);
    let span = SpanContext::new(trace.into(), SpanId::from(1), flags, remote, state);
    Context::new().with_remote_span_context(span)
}

/// Whether a span is sampled, and its trace state.
fn ask(sampler: &Sampler, parent: &Context, trace: u128, name: &str) -> (bool, String) {
    ask_about(sampler, parent, trace, name, &SpanKind::Internal, &[])
}

fn ask_about(
    sampler: &Sampler,
    parent: &Context,
    trace: u128,
    name: &str,
    kind: &SpanKind,
    attributes: &[KeyValue],
) -> (bool, String) {
    let asked = sampler.should_sample(Some(parent), trace.into(), name, kind, attributes, &[]);
    (asked.decision == SamplingDecision::RecordAndSample, asked.trace_state.header())
}

/// The same trace ids in every run.
fn traces(n: usize) -> impl Iterator<Item = u128> {
    let mut random = SmallRng::seed_from_u64(235);
    std::iter::repeat_with(move || {
        u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
    })
    .take(n)
}

#[test]
fn services_with_different_shares_agree() {
    let shares = [0.001, 0.01, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.9, 1.0];
    let samplers = shares.map(Sampler::consistent);
    let mut sampled = [0.0; 8];
    let root = Context::new();
    for trace in traces(100_000) {
        let decisions: Vec<_> = samplers.iter().map(|s| ask(s, &root, trace, "x").0).collect();
        // nobody who records more misses what somebody who records less has
        assert!(decisions.is_sorted(), "{trace:x}: {decisions:?}");
        for (count, sampled) in sampled.iter_mut().zip(&decisions) {
            *count += f64::from(u8::from(*sampled));
        }
    }
    for (count, share) in sampled.iter().zip(shares) {
        // five standard deviations, of numbers that are always the same
        let deviation = (100_000.0 * share * (1.0 - share)).sqrt();
        assert!((count - 100_000.0 * share).abs() <= 5.0 * deviation, "{count} of {share}");
    }
}

#[test]
fn the_trace_id_ratio_is_its_share_and_agrees_with_the_stock_sampler() {
    let root = Context::new();
    let (ours, stock) = (Sampler::ratio(0.2), SdkSampler::TraceIdRatioBased(0.2));
    let mut count = 0;
    for trace in traces(20_000) {
        let sampled = ask(&ours, &root, trace, "x").0;
        let theirs = stock.should_sample(None, trace.into(), "x", &SpanKind::Internal, &[], &[]);
        assert_eq!(sampled, theirs.decision == SamplingDecision::RecordAndSample);
        count += usize::from(sampled);
    }
    assert!((3_717..=4_283).contains(&count), "{count}");
}

#[test]
fn explicit_randomness_decides_and_is_passed_on() {
    let quarter = Sampler::consistent(0.25);
    // the trace id says no, and then yes; rv says the reverse
    let (no, yes) = (u128::MAX << 56, u128::MAX);
    for (trace, rv, expected) in [
        (no, "rv:c0000000000000", (true, "ot=rv:c0000000000000;th:c")),
        (yes, "rv:bfffffffffffff", (false, "ot=rv:bfffffffffffff")),
        (no, "rv:nonsense", (false, "ot=rv:nonsense")),
        (yes, "x:1", (true, "ot=x:1;th:c")),
    ] {
        let asked = ask(&quarter, &parent(trace, 1, true, &format!("ot={rv}")), trace, "x");
        assert_eq!((asked.0, asked.1.as_str()), expected, "{rv}");
    }
    // other vendors keep their order behind
    let asked = ask(&quarter, &parent(yes, 0, true, "a=1,ot=x:1;th:8;y:2,b=2"), yes, "x");
    assert_eq!(asked, (true, "ot=x:1;y:2;th:c,a=1,b=2".to_owned()));
}

#[test]
fn a_followed_parents_threshold_is_kept_if_it_agrees_and_erased_if_not() {
    let follow = Sampler::parent_based(Sampler::consistent(0.5)).into();
    let trace = 0x00c0_0000_0000_0000_u128;
    for (flags, remote, state, expected) in [
        (1, true, "a=1,ot=th:c", "a=1,ot=th:c"),
        (1, true, "a=1,ot=th:c1", "a=1"),
        (1, true, "ot=th:c1;rv:c1000000000000", "ot=th:c1;rv:c1000000000000"),
        (1, true, "ot=th:c;rv:b1000000000000;x:1", "ot=rv:b1000000000000;x:1"),
        (1, true, "ot=x:1", "ot=x:1"),
        (0, true, "ot=th:c", ""),
        (0, true, "ot=th:d", "ot=th:d"),
        (1, false, "ot=th:c", "ot=th:c"),
        (1, true, "", ""),
    ] {
        let asked = ask(&follow, &parent(trace, flags, remote, state), trace, "x");
        assert_eq!(asked, (flags == 1, expected.to_owned()), "{flags} {remote} {state}");
    }
}

#[test]
fn a_decision_of_unknown_probability_erases_the_threshold() {
    let above = parent(u128::MAX, 1, true, "v=1,ot=th:c;x:1");
    for (sampler, sampled) in [
        (Sampler::always_on(), true),
        (Sampler::always_off(), false),
        (Sampler::ratio(0.0), false),
        (Sampler::ratio(1.0), true),
        (Sampler::rate_limited(1.0), true),
    ] {
        let asked = ask(&sampler, &above, u128::MAX, "x");
        assert_eq!(asked, (sampled, "ot=x:1,v=1".to_owned()), "{sampler}");
    }
}

#[test]
fn every_span_of_a_consistent_trace_says_what_it_stands_for() {
    let sampler = || Sampler::parent_based(Sampler::consistent(1.0));
    let (stack, seen) = stack(|s| s.with_sampler(sampler()));
    run(&stack, || {
        tracing::info_span!("root").in_scope(|| tracing::info_span!("child").in_scope(|| {}));
    });
    for name in ["root", "child"] {
        assert_eq!(span(&seen, name).span_context.trace_state().header(), "ot=th:0", "{name}");
    }
}

#[test]
fn each_kind_of_parent_has_a_sampler_of_its_own() {
    let base = || Sampler::parent_based(Sampler::always_off());
    let (on, off) = (Sampler::always_on, Sampler::always_off);
    let all = |sampler: &Sampler| {
        [(1, true), (0, true), (1, false), (0, false)]
            .map(|(flags, remote)| ask(sampler, &parent(1, flags, remote, ""), 1, "x").0)
    };
    assert_eq!(all(&base().into()), [true, false, true, false]);
    assert_eq!(all(&base().with_remote_parent_sampled(off()).into()), [false, false, true, false]);
    assert_eq!(all(&base().with_remote_parent_not_sampled(on()).into()), [true, true, true, false]);
    assert_eq!(all(&base().with_local_parent_sampled(off()).into()), [true, false, false, false]);
    assert_eq!(all(&base().with_local_parent_not_sampled(on()).into()), [true, false, true, true]);
    assert!(!ask(&base().into(), &Context::new(), 1, "x").0);
    // a parent that is not valid is none
    assert!(!ask(&base().into(), &parent(0, 1, true, ""), 1, "x").0);
}

#[test]
fn health_checks_are_dropped_with_all_below_them() {
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::rules().dropping("GET /health*")));
    run(&stack, || {
        for name in ["GET /healthz", "GET /health", "GET /orders"] {
            tracing::info_span!("request", otel.name = name, otel.kind = "server").in_scope(|| {
                let query = tracing::info_span!("query", below = name);
                query.in_scope(|| tracing::info_span!("socket", otel.kind = "client"));
            });
        }
    });
    let mut names: Vec<_> = spans(&seen).into_iter().map(|span| span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["GET /orders", "query", "socket"]);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let sampler: Sampler = Sampler::rules()
        .with_rule(SpanMatch::name("pay?").with_kind(SpanKind::Client), Sampler::always_on())
        .dropping(SpanMatch::any().with_attribute("tenant", "free*").with_attribute("n", "4?"))
        .dropping(
            SpanMatch::any()
                .with_kind(SpanKind::Consumer)
                .with_kind(SpanKind::Producer)
                .with_parent(SpanParent::None),
        )
        .with_fallback(Sampler::always_on())
        .into();
    let root = Context::new();
    let tenant =
        |tenant: &'static str, n: i64| [KeyValue::new("tenant", tenant), KeyValue::new("n", n)];
    for (name, kind, attributes, expected) in [
        ("pay1", SpanKind::Client, tenant("free-1", 42), true),
        ("pay", SpanKind::Client, tenant("free-1", 42), false),
        ("pay1", SpanKind::Server, tenant("free-1", 42), false),
        ("pay1", SpanKind::Server, tenant("free-1", 4), true),
        ("pay1", SpanKind::Server, tenant("gold", 42), true),
        ("x", SpanKind::Consumer, tenant("gold", 1), false),
        ("x", SpanKind::Producer, tenant("gold", 1), false),
        ("x", SpanKind::Client, tenant("gold", 1), true),
    ] {
        let asked = ask_about(&sampler, &root, 1, name, &kind, &attributes);
        assert_eq!(asked.0, expected, "{name} {kind:?} {attributes:?}");
    }
    let none = tenant("gold", 1);
    for remote in [true, false] {
        let above = parent(1, 1, remote, "");
        assert!(ask_about(&sampler, &above, 1, "x", &SpanKind::Consumer, &none).0);
        let above = parent(1, 0, remote, "");
        assert!(!ask_about(&sampler, &above, 1, "pay1", &SpanKind::Client, &none).0, "obeyed");
    }
}

#[test]
fn an_array_matches_by_one_of_its_elements() {
    let sampler: Sampler =
        Sampler::rules().dropping(SpanMatch::any().with_attribute("a", "b*")).into();
    let strings = |values: &[&'static str]| {
        Value::Array(Array::String(values.iter().map(|v| StringValue::from(*v)).collect()))
    };
    for (value, expected) in
        [(strings(&["x", "bb"]), false), (strings(&["x", "ab"]), true), (strings(&[]), true)]
    {
        let attributes = [KeyValue::new("a", value)];
        let root = Context::new();
        let asked = ask_about(&sampler, &root, 1, "x", &SpanKind::Internal, &attributes);
        assert_eq!(asked.0, expected, "{attributes:?}");
    }
}

#[test]
fn a_rule_can_record_below_an_unsampled_parent_if_it_is_told_to() {
    let rules = Sampler::rules()
        .with_rule("wanted", Sampler::always_on())
        .with_fallback(Sampler::always_off());
    for (sampler, expected) in [(rules.clone(), 0), (rules.despite_unsampled_parents(), 1)] {
        let (stack, seen) = stack(|s| s.with_sampler(sampler));
        run(&stack, || {
            tracing::info_span!("outer").in_scope(|| tracing::info_span!("wanted").in_scope(|| {}));
        });
        assert_eq!(spans(&seen).len(), expected);
    }
}

#[test]
fn a_rate_limit_counts_traces_and_not_their_spans() {
    let started = Instant::now();
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::rate_limited(3.0)));
    run(&stack, || {
        for _ in 0..50 {
            tracing::info_span!("root").in_scope(|| tracing::info_span!("child").in_scope(|| {}));
        }
    });
    let roots = spans(&seen).iter().filter(|span| span.name == "root").count();
    assert_eq!(spans(&seen).len(), 2 * roots, "whole traces");
    let roots = u32::try_from(roots).expect("at most 50");
    // a second's worth at once, and what has come in meanwhile
    let meanwhile = started.elapsed().as_secs_f64() * 3.0;
    assert!(roots >= 3 && f64::from(roots) <= (4.0 + meanwhile).min(50.0), "{roots}");
    let sampler = Sampler::rate_limited(1.0);
    assert!(ask(&sampler, &parent(1, 1, true, ""), 1, "x").0);
    assert!(!ask(&sampler, &parent(1, 1, true, ""), 1, "x").0, "a caller's wish is limited");
    assert!(ask(&sampler, &parent(1, 1, false, ""), 1, "x").0);
    assert!(!ask(&Sampler::rate_limited(1.0), &parent(1, 0, true, ""), 1, "x").0);
}

/// Of 60 traces, by variables alone.
fn recorded_by(name: &'static str, argument: &'static str) -> usize {
    let variables =
        with_variables(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
    let (stack, seen) = stack(|s| s.with_env(variables));
    run(&stack, || (0..60).for_each(|_| tracing::info_span!("root").in_scope(|| {})));
    spans(&seen).len()
}

#[test]
fn our_own_samplers_are_there_by_variable() {
    for name in ["consistent", "parentbased_consistent"] {
        assert_eq!(recorded_by(name, "0"), 0, "{name}");
        assert_eq!(recorded_by(name, "1"), 60, "{name}");
        let some = recorded_by(name, "0.5");
        assert!((1..60).contains(&some), "{name}: {some}");
    }
    for name in ["rate_limited", "parentbased_rate_limited"] {
        assert_eq!(recorded_by(name, "0"), 0, "{name}");
        assert_eq!(recorded_by(name, "1000000000"), 60, "{name}");
        // one at once, and then one each 1,000 seconds
        assert_eq!(recorded_by(name, "0.001"), 1, "{name}");
    }
}

#[test]
fn samplers_describe_themselves() {
    for (sampler, expected) in [
        (Sampler::always_on(), "AlwaysOnSampler"),
        (Sampler::always_off(), "AlwaysOffSampler"),
        (Sampler::ratio(0.1), "TraceIdRatioBased{0.1}"),
        (Sampler::ratio(f64::NAN), "TraceIdRatioBased{0}"),
        (Sampler::consistent(0.01), "Consistent{0.01,th=fd70a}"),
        (Sampler::consistent(-1.0), "AlwaysOffSampler"),
        (Sampler::rate_limited(2.5), "RateLimited{2.5}"),
        (
            Sampler::parent_based(Sampler::ratio(0.5))
                .with_remote_parent_sampled(Sampler::always_off())
                .into(),
            "ParentBased{root=TraceIdRatioBased{0.5},remoteParentSampled=AlwaysOffSampler,\
             remoteParentNotSampled=AlwaysOffSampler,localParentSampled=AlwaysOnSampler,\
             localParentNotSampled=AlwaysOffSampler}",
        ),
        (
            Sampler::rules()
                .dropping(SpanMatch::name("a*").with_kind(SpanKind::Server))
                .with_fallback(Sampler::always_on())
                .into(),
            "RuleBased{(name=a*,kind=Server):AlwaysOffSampler,fallback=AlwaysOnSampler}",
        ),
    ] {
        assert_eq!(sampler.to_string(), expected);
    }
}

/// The flags of the current span.
fn flags() -> u8 {
    Context::current().span().span_context().trace_flags().to_u8()
}

#[test]
fn a_root_that_was_touched_before_its_start_is_said_to_be_random() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let root = tracing::info_span!("root");
        root.add_link(parent(7, 0x01, true, "").span().span_context().clone());
        root.in_scope(|| assert_eq!(flags(), 0x03));
    });
    let root = spans(&seen).pop().expect("it has ended");
    assert_eq!((root.span_context.trace_flags().to_u8(), root.links.len()), (0x03, 1));
}

#[test]
fn our_trace_ids_are_said_to_be_random_and_those_of_others_are_what_they_are_said_to_be() {
    for (sampler, expected) in [(Sampler::always_on(), 0x03), (Sampler::always_off(), 0x02)] {
        let (stack, seen) = stack(|s| s.with_sampler(sampler));
        run(&stack, || {
            tracing::info_span!("root").in_scope(|| {
                assert_eq!(flags(), expected);
                let mut headers = std::collections::HashMap::new();
                stack.propagator().inject_context(&Context::current(), &mut headers);
                let traceparent = &headers["traceparent"];
                assert!(traceparent.ends_with(&format!("-{expected:02x}")), "{traceparent}");
                tracing::info_span!("child", otel.kind = "client").in_scope(|| {
                    assert_eq!(flags(), expected);
                });
            });
        });
        for span in spans(&seen) {
            assert_eq!(span.span_context.trace_flags().to_u8(), expected, "{span:?}");
        }
    }
    let (stack, seen) = stack(|s| s.with_sampler(Sampler::parent_based(Sampler::always_on())));
    run(&stack, || {
        for said in 0x00..=0x03 {
            let _remote = parent(7, said, true, "").attach();
            tracing::info_span!("span", otel.kind = "server")
                .in_scope(|| assert_eq!(flags(), said));
        }
    });
    assert_eq!(spans(&seen).len(), 2);
}
