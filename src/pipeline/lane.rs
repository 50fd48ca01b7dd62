//! One exporter of a pipeline, as the others see it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;

use super::orders::{Flushed, Orders};
use super::queue::Inlet;
use super::worker::Worker;
use crate::error::Error;

/// One exporter: its queue, its worker, its account.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) inlet: Arc<Inlet<SpanData>>,
    pub(crate) orders: Arc<Orders>,
    thread: Mutex<Option<Thread>>,
    /// Losses that a flush has already reported.
    pub(crate) reported: AtomicU64,
}

#[derive(Debug)]
struct Thread {
    handle: JoinHandle<()>,
    /// Disconnects when the thread is done.
    done: mpsc::Receiver<()>,
}

/// How a lane has ended.
pub(crate) struct End {
    /// Spans that are left behind.
    pub(crate) left: u64,
    /// The thread has, and the exporter with it.
    pub(crate) in_time: bool,
}

impl Lane {
    pub(crate) fn start(
        name: String,
        inlet: Arc<Inlet<SpanData>>,
        orders: Arc<Orders>,
        worker: Worker,
    ) -> Result<Self, Error> {
        let (sender, done) = mpsc::channel();
        let handle = super::spawn(&format!("otel-{name}"), move || {
            worker.run();
            // when all of it is gone, the exporter's own end included
            drop(sender);
        })?;
        let thread = Mutex::new(Some(Thread { handle, done }));
        Ok(Self { name, inlet, orders, thread, reported: AtomicU64::new(0) })
    }

    pub(crate) fn said(&self, words: &str) -> String {
        format!("{}: {words}", self.name)
    }

    /// Spans that are offered and not settled.
    pub(crate) fn left(&self) -> u64 {
        let account = &self.inlet.account;
        account.offered().saturating_sub(account.settled())
    }

    pub(crate) fn ask_flush(&self) -> mpsc::Receiver<Flushed> {
        let wait = self.orders.flush();
        self.inlet.ring();
        wait
    }

    /// Waits for the thread until `deadline`.
    pub(crate) fn end(&self, deadline: Instant) -> End {
        let mut in_time = true;
        if let Some(Thread { handle, done }) = self.thread.lock().take() {
            let left = deadline.saturating_duration_since(Instant::now());
            in_time = done.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected);
            if in_time {
                // a panic of the worker itself: what it held is counted below
                let _ = handle.join();
            }
        }
        End { left: self.inlet.account.abandon(), in_time }
    }

    pub(crate) fn cause(&self) -> String {
        let dropped = self.inlet.account.dropped();
        let trouble = self.orders.trouble.lock();
        let words = trouble.as_deref().unwrap_or("no export has failed");
        format!("{}: {dropped}: {words}", self.name)
    }
}
