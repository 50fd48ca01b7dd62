//! Panics of values, and threads that are ending.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread;

use opentelemetry::trace::SpanId;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::support::{attribute, span, spans};
use crate::{run, stack};

/// A span that somebody touches when nearly all of the thread is gone.
struct Last(RefCell<Option<Span>>);

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            span.set_attribute("touched", true);
        }
    }
}

thread_local! {
    /// Initialised before all others, and so destroyed after them.
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Each of these was the end of the process.
#[test]
fn a_span_touched_in_a_thread_local_destructor_ended_the_process() {
    for is_entered in [false, true] {
        let (stack, seen) = stack(|s| s);
        let dispatch = stack.dispatch().clone();
        let touched = thread::spawn(move || {
            LAST.set(Some(Last(RefCell::new(None))));
            tracing::dispatcher::with_default(&dispatch, || {
                let parent = tracing::info_span!("parent").entered();
                let span = tracing::info_span!("late", is_entered);
                if is_entered {
                    span.in_scope(|| {});
                }
                LAST.with_borrow(|last| {
                    last.as_ref().expect("it is set above").0.replace(Some(span));
                });
                drop(parent);
            });
        });
        touched.join().expect("no panic");
        run(&stack, || {});
        let late = span(&seen, "late");
        // which the registry cannot close from a thread in that state
        assert_ne!(late.parent_span_id, SpanId::INVALID);
        assert_eq!(attribute(&late, "touched").as_deref(), Some("true"));
    }
}

#[derive(Debug)]
struct SourcePanics;

impl fmt::Display for SourcePanics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no stock")
    }
}

impl Error for SourcePanics {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("no source either")
    }
}

/// What it panics with panics, too, when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "again");
    }
}

struct DebugPanics;

impl fmt::Debug for DebugPanics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Bomb)
    }
}

#[test]
fn a_value_that_panicked_took_the_parent_with_it() {
    let ways: [fn(); 2] = [
        || {
            let error: &(dyn Error + 'static) = &SourcePanics;
            let _child = tracing::info_span!("child", error);
            tracing::error!(error, "told");
        },
        || {
            let _child = tracing::info_span!("child", value = ?DebugPanics);
            tracing::info!(value = ?DebugPanics, "told");
        },
    ];
    for way in ways {
        let (stack, seen) = stack(|s| s);
        run(&stack, || {
            let _parent = tracing::info_span!("parent").entered();
            catch_unwind(AssertUnwindSafe(way)).expect("it does not come out");
        });
        assert_eq!(spans(&seen).len(), 2);
        assert_eq!(span(&seen, "parent").events.len(), 1);
    }
}
