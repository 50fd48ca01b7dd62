//! What a queue holds for its memory: ours beside the SDK's `BatchSpanProcessor`.
//!
//! `cargo bench --bench burst` sends bursts of two threads at full speed, and prints the share that
//! is dropped beside the most that the heap has grown, counted by the allocator: from before the
//! pipeline is made until the burst has been exported. Ours has the bound in bytes that the other's
//! queue turned out to take, so both are compared at the same memory. The rows take turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering::Relaxed};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use otel_setup::{BatchSettings, Exporter, LogFormat, Setup};

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        burst(&stock(2_048), 100);
        burst(&ours(1 << 20), 100);
        return ExitCode::SUCCESS;
    }
    println!(
        "spans dropped of a burst of 2 threads, and the most that the heap has grown, KiB;\n\
         median of {ROUNDS}; a span has an attribute of {TEXT} bytes"
    );
    println!("{:<28}{:>22}{:>22}", "", "16,000 spans", "400,000 spans");
    let mut is_less = true;
    for queue in [2_048, 16_384] {
        let theirs = BURSTS.map(|spans| rounds(&|| stock(queue), spans));
        row(&format!("stock, {queue} spans"), theirs);
        // what is beside the queue in ours: buffers of threads, the batch that is being exported
        let bytes = (theirs[1].heap - BESIDE).max(64 << 10).cast_unsigned();
        let same = BURSTS.map(|spans| rounds(&|| ours(bytes), spans));
        row(&format!("ours, {} KiB", bytes >> 10), same);
        is_less &= same[1].heap <= theirs[1].heap && same[1].dropped <= theirs[1].dropped;
    }
    row("ours, its defaults", BURSTS.map(|spans| rounds(&|| ours(32 << 20), spans)));
    println!("at the same memory ours drops {}", if is_less { "no more" } else { "MORE" });
    ExitCode::SUCCESS
}

/// A pipeline that counts what it exports.
struct Pipeline {
    provider: SdkTracerProvider,
    exported: Arc<AtomicU64>,
    _ours: Option<otel_setup::Stack>,
}

fn stock(queue: usize) -> Pipeline {
    let exported = Arc::<AtomicU64>::default();
    let config = BatchConfigBuilder::default().with_max_queue_size(queue).build();
    let processor = BatchSpanProcessor::builder(Count(exported.clone()));
    let processor = processor.with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    Pipeline { provider, exported, _ours: None }
}

/// Bounded in bytes alone.
fn ours(bytes: usize) -> Pipeline {
    let exported = Arc::<AtomicU64>::default();
    let batch = BatchSettings::new().with_max_queue_bytes(bytes).with_max_queue_size(1 << 20);
    let stack = Setup::new("bench")
        .with_env(|_| None)
        .with_exporter(Exporter::custom(Count(exported.clone())))
        .with_batch(batch.with_max_export_batch_size(512))
        .with_log_format(LogFormat::Off)
        // what is lost is in the table
        .with_diagnostics(|_, _| {})
        .build()
        .expect("these settings are right");
    Pipeline { provider: stack.tracer_provider(), exported, _ours: Some(stack) }
}

/// Counts spans and frees them.
#[derive(Debug)]
struct Count(Arc<AtomicU64>);

impl SpanExporter for Count {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Relaxed);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
struct Outcome {
    /// Percent.
    dropped: f64,
    /// Bytes.
    heap: isize,
}

fn rounds(start: &dyn Fn() -> Pipeline, spans: u64) -> Outcome {
    let (mut dropped, mut heap) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = LIVE.load(Relaxed);
        MOST.store(before, Relaxed);
        let pipeline = start();
        burst(&pipeline, spans);
        pipeline.provider.force_flush().ok();
        heap.push(MOST.load(Relaxed) - before);
        #[expect(clippy::cast_precision_loss, reason = "counts of spans are small")]
        let share = 100.0 - pipeline.exported.load(Relaxed) as f64 * 100.0 / spans as f64;
        dropped.push(share);
    }
    dropped.sort_by(f64::total_cmp);
    heap.sort_unstable();
    Outcome { dropped: dropped[ROUNDS / 2], heap: heap[ROUNDS / 2] }
}

fn burst(pipeline: &Pipeline, spans: u64) {
    let tracer = pipeline.provider.tracer("bench");
    let text = "x".repeat(TEXT);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..spans / 2 {
                    let attributes = [KeyValue::new("text", text.clone())];
                    drop(tracer.span_builder("span").with_attributes(attributes).start(&tracer));
                }
            });
        }
    });
}

fn row(name: &str, outcomes: [Outcome; 2]) {
    let [fits, exceeds] = outcomes
        .map(|Outcome { dropped, heap }| format!("{dropped:.1}% ({} KiB)", heap.max(0) >> 10));
    println!("{name:<28}{fits:>22}{exceeds:>22}");
}

/// Counts what is allocated and not freed.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe; it passes on what it gets")]
// SAFETY: every call is the system allocator's, with what the caller has vouched for
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size().cast_signed());
        // SAFETY: as above
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        grown(-layout.size().cast_signed());
        // SAFETY: as above
        unsafe { System.dealloc(at, layout) }
    }
}

fn grown(bytes: isize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(live, Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static LIVE: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

const BURSTS: [u64; 2] = [16_000, 400_000];
const ROUNDS: usize = 7;
const TEXT: usize = 200;
/// Two batches of 512 spans of 800 bytes, spare buffers and those of the threads.
const BESIDE: isize = 1 << 20;
