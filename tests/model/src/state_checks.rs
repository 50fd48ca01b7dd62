//! What must hold of a span's state in whatever order threads run.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::inside::Inside;
use super::state::{OtelSpan, Pending, Start, State, Unwinding};
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sync::{Arc, check, thread};

fn pending() -> Arc<OtelSpan> {
    let builder = SpanBuilder::from_name("checked");
    let pending = Pending { parent: Context::new(), builder, status: Status::Unset };
    Arc::new(OtelSpan::new(State::Pending(pending), false))
}

/// What the SDK would answer the nth time that it is asked.
fn built(n: u64) -> Context {
    let flags = TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from(1_u128), SpanId::from(n));
    Context::new().with_remote_span_context(SpanContext::new(
        trace,
        span,
        flags,
        false,
        TraceState::default(),
    ))
}

/// As the layer does it; the id of the span that it got, and none if the span is closed.
fn context(span: &OtelSpan, builds: &AtomicU64) -> Option<SpanId> {
    let context = match span.begin() {
        Start::Done(context) => context,
        Start::Build(_pending) => {
            let watch = Unwinding::watch(span);
            let context = {
                let _inside = Inside::sdk();
                // a sampler that asks for the very span must not wait for itself
                assert!(!matches!(span.begin(), Start::Build(_) | Start::Bridge));
                built(builds.fetch_add(1, SeqCst) + 1)
            };
            watch.done();
            span.settle(&context, true);
            context
        }
        Start::Impossible => return None,
        Start::Bridge => unreachable!("nobody shadows it"),
    };
    Some(context.span().span_context().span_id())
}

fn close(span: &OtelSpan) -> State {
    std::mem::replace(&mut span.lock().state, State::Closed)
}

#[test]
fn a_span_starts_once_and_everybody_sees_the_same() {
    check(|| {
        let (span, builds) = (pending(), Arc::new(AtomicU64::new(0)));
        // loom cannot tell two that wait for a third from two that wait for each other
        let threads: Vec<_> = (0..if cfg!(feature = "loom") { 1 } else { 2 })
            .map(|_| {
                let (span, builds) = (span.clone(), builds.clone());
                thread::spawn(move || context(&span, &builds))
            })
            .collect();
        let here = context(&span, &builds);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), here);
        }
        assert_eq!((builds.load(SeqCst), here), (1, Some(SpanId::from(1))));
    });
}

#[test]
fn a_span_that_is_closed_while_it_starts_stays_closed() {
    check(|| {
        let (span, builds) = (pending(), Arc::new(AtomicU64::new(0)));
        let starting = {
            let (span, builds) = (span.clone(), builds.clone());
            thread::spawn(move || context(&span, &builds))
        };
        let closed = close(&span);
        starting.join().unwrap();
        assert!(builds.load(SeqCst) <= 1);
        // one of both has what is to be ended
        if matches!(closed, State::Pending(_)) {
            assert_eq!(builds.load(SeqCst), 0);
        }
        assert!(matches!(span.lock().state, State::Closed));
        assert!(matches!(span.begin(), Start::Impossible));
    });
}

#[test]
fn nobody_waits_for_a_start_that_panicked() {
    check(|| {
        let span = pending();
        let panicking = {
            let span = span.clone();
            thread::spawn(move || {
                if let Start::Build(_pending) = span.begin() {
                    // what unwinding does
                    drop(Unwinding::watch(&span));
                }
            })
        };
        match span.begin() {
            Start::Build(_) => span.settle(&built(1), true),
            Start::Impossible => {}
            Start::Done(_) | Start::Bridge => unreachable!("nobody has started it"),
        }
        panicking.join().unwrap();
    });
}

#[test]
fn what_is_told_to_a_span_as_it_starts_reaches_it_or_finds_it_started() {
    check(|| {
        let (span, builds) = (pending(), Arc::new(AtomicU64::new(0)));
        let starting = {
            let (span, builds) = (span.clone(), builds.clone());
            thread::spawn(move || context(&span, &builds))
        };
        // `OtelLayer::change`: to what is pending, or to the started one
        let told_pending = {
            let mut inner = span.lock();
            match &mut inner.state {
                State::Pending(pending) => {
                    pending.builder.name = "told".into();
                    true
                }
                _ => false,
            }
        };
        let told_started = !told_pending && context(&span, &builds).is_some();
        assert!(told_pending || told_started);
        starting.join().unwrap();
    });
}
