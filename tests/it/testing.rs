//! The capture for users' tests: what it sees, what it says when a test fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use otel_setup::testing::{Capture, ExpectedSpan, capture, capture_with, event, span};
use otel_setup::{Exporter, RecordErr as _, Sampler, Setup, SpanKind};

fn work(who: &str) {
    tracing::info_span!("outer", who, otel.kind = "server").in_scope(|| {
        tracing::info_span!("inner", n = 1).in_scope(|| tracing::warn!(code = 7, "careful"));
        tracing::info_span!("inner", n = 2).in_scope(|| tracing::error!("it broke"));
    });
}

/// What a failing assertion says.
fn failure(capture: &Capture, f: impl FnOnce(&Capture)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| f(capture))).expect_err("it is not as expected");
    panic.downcast_ref::<String>().expect("the message is formatted").clone()
}

#[track_caller]
fn fails(expected: ExpectedSpan, because: &str) {
    let capture = capture();
    work("me");
    let text = failure(&capture, |capture| capture.assert(expected));
    assert!(text.contains(because), "{text}");
    assert!(text.contains("├╴inner") && text.contains("└╴inner ✗"), "it shows the tree: {text}");
}

#[test]
fn what_is_as_expected_passes() {
    let capture = capture();
    work("me");
    capture.assert(
        span("outer")
            .root()
            .with_kind(SpanKind::Server)
            .with_attribute("who", "me")
            .without_error(),
    );
    capture.assert(
        span("inner").child_of("outer").with_attribute("n", 2).with_error().with_event("it broke"),
    );
    let both = [1, 2].map(|n| span("inner").with_attribute("n", n));
    let [first, second] = both;
    capture.assert(
        // the one that fits both comes first, and must leave its place
        span("outer").with_child(span("inner")).with_child(first.clone()).without_other_children(),
    );
    capture.assert(span("outer").with_child(second).with_child(first));
    capture.assert(span("inner").with_event(event("careful").with_attribute("code", 7)));
    capture.assert_none(span("inner").root());
    capture.assert_none(span("outer").without_attribute("who"));
    assert_eq!(capture.span("outer").attributes.len(), 1);
}

#[test]
fn a_failure_says_why_and_shows_the_tree() {
    fails(span("outre"), "expected span \"outre\"\n  but no span has this name");
    fails(span("outer").child_of("main"), "but it is a root");
    fails(span("inner").root(), "but it is a child of \"outer\"");
    fails(span("outer").with_kind(SpanKind::Client), "but its kind is Server");
    fails(span("outer").with_attribute("who", "you"), "but who is me");
    fails(span("outer").with_attribute("why", 1), "but there is no why");
    fails(span("outer").without_attribute("who"), "but it has the attribute who");
    fails(span("outer").with_error(), "but it has no status");
    fails(span("inner").with_error_of("other"), "but its status is the error \"\"");
    fails(span("outer").with_ok(), "but it has no status");
    fails(span("outer").with_event("hello"), "but it has no event \"hello\"");
    fails(
        span("inner").with_event(event("careful").with_attribute("code", 8)),
        "but of its event \"careful\", code is 7",
    );
    fails(span("outer").with_child(span("leaf")), "but it has no such child: span \"leaf\"");
    let inner = || span("inner");
    let three = span("outer").with_child(inner()).with_child(inner()).with_child(inner());
    fails(three, "but it has no such child");
    fails(
        span("outer").with_child(inner()).without_other_children(),
        "but it has other children: \"inner\"",
    );
}

#[test]
fn one_span_of_a_name_is_found_and_others_are_counted() {
    let capture = capture();
    work("me");
    let two = failure(&capture, |capture| drop(capture.span("inner")));
    assert!(two.starts_with("expected one span \"inner\", but there are 2\n"), "{two}");
    let none = failure(&capture, |capture| drop(capture.span("nobody")));
    assert!(none.starts_with("expected one span \"nobody\", but there are 0\n"), "{none}");
    assert!(none.contains("(those of other threads are captured inside"), "{none}");
}

#[test]
fn what_has_not_ended_is_named() {
    let capture = capture();
    let open = tracing::info_span!("still open").entered();
    let text = failure(&capture, |capture| capture.assert(span("still open")));
    assert!(text.ends_with("not ended yet: \"still open\"\n"), "{text}");
    let text = failure(&capture, |capture| capture.wait(Duration::from_millis(1)));
    assert!(text.contains("spans have not ended after 1ms"), "{text}");
    drop(open);
    capture.wait(Duration::ZERO);
    capture.assert(span("still open"));
}

#[test]
fn captures_of_parallel_threads_do_not_mix() {
    std::thread::scope(|scope| {
        for n in 0..8 {
            scope.spawn(move || {
                let capture = capture();
                for _ in 0..20 {
                    work(&n.to_string());
                }
                assert_eq!(capture.spans().len(), 60);
                capture.assert_none(span("outer").with_attribute("who", (n + 1) % 8));
            });
        }
    });
}

#[test]
fn threads_to_which_it_is_carried_are_captured() {
    let capture = capture();
    let threads: Vec<_> =
        (0..4).map(|n| std::thread::spawn(capture.carry(move || work(&n.to_string())))).collect();
    capture.assert_none(span("here"));
    for thread in threads {
        thread.join().expect("nothing panics");
    }
    capture.wait(Duration::from_secs(10));
    assert_eq!(capture.spans().len(), 12);
}

#[tokio::test]
async fn tasks_are_captured() {
    use tracing::Instrument as _;
    let capture = capture();
    let root = tracing::info_span!("root");
    let child = tokio::spawn(async { work("task") }.instrument(root));
    child.await.expect("nothing panics");
    capture.assert(span("outer").child_of("root"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_in_a_span_was_missed_on_other_threads() {
    use tracing::Instrument as _;
    let capture = capture();
    let task = async {
        work("before");
        tokio::task::yield_now().await;
        tracing::info!("seen");
        work("after");
        std::thread::current().id()
    };
    let root = tracing::info_span!("root");
    let there = tokio::spawn(task.instrument(root)).await.expect("nothing panics");
    assert_ne!(there, std::thread::current().id());
    for who in ["before", "after"] {
        capture.assert(span("outer").child_of("root").with_attribute("who", who));
    }
    capture.assert(span("root").with_event("seen"));
    let blocking = tracing::info_span!("blocking");
    let blocked = tokio::task::spawn_blocking(move || blocking.in_scope(|| work("blocking")));
    blocked.await.expect("nothing panics");
    capture.assert(span("outer").child_of("blocking"));
}

#[test]
fn a_thread_is_followed_until_the_last_span_of_the_test_is_left() {
    let capture = capture();
    let spans = ["a", "b"].map(|name| tracing::info_span!("root", name));
    std::thread::spawn(move || {
        let [a, b] = spans;
        let first = a.entered();
        let again = first.clone().entered();
        let second = b.entered();
        drop((first, again));
        work("inside");
        drop(second);
        work("outside");
    })
    .join()
    .expect("nothing panics");
    capture.assert(span("outer").child_of("root").with_attribute("who", "inside"));
    capture.assert_none(span("outer").with_attribute("who", "outside"));
    assert_eq!(capture.spans().len(), 5);
}

#[test]
fn a_thread_of_another_capture_is_not_followed() {
    let capture = capture();
    let root = tracing::info_span!("root");
    let other = move || {
        let other = otel_setup::testing::capture();
        root.in_scope(|| work("other"));
        other.spans().len()
    };
    assert_eq!(std::thread::spawn(other).join().expect("nothing panics"), 3);
    assert_eq!(capture.spans().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_returned_before_tasks_had_begun() {
    use tracing::Instrument as _;
    use tracing::instrument::WithSubscriber as _;
    let capture = capture();
    for _ in 0..200 {
        let task = tokio::task::yield_now().instrument(tracing::info_span!("job"));
        tokio::spawn(task.with_current_subscriber());
    }
    capture.wait(Duration::MAX);
    assert_eq!(capture.spans().len(), 200);
}

#[test]
fn wait_did_not_see_a_span_that_nobody_had_entered() {
    let capture = capture_with(|setup| setup.with_sampler(Sampler::always_off()));
    let unsampled = tracing::info_span!("unsampled");
    let text = failure(&capture, |capture| capture.wait(Duration::from_millis(1)));
    assert!(text.ends_with("not ended yet: \"unsampled\"\n"), "{text}");
    drop(unsampled);
    tracing::debug_span!("disabled").in_scope(|| {});
    capture.wait(Duration::ZERO);

    for stock in [false, true] {
        let capture = capture_with(|setup| if stock { setup.with_stock_layer() } else { setup });
        let open = tracing::info_span!("hang");
        let off = tracing::debug_span!("disabled");
        let text = failure(&capture, |capture| capture.wait(Duration::from_millis(1)));
        assert!(text.ends_with("not ended yet: \"hang\"\n"), "{text}");
        drop((open, off.clone()));
        capture.wait(Duration::MAX);
        assert_eq!(capture.span("hang").name, "hang");
    }
}

#[test]
fn a_failure_was_as_long_as_the_capture() {
    let capture = capture();
    for n in 0..2_000 {
        tracing::info_span!("root", n).in_scope(|| {});
    }
    let text = failure(&capture, |capture| capture.assert(span("nobody")));
    assert!(text.lines().count() < 210, "{} lines", text.lines().count());
    assert!(
        text.contains("\n… and 7800 more lines, all of which"),
        "{}",
        &text[text.len() - 300..]
    );
    let root = tracing::info_span!("parent");
    for n in 0..2_000 {
        tracing::info_span!(parent: &root, "child", n).in_scope(|| {});
    }
    drop(root);
    let lonely = span("parent").without_other_children();
    let text = failure(&capture, |capture| capture.assert(lonely));
    assert!(text.contains("it has other children: \"child\", ") && text.len() < 50_000, "{text}");
    assert!(text.contains(" and 1990 more\n"), "{text}");
}

#[test]
fn one_event_passed_for_two() {
    let capture = capture();
    tracing::info_span!("once").in_scope(|| tracing::info!("e"));
    tracing::info_span!("twice").in_scope(|| {
        tracing::info!(n = 1, "e");
        tracing::info!(n = 2, "e");
    });
    let two = |name: &str| span(name).with_event("e").with_event("e");
    let text = failure(&capture, |capture| capture.assert(two("once")));
    assert!(text.contains("but it has no further event \"e\""), "{text}");
    capture.assert(two("twice"));
    // the one that fits both comes first, and must leave its place
    let n = |n: u8| event("e").with_attribute("n", n);
    capture.assert(span("twice").with_event("e").with_event(n(1)));
    capture.assert_none(span("twice").with_event(n(1)).with_event(n(1)));
}

#[test]
fn a_key_that_was_set_twice_was_captured_twice() {
    let capture = capture();
    tracing::info_span!("work").in_scope(|| {
        let _ = "one".parse::<u8>().record_err();
        let _ = "one".parse::<f32>().record_err();
    });
    let types: Vec<_> = capture.span("work").attributes;
    let types: Vec<_> = types.iter().filter(|a| a.key.as_str() == "error.type").collect();
    assert_eq!(types.len(), 1, "{types:?}");
    assert_eq!(types[0].value.as_str(), std::any::type_name::<std::num::ParseFloatError>());
}

#[test]
fn a_panic_was_not_recorded_in_a_capture() {
    let panics = |adjust: fn(Setup) -> Setup| {
        let capture = capture_with(adjust);
        let work = || tracing::info_span!("work").in_scope(|| panic!("it broke"));
        catch_unwind(work).expect_err("it panics");
        capture
    };
    panics(Setup::with_panic_events).assert(
        span("work")
            .with_error_of("it broke")
            .with_attribute("error.type", "panic")
            .with_event(event("exception").with_attribute("exception.message", "it broke")),
    );
    panics(|setup| setup).assert(span("work").without_error().without_attribute("error.type"));
}

#[test]
fn a_capture_did_not_propagate() {
    use std::collections::HashMap;

    use otel_setup::propagation::{Relation, extract, inject};
    let mut carrier = HashMap::new();
    inject(&mut carrier);
    assert!(carrier.is_empty());
    let capture = capture();
    tracing::info_span!("client").in_scope(|| inject(&mut carrier));
    let caller = extract(&carrier);
    Relation::Child.span(&caller, || tracing::info_span!("server")).in_scope(|| {});
    capture.assert(span("server").child_of("client"));
    let traceparent = &carrier["traceparent"];
    assert!(traceparent.contains(&capture.span("client").span_context.trace_id().to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_other_threads_are_captured_with_their_subscriber() {
    use tracing::instrument::WithSubscriber as _;
    let capture = capture();
    let tasks: Vec<_> = (0..8)
        .map(|n: u8| tokio::spawn(async move { work(&n.to_string()) }.with_current_subscriber()))
        .collect();
    for task in tasks {
        task.await.expect("nothing panics");
    }
    assert_eq!(capture.spans().len(), 24);
}

#[test]
fn the_snapshot_is_the_same_in_every_run() {
    let text = || {
        let capture = capture_with(|setup| {
            setup
                .with_span_detail(
                    otel_setup::SpanDetail::default().with_threads(true).with_timings(true),
                )
                .with_exporter(Exporter::none())
        });
        let threads: Vec<_> = ["b", "a"]
            .map(|who| std::thread::spawn(capture.carry(move || work(who))))
            .into_iter()
            .collect();
        for thread in threads {
            thread.join().expect("nothing panics");
        }
        capture.snapshot().to_string()
    };
    assert_eq!(text(), text());
    assert!(text().contains("busy_ns=_"), "{}", text());

    let capture = capture();
    work("b\u{1b}");
    work("a");
    assert_eq!(
        capture.snapshot().without("level"),
        r#"
outer (server)
  who="a"
  inner
    n=1
    - careful  code=7
  inner [error]
    n=2
    - it broke
outer (server)
  who="b\u{1b}"
  inner
    n=1
    - careful  code=7
  inner [error]
    n=2
    - it broke
"#
    );
}
