//! The buffers, queues, workers and accounts of one pipeline in one process.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use parking_lot::{Condvar, Mutex};

use super::fork;
use super::lane::Lane;
use super::ledger::{Account, DropReason, Stats};
use super::limits::Limits;
use super::orders::Orders;
use super::queue::{Buffer, Exchange, Inlet};
use super::report::Report;
use super::retry::after;
use super::watch::{Watch, Watched};
use super::worker::Worker;
use super::{BatchConfig, Destination};
use crate::diagnostics::Diagnostics;
use crate::error::{Error, Kind};

#[derive(Debug)]
pub(crate) struct Core {
    /// Tells the cores of a process apart, in the slots of its threads.
    pub(crate) id: u64,
    pub(crate) exchange: Arc<Exchange<SpanData>>,
    lanes: Vec<Lane>,
    watch: Mutex<Option<Watch>>,
    closed: AtomicBool,
    /// Whether the shutdown has come to its end, for those who wait for it.
    over: Mutex<bool>,
    is_over: Condvar,
    /// Of the process that the workers run in.
    generation: u32,
    forked: Forked,
}

/// What a forked child has seen. Nothing else of a core may be used there: its locks may be held by
/// threads that the child does not have.
#[derive(Debug, Default)]
struct Forked {
    started: AtomicU64,
    ended: AtomicU64,
    told: AtomicBool,
    reported: AtomicU64,
}

impl Core {
    pub(crate) fn start(
        destinations: Vec<Destination>,
        config: &BatchConfig,
        limits: &Limits,
        diagnostics: &Diagnostics,
    ) -> Result<Arc<Self>, Error> {
        fork::watch();
        let bounds = config.bounds();
        let (inlets, outlets): (Vec<_>, Vec<_>) =
            destinations.iter().map(|_| Inlet::new(bounds)).unzip();
        let exchange = Arc::new(Exchange::new(inlets.clone(), bounds));
        let mut core = Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            exchange: exchange.clone(),
            lanes: Vec::new(),
            watch: Mutex::new(None),
            closed: AtomicBool::new(false),
            over: Mutex::new(false),
            is_over: Condvar::new(),
            generation: fork::generation(),
            forked: Forked::default(),
        };
        let mut watched = Vec::new();
        for ((destination, inlet), outlet) in destinations.into_iter().zip(inlets).zip(outlets) {
            let pace = config.pace(&destination);
            let exporter = destination.exporter;
            let (name, orders) = (exporter.name().to_owned(), Arc::<Orders>::default());
            let report = Report::new(diagnostics.clone(), name.clone());
            let report = Arc::new(Mutex::new(report));
            let worker = Worker {
                pace,
                exporter,
                outlet,
                exchange: exchange.clone(),
                orders: orders.clone(),
                limits: limits.clone(),
                report: report.clone(),
                rest: Vec::new(),
                asked_to_wait: None,
            };
            let lane = Lane::start(name, inlet.clone(), orders.clone(), worker);
            core.lanes.push(lane.inspect_err(|_| core.end_workers(Instant::now()))?);
            let export_timeout = pace.export_timeout;
            watched.push(Watched { inlet, orders, report, export_timeout });
        }
        let watch = Watch::start(watched).inspect_err(|_| core.end_workers(Instant::now()))?;
        core.watch = Mutex::new(watch);
        Ok(Arc::new(core))
    }

    /// This process is a child of the one that the workers run in.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.generation != fork::generation()
    }

    #[cold]
    pub(crate) fn start_in_child(&self) {
        self.forked.started.fetch_add(1, AcqRel);
    }

    /// Counts a span of a child as dropped; true for the first one.
    #[cold]
    pub(crate) fn end_in_child(&self) -> bool {
        // one that was started before the fork is the parent's, and ends here as well
        self.forked.ended.fetch_add(1, AcqRel);
        !self.forked.told.swap(true, AcqRel)
    }

    #[inline]
    pub(crate) fn has_exporters(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// A buffer for the calling thread.
    pub(crate) fn buffer(&self) -> Arc<Buffer<SpanData>> {
        self.exchange.buffer(None)
    }

    pub(crate) fn set_resource(&self, resource: &Resource) {
        for lane in &self.lanes {
            lane.orders.set_resource(resource.clone());
        }
    }

    /// Ok if everything that ended before the call is exported, and nothing was lost since the
    /// last flush.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), Error> {
        if self.is_forked() {
            return self.losses_in_child("flush");
        }
        let deadline = after(Instant::now(), timeout);
        let reported: Vec<u64> =
            self.lanes.iter().map(|lane| lane.reported.load(Acquire)).collect();
        self.exchange.sweep();
        let waiting: Vec<_> = self.lanes.iter().map(Lane::ask_flush).collect();
        let (mut late, mut problems) = (None, Vec::new());
        for (lane, wait) in self.lanes.iter().zip(waiting) {
            let left = deadline.saturating_duration_since(Instant::now());
            match wait.recv_timeout(left) {
                Ok(trouble) => problems.extend(trouble.map(|words| lane.said(&words))),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    late = Some(late.unwrap_or(0) + lane.left());
                }
                // after a shutdown nothing is left
                Err(mpsc::RecvTimeoutError::Disconnected) if lane.left() == 0 => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    problems.push(lane.said("its thread has ended"));
                }
            }
        }
        if let Some(left) = late {
            return Err(timed_out("flush", timeout, left, None));
        }
        self.losses("flush", &reported)?;
        failures("flush", &problems)
    }

    /// Exports what there is within `timeout`, drops the rest, ends the threads. Once; later calls
    /// wait for its end, and are Ok then.
    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        if self.is_forked() {
            return self.losses_in_child("shutdown");
        }
        let deadline = after(Instant::now(), timeout);
        if self.closed.swap(true, AcqRel) {
            return self.wait_for_end(deadline, timeout);
        }
        let _over = Over(self);
        let reported: Vec<u64> =
            self.lanes.iter().map(|lane| lane.reported.load(Acquire)).collect();
        self.exchange.close(DropReason::AfterShutdown);
        self.end_workers(deadline);
        let ends: Vec<_> = self.lanes.iter().map(|lane| lane.end(deadline)).collect();
        self.watch.lock().take();
        let left = ends.iter().map(|end| end.left).sum();
        if left > 0 || ends.iter().any(|end| !end.in_time) {
            let losses = self.losses("shutdown", &reported).err();
            return Err(timed_out("shutdown", timeout, left, losses));
        }
        self.losses("shutdown", &reported)?;
        let problems = self.lanes.iter().filter_map(|lane| Some(lane.said(&lane.orders.failed()?)));
        failures("shutdown", &problems.collect::<Vec<_>>())
    }

    fn end_workers(&self, deadline: Instant) {
        for lane in &self.lanes {
            lane.orders.shutdown(deadline);
            lane.inlet.ring();
        }
    }

    /// Somebody else is shutting down, or has.
    fn wait_for_end(&self, deadline: Instant, timeout: Duration) -> Result<(), Error> {
        let mut over = self.over.lock();
        self.is_over.wait_while_until(&mut over, |over| !*over, deadline);
        if *over {
            return Ok(());
        }
        let left = self.lanes.iter().map(Lane::left).sum();
        Err(timed_out("shutdown", timeout, left, None))
    }

    fn losses_in_child(&self, operation: &'static str) -> Result<(), Error> {
        let ended = self.forked.ended.load(Acquire);
        let lost = ended - self.forked.reported.fetch_max(ended, AcqRel).min(ended);
        if lost == 0 || self.lanes.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Lost { operation, lost, cause: FORKED.to_owned() }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    pub(crate) fn has_untold_losses(&self) -> bool {
        !self.is_forked()
            && self
                .lanes
                .iter()
                .any(|lane| lane.inlet.account.lost() > lane.orders.told.load(Relaxed))
    }

    fn losses(&self, operation: &'static str, reported: &[u64]) -> Result<(), Error> {
        let (mut lost, mut causes) = (0, Vec::new());
        for (lane, before) in self.lanes.iter().zip(reported) {
            let now = lane.inlet.account.lost();
            lane.reported.fetch_max(now, AcqRel);
            if now > *before {
                lost += now - before;
                causes.push(lane.cause());
            }
        }
        if lost == 0 {
            return Ok(());
        }
        Err(Error::new(Kind::Lost { operation, lost, cause: causes.join("; ") }))
    }

    pub(crate) fn stats(&self) -> Stats {
        if self.is_forked() {
            return self.stats_in_child();
        }
        // ends before starts: see the ledger's rules
        let mut exporters: Vec<_> =
            self.lanes.iter().map(|lane| lane.inlet.account.read(&lane.name)).collect();
        let counts = self.exchange.counts();
        for account in &mut exporters {
            account.close(counts.started, counts.ended);
        }
        let live = counts.started.saturating_sub(counts.ended);
        Stats { started: counts.started, live, exporters }
    }

    fn stats_in_child(&self) -> Stats {
        let ended = self.forked.ended.load(Acquire);
        let started = self.forked.started.load(Acquire).max(ended);
        let account = Account::default();
        account.refuse(DropReason::AfterFork, ended);
        let mut exporters: Vec<_> =
            self.lanes.iter().map(|lane| account.read(&lane.name)).collect();
        for account in &mut exporters {
            account.close(started, ended);
        }
        Stats { started, live: started - ended, exporters }
    }

    /// Nothing that has ended is still on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.stats().queued() == 0
    }
}

fn timed_out(operation: &'static str, after: Duration, left: u64, losses: Option<Error>) -> Error {
    Error::new(Kind::Timeout { operation, after, left, losses })
}

/// What exporters said of their own flush or shutdown.
fn failures(operation: &'static str, problems: &[String]) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Failed { operation, cause: problems.join("; ") }))
}

/// The one shutdown that there is has come to its end, however it went.
struct Over<'a>(&'a Core);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *self.0.over.lock() = true;
        self.0.is_over.notify_all();
    }
}

pub(crate) const FORKED: &str = "this process is a fork of the one that tracing was set up in, and \
                                 has no exporter; set up tracing after the fork";
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
