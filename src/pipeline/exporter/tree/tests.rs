//! When traces are shown, at times that the test decides, and what clones have in common; in
//! `picture`, what of it depends on depth and on several services.

mod picture;

use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider};

use super::*;
use crate::config::{Env, Settings};
use crate::pipeline::export::Payload;

/// The spans that `make` makes, in the order in which they end.
fn spans(make: impl FnOnce(&SdkTracer)) -> Vec<SpanData> {
    let memory = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
    make(&provider.tracer("test"));
    memory.get_finished_spans().unwrap()
}

fn admit(assembler: &mut Assembler, spans: Vec<SpanData>, now: Instant) {
    for span in spans {
        let (trace, span) = Span::new(span, "test".into(), 0);
        assembler.admit(trace, span, 100, now);
    }
}

/// The names of what is shown.
fn due(assembler: &mut Assembler, now: Instant) -> Vec<String> {
    names(assembler.due(now, false))
}

fn names(traces: Vec<Trace>) -> Vec<String> {
    let traces = traces.into_iter();
    traces.flat_map(|trace| trace.spans).map(|span| span.name.to_string()).collect()
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Spans in a trace whose root does not end.
fn rootless(tracer: &SdkTracer, names: &'static [&'static str]) -> Context {
    let root = Context::new().with_span(tracer.start("root"));
    for name in names {
        drop(tracer.start_with_context(*name, &root));
    }
    root
}

/// What a propagator makes of a context on the other side.
fn remote(context: &Context) -> Context {
    let span = context.span();
    let here = span.span_context();
    let state = here.trace_state().clone();
    let there = SpanContext::new(here.trace_id(), here.span_id(), here.trace_flags(), true, state);
    Context::new().with_remote_span_context(there)
}

#[test]
fn a_trace_is_shown_when_its_root_has_ended() {
    let (mut assembler, start) = (Assembler::default(), Instant::now());
    let made = spans(|tracer| drop(rootless(tracer, &["child"])));
    admit(&mut assembler, made, start);
    assert!(due(&mut assembler, start + millis(49)).is_empty());
    assert_eq!(due(&mut assembler, start + millis(50)), ["child", "root"]);
    assert!(due(&mut assembler, start + millis(60_000)).is_empty());
}

#[test]
fn a_root_that_never_ends_is_not_waited_for_without_end() {
    let (mut assembler, start) = (Assembler::default(), Instant::now());
    let mut root = None;
    let made = spans(|tracer| root = Some(rootless(tracer, &["a", "b"])));
    admit(&mut assembler, made, start);
    assert!(due(&mut assembler, start + millis(4_999)).is_empty());
    assert_eq!(due(&mut assembler, start + millis(5_000)), ["a", "b"]);
    // one that is never quiet
    let mut roots = Vec::new();
    let made = spans(|tracer| roots.push(rootless(tracer, &["c"; 31])));
    for (second, span) in (0..).zip(made) {
        admit(&mut assembler, vec![span], start + millis(second * 1_000));
    }
    assert!(due(&mut assembler, start + millis(29_999)).is_empty());
    assert_eq!(due(&mut assembler, start + millis(30_000)).len(), 31);
}

#[test]
fn a_trace_with_a_remote_parent_or_late_spans_was_held_for_as_long_as_something_came() {
    let (mut remotes, mut lates, mut parent) = (Vec::new(), Vec::new(), None);
    let made = spans(|tracer| {
        let call = Context::new().with_span(tracer.start("client"));
        remotes.extend((0..200).map(|_| tracer.start_with_context("server", &remote(&call))));
        let root = Context::new().with_span(tracer.start("root"));
        root.span().end();
        lates.extend((0..1_334).map(|_| tracer.start_with_context("late", &root)));
        parent = Some(call);
        remotes.clear();
        lates.clear();
    });
    for (name, pause) in [("server", 200), ("late", 30)] {
        let (mut assembler, start) = (Assembler::default(), Instant::now());
        let admitted: Vec<_> = made
            .iter()
            .filter(|span| span.name == name || name == "late" && span.name == "root")
            .collect();
        let mut shown = None;
        for (n, span) in (0..).zip(admitted) {
            let now = start + millis(n * pause);
            admit(&mut assembler, vec![span.clone()], now);
            if shown.is_none() && !due(&mut assembler, now).is_empty() {
                shown = Some(n * pause);
            }
        }
        assert_eq!(shown, Some(30_000), "{name}");
    }
}

#[test]
fn traces_of_one_batch_came_in_no_order() {
    let (mut assembler, now) = (Assembler::default(), Instant::now());
    let mut made = spans(|tracer| {
        for n in 0..40 {
            drop(tracer.start(n.to_string()));
        }
    });
    // ended in another order than they started in, and four that started at once
    made.reverse();
    let at = made[20].start_time;
    made[20..24].iter_mut().for_each(|span| span.start_time = at);
    let mut expected: Vec<_> = made.iter().collect();
    expected.sort_by_key(|span| span.start_time);
    let expected: Vec<_> = expected.into_iter().map(|span| span.name.to_string()).collect();
    admit(&mut assembler, made, now);
    assert_eq!(due(&mut assembler, now + millis(50)), expected);
}

#[test]
fn a_remote_parent_and_a_consumer_are_waited_for() {
    let (mut assembler, start) = (Assembler::default(), Instant::now());
    let mut client = None;
    let served = spans(|tracer| {
        let call = Context::new().with_span(tracer.start("client"));
        drop(tracer.start_with_context("server", &remote(&call)));
        client = Some(call);
    });
    admit(&mut assembler, served, start);
    assert!(due(&mut assembler, start + millis(299)).is_empty());
    assert_eq!(due(&mut assembler, start + millis(300)), ["server"]);

    let sent = spans(|tracer| {
        drop(tracer.span_builder("send").with_kind(SpanKind::Producer).start(tracer));
    });
    admit(&mut assembler, sent, start);
    assert!(due(&mut assembler, start + millis(999)).is_empty());
    assert_eq!(due(&mut assembler, start + millis(1_000)), ["send"]);
}

#[test]
fn the_slowest_of_several_pipelines_is_waited_for() {
    let (mut assembler, start) = (Assembler::default(), Instant::now());
    let made = spans(|tracer| drop(tracer.start("root")));
    admit(&mut assembler, made, start);
    assert!(assembler.due(start + millis(299), true).is_empty());
    assert_eq!(names(assembler.due(start + millis(300), true)), ["root"]);
}

#[test]
fn what_is_held_is_bounded_and_the_oldest_is_shown_first() {
    let (mut assembler, start) = (Assembler::default(), Instant::now());
    for n in 0..25_001_u64 {
        let mut root = None;
        let mut made = spans(|tracer| root = Some(rootless(tracer, &["a", "b"])));
        made[0].attributes = vec![KeyValue::new("n", n.cast_signed())];
        admit(&mut assembler, made, start + Duration::from_nanos(n));
        if n < 25_000 {
            assert!(assembler.beyond_bounds().is_empty());
        }
    }
    let gone = assembler.beyond_bounds();
    assert_eq!(gone.len(), 12_501);
    assert_eq!(gone[0].spans[0].attributes, [KeyValue::new("n", 0)]);
    assert!(assembler.beyond_bounds().is_empty());
}

/// A writer that can be read.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(tree: &TreeExporter, service: &'static str) -> Box<dyn BlockingExporter> {
    let (code, env) = (Settings::default(), Env::new(|_| None));
    let mut open = tree.clone().open(&Resolver::new(&code, None, &env));
    open.set_resource(&Resource::builder_empty().with_service_name(service).build());
    open
}

#[test]
fn services_that_share_an_exporter_share_a_tree() {
    let paper = Paper::default();
    let tree = TreeExporter::new().with_writer(paper.clone()).with_width(110);
    let (mut web, mut worker) = (open(&tree, "web"), open(&tree, "worker"));
    let mut made = spans(|tracer| {
        let kind = |name, kind| tracer.span_builder(name).with_kind(kind);
        let root = kind("POST /orders", SpanKind::Server).start(tracer);
        let root = Context::new().with_span(root);
        let send = kind("send", SpanKind::Producer).start_with_context(tracer, &root);
        let send = root.with_span(send);
        let remote = remote(&send);
        let process = kind("process", SpanKind::Consumer).start_with_context(tracer, &remote);
        let process = remote.with_span(process);
        drop(tracer.start_with_context("SELECT", &process));
    });
    let deadline = Instant::now();
    let of_worker: Vec<_> =
        made.extract_if(.., |s| ["SELECT", "process"].contains(&&*s.name)).collect();
    assert_eq!((made.len(), of_worker.len()), (2, 2));
    worker.send(&mut Payload::Spans(of_worker), deadline).unwrap();
    web.send(&mut Payload::Spans(made), deadline).unwrap();
    web.flush(deadline).unwrap();
    let text = String::from_utf8(paper.0.lock().clone()).unwrap();
    let names: Vec<_> = text.lines().collect();
    assert!(names[0].starts_with("web, worker · "), "{text}");
    assert!(names[2].starts_with("POST /orders [web] server "), "{text}");
    assert!(names[3].starts_with("└╴send producer "), "{text}");
    assert!(names[4].starts_with("  └╴process [worker] consumer "), "{text}");
    assert!(names[5].starts_with("    └╴SELECT "), "{text}");
    for mut exporter in [web, worker] {
        assert_eq!(exporter.settled().exported, 2);
        assert_eq!(exporter.settled().exported, 0);
    }
}

/// A call from one service to another: the spans of each.
fn call() -> (Vec<SpanData>, Vec<SpanData>) {
    let mut made = spans(|tracer| {
        let call = Context::new().with_span(tracer.start("call"));
        drop(tracer.start_with_context("serve", &remote(&call)));
    });
    let caller = made.split_off(1);
    (caller, made)
}

#[test]
fn a_flush_cut_a_tree_that_another_service_had_a_part_of() {
    let paper = Paper::default();
    let tree = TreeExporter::new().with_writer(paper.clone());
    let (mut web, mut stock) = (open(&tree, "web"), open(&tree, "stock"));
    let (caller, served) = call();
    let later = Instant::now() + Duration::from_secs(60);
    web.send(&mut Payload::Spans(caller), later).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // as its pipeline does once in a while
            stock.send(&mut Payload::Spans(served), later).unwrap();
            stock.tick();
            stock.tick();
        });
        web.flush(later).unwrap();
    });
    let text = String::from_utf8(paper.0.lock().clone()).unwrap();
    assert!(text.starts_with("web, stock · "), "{text}");
    assert_eq!(text.matches("spans").count(), 1, "{text}");
    assert!(text.contains("└╴serve [stock] "), "{text}");
}

#[test]
fn a_pipeline_has_handed_over_at_its_second_tick_at_a_flush_and_when_it_has_ended() {
    let mut sources = Sources::default();
    let (a, b) = (sources.open(), sources.open());
    sources.hand_over_all(a);
    let counts = sources.counts();
    assert!(!sources.others_have_handed_over(a, &counts));
    sources.hand_over(b);
    assert!(!sources.others_have_handed_over(a, &counts));
    sources.hand_over(b);
    assert!(sources.others_have_handed_over(a, &counts));
    let counts = sources.counts();
    sources.hand_over_all(b);
    assert!(sources.others_have_handed_over(a, &counts));
    assert!(sources.are_several());
    sources.close(b);
    assert!(!sources.are_several());
    assert!(sources.others_have_handed_over(a, &sources.counts()));
}
