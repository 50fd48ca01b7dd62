//! `OTEL_BSP_*`: how much is queued, and when it is exported.

use std::time::Duration;

use super::explain::{Source, Sourced};
use super::parse::Shown as _;
use super::resolver::Resolver;
use super::variables::{
    BSP_EXPORT_TIMEOUT, BSP_MAX_EXPORT_BATCH_SIZE, BSP_MAX_QUEUE_BYTES, BSP_MAX_QUEUE_SIZE,
    BSP_SCHEDULE_DELAY,
};

/// How much each exporter queues and when it exports, for
/// [`Setup::with_batch`](crate::Setup::with_batch).
///
/// What is left open here comes from the environment, then from the default.
///
/// ```
/// use std::time::Duration;
///
/// use otel_setup::{BatchSettings, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let batch = BatchSettings::new()
///     .with_schedule_delay(Duration::from_secs(1))
///     .with_max_queue_size(50_000);
/// let setup = Setup::new("checkout").with_batch(batch);
/// # drop(setup.with_env(|_| None).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "it has an effect once it is given to `Setup::with_batch`"]
pub struct BatchSettings {
    pub(super) schedule_delay: Option<Duration>,
    pub(super) export_timeout: Option<Duration>,
    pub(super) max_queue_size: Option<usize>,
    pub(super) max_queue_bytes: Option<usize>,
    pub(super) max_export_batch_size: Option<usize>,
}

impl BatchSettings {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(feature = "config-file")]
    pub(super) const EXPORT_TIMEOUT: Duration = EXPORT_TIMEOUT;
    #[cfg(feature = "config-file")]
    pub(super) const MAX_QUEUE_SIZE: usize = MAX_QUEUE_SIZE;

    /// Where it is left open: no more than there are in the queue.
    #[cfg(feature = "config-file")]
    pub(super) fn default_batch_size(&self) -> usize {
        MAX_EXPORT_BATCH_SIZE.min(self.max_queue_size.unwrap_or(MAX_QUEUE_SIZE))
    }

    pub(crate) fn has_schedule_delay(&self) -> bool {
        self.schedule_delay.is_some()
    }

    /// The longest that a span waits for its batch to fill: five seconds by default, 200 ms for the
    /// console (`OTEL_BSP_SCHEDULE_DELAY`, in milliseconds). Less than 10 ms counts as 10 ms.
    pub fn with_schedule_delay(mut self, delay: Duration) -> Self {
        self.schedule_delay = Some(delay);
        self
    }

    /// How long one batch is tried for, retries included: 30 seconds by default
    /// (`OTEL_BSP_EXPORT_TIMEOUT`, in milliseconds). Zero is without end.
    pub fn with_export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// Spans in the queue of one exporter: 65,536 by default (`OTEL_BSP_MAX_QUEUE_SIZE`), one at
    /// least. What does not fit in is dropped and counted.
    pub fn with_max_queue_size(mut self, spans: usize) -> Self {
        self.max_queue_size = Some(spans);
        self
    }

    /// Bytes of spans in the queue of one exporter, by an estimate of the memory that they take:
    /// 32 MiB by default (`OTEL_RUST_BSP_MAX_QUEUE_BYTES`), one at least. A bound beside that in
    /// spans; what does not fit in is dropped and counted.
    pub fn with_max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = Some(bytes);
        self
    }

    /// Spans in a batch, which also ends at 3 MiB of them by estimate: receivers have bounds of their
    /// own. 512 by default (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`), one at least, and no
    /// more than there are in the queue.
    pub fn with_max_export_batch_size(mut self, spans: usize) -> Self {
        self.max_export_batch_size = Some(spans);
        self
    }
}

/// Effective settings of batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The exporter's own if it is nothing.
    pub(crate) schedule_delay: Option<Duration>,
    pub(crate) export_timeout: Duration,
    pub(crate) max_queue_size: usize,
    pub(crate) max_queue_bytes: usize,
    pub(crate) max_export_batch_size: usize,
}

impl Batch {
    pub(super) fn resolve(r: &mut Resolver<'_>) -> Self {
        let said = r.said(|s| s.batch.schedule_delay);
        let delay = r.optional(said, &[&BSP_SCHEDULE_DELAY], "the exporter's own");
        let delay = delay.map(|delay| at_least(delay.value, r));
        let timeout = r.said(|s| s.batch.export_timeout);
        let queue = r.said(|s| s.batch.max_queue_size);
        let bytes = r.said(|s| s.batch.max_queue_bytes);
        Self {
            schedule_delay: delay,
            export_timeout: r.setting(timeout, &[&BSP_EXPORT_TIMEOUT], EXPORT_TIMEOUT).value,
            max_queue_size: r.setting(queue, &[&BSP_MAX_QUEUE_SIZE], MAX_QUEUE_SIZE).value,
            max_queue_bytes: r.setting(bytes, &[&BSP_MAX_QUEUE_BYTES], MAX_QUEUE_BYTES).value,
            max_export_batch_size: 0,
        }
        .with_batch_size(r)
    }

    /// No more than there are in the queue, as the specification demands. A default that is more is
    /// nobody's mistake.
    fn with_batch_size(mut self, r: &mut Resolver<'_>) -> Self {
        let said = r.said(|s| s.batch.max_export_batch_size);
        let most = self.max_queue_size;
        let default = MAX_EXPORT_BATCH_SIZE.min(most);
        let Sourced { value: size, source } =
            r.setting(said, &[&BSP_MAX_EXPORT_BATCH_SIZE], default);
        if size > most {
            // what a file says of the queue has been compared with its line: this queue is of the code
            let key = if source == Source::File { "max_export_batch_size: " } else { "" };
            let problem = format!("{key}{size} is more than the queue's {most}");
            let instead = format!("{most} is used");
            let row = &BSP_MAX_EXPORT_BATCH_SIZE.row;
            r.replace(row, &problem, &most.to_string(), &instead);
        }
        self.max_export_batch_size = size.min(most);
        self
    }
}

/// The delay of one exporter alone, which a file has set.
pub(crate) fn delay_of_one(delay: Duration, r: &mut Resolver<'_>) -> Duration {
    r.settle(&BSP_SCHEDULE_DELAY.row, delay.shown(), Source::File);
    at_least(delay, r)
}

/// Of what has just been settled.
fn at_least(delay: Duration, r: &mut Resolver<'_>) -> Duration {
    if delay < LEAST_SCHEDULE_DELAY {
        let least = LEAST_SCHEDULE_DELAY.shown();
        let why = format!("the least is {least}, which is used");
        r.adjust(&BSP_SCHEDULE_DELAY.row, &least, why);
    }
    delay.max(LEAST_SCHEDULE_DELAY)
}

/// A worker that never sleeps keeps a core busy.
pub(crate) const LEAST_SCHEDULE_DELAY: Duration = Duration::from_millis(10);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_QUEUE_SIZE: usize = 65_536;
const MAX_QUEUE_BYTES: usize = 32 << 20;
const MAX_EXPORT_BATCH_SIZE: usize = 512;
