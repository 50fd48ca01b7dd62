//! Two filters that know nothing of each other, and change while the program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::support::spans;
use crate::{run, stack};

fn names(seen: &opentelemetry_sdk::trace::InMemorySpanExporter) -> Vec<String> {
    let mut names: Vec<_> = spans(seen).into_iter().map(|span| span.name.into_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_trace_filter_alone_decides_what_is_traced() {
    let (stack, seen) =
        stack(|s| s.with_log_filter("off").with_trace_filter("warn,it::filters=debug"));
    run(&stack, || {
        tracing::debug_span!("debug").in_scope(|| {});
        tracing::trace_span!("trace").in_scope(|| {});
        tracing::info_span!(target: "elsewhere", "elsewhere").in_scope(|| {});
        tracing::warn_span!(target: "elsewhere", "warned").in_scope(|| {});
    });
    assert_eq!(names(&seen), ["debug", "warned"]);
}

#[test]
fn a_new_filter_holds_for_callsites_already_seen() {
    let (stack, seen) = stack(|s| s);
    let both = || {
        tracing::info_span!("info").in_scope(|| {});
        tracing::debug_span!("debug").in_scope(|| {});
    };
    run(&stack, both);
    assert_eq!(names(&seen), ["info"]);
    stack.set_trace_filter("debug").expect("it parses");
    run(&stack, both);
    assert_eq!(names(&seen), ["debug", "info", "info"]);
    stack.set_trace_filter("off").expect("it parses");
    run(&stack, both);
    assert_eq!(names(&seen), ["debug", "info", "info"]);
    assert_eq!((stack.trace_filter(), stack.log_filter()), ("off".to_owned(), "info".to_owned()));
}

#[test]
fn a_span_that_was_open_keeps_its_fate_when_the_filter_changes() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let open = tracing::info_span!("open");
        let entered = open.enter();
        stack.set_trace_filter("off").expect("it parses");
        tracing::info_span!("refused").in_scope(|| {});
        drop(entered);
    });
    assert_eq!(names(&seen), ["open"]);
}

#[test]
fn directives_on_spans_and_fields_work() {
    let (stack, seen) = stack(|s| s.with_trace_filter("[request{user=alice}]=debug"));
    let request = |user| {
        tracing::info_span!("request", user).in_scope(|| {
            tracing::debug_span!("detail", user).in_scope(|| {});
        });
    };
    run(&stack, || {
        request("alice");
        request("bob");
    });
    // the value decides what is enabled inside; the span itself matches by its field's name
    assert_eq!(names(&seen), ["detail", "request", "request"]);
    // from rules that follow spans to rules that do not, with spans open
    run(&stack, || {
        let open = tracing::info_span!("request", user = "alice").entered();
        stack.set_trace_filter("info").expect("it parses");
        tracing::debug_span!("too much").in_scope(|| {});
        drop(open);
    });
    assert_eq!(names(&seen), ["detail", "request", "request", "request"]);
}

#[test]
fn a_filter_that_does_not_parse_changes_nothing() {
    let (stack, _) = stack(|s| s);
    for directives in ["a=b=c", "[unclosed=debug", "x=verbose"] {
        let error = stack.set_trace_filter(directives).expect_err(directives);
        assert!(error.is_config());
        let text = error.to_string();
        assert!(text.starts_with(&format!("trace filter {directives:?}: ")), "{text}");
    }
    assert_eq!(stack.trace_filter(), "info");
}

/// Counts what reaches a layer of the user's own.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counting {
    fn on_new_span(&self, _: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_users_layer_has_its_own_filter() {
    use tracing_subscriber::filter::LevelFilter;
    let (all, warned) = (Counting::default(), Counting::default());
    let (stack, seen) = stack(|s| {
        s.with_layer(all.clone()).with_layer(warned.clone().with_filter(LevelFilter::WARN))
    });
    run(&stack, || {
        tracing::trace_span!("trace").in_scope(|| {});
        tracing::info_span!("info").in_scope(|| {});
        tracing::warn_span!("warn").in_scope(|| {});
    });
    assert_eq!(all.0.load(Ordering::Relaxed), 3);
    assert_eq!(warned.0.load(Ordering::Relaxed), 1);
    assert_eq!(names(&seen), ["info", "warn"]);
}
