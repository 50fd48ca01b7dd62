//! Work that goes on elsewhere: tasks, threads and closures that keep the current trace.

use std::pin::Pin;
use std::task::{self, Poll};
use std::thread;

use opentelemetry::Context;
use opentelemetry::context::{FutureExt as _, WithContext};
use pin_project_lite::pin_project;
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Span, dispatcher};

use super::Relation;

/// Where a piece of work belongs: the current `tracing` span, the current OpenTelemetry context
/// (baggage included) and the current subscriber, to be taken along to another thread or task.
///
/// `tracing`'s own `in_current_span` takes the span alone: baggage, a remote context that has no
/// span yet, and a subscriber that is only the thread's stay behind.
///
/// Work in the *current* span makes that span last until the work is done. Background work that may
/// outlive its cause gets a span of its own by [`related`](Self::related).
///
/// ```
/// use otel_setup::propagation::{CurrentTrace, Relation};
/// use tracing::{info, info_span};
///
/// // in the current span, on another thread
/// let trace = CurrentTrace::capture();
/// let thread = std::thread::spawn(move || trace.in_scope(|| info!("still in the trace")));
/// # thread.join().unwrap();
///
/// // in a span of its own, that the current one caused
/// let mail = CurrentTrace::related(Relation::Link, || info_span!("send mail"));
/// let thread = mail.spawn_thread(|| info!("in a trace of its own, linked to this one"));
/// # thread.join().unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing runs in the trace before `in_scope`, `wrap` or one of the `spawn`s"]
pub struct CurrentTrace {
    /// `None` where there was none: a subscriber that is installed later is not to be masked.
    dispatch: Option<Dispatch>,
    span: Span,
    context: Context,
}

impl CurrentTrace {
    /// What is current on this thread.
    pub fn capture() -> Self {
        Self { dispatch: current_dispatch(), span: Span::current(), context: Context::current() }
    }

    /// What is current on this thread, with a new span that follows from it.
    ///
    /// `make` makes the span; it must be a contextual one, as the macros make without `parent:`.
    /// The span ends when the work that was given to the result has ended.
    pub fn related(relation: Relation, make: impl FnOnce() -> Span) -> Self {
        let cause = Context::current();
        let span = relation.span(&cause, make);
        // the baggage of the cause; the span makes itself current when it is entered
        let context = relation.parent(&cause);
        Self { dispatch: current_dispatch(), context: in_span(&span, context), span }
    }

    /// Runs `f` here and now, in the trace.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _default = self.dispatch.as_ref().map(dispatcher::set_default);
        let _entered = self.span.enter();
        // inside of the span: it has made its own context current, with the baggage it began with
        let _attached = self.context.clone().attach();
        f()
    }

    /// A closure that runs `f` in the trace, wherever it is called: for thread pools.
    ///
    /// ```
    /// # fn rayon_spawn(f: impl FnOnce() + Send + 'static) { f() }
    /// # use otel_setup::propagation::CurrentTrace;
    /// rayon_spawn(CurrentTrace::capture().wrap(|| tracing::info!("in the trace")));
    /// ```
    pub fn wrap<R>(self, f: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || {
            // the registry closes a span's parents by the subscriber of the thread, so that is to
            // be there until the span is gone
            let _default = self.dispatch.as_ref().map(dispatcher::set_default);
            let trace = Self { dispatch: None, ..self };
            trace.in_scope(f)
        }
    }

    /// [`std::thread::spawn`], in the trace.
    pub fn spawn_thread<F, R>(self, f: F) -> thread::JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        thread::spawn(self.wrap(f))
    }

    /// [`tokio::spawn`], in the trace.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as `tokio::spawn` does.
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(future.in_trace(self))
    }

    /// [`tokio::task::spawn_blocking`], in the trace.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as `spawn_blocking` does.
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> tokio::task::JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        tokio::task::spawn_blocking(self.wrap(f))
    }
}

/// [`tokio::spawn`] that keeps the current trace; see [`CurrentTrace`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use otel_setup::propagation;
///
/// let task = propagation::spawn(async { tracing::info!("in the span that spawned it") });
/// # task.await.unwrap();
/// # }
/// ```
///
/// # Panics
///
/// Outside of a tokio runtime, as `tokio::spawn` does.
#[cfg(feature = "tokio")]
#[track_caller]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    CurrentTrace::capture().spawn(future)
}

/// [`tokio::task::spawn_blocking`] that keeps the current trace; see [`CurrentTrace`].
///
/// # Panics
///
/// Outside of a tokio runtime, as `spawn_blocking` does.
#[cfg(feature = "tokio")]
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> tokio::task::JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    CurrentTrace::capture().spawn_blocking(f)
}

/// [`std::thread::spawn`] that keeps the current trace; see [`CurrentTrace`].
pub fn spawn_thread<F, R>(f: F) -> thread::JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    CurrentTrace::capture().spawn_thread(f)
}

/// Futures that keep a trace, whoever polls them.
pub trait TraceFutureExt: Future + Sized {
    /// In what is current now: span, OpenTelemetry context and subscriber.
    fn in_current_trace(self) -> InTrace<Self> {
        self.in_trace(CurrentTrace::capture())
    }

    /// In a trace that was captured elsewhere, or in a new span:
    /// `future.in_trace(CurrentTrace::related(Relation::Child, || info_span!("work")))`.
    fn in_trace(self, trace: CurrentTrace) -> InTrace<Self> {
        let CurrentTrace { dispatch, span, context } = trace;
        InTrace { inner: Some(self.with_context(context).instrument(span)), dispatch }
    }
}

impl<F: Future> TraceFutureExt for F {}

pin_project! {
    /// A future that keeps a trace; made by [`TraceFutureExt`].
    ///
    /// It leaves the span, which may thereby end, as soon as it is done.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was done.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct InTrace<F> {
        #[pin]
        inner: Option<Instrumented<WithContext<F>>>,
        dispatch: Option<Dispatch>,
    }

    impl<F> PinnedDrop for InTrace<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _default = this.dispatch.as_ref().map(dispatcher::set_default);
            this.inner.set(None);
        }
    }
}

impl<F: Future> Future for InTrace<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _default = this.dispatch.as_ref().map(dispatcher::set_default);
        let inner = this.inner.as_mut().as_pin_mut().expect("not polled after it was done");
        let polled = inner.poll(cx);
        if polled.is_ready() {
            this.inner.set(None);
        }
        polled
    }
}

fn current_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}

/// The context as it is inside of the span, which is thereby started.
fn in_span(span: &Span, outside: Context) -> Context {
    let _attached = outside.attach();
    span.in_scope(Context::current)
}
