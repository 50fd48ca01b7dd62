//! The thread of one exporter: drains its queue, makes batches, sends them, tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;

use super::export::{BlockingExporter, Failure, Payload, Receipt, Retry, Settled};
use super::ledger::{DropReason, Outcome};
use super::limits::Limits;
use super::orders::{Flushed, Order, Orders};
use super::queue::{Exchange, Outlet};
use super::report::Report;
use super::retry::{Backoff, after};

/// How a worker batches and how long it tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) schedule_delay: Duration,
    pub(crate) export_timeout: Duration,
    pub(crate) batch_items: usize,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) exporter: Box<dyn BlockingExporter>,
    pub(crate) outlet: Outlet<SpanData>,
    pub(crate) exchange: Arc<Exchange<SpanData>>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) pace: Pace,
    pub(crate) limits: Limits,
    /// Shared with who [speaks](super::watch) for a worker that cannot.
    pub(crate) report: Arc<Mutex<Report>>,
    /// Drained from the queue, too many for the batch that was being made.
    pub(crate) rest: Vec<SpanData>,
    /// The backend does not want to hear of us before then.
    pub(crate) asked_to_wait: Option<Instant>,
}

/// Why the worker is awake.
#[derive(Debug)]
enum Wake {
    /// A batch is ready.
    Batch,
    /// The schedule says so.
    Tick,
    Order(Order),
}

impl Worker {
    /// Runs until shutdown.
    pub(crate) fn run(mut self) {
        // whatever the exporter does on this thread makes no spans
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let _ended = Ended(self.orders.clone());
        self.outlet.bell().belongs_here();
        let mut tick = after(Instant::now(), self.pace.schedule_delay);
        loop {
            let wake = self.wait(tick);
            self.take_resource();
            if !matches!(wake, Wake::Batch) {
                self.exchange.sweep();
                tick = after(Instant::now(), self.pace.schedule_delay);
            }
            match wake {
                Wake::Batch => self.export_ready(),
                Wake::Tick => {
                    self.export_queued(None);
                    self.note(|exporter| {
                        exporter.tick();
                        Ok(())
                    });
                }
                Wake::Order(Order::Flush(waiting)) => {
                    self.export_queued(None);
                    let trouble = self.flush_exporter();
                    self.report();
                    for done in waiting {
                        // it may have given up waiting
                        let _ = done.send(trouble.clone());
                    }
                }
                Wake::Order(Order::Shutdown(deadline)) => return self.shut_down(deadline),
            }
            self.report();
        }
    }

    fn wait(&self, tick: Instant) -> Wake {
        loop {
            self.outlet.bell().listen();
            if let Some(order) = self.orders.next() {
                return Wake::Order(order);
            }
            let left = tick.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Tick;
            }
            if self.outlet.inlet().ready() {
                return Wake::Batch;
            }
            std::thread::park_timeout(left);
        }
    }

    fn take_resource(&mut self) {
        if let Some(resource) = self.orders.take_resource() {
            self.note(|exporter| {
                exporter.set_resource(&resource);
                Ok(())
            });
        }
    }

    /// Exports one batch: then whoever waits for something else has a turn.
    fn export_ready(&mut self) {
        let batch = self.batch();
        self.export(batch, None);
    }

    /// Exports what was queued when this was called.
    fn export_queued(&mut self, shutdown: Option<Instant>) {
        let mut left = self.outlet.inlet().queued() + self.rest.len();
        while left > 0 {
            let batch = self.batch();
            left = left.saturating_sub(batch.len());
            if batch.is_empty() {
                return;
            }
            self.export(batch, shutdown);
        }
    }

    /// The next batch: as many spans as it may hold and the queue has.
    fn batch(&mut self) -> Vec<SpanData> {
        let most = self.pace.batch_items;
        let (mut batch, mut bytes) = (std::mem::take(&mut self.rest), 0);
        batch.reserve(most.min(self.outlet.inlet().queued() + batch.len()));
        while batch.len() < most && bytes < MOST_BATCH_BYTES {
            let Some(chunk) = self.outlet.next() else { break };
            bytes += chunk.bytes;
            match Arc::try_unwrap(chunk) {
                Ok(mut chunk) => {
                    batch.append(&mut chunk.items);
                    self.exchange.recycle(chunk.items);
                }
                Err(shared) => batch.extend_from_slice(&shared.items),
            }
        }
        if batch.len() > most {
            self.rest = batch.split_off(most);
        }
        for span in &mut batch {
            self.limits.tidy(span);
        }
        batch
    }

    fn export(&mut self, batch: Vec<SpanData>, shutdown: Option<Instant>) {
        let n = batch.len() as u64;
        let outcome = match self.call(|exporter| exporter.encode(batch)) {
            Ok(Ok(payload)) => self.send(payload, shutdown),
            Ok(Err(failure)) => self.failed(DropReason::EncodeFailed, failure.message),
            Err(panic) => self.failed(DropReason::ExporterPanic, panic),
        };
        if !self.exporter.holds_back() || matches!(outcome, Outcome::Dropped(_)) {
            self.outlet.inlet().account.settle(n, outcome);
        }
        self.report();
    }

    /// Books what an exporter had held back.
    fn settle_held(&mut self) {
        let Settled { exported, dropped, trouble } = self.exporter.settled();
        if trouble.is_some() {
            *self.orders.trouble.lock() = trouble;
        }
        let account = &self.outlet.inlet().account;
        account.settle(exported, Outcome::Exported { rejected: 0 });
        account.settle(dropped, Outcome::Dropped(DropReason::ExportFailed));
    }

    fn report(&mut self) {
        if self.exporter.holds_back() {
            self.settle_held();
        }
        // not locked together with the report: the watch locks them the other way round
        let trouble = self.orders.trouble.lock().clone();
        self.report.lock().look(
            &self.outlet.inlet().account,
            trouble.as_deref(),
            &self.orders.told,
        );
    }

    /// Sends one payload as often as it takes and as long as it may take.
    fn send(&mut self, mut payload: Payload, mut shutdown: Option<Instant>) -> Outcome {
        if shutdown
            .is_some_and(|deadline| self.asked_to_wait.is_some_and(|until| until >= deadline))
        {
            let words = self.orders.trouble.lock().clone().unwrap_or_default();
            return self.failed(DropReason::ShutdownTimeout, words);
        }
        let mut backoff = Backoff::new();
        let mut give_up = after(Instant::now(), self.pace.export_timeout);
        loop {
            let deadline = self.shutdown_deadline(shutdown).map_or(give_up, |d| d.min(give_up));
            let failure = match self.call(|exporter| exporter.send(&mut payload, deadline)) {
                Ok(Ok(receipt)) => return self.accepted(receipt),
                Ok(Err(failure)) => failure,
                Err(panic) => return self.failed(DropReason::ExporterPanic, panic),
            };
            let Failure { message, retry } = failure;
            let pause = match retry {
                Retry::Never => return self.failed(DropReason::ExportFailed, message),
                Retry::Backoff => backoff.pause(),
                Retry::After(asked) => {
                    // the backend's pause is not the batch's fault: it does not use up its time
                    give_up = after(give_up, asked);
                    self.asked_to_wait = Some(after(Instant::now(), asked));
                    asked.max(backoff.pause())
                }
            };
            *self.orders.trouble.lock() = Some(message.clone());
            self.report.lock().retries(&message);
            self.report();
            let until = after(Instant::now(), pause);
            if until >= give_up {
                return self.failed(DropReason::RetryExhausted, message);
            }
            let heeds_flush = retry == Retry::Backoff;
            if !self.sleep(until, heeds_flush, shutdown) {
                return self.failed(DropReason::ShutdownTimeout, message);
            }
            // once it has come, the pauses grow as before
            shutdown = self.shutdown_deadline(shutdown);
        }
    }

    /// Sleeps between two attempts. A flush or a shutdown may cut it short; false if shutdown's
    /// time does not reach until the next attempt.
    fn sleep(&mut self, until: Instant, heeds_flush: bool, shutdown: Option<Instant>) -> bool {
        let asked_before = self.orders.flushes_asked();
        loop {
            self.outlet.bell().listen();
            let now = Instant::now();
            if now >= until {
                return true;
            }
            let asked = self.orders.flushes_asked();
            if heeds_flush && asked != asked_before {
                return true;
            }
            match (self.shutdown_deadline(shutdown), shutdown) {
                // shutdown came while we slept: one attempt now, if there is time
                (Some(deadline), None) if heeds_flush => return now < deadline,
                (Some(deadline), _) if until >= deadline => return false,
                _ => std::thread::park_timeout(until - now),
            }
            // what finds no room meanwhile is lost now
            self.report();
        }
    }

    fn shutdown_deadline(&self, known: Option<Instant>) -> Option<Instant> {
        known.or_else(|| self.orders.shutdown_deadline())
    }

    fn accepted(&mut self, receipt: Receipt) -> Outcome {
        if receipt.rejected > 0 {
            let words = receipt.message.unwrap_or_else(|| "the backend gave no reason".to_owned());
            *self.orders.trouble.lock() = Some(format!("rejected by the backend: {words}"));
        } else if let Some(words) = receipt.message {
            self.report.lock().warns(&words);
        }
        self.report.lock().exported();
        Outcome::Exported { rejected: receipt.rejected }
    }

    fn failed(&self, reason: DropReason, message: String) -> Outcome {
        *self.orders.trouble.lock() = Some(message);
        Outcome::Dropped(reason)
    }

    fn flush_exporter(&mut self) -> Flushed {
        let deadline = after(Instant::now(), self.pace.export_timeout);
        self.note(|exporter| exporter.flush(deadline))
    }

    fn shut_down(&mut self, deadline: Instant) {
        while Instant::now() < deadline && self.outlet.inlet().queued() + self.rest.len() > 0 {
            self.export_queued(Some(deadline));
        }
        let failed = self.note(|exporter| exporter.shutdown(deadline));
        self.orders.end_failed(failed);
        self.report();
    }

    /// Runs a piece of the exporter; a panic becomes words.
    fn call<R>(&mut self, call: impl FnOnce(&mut dyn BlockingExporter) -> R) -> Result<R, String> {
        let _call = self.orders.begin_call();
        crate::guarded::guarded(|| call(&mut *self.exporter))
            .map_err(|words| format!("the exporter panicked: {words}"))
    }

    /// What went wrong, which is the last trouble then.
    fn note(
        &mut self,
        call: impl FnOnce(&mut dyn BlockingExporter) -> Result<(), Failure>,
    ) -> Option<String> {
        let trouble = match self.call(call) {
            Ok(Ok(())) => return None,
            Ok(Err(failure)) => failure.message,
            Err(panic) => panic,
        };
        *self.orders.trouble.lock() = Some(trouble.clone());
        Some(trouble)
    }
}

/// Tells whoever waits that the worker is gone, however it went.
struct Ended(Arc<Orders>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// By estimate, of the spans in one batch, whatever their number: it is held beside the queue, and once
/// more as what is sent of it. Receivers have bounds of their own, of 4 MiB as a rule.
const MOST_BATCH_BYTES: usize = 3 << 20;
