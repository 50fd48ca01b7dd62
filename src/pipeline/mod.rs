//! OpenTelemetry out: everything between an ended span and a backend.

mod core;
mod export;
mod exporter;
mod foreign;
mod fork;
mod ids;
mod lane;
mod ledger;
mod limits;
mod orders;
mod processor;
mod queue;
mod report;
mod resource;
mod retry;
mod sampler;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, ShouldSample, SpanLimits, SpanProcessor};

use self::core::Core;
pub(crate) use self::export::BlockingExporter;
pub use self::exporter::Exporter;
#[cfg(feature = "file")]
pub use self::exporter::FileExporter;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub use self::exporter::OtlpExporter;
#[cfg(feature = "tree")]
pub use self::exporter::TreeExporter;
#[cfg(feature = "testing")]
pub(crate) use self::exporter::draw;
use self::foreign::ForeignProcessor;
pub use self::ledger::{DropReason, Dropped, ExporterStats, Stats};
pub(crate) use self::limits::Limits;
use self::processor::Processor;
use self::queue::Bounds;
pub(crate) use self::resource::resource;
use self::sampler::GuardedSampler;
pub use self::sampler::{ParentBasedSampler, RuleSampler, Sampler, SpanMatch, SpanParent};
use self::worker::Pace;
use crate::config::LEAST_SCHEDULE_DELAY;
use crate::diagnostics::Diagnostics;
use crate::error::{Error, Kind, Severity};
use crate::tracer::{OwnTracer, Tracer};

/// All that a pipeline is made of.
#[derive(Debug)]
pub(crate) struct PipelineSpec {
    pub(crate) resource: Resource,
    pub(crate) sampler: Box<dyn ShouldSample>,
    pub(crate) exporters: Vec<Destination>,
    /// The user's own.
    pub(crate) processors: Vec<Box<dyn SpanProcessor>>,
    pub(crate) batch: BatchConfig,
    pub(crate) limits: Limits,
    pub(crate) diagnostics: Diagnostics,
}

/// An exporter, and what it has for itself.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) exporter: Box<dyn BlockingExporter>,
    /// Comes before the one for all.
    pub(crate) schedule_delay: Option<Duration>,
}

/// How much is queued and when it is exported. Every value works: what makes no sense is clamped.
#[derive(Debug, Clone)]
pub(crate) struct BatchConfig {
    /// The longest a span waits for its batch to fill. At least 10 ms; the exporter's own if unset.
    pub(crate) schedule_delay: Option<Duration>,
    /// How long one batch is tried for. Zero: without end.
    pub(crate) export_timeout: Duration,
    /// Spans in the queue of one exporter. At least one.
    pub(crate) max_queue_size: usize,
    /// Estimated bytes in the queue of one exporter.
    pub(crate) max_queue_bytes: usize,
    pub(crate) max_export_batch_size: usize,
}

/// The SDK's provider with our processor in it, and the threads behind.
#[derive(Debug)]
pub(crate) struct Pipeline {
    core: Arc<Core>,
    foreign: Vec<ForeignProcessor>,
    provider: SdkTracerProvider,
    own: Processor,
    sampler: GuardedSampler,
    limits: SpanLimits,
    diagnostics: Diagnostics,
}

impl Pipeline {
    /// Spawns the workers. Touches nothing global.
    pub(crate) fn start(spec: PipelineSpec) -> Result<Self, Error> {
        let PipelineSpec { resource, diagnostics, .. } = spec;
        let foreign: Vec<_> = spec
            .processors
            .into_iter()
            .map(|processor| ForeignProcessor::new(processor, &resource, diagnostics.clone()))
            .collect();
        let core = Core::start(spec.exporters, &spec.batch, &spec.limits, &diagnostics)?;
        let sampler = GuardedSampler {
            // one for all spans: it may count
            sampler: spec.sampler.into(),
            diagnostics: diagnostics.clone(),
        };
        let mut builder = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler.clone())
            .with_id_generator(ids::RandomIds::default())
            .with_span_limits(spec.limits.sdk());
        for processor in &foreign {
            builder = builder.with_span_processor(processor.clone());
        }
        // the last one: it takes the span, the others get a copy
        let timeout = spec.batch.export_timeout();
        let limits = spec.limits.sdk();
        let own = Processor::new(core.clone(), timeout, spec.limits);
        let provider = builder.with_span_processor(own.clone()).build();
        Ok(Self { core, foreign, provider, own, sampler, limits, diagnostics })
    }

    /// A tracer for the layer. Unlike native ones it may make spans that only our processor takes.
    pub(crate) fn tracer(&self, scope: fn() -> InstrumentationScope) -> Tracer {
        let sdk = self.provider.tracer_with_scope(scope());
        let own = self.foreign.is_empty().then(|| {
            let ids = Box::new(ids::RandomIds::default());
            let sink = Box::new(self.own.clone());
            OwnTracer::new(Box::new(self.sampler.clone()), ids, self.limits, scope, sink)
        });
        Tracer::new(sdk, own)
    }

    pub(crate) fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Ok only if everything that ended before the call was really exported.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.within(timeout, "flush", |processor, _| processor.force_flush(), Core::flush)
    }

    /// Ends the workers; what is left after `timeout` is dropped and counted. The provider lives
    /// on: later spans have a valid context and are counted as dropped.
    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        if self.core.is_closed() {
            return self.core.shutdown(timeout);
        }
        let shut_down: ProcessorCall = |processor, left| processor.shutdown_with_timeout(left);
        self.within(timeout, "shutdown", shut_down, Core::shutdown)
    }

    /// One budget for the user's processors and our exporters, none of whom waits for another.
    fn within(
        &self,
        timeout: Duration,
        operation: &'static str,
        foreign: ProcessorCall,
        own: fn(&Core, Duration) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let deadline = retry::after(Instant::now(), timeout);
        let begun: Vec<_> =
            self.foreign.iter().map(|processor| processor.begin(deadline, foreign)).collect();
        let done = own(&self.core, timeout);
        let problems: Vec<_> = begun.into_iter().filter_map(|one| one.end(deadline)).collect();
        if problems.is_empty() {
            return done;
        }
        let failed = Error::new(Kind::Failed { operation, cause: problems.join("; ") });
        done.inspect_err(|_| {
            // the loss is what is returned, so this is said
            self.diagnostics.say(Severity::Error, "processor", format_args!("{failed}"));
        })?;
        Err(failed)
    }

    /// Losses that no line on our voice has told of yet.
    pub(crate) fn has_untold_losses(&self) -> bool {
        self.core.has_untold_losses()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Nothing that has ended is still queued or being exported.
    pub(crate) fn is_idle(&self) -> bool {
        self.core.is_idle()
    }
}

type ProcessorCall = fn(&dyn SpanProcessor, Duration) -> OTelSdkResult;

impl From<Box<dyn BlockingExporter>> for Destination {
    fn from(exporter: Box<dyn BlockingExporter>) -> Self {
        Self { exporter, schedule_delay: None }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // what it could not deliver has been counted, and nobody is left to hear of it
        let _ = self.core.shutdown(DROP_TIMEOUT);
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            schedule_delay: None,
            export_timeout: Duration::from_secs(30),
            max_queue_size: 65_536,
            max_queue_bytes: 32 << 20,
            max_export_batch_size: 512,
        }
    }
}

impl BatchConfig {
    fn bounds(&self) -> Bounds {
        let queue_items = self.max_queue_size.max(1);
        let queue_bytes = self.max_queue_bytes.max(1);
        Bounds {
            queue_items,
            queue_bytes,
            chunk_items: (queue_items / 8).min(self.batch_items()).clamp(1, MOST_CHUNK_ITEMS),
            chunk_bytes: (queue_bytes / 8).clamp(1, MOST_CHUNK_BYTES),
            wake_items: self.batch_items().min(queue_items / 2).max(1),
            wake_bytes: (queue_bytes / 2).max(1),
        }
    }

    fn pace(&self, destination: &Destination) -> Pace {
        let delay = destination.schedule_delay.or(self.schedule_delay);
        let delay = delay.unwrap_or_else(|| destination.exporter.schedule_delay());
        Pace {
            schedule_delay: delay.max(LEAST_SCHEDULE_DELAY),
            export_timeout: self.export_timeout(),
            batch_items: self.batch_items(),
        }
    }

    fn export_timeout(&self) -> Duration {
        if self.export_timeout.is_zero() { Duration::MAX } else { self.export_timeout }
    }

    fn batch_items(&self) -> usize {
        self.max_export_batch_size.clamp(1, self.max_queue_size.max(1))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
        Error::new(Kind::System { what: "start a thread for the export", cause: error.to_string() })
    })
}

const MOST_CHUNK_ITEMS: usize = 32;
const MOST_CHUNK_BYTES: usize = 64 << 10;
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
