//! One span as this layer knows it, and the one way in which it starts.
//!
//! ```text
//! Pending ──► Starting ──► Started ──► Closed
//!    │            └──────► Passive ──►
//!    └──► Shadowed ──► ShadowStarted ─► Started | Passive
//! ```
//!
//! A span starts late: at its first enter, its first child or the first question for its context. Up
//! to then its parent can still be set, which is what servers do with an incoming request. Whoever
//! starts it takes the pending span out, lets go of the lock, calls the SDK (and with it samplers
//! and processors, which may log, or ask for this very span) and puts the result back.

use std::time::{Instant, SystemTime};

use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanRef, Status};
use opentelemetry::{Context, KeyValue};

use super::inside::Inside;
use crate::sync::{Mutex, MutexGuard, thread};
use crate::tracer::Tracer;

#[derive(Debug)]
pub(super) struct OtelSpan(Mutex<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    /// When the span was last left.
    pub(super) left: Option<SystemTime>,
    /// Only if they are asked for.
    pub(super) timings: Option<Box<Timings>>,
    /// The bridge has an entry for it.
    pub(super) is_shadowed: bool,
}

#[derive(Debug)]
pub(super) enum State {
    Pending(Pending),
    /// Somebody is calling the SDK for it, without holding the lock.
    Starting,
    Started(Context),
    /// Not recorded. The context is its own, or the unsampled one that it inherits.
    Passive(Context),
    /// Pending, and starts through the bridge: the stock layer's data may have more to add.
    Shadowed(Pending),
    /// Started through the bridge, where the context is to be had.
    ShadowStarted,
    Closed,
}

/// All that is known of a span that has not started.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) parent: Context,
    pub(super) builder: SpanBuilder,
    pub(super) status: Status,
}

/// How long a span was entered, and how long it was not.
#[derive(Debug)]
pub(super) struct Timings {
    busy: i64,
    idle: i64,
    last: Instant,
    entered: u64,
}

/// What whoever wants the context of a span has to do.
pub(super) enum Start {
    Done(Context),
    /// Build it, then [`settle`](OtelSpan::settle).
    Build(Pending),
    /// Ask the bridge.
    Bridge,
    /// Closed, or being started by this very thread.
    Impossible,
}

impl OtelSpan {
    pub(super) fn new(state: State, with_timings: bool) -> Self {
        let timings = with_timings.then(|| Box::new(Timings::new()));
        Self(Mutex::new(Inner { state, left: None, timings, is_shadowed: false }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// The first step of a start. `Build` obliges the caller to settle.
    pub(super) fn begin(&self) -> Start {
        loop {
            let mut inner = self.0.lock();
            match &inner.state {
                State::Started(context) | State::Passive(context) => {
                    return Start::Done(context.clone());
                }
                State::Shadowed(_) | State::ShadowStarted => return Start::Bridge,
                State::Closed => return Start::Impossible,
                State::Pending(_) => {
                    if let State::Pending(pending) =
                        std::mem::replace(&mut inner.state, State::Starting)
                    {
                        return Start::Build(pending);
                    }
                }
                // a sampler that asks for the span it is asked about
                State::Starting if Inside::is_sdk() => return Start::Impossible,
                State::Starting => {
                    drop(inner);
                    thread::yield_now();
                }
            }
        }
    }

    /// The last step of a start; nothing if the span was closed meanwhile.
    pub(super) fn settle(&self, context: &Context, is_recording: bool) {
        let mut inner = self.0.lock();
        if matches!(inner.state, State::Closed) {
            return;
        }
        inner.state = if is_recording {
            State::Started(context.clone())
        } else {
            State::Passive(context.clone())
        };
    }

    /// It was left just now.
    #[inline]
    pub(super) fn leave(&self) {
        let now = SystemTime::now();
        let mut inner = self.0.lock();
        inner.left = Some(now);
        if let Some(timings) = &mut inner.timings {
            timings.exit();
        }
    }

    pub(super) fn is_passive(&self) -> bool {
        matches!(self.0.lock().state, State::Passive(_))
    }

    /// The context of a span that is not recorded.
    pub(super) fn passive(&self) -> Option<Context> {
        match &self.0.lock().state {
            State::Passive(context) => Some(context.clone()),
            _ => None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.0.lock().state, State::Closed)
    }
}

impl Inner {
    /// Closes the span: what has not started of it, or the context of one to be ended.
    #[inline]
    pub(super) fn close(&mut self) -> (Option<Box<Pending>>, Option<Context>) {
        // the rule, for which no more is moved than there is
        if let State::Started(context) = &mut self.state {
            let context = std::mem::take(context);
            self.state = State::Closed;
            return (None, Some(context));
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Pending(pending) | State::Shadowed(pending) => (Some(Box::new(pending)), None),
            _ => (None, None),
        }
    }
}

impl Pending {
    /// Runs code of others. No lock of this layer may be held.
    #[inline]
    pub(super) fn start(self, tracer: &Tracer) -> (Context, bool) {
        // ends last: what the parent was the last reference to ends here, too
        let _inside = Inside::sdk();
        let Self { parent, builder, status } = self;
        tracer.start(builder, &parent, status)
    }
}

/// Something that happens to a span, before or after its start.
pub(super) trait Change {
    /// False to have the span started first.
    fn fits(&self, _pending: &Pending) -> bool {
        true
    }

    fn pending(self, span: &mut Pending);

    fn started(self, span: &SpanRef<'_>);
}

/// A link to a span that was followed.
pub(super) struct LinkTo(pub(super) SpanContext);

impl Change for LinkTo {
    fn fits(&self, pending: &Pending) -> bool {
        pending.builder.links.as_ref().is_none_or(|links| links.len() < MOST_PENDING)
    }

    fn pending(self, span: &mut Pending) {
        span.builder.links.get_or_insert_default().push(Link::with_context(self.0));
    }

    fn started(self, span: &SpanRef<'_>) {
        span.add_link(self.0, Vec::new());
    }
}

/// Closes a span whose start did not come back (a sampler's panic), so that nobody waits for it.
pub(super) struct Unwinding<'a>(Option<&'a OtelSpan>);

impl<'a> Unwinding<'a> {
    pub(super) fn watch(span: &'a OtelSpan) -> Self {
        Self(Some(span))
    }

    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.0 {
            span.0.lock().state = State::Closed;
        }
    }
}

impl Timings {
    fn new() -> Self {
        Self { busy: 0, idle: 0, last: Instant::now(), entered: 0 }
    }

    pub(super) fn enter(&mut self) {
        if self.entered == 0 {
            self.idle += self.lap();
        }
        self.entered += 1;
    }

    pub(super) fn exit(&mut self) {
        self.entered = self.entered.saturating_sub(1);
        if self.entered == 0 {
            self.busy += self.lap();
        }
    }

    pub(super) fn attributes(&self) -> [KeyValue; 2] {
        [KeyValue::new("busy_ns", self.busy), KeyValue::new("idle_ns", self.idle)]
    }

    fn lap(&mut self) -> i64 {
        let now = Instant::now();
        let lap = now.duration_since(std::mem::replace(&mut self.last, now));
        i64::try_from(lap.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// As many links as a span may have by default. With more it is started, and then the SDK bounds and
/// counts them.
const MOST_PENDING: usize = 128;
