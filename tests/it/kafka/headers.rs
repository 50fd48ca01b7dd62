//! Headers: what is the user's stays, what is garbage does no harm.

use std::cell::Cell;

use opentelemetry::propagation::Extractor as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceId};
use otel_setup::Sampler;
use otel_setup::kafka::{HeaderExtractor, inject_context};
use otel_setup::propagation::{Context, Propagator, TextMapPropagator as _};
use proptest::prelude::*;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::{Message as _, Timestamp, message::OwnedMessage};

use super::{Broker, PATIENCE, TOPIC, consuming, wait};
use crate::support::{attribute, span};
use crate::{run, stack};

type Pair = (String, Option<Vec<u8>>);

fn headers(pairs: &[Pair]) -> OwnedHeaders {
    pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: value.as_deref() })
    })
}

fn pairs(headers: &impl Headers) -> Vec<Pair> {
    let all = (0..headers.count()).map(|index| headers.get(index));
    all.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
}

fn pair(key: &str, value: &str) -> Pair {
    (key.to_owned(), Some(value.as_bytes().to_vec()))
}

fn remote(headers: &OwnedHeaders) -> SpanContext {
    let context = Propagator::trace_context().extract(&HeaderExtractor::new(headers));
    context.span().span_context().clone()
}

#[test]
fn the_users_headers_keep_order_duplicates_and_null_and_binary_values_over_the_wire() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let producer = broker.producer();
    let own = [
        pair("b", "1"),
        ("null".to_owned(), None),
        pair("a", "2"),
        ("binary".to_owned(), Some(vec![0, 255, 254])),
        pair("b", "3"),
        ("empty".to_owned(), Some(Vec::new())),
        pair("b", "1"),
        pair("", "no name"),
    ];
    run(&stack, || {
        let record = FutureRecord::<str, _>::to(TOPIC).payload("a book").headers(headers(&own));
        wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    });
    let message = broker.message();
    let all = pairs(message.headers().expect("there are headers"));
    assert_eq!(all[..own.len()], own);
    let sent = span(&seen, "send orders").span_context;
    let parent = format!("00-{}-{}-03", sent.trace_id(), sent.span_id());
    assert_eq!(all[own.len()], pair("traceparent", &parent));
}

#[test]
fn the_headers_of_the_last_hop_are_replaced_and_no_others() {
    let (broker, (stack, seen)) = (Broker::start(), stack(|setup| setup));
    let producer = broker.producer();
    let old = [
        pair("Traceparent", &format!("00-{:032x}-{:016x}-00", 1, 2)),
        pair("tracestate", "old=1"),
        pair("b3", "not this propagator's"),
        pair("traceparent", "garbage"),
        ("null".to_owned(), None),
    ];
    run(&stack, || {
        let record = FutureRecord::<str, _>::to(TOPIC).payload("a book").headers(headers(&old));
        wait(producer.send(record, PATIENCE)).expect("the broker takes it");
    });
    let all = pairs(broker.message().headers().expect("there are headers"));
    let sent = span(&seen, "send orders").span_context;
    assert_eq!(all[..2], [old[2].clone(), old[4].clone()]);
    let names: Vec<_> = all[2..].iter().map(|(key, _)| key.as_str()).collect();
    assert!(names.contains(&"traceparent"), "{names:?}");
    assert!(names.iter().all(|name| ["traceparent", "tracestate"].contains(name)), "{names:?}");
    assert_eq!(remote(&headers(&all)).span_id(), sent.span_id());
    assert!(!all.contains(&old[1]));
}

#[test]
fn without_a_current_trace_headers_are_passed_on_as_they_are() {
    let parent = pair("traceparent", &format!("00-{:032x}-{:016x}-01", 1, 2));
    let own = headers(&[parent.clone(), pair("a", "1")]);
    let after = inject_context(&Propagator::trace_context(), &Context::new(), Some(own));
    assert_eq!(pairs(&after.expect("they are still there")), [parent, pair("a", "1")]);
}

#[test]
fn of_several_headers_of_one_name_the_last_that_is_text_counts() {
    let parent = |trace: u32| pair("TraceParent", &format!("00-{trace:032x}-{:016x}-01", 2));
    let null = ("traceparent".to_owned(), None);
    let binary = ("traceparent".to_owned(), Some(vec![0xff]));
    let all = headers(&[parent(1), parent(2), null, binary]);
    assert_eq!(remote(&all).trace_id(), TraceId::from(2_u128));
    let states = headers(&[pair("tracestate", "a=1"), pair("x", ""), pair("tracestate", "b=2")]);
    assert_eq!(HeaderExtractor::new(&states).get_all("tracestate"), Some(vec!["a=1", "b=2"]));
    assert_eq!(HeaderExtractor::new(&states).keys(), ["tracestate", "x", "tracestate"]);
    assert_eq!(HeaderExtractor::new(&states).get_all("y"), None);
}

#[test]
fn a_header_whose_name_begins_with_a_colon_is_no_further_value_of_another() {
    let parent = format!("00-{:032x}-{:016x}-01", 1, 2);
    let colons = [pair(":traceparent", "x"), pair(":tracestate", "x=9"), pair("::tracestate", "y")];
    let own = [pair("traceparent", &parent), pair("tracestate", "a=1"), pair("tracestate", "b=2")];
    for most in [2, 3] {
        let all = headers(&[&own[..most], &colons].concat());
        assert_eq!(remote(&all).trace_id(), TraceId::from(1_u128));
        let state = remote(&all).trace_state().header();
        assert_eq!(state, if most == 2 { "a=1" } else { "a=1,b=2" });
    }
}

/// As rdkafka does with a name that is not UTF-8.
struct Panicking {
    headers: OwnedHeaders,
    bad: Vec<usize>,
    panics: Cell<u32>,
}

impl Panicking {
    fn at(bad: &[usize], pairs: &[Pair]) -> Self {
        Self { headers: headers(pairs), bad: bad.to_vec(), panics: Cell::new(0) }
    }
}

impl Headers for Panicking {
    fn count(&self) -> usize {
        self.headers.count()
    }

    fn try_get(&self, index: usize) -> Option<Header<'_, &[u8]>> {
        if self.bad.contains(&index) {
            self.panics.set(self.panics.get() + 1);
            panic!("this header's name is not UTF-8");
        }
        self.headers.try_get(index)
    }
}

#[test]
fn a_header_that_makes_rdkafka_panic_is_skipped_and_does_so_once_a_message() {
    let parent = pair("traceparent", &format!("00-{:032x}-{:016x}-01", 1, 2));
    let all = [pair("a", ""), parent, pair("b", ""), pair("b", "")];
    let formats = [Propagator::jaeger(), Propagator::b3(), Propagator::trace_context()];
    let propagator = Propagator::composite(formats);
    for (bad, keys, panics) in [
        (&[0][..], &["traceparent", "b", "b"][..], 1),
        (&[3], &["a", "traceparent", "b"], 1),
        (&[0, 2, 3], &[], 2),
        (&[2, 3], &["a", "traceparent"], 2),
        (&[0, 3], &[], 2),
        (&[], &["a", "traceparent", "b", "b"], 0),
    ] {
        let all = Panicking::at(bad, &all);
        let carrier = HeaderExtractor::new(&all);
        let context = propagator.extract(&carrier);
        assert_eq!(context.span().span_context().is_valid(), keys.contains(&"traceparent"));
        assert_eq!(carrier.keys(), keys, "{bad:?}");
        assert_eq!(all.panics.get(), panics, "{bad:?}");
    }
}

/// Names that mean something, in any case, and any other.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("traceparent".to_owned()),
        Just("TRACEPARENT".to_owned()),
        Just("tracestate".to_owned()),
        Just("baggage".to_owned()),
        "[^\0]{0,12}",
    ]
}

/// Nothing, bytes, and what is nearly a `traceparent`.
fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(Some),
        // huge, of one byte or of what would be a parent were it not so long
        (any::<u8>(), 10_000..200_000_usize).prop_map(|(byte, length)| Some(vec![byte; length])),
        (1..9_000_usize).prop_map(|times| {
            Some(format!("00-{:032x}-{:016x}-01,", 1, 2).repeat(times).into_bytes())
        }),
        "[0-9a-fA-F+-]{1,3}-[0-9a-fg]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}"
            .prop_map(|text| Some(text.into_bytes())),
        "[a-z]{1,4}=[ -~]{0,8}(,[a-z@]{1,4}=[ -~]{0,8}){0,3}"
            .prop_map(|text| Some(text.into_bytes())),
    ]
}

fn any_pairs() -> impl Strategy<Value = Vec<Pair>> {
    proptest::collection::vec((name(), value()), 0..8)
}

/// Whether these bytes name the ids of this context: `00-{trace}-{span}-{flags}`.
fn is_parent(value: &[u8], context: &SpanContext) -> bool {
    let text = String::from_utf8_lossy(value);
    let mut parts = text.trim().split('-').skip(1);
    let trace = parts.next().and_then(|part| u128::from_str_radix(part, 16).ok());
    let span = parts.next().and_then(|part| u64::from_str_radix(part, 16).ok());
    trace == Some(u128::from_be_bytes(context.trace_id().to_bytes()))
        && span == Some(u64::from_be_bytes(context.span_id().to_bytes()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_no_panic_and_no_trace_that_no_header_names(pairs in any_pairs()) {
        // one that the headers say is not sampled is seen, too
        let (stack, seen) = stack(|setup| setup.with_sampler(Sampler::always_on()));
        let headers = headers(&pairs);
        let remote = remote(&headers);
        let message = OwnedMessage::new(
            Some(vec![1]), None, TOPIC.to_owned(), Timestamp::NotAvailable, 0, 1, Some(headers),
        );
        run(&stack, || consuming().process_blocking(&message, || Ok::<_, String>(()))).unwrap();
        let process = span(&seen, "process orders");
        prop_assert_eq!(attribute(&process, "error.type"), None);
        if remote.is_valid() {
            let named = |(_, value): &Pair| value.as_ref().is_some_and(|v| is_parent(v, &remote));
            prop_assert!(pairs.iter().any(named), "{:?} from {:?}", remote, pairs);
            prop_assert_eq!(process.span_context.trace_id(), remote.trace_id());
            prop_assert_eq!(process.parent_span_id, remote.span_id());
        } else {
            prop_assert!(!process.parent_span_is_remote);
            prop_assert_eq!(process.parent_span_id, opentelemetry::trace::SpanId::INVALID);
        }
    }

    #[test]
    fn injecting_keeps_all_that_is_not_ours(own in any_pairs()) {
        let context = SpanContext::new(
            TraceId::from(77_u128), 7_u64.into(), opentelemetry::TraceFlags::SAMPLED, false,
            opentelemetry::trace::TraceState::default(),
        );
        let context = Context::new().with_remote_span_context(context);
        let after = inject_context(&Propagator::trace_context(), &context, Some(headers(&own)));
        let after = after.expect("there is a trace");
        let is_ours = |key: &str| {
            key.eq_ignore_ascii_case("traceparent") || key.eq_ignore_ascii_case("tracestate")
        };
        let kept: Vec<_> = own.into_iter().filter(|(key, _)| !is_ours(key)).collect();
        prop_assert_eq!(&pairs(&after)[..kept.len()], &kept[..]);
        prop_assert!(pairs(&after)[kept.len()..].iter().all(|(key, _)| is_ours(key)));
        prop_assert_eq!(remote(&after).trace_id(), TraceId::from(77_u128));
    }
}
