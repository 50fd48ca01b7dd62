//! Speaks for workers while their exporters keep them.
//!
//! Nothing can take a thread out of somebody else's code, and a backend may be waited for. But the
//! queue fills meanwhile, and what has no room is lost, which is to be said while it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;

use super::orders::Orders;
use super::queue::Inlet;
use super::report::Report;
use crate::error::Error;

/// A thread that looks at some workers; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    thread: Thread,
    is_over: Arc<AtomicBool>,
}

/// One worker as it is looked at.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inlet: Arc<Inlet<SpanData>>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) report: Arc<Mutex<Report>>,
    /// How long an export may take, `Duration::MAX` for ever.
    pub(crate) export_timeout: Duration,
}

impl Watch {
    /// No thread for nobody.
    pub(crate) fn start(watched: Vec<Watched>) -> Result<Option<Self>, Error> {
        if watched.is_empty() {
            return Ok(None);
        }
        let is_over = Arc::<AtomicBool>::default();
        let stopped = is_over.clone();
        let handle = super::spawn("otel-watch", move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            while !stopped.load(Relaxed) {
                watched.iter().for_each(Watched::look);
                thread::park_timeout(INTERVAL);
            }
        })?;
        Ok(Some(Self { thread: handle.thread().clone(), is_over }))
    }
}

// no lock: a forked child drops this too, and has nobody who would let go of one
impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        self.thread.unpark();
    }
}

impl Watched {
    fn look(&self) {
        // what the worker says when it is back comes after this
        let mut report = self.report.lock();
        let Some((kept, mut words)) = self.orders.kept() else { return };
        // a shutdown has its own time, and keeps no spans
        if kept >= self.patience() && self.orders.shutdown_deadline().is_none() {
            report.hangs(&words);
        }
        if let Some(trouble) = &*self.orders.trouble.lock() {
            words = format!("{words}; before that: {trouble}");
        }
        report.look_from_aside(&self.inlet.account, &words, &self.orders.told);
    }

    /// How long a call may take before it is told of.
    fn patience(&self) -> Duration {
        if self.export_timeout == Duration::MAX { ENDLESS } else { self.export_timeout }
    }
}

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// From when on a call is told of that may take for ever.
const ENDLESS: Duration = Duration::from_secs(30);
