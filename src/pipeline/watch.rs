//! Speaks for a worker whose exporter does not return.
//!
//! Nothing can take a thread out of somebody else's code. But the queue fills meanwhile, and what has
//! no room is lost, which is to be said while it happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
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
    _stop: mpsc::Sender<Infallible>,
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
        let Some(interval) = watched.iter().map(Watched::patience).min() else { return Ok(None) };
        let interval = interval.min(MOST_INTERVAL);
        let (stop, stopped) = mpsc::channel();
        super::spawn("otel-watch", move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                watched.iter().for_each(Watched::look);
            }
        })?;
        Ok(Some(Self { _stop: stop }))
    }
}

impl Watched {
    /// How long a call may take before it is told of.
    fn patience(&self) -> Duration {
        match self.export_timeout {
            Duration::MAX => MOST_INTERVAL,
            timeout => timeout.max(LEAST_PATIENCE),
        }
    }

    fn look(&self) {
        let Some(kept) = self.orders.called().map(|since| since.elapsed()) else { return };
        if kept < self.patience() {
            return;
        }
        let words = format!("the exporter has not returned for {} s", kept.as_secs());
        *self.orders.trouble.lock() = Some(words.clone());
        let mut report = self.report.lock();
        report.hangs(&words);
        report.look(&self.inlet.account, Some(&words), &self.orders.told);
    }
}

const LEAST_PATIENCE: Duration = Duration::from_secs(1);
const MOST_INTERVAL: Duration = Duration::from_secs(30);
