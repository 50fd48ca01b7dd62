//! Runs a program under a stack.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Dispatch, Instrument as _, Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::program::{DEEP, Op, Parent, Program, Random, SLOTS, TASKS, THREADS};

/// Threads that run one step at a time, when they are told to.
pub(crate) struct Threads {
    senders: Vec<mpsc::Sender<Job>>,
    done: mpsc::Receiver<()>,
}

type Job = Box<dyn FnOnce(&mut OfThread) + Send>;

/// What belongs to one thread: the contexts that are attached there, and how often each slot's span
/// is entered.
#[derive(Default)]
struct OfThread {
    attached: Vec<(Context, ContextGuard)>,
    entered: Vec<Span>,
}

/// What all threads share.
struct Shared {
    slots: Mutex<Vec<Option<Span>>>,
    dispatch: Dispatch,
    provider: SdkTracerProvider,
    next: Mutex<i64>,
    has_unsampled: bool,
    /// What the filter refuses is more detailed than this.
    most: Level,
    tasks: Mutex<Vec<Option<Task>>>,
}

/// A future in its span, that any thread may poll.
struct Task {
    span: Span,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Threads {
    pub(crate) fn new() -> Self {
        let (finished, done) = mpsc::channel();
        let senders = (0..THREADS).map(|_| {
            let (sender, jobs) = mpsc::channel::<Job>();
            let finished = finished.clone();
            thread::spawn(move || {
                let mut own = OfThread::default();
                for job in jobs {
                    job(&mut own);
                    finished.send(()).expect("the test waits");
                }
            });
            sender
        });
        Self { senders: senders.collect(), done }
    }

    fn on(&self, thread: usize, job: impl FnOnce(&mut OfThread) + Send + 'static) {
        self.senders[thread].send(Box::new(job)).expect("the thread lives");
        self.done.recv().expect("a step does not panic");
    }

    /// Runs all steps, then leaves and drops everything.
    pub(crate) fn run(&self, program: &Program, dispatch: &Dispatch, provider: &SdkTracerProvider) {
        let shared = Arc::new(Shared {
            slots: Mutex::new(vec![None; SLOTS]),
            dispatch: dispatch.clone(),
            provider: provider.clone(),
            next: Mutex::new(0),
            has_unsampled: program.has_unsampled,
            most: program.filter.1,
            tasks: Mutex::new((0..TASKS).map(|_| None).collect()),
        });
        for step in &program.steps {
            let (shared, op) = (shared.clone(), step.op);
            self.on(step.thread, move |own| {
                tracing::dispatcher::with_default(&shared.dispatch, || shared.step(op, own));
            });
        }
        for thread in 0..THREADS {
            let shared = shared.clone();
            self.on(thread, move |own| {
                tracing::dispatcher::with_default(&shared.dispatch, || {
                    while let Some(span) = own.entered.pop() {
                        exit(&shared.dispatch, &span);
                    }
                });
                while let Some((context, guard)) = own.attached.pop() {
                    drop(guard);
                    context.span().end();
                }
            });
        }
        let shared = shared.clone();
        self.on(0, move |_| {
            // the registry closes a parent through the current dispatcher
            tracing::dispatcher::with_default(&shared.dispatch, || {
                shared.tasks.lock().expect("no panic").clear();
                shared.slots.lock().expect("no panic").clear();
            });
        });
    }
}

impl Shared {
    fn slot(&self, slot: usize) -> Option<Span> {
        self.slots.lock().expect("no panic")[slot].clone()
    }

    fn put(&self, slot: usize, span: Option<Span>) {
        let before = std::mem::replace(&mut self.slots.lock().expect("no panic")[slot], span);
        // outside of the lock: it may be the last handle
        drop(before);
    }

    fn number(&self) -> i64 {
        let mut next = self.next.lock().expect("no panic");
        *next += 1;
        *next
    }

    fn step(&self, op: Op, own: &mut OfThread) {
        match op {
            Op::New { slot, site, parent } => {
                let n = self.number();
                let span = match parent {
                    Parent::Contextual => contextual(site, n),
                    Parent::Root => root(site, n),
                    Parent::Of(parent) => match self.slot(parent) {
                        Some(parent) => child(site, n, &parent),
                        None => contextual(site, n),
                    },
                };
                self.put(slot, Some(span));
            }
            Op::Clone { from, to } => self.put(to, self.slot(from)),
            Op::Drop { slot } => self.put(slot, None),
            Op::Enter { slot } => {
                if let Some(span) = self.slot(slot)
                    // again inside itself is one of the differences, and has a test of its own
                    && !own.entered.iter().any(|entered| entered.id() == span.id())
                    && let Some(id) = span.id()
                {
                    self.dispatch.enter(&id);
                    own.entered.push(span);
                }
            }
            Op::Exit { slot } => {
                if let Some(span) = self.slot(slot)
                    && let Some(at) = own.entered.iter().rposition(|e| e.id() == span.id())
                {
                    exit(&self.dispatch, &own.entered.remove(at));
                }
            }
            Op::Event { site, parent } => {
                let n = self.number();
                match parent {
                    Parent::Contextual => event(site, n),
                    Parent::Root => tracing::info!(parent: None, n, "rooted"),
                    Parent::Of(parent) => match self.slot(parent) {
                        Some(parent) => event_of(site, n, &parent),
                        None => event(site, n),
                    },
                }
            }
            Op::Record { slot, site } => {
                if let Some(span) = self.slot(slot) {
                    record(&span, site);
                }
            }
            Op::FollowsFrom { slot, follows } => {
                if let (Some(span), Some(follows)) = (self.slot(slot), self.slot(follows))
                    // from itself the stock layer waits for itself for ever
                    && span.id() != follows.id()
                {
                    span.follows_from(&follows);
                }
            }
            Op::Attach { sampled } => {
                let n = self.number();
                let name = if sampled { format!("native {n}") } else { format!("drop native {n}") };
                let span = self.provider.tracer("native").start(name);
                let context = Context::current_with_span(span);
                own.attached.push((context.clone(), context.attach()));
            }
            Op::Detach => {
                if let Some((context, guard)) = own.attached.pop() {
                    drop(guard);
                    context.span().end();
                }
            }
            Op::SetStatus { slot } => {
                // of a started span: before, Ok is final with us alone
                if let Some(span) = self.slot(slot)
                    && own.entered.iter().any(|entered| entered.id() == span.id())
                {
                    span.set_status(Status::Ok);
                }
            }
            Op::Task { slot, task } => {
                let numbers = [(); 3].map(|()| self.number());
                if let Some(span) = self.slot(slot)
                    // one that is refused can be entered with a layer that wants all spans alone
                    && self.lets_through(&span)
                {
                    let future = Box::pin(work(numbers).instrument(span.clone()));
                    self.with_task(task, own, |place| *place = Some(Task { span, future }));
                }
            }
            Op::Poll { task } => self.with_task(task, own, |place| {
                if let Some(task) = place {
                    let mut context = std::task::Context::from_waker(Waker::noop());
                    if task.future.as_mut().poll(&mut context).is_ready() {
                        *place = None;
                    }
                }
            }),
            Op::Deep { is_unsampled } => self.deep(is_unsampled, own),
            Op::Leave { rest, seed } => self.leave(rest, Random(seed), own),
            op => self.extension(op),
        }
    }

    /// One span in another, all of them entered.
    fn deep(&self, is_unsampled: bool, own: &mut OfThread) {
        for level in 0..=DEEP {
            let n = self.number();
            let span = if is_unsampled && level == 0 {
                tracing::info_span!("drop deep", n)
            } else {
                tracing::info_span!("deep", n)
            };
            if let Some(id) = span.id() {
                self.dispatch.enter(&id);
                own.entered.push(span);
            }
        }
    }

    /// After each that is left, a child shows what is current.
    fn leave(&self, rest: usize, mut random: Random, own: &mut OfThread) {
        let n = self.number();
        // one that is refused is entered with a layer that wants all spans alone
        let mut seen: Vec<_> =
            own.entered.iter().filter(|span| self.lets_through(span)).cloned().collect();
        while seen.len() > rest {
            let span = seen.swap_remove(random.below(seen.len()));
            own.entered.retain(|entered| entered.id() != span.id());
            exit(&self.dispatch, &span);
            tracing::info_span!("plain", n).in_scope(|| tracing::info!(n, "left one"));
        }
    }

    /// Unless its span is entered on this thread: again inside itself is one of the differences,
    /// and a future enters its span when it is polled and when it is dropped.
    fn with_task(&self, task: usize, own: &OfThread, f: impl FnOnce(&mut Option<Task>)) {
        let mut taken = self.tasks.lock().expect("no panic")[task].take();
        let is_inside = taken
            .as_ref()
            .is_some_and(|task| own.entered.iter().any(|entered| entered.id() == task.span.id()));
        if !is_inside {
            f(&mut taken);
        }
        self.tasks.lock().expect("no panic")[task] = taken;
    }

    fn lets_through(&self, span: &Span) -> bool {
        span.metadata().is_some_and(|metadata| *metadata.level() <= self.most)
    }

    fn extension(&self, op: Op) {
        let n = self.number();
        match op {
            Op::NativeChild { slot } => {
                if let Some(span) = self.slot(slot)
                    // one that the filter refuses has no context, or that of an unsampled parent
                    && self.lets_through(&span)
                {
                    let context = span.context();
                    let tracer = self.provider.tracer("native");
                    tracer.start_with_context(format!("native {n}"), &context).end();
                }
            }
            Op::SetParent { slot, sampled } => {
                if let Some(span) = self.slot(slot)
                    && (!self.has_unsampled || is_boundary(&span))
                {
                    // whether it was too late shows in what is exported
                    let _ = span.set_parent(remote(n, sampled));
                }
            }
            Op::SetAttribute { slot } => {
                if let Some(span) = self.slot(slot) {
                    span.set_attribute("set", n);
                }
            }
            Op::AddLink { slot } => {
                if let Some(span) = self.slot(slot) {
                    span.add_link(remote(n, true).span().span_context().clone());
                }
            }
            Op::AddEvent { slot } => {
                if let Some(span) = self.slot(slot) {
                    span.add_event("added", vec![KeyValue::new("n", n)]);
                }
            }
            _ => unreachable!("the others are steps of their own"),
        }
    }
}

/// Three polls, each with an event and a child, and the last with an end.
async fn work(numbers: [i64; 3]) {
    for n in numbers {
        tracing::info!(n, "polled");
        tracing::info_span!("plain", n).in_scope(|| {});
        let mut is_later = false;
        poll_fn(|_| {
            if std::mem::replace(&mut is_later, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn is_boundary(span: &Span) -> bool {
    span.metadata().is_some_and(|metadata| metadata.fields().field("otel.kind").is_some())
}

fn exit(dispatch: &Dispatch, span: &Span) {
    if let Some(id) = span.id() {
        dispatch.exit(&id);
    }
}

fn remote(n: i64, sampled: bool) -> Context {
    let n = n.unsigned_abs();
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(u128::from(n) + 1_000),
        SpanId::from(n + 1_000),
        flags,
        true,
        TraceState::default(),
    ))
}

/// Every callsite three times over: a span's parent is part of its macro.
macro_rules! sites {
    ($name:ident, ($($argument:ident: $kind:ty)?), $($parent:tt)*) => {
        fn $name(site: usize, n: i64 $(, $argument: &$kind)?) -> Span {
            let error = std::io::Error::other("inner");
            let error: &(dyn std::error::Error + 'static) = &error;
            match site {
                0 => tracing::info_span!($($parent)* "plain", n),
                1 => tracing::info_span!($($parent)* "fields", n, a = true, b = 0.5, c = "text", d = ?Some(1), e = %"x", late = tracing::field::Empty),
                2 => tracing::warn_span!($($parent)* "special", n, otel.name = "renamed", otel.kind = "server"),
                3 => tracing::info_span!($($parent)* "status", n, otel.status_code = "error", otel.status_description = "bad"),
                4 => tracing::info_span!($($parent)* "failing", n, error),
                5 => tracing::debug_span!($($parent)* "filtered", n),
                6 => tracing::info_span!($($parent)* "drop me", n),
                _ => tracing::info_span!($($parent)* "client", n, otel.kind = "client", late = tracing::field::Empty),
            }
        }
    };
}

sites!(contextual, (),);
sites!(root, (), parent: None,);
sites!(child, (parent: Span), parent: parent,);

macro_rules! events {
    ($name:ident, ($($argument:ident: $kind:ty)?), $($parent:tt)*) => {
        fn $name(site: usize, n: i64 $(, $argument: &$kind)?) {
            let error = std::io::Error::other("inner");
            let error: &(dyn std::error::Error + 'static) = &error;
            match site {
                0 => tracing::info!($($parent)* n, "message"),
                1 => tracing::event!($($parent)* Level::WARN, n, a = "text", b = ?Some(2)),
                2 => tracing::error!($($parent)* n, "an error"),
                3 => tracing::error!($($parent)* error = %"displayed"),
                4 => tracing::error!($($parent)* error, "with a source"),
                5 => tracing::debug!($($parent)* n, "filtered"),
                _ => tracing::warn!($($parent)* n, message = %format_args!("formatted {n}")),
            }
        }
    };
}

events!(event, (),);
events!(event_of, (parent: Span), parent: parent,);

fn record(span: &Span, site: usize) {
    match site {
        0 => span.record("late", 7_i64),
        1 => span.record("late", "text"),
        2 => span.record("c", "again"),
        _ => span.record("unknown", 1_i64),
    };
}
