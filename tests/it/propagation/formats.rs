//! What each format reads and writes.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::{TraceContextExt as _, TraceState};
use otel_setup::propagation::{Propagator, Relation, SpanContext, TextMapPropagator as _};

use super::{remote, remote_context};
use crate::support::span;
use crate::{run, stack};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn headers(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_lowercase(), (*value).to_owned())).collect()
}

fn read(propagator: &Propagator, pairs: &[(&str, &str)]) -> Context {
    propagator.extract_with_context(&Context::new(), &headers(pairs))
}

/// `trace id-span id-flags`, or nothing.
fn parent(context: &Context) -> Option<String> {
    let span = context.span();
    let span: &SpanContext = span.span_context();
    let flags = span.trace_flags().to_u8();
    span.is_valid().then(|| format!("{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}

fn written(propagator: &Propagator, context: &Context) -> HashMap<String, String> {
    let mut carrier = HashMap::new();
    propagator.inject_context(context, &mut carrier);
    carrier
}

fn baggage(context: &Context) -> Vec<(String, String, String)> {
    let entry = |(key, (value, metadata)): (&opentelemetry::Key, &(_, _))| {
        let (value, metadata): (
            &opentelemetry::StringValue,
            &opentelemetry::baggage::BaggageMetadata,
        ) = (value, metadata);
        (key.to_string(), value.to_string(), metadata.to_string())
    };
    let mut entries: Vec<_> = context.baggage().iter().map(entry).collect();
    entries.sort();
    entries
}

#[test]
fn nothing_is_written_for_no_trace() {
    for propagator in all() {
        assert_eq!(written(&propagator, &Context::new()), HashMap::new(), "{propagator:?}");
    }
}

#[test]
fn an_empty_tracestate_is_not_sent_and_the_flags_that_are_known_are() {
    let sent = written(&Propagator::trace_context(), &remote_context());
    let value = "00-0000000000000000000000000000004d-0000000000000007-01";
    assert_eq!(sent, headers(&[("traceparent", value)]));
}

#[test]
fn a_tracestate_is_read_by_its_grammar_or_dropped_whole() {
    let long = |length| "k".repeat(length);
    let cases = [
        (" \ta=1 ,\t, b= 2 3\t ,,".to_owned(), "a=1,b= 2 3".to_owned()),
        ("0=~,a_-*/=!".to_owned(), "0=~,a_-*/=!".to_owned()),
        ("a=1,a=2,b=3".to_owned(), "a=1,b=3".to_owned()),
        ("t@v=1".to_owned(), "t@v=1".to_owned()),
        (format!("{}=1", long(256)), format!("{}=1", long(256))),
        (format!("{}@v=1", long(241)), format!("{}@v=1", long(241))),
        (format!("a={}", long(256)), format!("a={}", long(256))),
    ];
    for (header, kept) in cases {
        assert_eq!(state(&header), kept, "{header:?}");
    }
    let too_long = [
        format!("{}=1", long(257)),
        format!("{}@v=1", long(242)),
        format!("t@{}=1", long(15)),
        format!("a={}", long(257)),
        (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(","),
    ];
    let wrong = [
        "a", "a=", "a= ", "a=\t", "=1", "a =1", "a\t=1", "a=1=2", "a=1\t2", "a=ü", "ü=1", "A=1",
        "_a=1", "@v=1", "t@=1", "t@_v=1", "t@v@w=1", "a=\u{7f}", "a\0=1",
    ];
    for header in wrong.map(str::to_owned).into_iter().chain(too_long) {
        for header in [header.clone(), format!("ok=1,{header}"), format!("{header},ok=1")] {
            assert_eq!(state(&header), "", "{header:?}");
        }
    }
}

/// What is kept of a `tracestate`.
fn state(header: &str) -> String {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let pairs = [("traceparent", parent.as_str()), ("tracestate", header)];
    let context = read(&Propagator::trace_context(), &pairs);
    context.span().span_context().trace_state().header()
}

#[test]
fn a_long_tracestate_loses_long_members_first_and_then_the_last() {
    let long = "x".repeat(150);
    let short = "y".repeat(96);
    let state = format!("a={short},b={long},c={short},d={short},e={short},f={short},g={short}");
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let pairs = [("traceparent", parent.as_str()), ("tracestate", state.as_str())];
    let context = read(&Propagator::trace_context(), &pairs);
    let kept = context.span().span_context().trace_state().header();
    assert_eq!(kept, format!("a={short},c={short},d={short},e={short},f={short}"));
    assert!(kept.len() <= 512);
}

#[test]
fn b3_is_read_as_one_header_or_as_several() {
    for propagator in [Propagator::b3(), Propagator::b3_multi()] {
        for (state, flags) in [("-1", "01"), ("-0", "00"), ("-d", "01"), ("", "00")] {
            let value = format!("{TRACE}-{SPAN}{state}");
            let found = parent(&read(&propagator, &[("b3", &value)]));
            assert_eq!(found, Some(format!("{TRACE}-{SPAN}-{flags}")), "{value}");
        }
        let with_parent = format!("{TRACE}-{SPAN}-1-00f067aa0ba902b7");
        assert!(parent(&read(&propagator, &[("b3", &with_parent)])).is_some());
        let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
        for (key, value, flags) in [
            ("X-B3-Sampled", "1", "01"),
            ("X-B3-Sampled", "true", "01"),
            ("X-B3-Sampled", "0", "00"),
            ("X-B3-Sampled", "false", "00"),
            ("X-B3-Flags", "1", "01"),
            ("X-B3-ParentSpanId", "00f067aa0ba902b7", "00"),
        ] {
            let found = parent(&read(&propagator, &[ids[0], ids[1], (key, value)]));
            assert_eq!(found, Some(format!("{TRACE}-{SPAN}-{flags}")), "{key}: {value}");
        }
    }
}

#[test]
fn the_single_header_of_b3_comes_first_unless_it_is_invalid() {
    let other = "1".repeat(32);
    let multi = [("x-b3-traceid", other.as_str()), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
    let single = format!("{TRACE}-{SPAN}-1");
    let with = |value: &str| {
        let found = read(&Propagator::b3(), &[("b3", value), multi[0], multi[1], multi[2]]);
        found.span().span_context().trace_id().to_string()
    };
    assert_eq!(with(&single), TRACE);
    assert_eq!(with("garbage"), other);
}

#[test]
fn a_trace_id_of_64_bits_is_padded() {
    let found = parent(&read(&Propagator::b3(), &[("b3", "8448eb211c80319c-b7ad6b7169203331-1")]));
    assert_eq!(found, Some(format!("00000000000000008448eb211c80319c-{SPAN}-01")));
    let value = "8448eb211c80319c:b7ad6b7169203331:0:1";
    let found = parent(&read(&Propagator::jaeger(), &[("uber-trace-id", value)]));
    assert_eq!(found, Some(format!("00000000000000008448eb211c80319c-{SPAN}-01")));
}

#[test]
fn b3_that_is_invalid_is_none() {
    let long = format!("{TRACE}0-{SPAN}-1");
    let upper = format!("{}-{SPAN}-1", TRACE.to_uppercase());
    let more = format!("{TRACE}-{SPAN}-1-00f067aa0ba902b7-1");
    let state = format!("{TRACE}-{SPAN}-2");
    let zero = format!("{}-{SPAN}-1", "0".repeat(32));
    for value in [
        "",
        "-",
        "1",
        "d",
        "+af7651916cd43dd8448eb211c80319c-1-1",
        &long,
        &upper,
        &more,
        &state,
        &zero,
    ] {
        assert_eq!(parent(&read(&Propagator::b3(), &[("b3", value)])), None, "{value}");
    }
    let multi = Propagator::b3_multi();
    assert_eq!(parent(&read(&multi, &[("x-b3-traceid", TRACE)])), None);
    let pairs = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "maybe")];
    assert_eq!(parent(&read(&multi, &pairs)), None);
}

#[test]
fn the_debug_flag_of_b3_is_sent_on_by_the_spans_below_it() {
    let (stack, _) = stack(|s| s);
    let debug = read(&Propagator::b3(), &[("b3", &format!("{TRACE}-{SPAN}-d"))]);
    run(&stack, || {
        let _attached = debug.attach();
        tracing::info_span!("work").in_scope(|| {
            let single = written(&Propagator::b3(), &Context::current());
            assert!(single["b3"].starts_with(TRACE) && single["b3"].ends_with("-d"), "{single:?}");
            let multi = written(&Propagator::b3_multi(), &Context::current());
            assert_eq!(multi["x-b3-flags"], "1");
            assert!(!multi.contains_key("x-b3-sampled"));
            let jaeger = written(&Propagator::jaeger(), &Context::current());
            assert!(jaeger["uber-trace-id"].ends_with(":0:3"), "{jaeger:?}");
        });
    });
}

#[test]
fn a_denial_of_b3_without_ids_is_obeyed_and_sent_on() {
    for pairs in [[("b3", "0")], [("x-b3-sampled", "0")]] {
        let (stack, seen) = stack(|s| s);
        let denied = read(&Propagator::b3(), &pairs);
        let sent = run(&stack, || {
            let _attached = denied.attach();
            tracing::info_span!("work").in_scope(|| written(&Propagator::b3(), &Context::current()))
        });
        assert!(sent["b3"].ends_with("-0"), "{sent:?}");
        assert!(crate::support::spans(&seen).is_empty());
    }
}

#[test]
fn a_denial_of_b3_without_ids_takes_the_place_of_no_parent() {
    let traceparent = ("traceparent", "00-0000000000000000000000000000004d-0000000000000007-01");
    let (w3c, b3) = (Propagator::trace_context(), Propagator::b3());
    for both in [[w3c.clone(), b3.clone()], [b3, w3c]].map(Propagator::composite) {
        for denial in [("b3", "0"), ("x-b3-sampled", "0")] {
            let context = read(&both, &[traceparent, denial]);
            assert_eq!(context.span().span_context(), &remote(), "{both:?}, {denial:?}");
            assert_eq!(Relation::Link.link(&context), Some(remote()), "{both:?}, {denial:?}");
        }
    }
}

#[test]
fn nothing_links_to_the_ids_that_are_made_up_for_a_denial_of_b3() {
    let denied = read(&Propagator::b3(), &[("b3", "0")]);
    assert!(!denied.span().span_context().is_sampled());
    assert_eq!(Relation::Link.link(&denied), None);
    let (stack, seen) = stack(|s| s);
    run(&stack, || drop(Relation::Link.span(&denied, || tracing::info_span!("work"))));
    assert!(crate::support::span(&seen, "work").links.is_empty());
}

#[test]
fn baggage_is_added_to_what_the_context_holds() {
    let pairs = [
        ("baggage", "a=1,b=1"),
        ("uber-trace-id", "4d:7:0:1"),
        ("uberctx-b", "2"),
        ("uberctx-c", "2"),
    ];
    let (w3c, jaeger) = (Propagator::baggage(), Propagator::jaeger());
    for (order, b) in [([w3c.clone(), jaeger.clone()], "2"), ([jaeger, w3c], "1")] {
        let context = read(&Propagator::composite(order), &pairs);
        let expected = [("a", "1"), ("b", b), ("c", "2")];
        let expected = expected.map(|(key, v)| (key.to_owned(), v.to_owned(), String::new()));
        assert_eq!(baggage(&context), expected);
    }
}

#[test]
fn what_was_written_is_read_again_by_every_format() {
    for propagator in traces() {
        for sampled in [true, false] {
            let span = SpanContext::new(
                remote().trace_id(),
                remote().span_id(),
                remote().trace_flags().with_sampled(sampled),
                true,
                TraceState::NONE,
            );
            let context = Context::new().with_remote_span_context(span.clone());
            let read =
                propagator.extract_with_context(&Context::new(), &written(&propagator, &context));
            assert_eq!(read.span().span_context(), &span, "{propagator:?}");
        }
    }
}

#[test]
fn jaeger_reads_numbers_without_leading_zeros_percent_encoded_or_not_and_baggage() {
    let jaeger = Propagator::jaeger();
    for value in ["4d:7:0:1", "4d%3A7%3A0%3A1", "4d:7:5:01"] {
        let found = parent(&read(&jaeger, &[("uber-trace-id", value)]));
        assert_eq!(found.as_deref(), parent(&remote_context()).as_deref(), "{value}");
    }
    for value in
        ["", "4d:7:0", "4d:7:0:1:1", "0:7:0:1", "4d:0:0:1", "4d:+7:0:1", "x:7:0:1", "4d:7::1"]
    {
        assert_eq!(parent(&read(&jaeger, &[("uber-trace-id", value)])), None, "{value}");
    }
    let pairs = [("uber-trace-id", "4d:7:0:1"), ("uberctx-tenant", "a%20b")];
    let context = read(&jaeger, &pairs);
    assert_eq!(baggage(&context), [("tenant".to_owned(), "a b".to_owned(), String::new())]);
    assert_eq!(written(&jaeger, &context)["uberctx-tenant"], "a%20b");
}

#[test]
fn xray_is_read_in_any_order_and_written() {
    let xray = Propagator::xray();
    let value =
        "Self=1-2;Sampled=1;Root=1-0af76519-16cd43dd8448eb211c80319c; Parent=b7ad6b7169203331";
    let context = read(&xray, &[("X-Amzn-Trace-Id", value)]);
    assert_eq!(parent(&context), Some(format!("{TRACE}-{SPAN}-01")));
    let sent = written(&xray, &context);
    let wanted = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    assert_eq!(sent["x-amzn-trace-id"], wanted);
    for bad in ["", "Root=1-0af76519-16cd43dd8448eb211c80319c", "Root=2-0-0;Parent=1;Sampled=1"] {
        assert_eq!(parent(&read(&xray, &[("x-amzn-trace-id", bad)])), None, "{bad}");
    }
}

#[test]
fn baggage_is_decoded_with_its_metadata_and_bad_members_are_left_out() {
    let value = "a = 1 , b=x%2Cy%25;p=1; q , =3,c,d d=4,e=\u{1},f=,g=a=b,h=%ff";
    let context = read(&Propagator::baggage(), &[("baggage", value)]);
    let wanted = [
        ("a", "1", ""),
        ("b", "x,y%", "p=1; q"),
        ("f", "", ""),
        ("g", "a=b", ""),
        ("h", "\u{fffd}", ""),
    ];
    let wanted = wanted.map(|(k, v, m)| (k.to_owned(), v.to_owned(), m.to_owned()));
    assert_eq!(baggage(&context), wanted);
}

#[test]
fn baggage_of_any_text_comes_back() {
    let mut values = Baggage::new();
    values.insert("k", "50% \"of\"; a\\b, ünïcode\r\n=x");
    let context = Context::new().with_baggage(values);
    let sent = written(&Propagator::baggage(), &context);
    assert!(sent["baggage"].bytes().all(|byte| (b'!'..=b'~').contains(&byte)), "{sent:?}");
    let back = Propagator::baggage().extract_with_context(&Context::new(), &sent);
    assert_eq!(baggage(&back), baggage(&context));
}

#[test]
fn baggage_is_bounded_and_no_part_of_a_member_is_kept() {
    let many: Vec<_> = (0..200).map(|n| format!("k{n}=v")).collect();
    let context = read(&Propagator::baggage(), &[("baggage", &many.join(","))]);
    assert_eq!(context.baggage().len(), 64);
    let long = format!("a=1,b={},c=3", "x".repeat(8190));
    let context = read(&Propagator::baggage(), &[("baggage", &long)]);
    assert_eq!(baggage(&context), [("a".to_owned(), "1".to_owned(), String::new())]);
    // three characters of the header each
    let mut values = Baggage::new();
    values.insert("a", "ü".repeat(2000));
    values.insert("b", "x");
    let sent = written(&Propagator::baggage(), &Context::new().with_baggage(values));
    assert_eq!(sent["baggage"], "b=x");
}

#[test]
fn bad_baggage_makes_no_flood_of_events() {
    let (stack, seen) = stack(|s| s);
    let bad = vec!["%"; 4000].join(",");
    run(&stack, || {
        let _work = tracing::info_span!("work").entered();
        read(&Propagator::baggage(), &[("baggage", &bad)]);
    });
    assert_eq!(span(&seen, "work").events.len(), 0);
}

#[test]
fn a_composite_writes_all_and_the_last_that_is_there_counts() {
    let both = Propagator::composite([Propagator::b3(), Propagator::trace_context()]);
    let sent = written(&both, &remote_context());
    assert_eq!(sent.len(), 2, "{sent:?}");
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let b3 = format!("{}-{SPAN}-1", "1".repeat(32));
    let found = parent(&read(&both, &[("traceparent", &w3c), ("b3", &b3)]));
    assert_eq!(found, Some(format!("{TRACE}-{SPAN}-01")));
    let found = parent(&read(&both, &[("traceparent", "garbage"), ("b3", &b3)]));
    assert_eq!(found, Some(format!("{}-{SPAN}-01", "1".repeat(32))));
}

#[test]
fn a_propagator_of_somebody_else_takes_part() {
    let stock = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let both = Propagator::composite([Propagator::custom(stock), Propagator::baggage()]);
    assert_eq!(both.fields().count(), 3);
    let value = format!("00-{TRACE}-{SPAN}-01");
    let context = read(&both, &[("traceparent", &value), ("baggage", "a=1")]);
    assert_eq!(parent(&context), Some(format!("{TRACE}-{SPAN}-01")));
    assert_eq!(context.baggage().len(), 1);
}

#[test]
fn none_reads_and_writes_nothing() {
    let none = Propagator::none();
    assert_eq!(written(&none, &remote_context()), HashMap::new());
    let value = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(parent(&read(&none, &[("traceparent", &value)])), None);
}

#[test]
fn what_is_invalid_leaves_what_the_context_held() {
    for propagator in all() {
        let held = remote_context();
        let bad = headers(&[("traceparent", "x"), ("b3", "x"), ("uber-trace-id", "x")]);
        let context = propagator.extract_with_context(&held, &bad);
        assert_eq!(context.span().span_context(), &remote(), "{propagator:?}");
    }
}

#[test]
fn the_variable_and_the_code_choose_the_propagator() {
    let named = |value: &'static str| {
        let (stack, _) =
            stack(|s| s.with_env(crate::support::with_variables(&[("OTEL_PROPAGATORS", value)])));
        format!("{:?}", stack.propagator())
    };
    assert_eq!(named("B3Multi, xray"), debug(&[Propagator::b3_multi(), Propagator::xray()]));
    assert_eq!(named("jaeger,b3"), debug(&[Propagator::jaeger(), Propagator::b3()]));
    assert_eq!(named("none"), debug(&[]));
    let (stack, _) = stack(|s| s.with_propagator(Propagator::b3()));
    assert_eq!(format!("{:?}", stack.propagator()), debug(&[Propagator::b3()]));
}

fn debug(parts: &[Propagator]) -> String {
    format!("{:?}", Propagator::composite(parts.iter().cloned()))
}

fn traces() -> [Propagator; 5] {
    [
        Propagator::trace_context(),
        Propagator::b3(),
        Propagator::b3_multi(),
        Propagator::jaeger(),
        Propagator::xray(),
    ]
}

fn all() -> Vec<Propagator> {
    let mut all = traces().to_vec();
    all.push(Propagator::baggage());
    all
}
