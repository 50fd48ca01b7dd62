//! An exporter that does what a test tells it to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use parking_lot::{Condvar, Mutex};

use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Retry};

/// What the exporter does with a payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    Accept,
    Reject(u64),
    Fail,
    Backoff,
    After(Duration),
    Panic,
    /// Blocks until told something else, whatever the deadline.
    Hang,
}

/// The test's end.
#[derive(Debug, Clone)]
pub(super) struct Script(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    act: Act,
    /// What it does after its next attempt.
    then: Option<Act>,
    attempts: usize,
    exported: Vec<SpanData>,
}

#[derive(Debug)]
struct Scripted(Script);

impl Script {
    pub(super) fn new() -> Self {
        let state = State { act: Act::Accept, then: None, attempts: 0, exported: Vec::new() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(super) fn exporter(&self) -> Box<dyn BlockingExporter> {
        Box::new(Scripted(self.clone()))
    }

    pub(super) fn act(&self, act: Act) {
        self.0.state.lock().act = act;
        self.0.changed.notify_all();
    }

    /// Does `act` once, and from then on `then`.
    pub(super) fn act_once(&self, act: Act, then: Act) {
        let mut state = self.0.state.lock();
        (state.act, state.then) = (act, Some(then));
    }

    pub(super) fn exported(&self) -> usize {
        self.0.state.lock().exported.len()
    }

    /// The span that was exported last.
    pub(super) fn last(&self) -> SpanData {
        self.0.state.lock().exported.last().expect("one was exported").clone()
    }

    pub(super) fn attempts(&self) -> usize {
        self.0.state.lock().attempts
    }

    pub(super) fn wait_for_attempts(&self, n: usize) {
        self.wait(|state| state.attempts >= n);
    }

    pub(super) fn wait_for_exports(&self, n: usize) {
        self.wait(|state| state.exported.len() >= n);
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let mut state = self.0.state.lock();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !until(&state) {
            let late = self.0.changed.wait_until(&mut state, deadline).timed_out();
            assert!(!late, "still waiting: {state:?}");
        }
    }
}

impl BlockingExporter for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn set_resource(&mut self, _resource: &Resource) {}

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        Ok(Payload::Spans(batch))
    }

    fn send(&mut self, payload: &mut Payload, _deadline: Instant) -> Result<Receipt, Failure> {
        let shared = &*self.0.0;
        let mut state = shared.state.lock();
        state.attempts += 1;
        shared.changed.notify_all();
        while state.act == Act::Hang {
            shared.changed.wait(&mut state);
        }
        let fail = |retry| Err(Failure { message: "refused on command".to_owned(), retry });
        let act = state.act;
        if let Some(then) = state.then.take() {
            state.act = then;
        }
        match act {
            Act::Accept | Act::Reject(_) => {
                state.exported.append(&mut payload.take_spans());
                shared.changed.notify_all();
                let rejected = if let Act::Reject(n) = act { n } else { 0 };
                Ok(Receipt { rejected, message: None })
            }
            Act::Fail => fail(Retry::Never),
            Act::Backoff => fail(Retry::Backoff),
            Act::After(pause) => fail(Retry::After(pause)),
            Act::Panic => {
                drop(state);
                panic!("on command")
            }
            Act::Hang => unreachable!("waited for something else"),
        }
    }
}
