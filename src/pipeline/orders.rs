//! What others want of a worker, and what it lets them know.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use parking_lot::Mutex;

/// Between a worker and everybody else. The worker's bell is rung after a change.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    state: Mutex<State>,
    /// What went wrong last, in words.
    pub(crate) trouble: Mutex<Option<String>>,
    /// Losses that have been said.
    pub(crate) told: AtomicU64,
    /// Since when the worker is in its exporter's code.
    called: Mutex<Option<Instant>>,
}

/// What a worker is to do now.
#[derive(Debug)]
pub(crate) enum Order {
    /// Someone waits for the queue to be empty.
    Flush(Vec<mpsc::Sender<Flushed>>),
    /// End by then.
    Shutdown(Instant),
}

/// What went wrong in the exporter's own flush, in words.
pub(crate) type Flushed = Option<String>;

#[derive(Debug, Default)]
struct State {
    resource: Option<Resource>,
    flushes: Vec<mpsc::Sender<Flushed>>,
    /// How many flushes were ever asked for: a new one cuts a backoff short.
    flushes_asked: u64,
    shutdown: Option<Instant>,
    /// The worker is gone: whoever waits, waits for nothing.
    ended: bool,
    /// What went wrong in the exporter's own shutdown, in words.
    failed: Option<String>,
}

/// For others.
impl Orders {
    pub(crate) fn set_resource(&self, resource: Resource) {
        self.state.lock().resource = Some(resource);
    }

    /// The answer comes when all that is queued now has been settled.
    pub(crate) fn flush(&self) -> mpsc::Receiver<Flushed> {
        let (done, wait) = mpsc::channel();
        let mut state = self.state.lock();
        if !state.ended {
            state.flushes.push(done);
            state.flushes_asked += 1;
        }
        wait
    }

    /// The worker ends by `deadline`, or as soon as its exporter lets it.
    pub(crate) fn shutdown(&self, deadline: Instant) {
        self.state.lock().shutdown.get_or_insert(deadline);
    }

    /// What went wrong in the exporter's shutdown.
    pub(crate) fn failed(&self) -> Option<String> {
        self.state.lock().failed.take()
    }

    /// For how long the worker has been in its exporter's code, if that is no moment; and in words.
    pub(crate) fn kept(&self) -> Option<(Duration, String)> {
        let kept = (*self.called.lock())?.elapsed();
        let words = || format!("the exporter has not returned for {} s", kept.as_secs());
        (kept >= MOMENT).then(|| (kept, words()))
    }
}

/// For the worker.
impl Orders {
    pub(crate) fn next(&self) -> Option<Order> {
        let mut state = self.state.lock();
        if let Some(deadline) = state.shutdown {
            return Some(Order::Shutdown(deadline));
        }
        let flushes = std::mem::take(&mut state.flushes);
        (!flushes.is_empty()).then_some(Order::Flush(flushes))
    }

    pub(crate) fn take_resource(&self) -> Option<Resource> {
        self.state.lock().resource.take()
    }

    pub(crate) fn flushes_asked(&self) -> u64 {
        self.state.lock().flushes_asked
    }

    pub(crate) fn shutdown_deadline(&self) -> Option<Instant> {
        self.state.lock().shutdown
    }

    /// The exporter's code runs until what this returns is dropped.
    pub(crate) fn begin_call(self: &Arc<Self>) -> Call {
        *self.called.lock() = Some(Instant::now());
        Call(self.clone())
    }

    /// How the exporter's own shutdown went.
    pub(crate) fn end_failed(&self, failed: Option<String>) {
        self.state.lock().failed = failed;
    }

    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        state.flushes.clear();
    }
}

/// A call of the exporter, while it lasts.
pub(crate) struct Call(Arc<Orders>);

impl Drop for Call {
    fn drop(&mut self) {
        *self.0.called.lock() = None;
    }
}

const MOMENT: Duration = Duration::from_secs(1);
