//! The books: every span that was started is exported, rejected, dropped for a reason, or in flight.
//!
//! Two rules keep `started == exported + rejected + dropped + in flight` true at every moment.
//! What ends a span's way is only ever counted up, once, after its start was counted; and a reader
//! adds up the ends before it reads the starts. What lies between the two is in flight.

use std::fmt;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

/// How many spans a pipeline has seen and what became of them.
///
/// For each exporter `started == exported + rejected + dropped.total() + in_flight`, at the moment
/// the figures were taken. Only sampled spans count: a span that is recorded but not sampled is
/// never exported, so no exporter owes an account of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sampled spans that were started.
    pub started: u64,
    /// Of those, the ones that have not ended yet.
    pub live: u64,
    /// One account for each exporter, in the order they were given.
    pub exporters: Vec<ExporterStats>,
}

/// What became of the spans on their way to one exporter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExporterStats {
    /// The exporter, `otlp-http` for instance.
    pub name: String,
    /// Spans that the backend took.
    pub exported: u64,
    /// Spans that the backend answered it would not take (OTLP partial success).
    pub rejected: u64,
    /// Spans that never arrived, by reason.
    pub dropped: Dropped,
    /// Spans that are live, queued or being exported.
    pub in_flight: u64,
    /// Of those in flight, the ones that have ended: queued or being exported.
    pub queued: u64,
}

/// Counts of dropped spans, one for each reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

/// Why a span was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue already held as many spans as it may.
    QueueFull,
    /// The queue already held as many bytes as it may.
    BytesFull,
    /// The exporter could not encode the batch.
    EncodeFailed,
    /// The backend refused the batch in a way that no retry can mend.
    ExportFailed,
    /// Retries did not help within the export timeout.
    RetryExhausted,
    /// The exporter panicked on the batch.
    ExporterPanic,
    /// Shutdown ran out of time.
    ShutdownTimeout,
    /// The span ended after shutdown.
    AfterShutdown,
    /// The span ended in a forked child, which has no exporter of its own.
    AfterFork,
    /// The span was made by the export thread itself.
    OwnThread,
}

impl Stats {
    /// Spans that every exporter together failed to deliver: dropped or rejected.
    pub fn lost(&self) -> u64 {
        self.exporters.iter().map(ExporterStats::lost).sum()
    }

    /// Spans that have ended and are not accounted for yet, at the exporter that is furthest behind.
    pub fn queued(&self) -> u64 {
        self.exporters.iter().map(|e| e.queued).max().unwrap_or(0)
    }
}

impl ExporterStats {
    /// Spans that did not reach the backend: dropped or rejected.
    pub fn lost(&self) -> u64 {
        self.rejected + self.dropped.total()
    }
}

impl Dropped {
    /// Spans dropped for one reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        self.0[reason.index()]
    }

    /// Spans dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().zip(self.0).filter(|(_, n)| *n > 0)
    }
}

impl DropReason {
    const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::BytesFull,
        Self::EncodeFailed,
        Self::ExportFailed,
        Self::RetryExhausted,
        Self::ExporterPanic,
        Self::ShutdownTimeout,
        Self::AfterShutdown,
        Self::AfterFork,
        Self::OwnThread,
    ];

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "queue full",
            Self::BytesFull => "queue full of bytes",
            Self::EncodeFailed => "could not be encoded",
            Self::ExportFailed => "export failed",
            Self::RetryExhausted => "retries exhausted",
            Self::ExporterPanic => "exporter panicked",
            Self::ShutdownTimeout => "no time left at shutdown",
            Self::AfterShutdown => "ended after shutdown",
            Self::AfterFork => "no exporter after fork",
            Self::OwnThread => "made by the export thread",
        })
    }
}

/// `120 started, 3 live; otlp-http: 100 exported, 0 rejected, 7 dropped (queue full 7), 10 queued`
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} started, {} live", self.started, self.live)?;
        self.exporters.iter().try_for_each(|exporter| write!(f, "; {exporter}"))
    }
}

impl fmt::Display for ExporterStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, exported, rejected, dropped, queued, .. } = self;
        write!(f, "{name}: {exported} exported, {rejected} rejected, {dropped}, {queued} queued")
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dropped", self.total())?;
        for (i, (reason, n)) in self.iter().enumerate() {
            write!(f, "{}{reason} {n}", if i == 0 { " (" } else { ", " })?;
        }
        f.write_str(if self.total() == 0 { "" } else { ")" })
    }
}

/// The account of one exporter, written by its worker, by refused producers and by shutdown.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Ended spans that were put in front of this exporter, refused ones included.
    offered: AtomicU64,
    exported: AtomicU64,
    rejected: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    /// Set when shutdown has given up on the worker and settled in its place.
    abandoned: Mutex<bool>,
}

/// How one batch ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Exported { rejected: u64 },
    Dropped(DropReason),
}

impl Account {
    /// `n` ended spans now are this exporter's to account for.
    pub(crate) fn offer(&self, n: u64) {
        self.offered.fetch_add(n, Release);
    }

    /// Of the spans offered, `n` are dropped at once. No lock: producers call this.
    pub(crate) fn refuse(&self, reason: DropReason, n: u64) {
        self.dropped[reason.index()].fetch_add(n, Release);
    }

    /// `n` ended spans are dropped without ever having been queued, perhaps while shutdown settles
    /// what is left: they are offered and dropped before or after that, not half of it.
    #[cold]
    pub(crate) fn turn_away(&self, reason: DropReason, n: u64) {
        let _abandoned = self.abandoned.lock();
        self.offer(n);
        self.refuse(reason, n);
    }

    /// The worker is done with `n` spans. Nothing happens if shutdown was faster.
    pub(crate) fn settle(&self, n: u64, outcome: Outcome) {
        let abandoned = self.abandoned.lock();
        if *abandoned {
            return;
        }
        match outcome {
            Outcome::Exported { rejected } => {
                let rejected = rejected.min(n);
                self.exported.fetch_add(n - rejected, Release);
                self.rejected.fetch_add(rejected, Release);
            }
            Outcome::Dropped(reason) => self.refuse(reason, n),
        }
    }

    /// Drops all that is offered and not settled, and takes the worker's word from it.
    ///
    /// Only once nothing more can be offered.
    pub(crate) fn abandon(&self) -> u64 {
        let mut abandoned = self.abandoned.lock();
        *abandoned = true;
        let left = self.offered().saturating_sub(self.settled());
        self.refuse(DropReason::ShutdownTimeout, left);
        left
    }

    pub(crate) fn offered(&self) -> u64 {
        self.offered.load(Acquire)
    }

    /// Spans whose way has ended, in whatever way.
    pub(crate) fn settled(&self) -> u64 {
        self.exported.load(Acquire) + self.lost()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.rejected.load(Acquire) + self.dropped().total()
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Acquire)
    }

    pub(crate) fn dropped(&self) -> Dropped {
        Dropped(std::array::from_fn(|i| self.dropped[i].load(Acquire)))
    }

    /// Read before starts and ends are: see the module's two rules.
    pub(crate) fn read(&self, name: &str) -> ExporterStats {
        ExporterStats {
            name: name.to_owned(),
            exported: self.exported.load(Acquire),
            rejected: self.rejected(),
            dropped: self.dropped(),
            in_flight: 0,
            queued: 0,
        }
    }
}

impl ExporterStats {
    /// Closes the account against what was started and ended.
    pub(crate) fn close(&mut self, started: u64, ended: u64) {
        let settled = self.exported + self.lost();
        self.in_flight = started.saturating_sub(settled);
        self.queued = ended.saturating_sub(settled);
    }
}
