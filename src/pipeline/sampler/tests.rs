//! Which spans may be skipped without asking the sampler.

use opentelemetry::trace::{SpanId, TraceFlags};
use proptest::prelude::*;

use super::*;

/// Every sampler, with every part that changes whether parents are obeyed.
fn samplers() -> Vec<Sampler> {
    let half = || Sampler::consistent(0.5);
    let base = || Sampler::parent_based(Sampler::ratio(0.5));
    vec![
        Sampler::always_on(),
        Sampler::always_off(),
        Sampler::ratio(0.5),
        half(),
        Sampler::consistent(0.0),
        Sampler::rate_limited(3.0),
        base().into(),
        Sampler::parent_based(half()).into(),
        base().with_remote_parent_not_sampled(half()).into(),
        base().with_local_parent_sampled(Sampler::always_off()).into(),
        base().with_local_parent_not_sampled(Sampler::always_off()).into(),
        base().with_local_parent_not_sampled(half()).into(),
        base().with_local_parent_not_sampled(Sampler::rate_limited(1e9)).into(),
        Sampler::rules().dropping("a*").into(),
        Sampler::rules().with_rule("a*", Sampler::always_on()).with_fallback(half()).into(),
        Sampler::rules().dropping("a*").despite_unsampled_parents().into(),
        Sampler::rules().with_rule("a*", half()).despite_unsampled_parents().into(),
        Sampler::rules().dropping("a").with_fallback(half()).despite_unsampled_parents().into(),
        Sampler::custom(SdkSampler::AlwaysOn),
    ]
}

fn context(trace: u128, sampled: bool, remote: bool, state: TraceState) -> Context {
    let flags = TraceFlags::default().with_sampled(sampled);
    let span = SpanContext::new(trace.into(), SpanId::from(1), flags, remote, state);
    Context::new().with_remote_span_context(span)
}

fn ask(sampler: &Sampler, parent: &Context, trace: u128, name: &str) -> SamplingResult {
    sampler.should_sample(Some(parent), trace.into(), name, &SpanKind::Server, &[], &[])
}

fn some_state() -> impl Strategy<Value = TraceState> {
    let header = "(ot=(rv:[0-9a-f]{14};)?(th:[0-9a-f]{1,14})?)?(,v=1)?";
    header.prop_map(|header| header.parse().unwrap_or_default())
}

proptest! {
    #[test]
    fn who_obeys_never_samples_below_an_unsampled_local_parent(
        trace in 1_u128..,
        state in some_state(),
        name in "[ab]{1,2}",
    ) {
        let parent = context(trace, false, false, state);
        for sampler in samplers().iter().filter(|sampler| sampler.obeys_parent()) {
            let decided = ask(sampler, &parent, trace, &name).decision;
            prop_assert_eq!(decided, SamplingDecision::Drop, "{}", sampler);
        }
    }

    #[test]
    fn who_repeats_itself_never_samples_below_what_it_dropped(
        trace in 1_u128..,
        state in some_state(),
        (is_root, sampled, remote) in any::<(bool, bool, bool)>(),
        (name, child) in ("[ab]{1,2}", "[ab]{1,2}"),
    ) {
        let parent = if is_root { Context::new() } else { context(trace, sampled, remote, state) };
        for sampler in samplers().iter().filter(|sampler| sampler.repeats_itself()) {
            let first = ask(sampler, &parent, trace, &name);
            if first.decision == SamplingDecision::Drop {
                let dropped = context(trace, false, false, first.trace_state);
                let decided = ask(sampler, &dropped, trace, &child).decision;
                prop_assert_eq!(decided, SamplingDecision::Drop, "{}", sampler);
            }
        }
    }
}

#[test]
fn who_obeys_and_who_repeats_itself() {
    let flags = |sampler: Sampler| (sampler.obeys_parent(), sampler.repeats_itself());
    assert_eq!(flags(Sampler::always_on()), (false, false));
    assert_eq!(flags(Sampler::always_off()), (true, true));
    assert_eq!(flags(Sampler::ratio(0.5)), (false, true));
    assert_eq!(flags(Sampler::consistent(0.5)), (false, true));
    assert_eq!(flags(Sampler::rate_limited(1.0)), (true, true));
    let base = || Sampler::parent_based(Sampler::always_on());
    assert_eq!(flags(base().into()), (true, true));
    assert_eq!(flags(base().with_local_parent_not_sampled(base()).into()), (true, true));
    let not_obeying = base().with_local_parent_not_sampled(Sampler::ratio(0.5));
    assert_eq!(flags(not_obeying.into()), (false, false));
    assert_eq!(flags(Sampler::rules().into()), (true, true));
    let always = Sampler::rules().with_rule("a", Sampler::always_on()).despite_unsampled_parents();
    assert_eq!(flags(always.into()), (false, false));
    let custom = Sampler::custom(SdkSampler::AlwaysOn);
    assert_eq!(flags(custom.clone()), (false, false));
    assert_eq!(flags(custom.obeying_parent()), (true, true));
}
