//! The capture itself: a stack for a thread, and what it has seen.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::{Condvar, Mutex};
use tracing::dispatcher::{self, DefaultGuard};

use super::expect::ExpectedSpan;
use super::family::Family;
use super::snapshot::Snapshot;
use crate::config::LogFormat;
use crate::pipeline::{Exporter, draw};
use crate::setup::Setup;
use crate::stack::Stack;

/// Captures the spans of the current thread until it is dropped.
///
/// Everything at its default, in an empty environment: spans and events of level INFO and above, all
/// of them sampled, no log lines.
///
/// ```
/// let capture = otel_setup::testing::capture();
/// tracing::info_span!("work").in_scope(|| {});
/// assert_eq!(capture.span("work").name, "work");
/// ```
pub fn capture() -> Capture {
    capture_with(|setup| setup)
}

/// As [`capture`], with a setup that `adjust` has changed: another filter, say.
///
/// # Panics
///
/// If the setup cannot be built.
///
/// ```
/// use otel_setup::testing::{capture_with, span};
///
/// let capture = capture_with(|setup| setup.with_trace_filter("debug"));
/// tracing::debug_span!("detail").in_scope(|| {});
/// capture.assert(span("detail"));
/// ```
pub fn capture_with(adjust: impl FnOnce(Setup) -> Setup) -> Capture {
    let recorder = Recorder::default();
    let setup = Setup::new("test")
        .with_env(|_| None)
        .with_log_format(LogFormat::Off)
        .with_exporter(Exporter::none())
        .with_span_processor(recorder.clone());
    let stack = match adjust(setup).build() {
        Ok(stack) => stack,
        Err(error) => panic!("a capture cannot be set up: {error}"),
    };
    let default = dispatcher::set_default(stack.dispatch());
    Capture { _default: default, stack, recorder, _of_thread: PhantomData }
}

/// The spans of a test, from [`capture`].
#[must_use = "nothing more is captured once it is dropped"]
pub struct Capture {
    _default: DefaultGuard,
    stack: Stack,
    recorder: Recorder,
    /// The default subscriber is a thread's.
    _of_thread: PhantomData<*const ()>,
}

impl Capture {
    /// Asserts that a span is as `expected`: any one of them all.
    ///
    /// # Panics
    ///
    /// If none is. The message says why not, and shows what was captured as a tree.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    #[track_caller]
    pub fn assert(&self, expected: ExpectedSpan) {
        let family = Family::new(self.spans());
        if family.indices().any(|span| expected.mismatch(&family, span).is_none()) {
            return;
        }
        let mut reasons = String::new();
        for span in family.named(expected.name()).take(MOST_REASONS) {
            if let Some(reason) = expected.mismatch(&family, span) {
                reasons.extend(["\n  but ", reason.as_str()]);
            }
        }
        if reasons.is_empty() {
            reasons.push_str("\n  but no span has this name");
        }
        self.fail(&format!("expected {expected}{reasons}"));
    }

    /// Asserts that no span is as `unexpected`.
    ///
    /// # Panics
    ///
    /// If one is. The message shows what was captured as a tree.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    #[track_caller]
    pub fn assert_none(&self, unexpected: ExpectedSpan) {
        let family = Family::new(self.spans());
        if family.indices().any(|span| unexpected.mismatch(&family, span).is_none()) {
            self.fail(&format!("expected no {unexpected}"));
        }
    }

    /// The one span of this name.
    ///
    /// # Panics
    ///
    /// If there is none, or more than one. The message shows what was captured as a tree.
    #[track_caller]
    pub fn span(&self, name: &str) -> SpanData {
        let mut found: Vec<_> = self.spans().into_iter().filter(|s| s.name == name).collect();
        match (found.pop(), found.len()) {
            (Some(span), 0) => span,
            (_, others) => {
                let n = if others == 0 { 0 } else { others + 1 };
                self.fail(&format!("expected one span {name:?}, but there are {n}"))
            }
        }
    }

    /// Every span that has ended, in the order of their ends.
    pub fn spans(&self) -> Vec<SpanData> {
        self.recorder.0.state.lock().ended.clone()
    }

    /// What was captured as a text that is the same in every run, for a comparison or a file.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.spans())
    }

    /// What was captured as a picture for people: a tree a trace, with bars on a time axis.
    pub fn tree(&self) -> String {
        draw(self.spans(), TREE_WIDTH)
    }

    /// Waits until every span that was started has ended: those of tasks that nobody joins.
    ///
    /// # Panics
    ///
    /// If some have not after `timeout`. The message names them.
    #[track_caller]
    pub fn wait(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let Recording { state, changed } = &*self.recorder.0;
        let mut state = state.lock();
        while !state.open.is_empty() {
            if changed.wait_until(&mut state, deadline).timed_out() {
                drop(state);
                self.fail(&format!("spans have not ended after {timeout:?}"));
            }
        }
    }

    /// The same function, whose spans are captured on whatever thread it is called.
    ///
    /// The span that is current now does not come along; enter one in `f` for that.
    ///
    /// ```
    /// use otel_setup::testing::{capture, span};
    ///
    /// let capture = capture();
    /// let worker = std::thread::spawn(capture.carry(|| {
    ///     tracing::info_span!("elsewhere").in_scope(|| {});
    /// }));
    /// worker.join().unwrap();
    /// capture.assert(span("elsewhere"));
    /// ```
    pub fn carry<R, F: FnOnce() -> R>(&self, f: F) -> impl FnOnce() -> R + use<R, F> {
        let dispatch = self.stack.dispatch().clone();
        move || dispatcher::with_default(&dispatch, f)
    }

    /// The stack behind the capture: its dispatcher, provider and propagator.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        let state = self.recorder.0.state.lock();
        let (ended, open, lost) = (state.ended.clone(), state.open.clone(), state.lost);
        drop(state);
        let mut text = vec![format!("{problem}\n\n{}", draw(ended, TREE_WIDTH))];
        if lost > 0 {
            text.push(format!("and {lost} more spans, which were not kept\n"));
        }
        if !open.is_empty() {
            let names: Vec<_> =
                open.iter().take(MOST_REASONS).map(|(_, name)| format!("{name:?}")).collect();
            let more = open.len().saturating_sub(MOST_REASONS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push(format!("not ended yet: {}{more}\n", names.join(", ")));
        }
        panic!("{}", text.concat());
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("spans", &self.spans().len()).finish_non_exhaustive()
    }
}

/// Keeps spans as they end, on the thread that ends them.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Recording>);

#[derive(Debug, Default)]
struct Recording {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<(SpanId, String)>,
    ended: Vec<SpanData>,
    lost: usize,
}

impl SpanProcessor for Recorder {
    fn on_start(&self, span: &mut Span, _cx: &Context) {
        let id = span.span_context().span_id();
        let name = span.exported_data().map_or_else(String::new, |data| data.name.into_owned());
        self.0.state.lock().open.push((id, name));
    }

    fn on_end(&self, span: SpanData) {
        let mut state = self.0.state.lock();
        let id = span.span_context.span_id();
        if let Some(at) = state.open.iter().rposition(|(open, _)| *open == id) {
            state.open.swap_remove(at);
        }
        if state.ended.len() < MOST_SPANS {
            state.ended.push(span);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.0.changed.notify_all();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// More belong into a benchmark.
const MOST_SPANS: usize = 100_000;
const MOST_REASONS: usize = 5;
const TREE_WIDTH: usize = 100;
