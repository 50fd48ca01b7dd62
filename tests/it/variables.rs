//! Variables by their effect: not that a field is set, but that a span is recorded, cut or not.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry::trace::{
    Event, Link, Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use otel_setup::propagation::{Propagator, TextMapPropagator as _};
use otel_setup::{
    BatchSettings, Exporter, ResourceDetectorKind, Setup, Severity, Source, SpanLimits, Stack,
};

use crate::support::{Said, span, spans, with_variables};
use crate::{run, stack};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A span of 3 attributes, 3 events of 3 attributes each, and 3 links of 3 attributes each.
fn full_span(adjust: impl FnOnce(Setup) -> Setup) -> SpanData {
    let (stack, seen) = stack(adjust);
    let three = || ["a", "b", "c"].map(|key| KeyValue::new(key, "value")).to_vec();
    let link = |n| Link::new(context(n, true), three(), 0);
    let builder = SpanBuilder::from_name("full")
        .with_attributes(three())
        .with_links((1..=3).map(link).collect())
        .with_events(
            (1..=3)
                .map(|_| Event::new("event", std::time::SystemTime::now(), three(), 0))
                .collect(),
        );
    run(&stack, || {
        let mut span = stack.tracer_provider().tracer("it").build(builder);
        span.end();
    });
    span(&seen, "full")
}

fn context(id: u64, sampled: bool) -> SpanContext {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(u128::from(id)), SpanId::from(id));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

/// (attributes, events, links, attributes of an event, of a link)
fn counts(span: &SpanData) -> [usize; 5] {
    let event = span.events.iter().next().map_or(0, |event| event.attributes.len());
    let link = span.links.iter().next().map_or(0, |link| link.attributes.len());
    [span.attributes.len(), span.events.len(), span.links.len(), event, link]
}

#[track_caller]
fn keeps(pairs: Pairs<'_>, expected: [usize; 5]) {
    let span = full_span(|setup| setup.with_env(with_variables(pairs)));
    assert_eq!(counts(&span), expected, "{pairs:?}");
}

#[test]
fn counts_are_cut_at_their_limits() {
    keeps(&[], [3, 3, 3, 3, 3]);
    keeps(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")], [2, 3, 3, 3, 3]);
    keeps(&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "2")], [3, 2, 3, 3, 3]);
    keeps(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "2")], [3, 3, 2, 3, 3]);
    keeps(&[("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "2")], [3, 3, 3, 2, 3]);
    keeps(&[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "2")], [3, 3, 3, 3, 2]);
    keeps(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")], [1, 3, 3, 1, 1]);
    keeps(
        &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"), ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "2")],
        [1, 3, 3, 1, 2],
    );
    keeps(
        &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", " ")],
        [1, 3, 3, 1, 1],
    );
    keeps(
        &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"), ("OTEL_SPAN_LINK_COUNT_LIMIT", "0")],
        [3, 0, 0, 0, 0],
    );
    keeps(&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1")], [3, 3, 3, 3, 3]);
    let limits = SpanLimits::new()
        .with_attributes(1)
        .with_events(2)
        .with_links(1)
        .with_attributes_per_event(0)
        .with_attributes_per_link(2);
    let variables = with_variables(&[("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")]);
    let span = full_span(|setup| setup.with_env(variables).with_span_limits(limits));
    assert_eq!(counts(&span), [1, 2, 1, 0, 2], "the code comes first");
    assert_eq!(span.dropped_attributes_count, 2);
}

#[track_caller]
fn cuts(pairs: Pairs<'_>, limits: SpanLimits, expected: &str) {
    let span = full_span(|setup| setup.with_env(with_variables(pairs)).with_span_limits(limits));
    let value = span.attributes[0].value.as_str().into_owned();
    assert_eq!(value, expected, "{pairs:?}");
}

#[test]
fn values_are_cut_at_their_length() {
    let (of_spans, of_all) =
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    cuts(&[], SpanLimits::new(), "value");
    cuts(&[(of_all, "2")], SpanLimits::new(), "va");
    cuts(&[(of_spans, "3"), (of_all, "2")], SpanLimits::new(), "val");
    cuts(&[(of_spans, ""), (of_all, "2")], SpanLimits::new(), "va");
    cuts(&[(of_spans, "x"), (of_all, "2")], SpanLimits::new(), "va");
    cuts(&[(of_spans, "0")], SpanLimits::new(), "");
    cuts(&[(of_spans, "18446744073709551616")], SpanLimits::new(), "value");
    cuts(&[(of_spans, "3")], SpanLimits::new().with_attribute_value_length(4), "valu");
}

/// How many of a root, a child of a sampled and a child of an unsampled remote parent are recorded.
#[track_caller]
fn samples(pairs: Pairs<'_>, expected: [bool; 3]) {
    let (stack, seen) = stack(|setup| setup.with_env(with_variables(pairs)));
    run(&stack, || {
        let tracer = stack.tracer_provider().tracer("it");
        tracing::info_span!("root").in_scope(|| {});
        for (name, sampled) in [("of sampled", true), ("of unsampled", false)] {
            let parent = Context::new().with_remote_span_context(context(7, sampled));
            tracer.start_with_context(name, &parent).end();
        }
    });
    let names: Vec<_> = spans(&seen).into_iter().map(|span| span.name.into_owned()).collect();
    let recorded = ["root", "of sampled", "of unsampled"]
        .map(|name| names.iter().any(|recorded| recorded == name));
    assert_eq!(recorded, expected, "{pairs:?}");
}

#[test]
fn samplers_record_what_they_are_asked_to() {
    let (sampler, arg) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
    samples(&[], [true, true, false]);
    samples(&[(sampler, "always_on")], [true, true, true]);
    samples(&[(sampler, "always_off")], [false, false, false]);
    samples(&[(sampler, "Always_Off")], [false, false, false]);
    samples(&[(sampler, "parentbased_always_on")], [true, true, false]);
    samples(&[(sampler, "parentbased_always_off")], [false, true, false]);
    samples(&[(sampler, "traceidratio")], [true, true, true]);
    samples(&[(sampler, "traceidratio"), (arg, "0")], [false, false, false]);
    samples(&[(sampler, "traceidratio"), (arg, "1.0")], [true, true, true]);
    samples(&[(sampler, "parentbased_traceidratio"), (arg, "0")], [false, true, false]);
    samples(&[(sampler, ""), (arg, "0")], [true, true, false]);
    samples(&[(sampler, "sometimes")], [true, true, false]);
    // what is counted obeys an unsampled parent, as its own share does not
    for (name, of_unsampled) in [("consistent", true), ("rate_limited", false)] {
        let parent_based = format!("parentbased_{name}");
        samples(&[(sampler, name), (arg, "0")], [false, false, false]);
        samples(&[(sampler, &parent_based), (arg, "0")], [false, true, false]);
        samples(&[(sampler, name)], [true, true, of_unsampled]);
        samples(&[(sampler, &parent_based)], [true, true, false]);
    }
    for bad in ["-0.1", "NaN", "inf", "1.5", "half"] {
        samples(&[(sampler, "traceidratio"), (arg, bad)], [true, true, true]);
    }
}

#[test]
fn a_share_of_the_traces_and_so_many_a_second() {
    let roots = |name: &str, arg: &str| {
        let pairs = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
        let (stack, _) = stack(|setup| setup.with_env(with_variables(&pairs)));
        run(&stack, || (0..4000).for_each(|_| tracing::info_span!("root").in_scope(|| {})));
        stack.stats().started
    };
    for name in ["traceidratio", "parentbased_traceidratio", "consistent"] {
        // eleven standard deviations
        let share = roots(name, "0.25");
        assert!((700..1300).contains(&share), "{name}: {share}");
    }
    let limited = roots("rate_limited", "3");
    assert!((1..1000).contains(&limited), "{limited}");
}

#[test]
fn the_trace_filter_of_the_variable_decides_what_is_traced() {
    let names = |pairs: Pairs<'_>, adjust: fn(Setup) -> Setup| {
        let (stack, seen) = stack(|setup| adjust(setup.with_env(with_variables(pairs))));
        run(&stack, || {
            tracing::debug_span!("debug").in_scope(|| {});
            tracing::info_span!("info").in_scope(|| {});
            tracing::warn_span!(target: "elsewhere", "warn").in_scope(|| {});
        });
        spans(&seen).into_iter().map(|span| span.name.into_owned()).collect::<Vec<_>>()
    };
    let filter = "OTEL_RUST_TRACE_FILTER";
    assert_eq!(names(&[], |s| s), ["info", "warn"]);
    assert_eq!(names(&[(filter, " ")], |s| s), ["info", "warn"]);
    assert_eq!(names(&[(filter, "WARN")], |s| s), ["warn"]);
    assert_eq!(names(&[(filter, "off,it=debug")], |s| s), ["debug", "info"]);
    assert_eq!(names(&[(filter, "a=b=c")], |s| s), ["info", "warn"]);
    assert_eq!(names(&[(filter, "off")], |s| s.with_trace_filter("warn")), ["warn"]);
    // log lines are another matter
    assert_eq!(names(&[("RUST_LOG", "off")], |s| s), ["info", "warn"]);
}

#[test]
fn a_queue_holds_no_more_than_its_bounds() {
    /// Waits with its first batch until the test lets go.
    #[derive(Debug)]
    struct Held(Mutex<std::sync::mpsc::Receiver<()>>);

    impl SpanExporter for Held {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            // an error: the test has let go
            let _ = self.0.lock().expect("no panic").recv();
            Ok(())
        }
    }
    let dropped = |pairs: Pairs<'_>, batch: BatchSettings| {
        let (release, held) = std::sync::mpsc::channel();
        let exporter = Exporter::custom(Held(Mutex::new(held)));
        let stack = Setup::new("it")
            .with_env(with_variables(pairs))
            .with_exporter(exporter)
            .with_batch(batch)
            .with_log_format(otel_setup::LogFormat::Off)
            .with_diagnostics(|_, _: &str| {})
            .build()
            .expect("these settings are right");
        crate::support::spans_in(&stack, 2000);
        drop(release);
        let _ = stack.flush(Duration::from_secs(20));
        let stats = stack.stats();
        let exporter = &stats.exporters[0];
        assert_eq!(exporter.exported + exporter.lost(), 2000, "{stats:?}");
        exporter.lost()
    };
    let open = BatchSettings::new;
    assert_eq!(dropped(&[], open()), 0);
    let (spans, bytes) = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_RUST_BSP_MAX_QUEUE_BYTES");
    for name in [spans, bytes] {
        assert!(dropped(&[(name, "1")], open()) > 1000, "{name}");
        // for what is of no use there is the default
        assert_eq!(dropped(&[(name, "0")], open()), 0, "{name}");
        assert_eq!(dropped(&[(name, "")], open()), 0, "{name}");
    }
    let code = open().with_max_queue_size(5000).with_max_queue_bytes(64 << 20);
    assert_eq!(dropped(&[(spans, "1"), (bytes, "1")], code), 0);
}

fn fields(adjust: impl FnOnce(Setup) -> Setup) -> Vec<String> {
    let (stack, _) = stack(adjust);
    let fields: Vec<_> = stack.propagator().fields().map(str::to_owned).collect();
    fields
}

#[test]
fn propagators_write_their_own_headers_alone() {
    let by = |list: &'static str| {
        fields(move |s| s.with_env(with_variables(&[("OTEL_PROPAGATORS", list)])))
    };
    let both = ["traceparent", "tracestate", "baggage"];
    assert_eq!(by(""), both);
    assert_eq!(by("TraceContext"), both[..2]);
    assert_eq!(by(" baggage , baggage"), both[2..]);
    assert_eq!(by("none"), [""; 0]);
    assert_eq!(by("unheard-of,baggage"), both[2..]);
    assert_eq!(by("unheard-of"), both);
    let in_code = fields(|s| {
        s.with_env(with_variables(&[("OTEL_PROPAGATORS", "none")]))
            .with_propagator(Propagator::baggage())
    });
    assert_eq!(in_code, both[2..]);
    assert_eq!(fields(|s| s.with_propagator(Propagator::composite([]))), [""; 0]);
}

#[test]
fn what_the_code_says_of_disabling_comes_first() {
    let variables = || with_variables(&[("OTEL_SDK_DISABLED", "TRUE")]);
    let started = |stack: &Stack| {
        run(stack, || tracing::info_span!("span").in_scope(|| {}));
        stack.stats().started
    };
    assert_eq!(started(&stack(|s| s.with_env(variables())).0), 0);
    assert_eq!(started(&stack(|s| s.with_env(variables()).with_sdk_disabled(false)).0), 1);
    assert_eq!(started(&stack(|s| s.with_sdk_disabled(true)).0), 0);
    let one = with_variables(&[("OTEL_SDK_DISABLED", "1")]);
    assert_eq!(started(&stack(|s| s.with_env(one)).0), 1, "only `true` is true");
}

#[test]
fn our_own_voice_is_as_loud_as_it_is_asked_to_be() {
    let lines = |level: &str, adjust: fn(Setup) -> Setup| {
        let said = Said::default();
        let variables = [("OTEL_LOG_LEVEL", level), ("OTEL_BSP_MAX_QUEUE_SIZE", "none")];
        let (stack, _) = stack(|setup| {
            adjust(setup.with_env(with_variables(&variables)).with_diagnostics(said.sink()))
        });
        drop(stack);
        said.lines()
    };
    let warning = "OTEL_BSP_MAX_QUEUE_SIZE: \"none\" is not a number from 1 to 18446744073709551615; \
                   65536 is used";
    assert_eq!(lines("", |s| s), [warning]);
    assert_eq!(lines("WARN", |s| s), [warning]);
    assert_eq!(lines("error", |s| s), [""; 0]);
    assert_eq!(lines("none", |s| s), [""; 0]);
    assert_eq!(lines("none", |s| s.with_diagnostics_level(Severity::Warning)), [warning]);
    assert_eq!(lines("debug", |s| s.with_diagnostics_level(None)), [""; 0]);
}

/// How many spans each batch had.
#[derive(Debug, Default, Clone)]
struct Batches(Arc<(Mutex<Vec<usize>>, Condvar)>);

impl SpanExporter for Batches {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.0.lock().expect("pushing does not panic").push(batch.len());
        self.0.1.notify_all();
        Ok(())
    }
}

fn batches(adjust: impl FnOnce(Setup) -> Setup) -> Vec<usize> {
    let batches = Batches::default();
    let setup = Setup::new("it").with_exporter(Exporter::custom(batches.clone()));
    let stack = adjust(setup.with_log_format(otel_setup::LogFormat::Off))
        .build()
        .expect("these settings are right");
    run(&stack, || {
        for _ in 0..10 {
            tracing::info_span!("span").in_scope(|| {});
        }
    });
    batches.0.0.lock().expect("pushing does not panic").clone()
}

#[test]
fn batches_are_no_larger_than_asked_for() {
    let slow = ("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let by = |pairs: &[(&str, &str)]| batches(|setup| setup.with_env(with_variables(pairs)));
    assert_eq!(by(&[slow]), [10]);
    let four = by(&[slow, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")]);
    assert!(four.iter().all(|n| *n <= 4) && four.iter().sum::<usize>() == 10, "{four:?}");
    for bad in ["0", "-1", "1.5", "four"] {
        assert_eq!(by(&[slow, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", bad)]), [10], "{bad}");
    }
    let in_code = batches(|setup| {
        setup
            .with_env(with_variables(&[slow, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")]))
            .with_batch(BatchSettings::new().with_max_export_batch_size(5))
    });
    assert!(in_code.iter().all(|n| *n <= 5) && in_code.len() < 5, "{in_code:?}");
}

#[test]
fn a_batch_waits_no_longer_than_its_delay() {
    let exported = |adjust: fn(Setup) -> Setup| {
        let batches = Batches::default();
        let setup = Setup::new("it").with_exporter(Exporter::custom(batches.clone()));
        let stack = adjust(setup).build().expect("these settings are right");
        tracing::dispatcher::with_default(stack.dispatch(), || {
            tracing::info_span!("span").in_scope(|| {});
        });
        let seen = batches.0.0.lock().expect("pushing does not panic");
        let (_seen, late) = batches
            .0
            .1
            .wait_timeout_while(seen, Duration::from_secs(60), |seen| seen.is_empty())
            .expect("pushing does not panic");
        assert!(!late.timed_out(), "nobody has flushed, and nothing came");
    };
    exported(|s| s.with_env(with_variables(&[("OTEL_BSP_SCHEDULE_DELAY", "0")])));
    exported(|s| s.with_env(with_variables(&[("OTEL_BSP_SCHEDULE_DELAY", "20")])));
    exported(|s| {
        s.with_env(with_variables(&[("OTEL_BSP_SCHEDULE_DELAY", "600000")]))
            .with_batch(BatchSettings::new().with_schedule_delay(Duration::from_millis(20)))
    });
}

fn resource(adjust: impl FnOnce(Setup) -> Setup) -> Vec<(String, String)> {
    let (exporter, resource) = crate::suppression::resource_probe();
    let setup = Setup::new("it").with_env(|_| None).with_exporter(exporter);
    drop(adjust(setup).build().expect("these settings are right"));
    let resource = resource.lock().expect("no panic under it").clone();
    resource.into_iter().filter(|(key, _)| !key.starts_with("telemetry.sdk.")).collect()
}

fn none(setup: Setup) -> Setup {
    setup.with_resource_detectors([])
}

#[track_caller]
fn carries(pairs: Pairs<'_>, expected: Pairs<'_>) {
    let mut found = resource(|setup| none(setup.with_env(with_variables(pairs))));
    found.sort();
    let expected: Vec<_> =
        expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(found, expected, "{pairs:?}");
}

#[test]
fn the_resource_carries_what_variables_say() {
    let (list, name) = ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME");
    carries(&[], &[("service.name", "it")]);
    carries(&[(name, "cart")], &[("service.name", "cart")]);
    carries(&[(list, "service.name=list,b=%2C%3D%20")], &[("b", ",= "), ("service.name", "list")]);
    carries(&[(list, "service.name=list"), (name, "cart")], &[("service.name", "cart")]);
    carries(&[(list, "service.name=list"), (name, "")], &[("service.name", "list")]);
    carries(&[(list, "a=1,a=2,a")], &[("service.name", "it")]);
    carries(&[(list, "a=b=c")], &[("a", "b=c"), ("service.name", "it")]);
    carries(&[(list, "a=")], &[("a", ""), ("service.name", "it")]);
    carries(
        &[(list, "deployment.environment=test1,service.version=5")],
        &[("deployment.environment", "test1"), ("service.name", "it"), ("service.version", "5")],
    );
}

#[test]
fn a_service_name_among_the_codes_attributes_comes_before_every_variable() {
    let variables =
        [("OTEL_SERVICE_NAME", "cart"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=list")];
    let setup = |s: Setup| {
        none(s).with_resource_attribute("service.name", "code").with_env(with_variables(&variables))
    };
    assert_eq!(resource(setup), [("service.name".to_owned(), "code".to_owned())]);
    let explanation = setup(Setup::new("it")).explain().to_string();
    assert!(explanation.contains("OTEL_SERVICE_NAME"), "{explanation}");
    assert!(explanation.contains("what the code says comes first"), "{explanation}");
}

#[test]
fn detectors_find_what_they_are_asked_for_and_give_way_to_everybody() {
    let pid = |found: &[(String, String)]| {
        found.iter().find(|(key, _)| key == "process.pid").map(|(_, value)| value.clone())
    };
    let own = std::process::id().to_string();
    let detectors = |list: &'static str| {
        resource(move |s| s.with_env(with_variables(&[("OTEL_RUST_RESOURCE_DETECTORS", list)])))
    };
    assert_eq!(pid(&detectors("")), None, "not by default");
    assert_eq!(pid(&detectors("none")), None);
    assert_eq!(pid(&detectors("host,PROCESS")), Some(own.clone()));
    let all = detectors("all");
    assert_eq!(pid(&all), Some(own.clone()));
    for key in ["service.instance.id", "host.arch", "os.type"] {
        assert!(all.iter().any(|(k, _)| k == key), "{key} is not in {all:?}");
    }
    let by_code = resource(|s| s.with_resource_detectors([ResourceDetectorKind::Process]));
    assert_eq!(pid(&by_code), Some(own));
    let variables = [
        ("OTEL_RUST_RESOURCE_DETECTORS", "process"),
        ("OTEL_RESOURCE_ATTRIBUTES", "process.pid=7"),
    ];
    let overridden = resource(|s| s.with_env(with_variables(&variables)));
    assert_eq!(pid(&overridden), Some("7".to_owned()));
    let explanation = Setup::new("it").with_env(with_variables(&variables)).explain();
    let source = |part: &str| {
        let found = explanation.settings().iter().find(|s| s.value.starts_with(part));
        found.map(|found| found.source)
    };
    assert_eq!(source("process.pid=7"), Some(Source::Variable("OTEL_RESOURCE_ATTRIBUTES")));
    assert_eq!(source("process.executable.name="), Some(Source::Detector("process")));
}

#[test]
fn exporters_are_those_of_the_list() {
    let names = |list: &'static str| {
        let setup = Setup::new("it").with_env(with_variables(&[("OTEL_TRACES_EXPORTER", list)]));
        let stack = setup.build().expect("no variable fails the setup");
        let names: Vec<_> =
            stack.stats().exporters.iter().map(|exporter| exporter.name.clone()).collect();
        names
    };
    assert_eq!(names(""), ["console"]);
    assert_eq!(names("none"), [""; 0]);
    assert_eq!(names("NONE,Console"), ["console"]);
    assert_eq!(names("console,console"), ["console"]);
    assert_eq!(names("unheard-of"), ["console"]);
}
