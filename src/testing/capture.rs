//! The capture itself: a stack for a thread, and what it has seen.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Once;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tracing::dispatcher::{self, DefaultGuard};

use super::expect::ExpectedSpan;
use super::family::Family;
use super::recorder::Recorder;
use super::second;
use super::snapshot::Snapshot;
use super::watch::Watch;
use crate::config::LogFormat;
use crate::global;
use crate::pipeline::{Exporter, draw};
use crate::propagation::scoped;
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
    second::is_there();
    scoped::offer(|| Watch::here(|watch| watch.propagator.get().cloned()).flatten());
    let recorder = Recorder::default();
    let watch = Watch::new(recorder.clone());
    let setup = Setup::new("test")
        .with_env(|_| None)
        .with_log_format(LogFormat::Off)
        .with_exporter(Exporter::none())
        .with_span_processor(recorder.clone());
    let mut setup = adjust(setup);
    setup.observer = Some(watch.clone());
    if setup.exits.panic_events {
        watch.panic_events.store(true, Relaxed);
        PANIC_HOOK.call_once(|| global::record_panics_where(Watch::wants_panics));
    }
    let stack = match setup.build() {
        Ok(stack) => stack,
        Err(error) => panic!("a capture cannot be set up: {error}"),
    };
    let _ = watch.propagator.set(stack.propagator());
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
            reasons.extend(["\n  but no span has this name", HINT]);
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
                let (n, hint) = if others == 0 { (0, HINT) } else { (others + 1, "") };
                self.fail(&format!("expected one span {name:?}, but there are {n}{hint}"))
            }
        }
    }

    /// Every span that has ended, in the order of their ends.
    pub fn spans(&self) -> Vec<SpanData> {
        self.recorder.lock().ended.clone()
    }

    /// What was captured as a text that is the same in every run, for a comparison or a file.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.spans())
    }

    /// What was captured as a picture for people: a tree a trace, with bars on a time axis.
    pub fn tree(&self) -> String {
        draw(self.spans(), TREE_WIDTH)
    }

    /// Waits until every span that was made has ended: those of tasks that nobody joins.
    ///
    /// A `tracing` span counts from where it is made, entered or not, until it is dropped. What a task
    /// will make later nobody knows yet: put a span around the task. The thread is blocked, so on a
    /// runtime of one thread, where its tasks could not go on, join them instead. With
    /// `Duration::MAX` it waits without end.
    ///
    /// # Panics
    ///
    /// If some have not after `timeout`. The message names them.
    #[track_caller]
    pub fn wait(&self, timeout: Duration) {
        if !self.recorder.wait(timeout) {
            self.fail(&format!("spans have not ended after {timeout:?}"));
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
        let state = self.recorder.lock();
        let (ended, lost) = (state.ended.clone(), state.lost);
        let names: Vec<_> =
            state.unfinished().take(MOST_REASONS).map(|name| format!("{name:?}")).collect();
        let more = state.unfinished().skip(MOST_REASONS).count();
        drop(state);
        let mut text = vec![format!("{problem}\n\n{}", bounded(&draw(ended, TREE_WIDTH)))];
        if lost > 0 {
            text.push(format!("and {lost} more spans, which were not kept\n"));
        }
        if !names.is_empty() {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push(format!("not ended yet: {}{more}\n", names.join(", ")));
        }
        panic!("{}", text.concat());
    }
}

/// The first lines of a picture, and how many there are besides.
fn bounded(picture: &str) -> String {
    let mut lines = picture.split_inclusive('\n');
    let shown: String = lines.by_ref().take(MOST_LINES).collect();
    match lines.count() {
        0 => shown,
        more => format!("{shown}… and {more} more lines, all of which `Capture::tree` has\n\n"),
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("spans", &self.spans().len()).finish_non_exhaustive()
    }
}

const MOST_REASONS: usize = 5;
const MOST_LINES: usize = 200;

const HINT: &str = "\n  (those of other threads are captured inside a span of the test's own \
    (`.instrument`), and by `Capture::carry`, `with_current_subscriber` or `propagation::spawn`)";

static PANIC_HOOK: Once = Once::new();
const TREE_WIDTH: usize = 100;
