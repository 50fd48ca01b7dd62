//! What a queue holds for its memory: ours beside the SDK's `BatchSpanProcessor`.
//!
//! `cargo bench --bench burst` sends bursts of two threads at full speed, and prints the share that
//! is dropped beside the most that the heap has grown, counted by the allocator: from before the
//! pipeline is made until the burst has been exported. The bound in bytes of ours is such that the
//! heap grows as much as it did with the other's queue, so both are compared at the same memory. What is dropped is seen in
//! bursts of their own, in which the allocator counts nothing (three threads that count in one place
//! wait for each other more than for anything that is measured), and the rows take turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering::Relaxed};

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
    let mut rows: Vec<Row> = Vec::new();
    for queue in [2_048, 16_384] {
        let theirs = Row::new(format!("stock, {queue} spans"), move || stock(queue));
        // what is beside the queue in ours is not known before: buffers of threads, the batch
        // that is being exported
        let mut bytes = theirs.heap[1];
        for _ in 0..FITTINGS {
            let took = heap(&|| ours(bytes.cast_unsigned()), BURSTS[1]);
            bytes = (bytes + theirs.heap[1] - took).max(64 << 10);
        }
        let name = format!("ours, {} KiB", bytes >> 10);
        let same = Row::new(name, move || ours(bytes.cast_unsigned()));
        rows.extend([theirs, same]);
    }
    rows.push(Row::new("ours, its defaults".to_owned(), || ours(32 << 20)));
    for _ in 0..ROUNDS {
        for row in &mut rows {
            for (spans, shares) in BURSTS.into_iter().zip(&mut row.shares) {
                shares.push(share(&*row.start, spans));
            }
        }
    }
    let said: Vec<_> = rows.iter_mut().map(Row::say).collect();
    for pair in said[..4].chunks(2) {
        println!("at the same memory ours drops {:.2} of what stock does", pair[1] / pair[0]);
    }
    ExitCode::SUCCESS
}

/// A way to start a pipeline, and what was seen of it, for each of [`BURSTS`].
struct Row {
    name: String,
    start: Box<dyn Fn() -> Pipeline>,
    /// Bytes.
    heap: [isize; 2],
    /// Percent, of each round.
    shares: [Vec<f64>; 2],
}

impl Row {
    fn new(name: String, start: impl Fn() -> Pipeline + 'static) -> Self {
        let heap = BURSTS.map(|spans| heap(&start, spans));
        Self { name, start: Box::new(start), heap, shares: [const { Vec::new() }; 2] }
    }

    /// Prints the row; the share of the longer burst.
    fn say(&mut self) -> f64 {
        let [fits, exceeds] = &mut self.shares;
        let [fits, exceeds] = [fits, exceeds].map(|shares| {
            shares.sort_by(f64::total_cmp);
            shares[ROUNDS / 2]
        });
        let [a, b] = self.heap.map(|bytes| bytes.max(0) >> 10);
        let columns = [format!("{fits:.1}% ({a} KiB)"), format!("{exceeds:.1}% ({b} KiB)")];
        println!("{:<28}{:>22}{:>22}", self.name, columns[0], columns[1]);
        exceeds
    }
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

/// The most that the heap grows, bytes; median.
fn heap(start: &dyn Fn() -> Pipeline, spans: u64) -> isize {
    let mut heap: Vec<_> = (0..HEAP_ROUNDS)
        .map(|_| {
            COUNTING.store(true, Relaxed);
            let before = LIVE.load(Relaxed);
            MOST.store(before, Relaxed);
            share(start, spans);
            COUNTING.store(false, Relaxed);
            MOST.load(Relaxed) - before
        })
        .collect();
    heap.sort_unstable();
    heap[HEAP_ROUNDS / 2]
}

/// Of a burst, what is dropped, percent.
fn share(start: &dyn Fn() -> Pipeline, spans: u64) -> f64 {
    let pipeline = start();
    burst(&pipeline, spans);
    pipeline.provider.force_flush().ok();
    #[expect(clippy::cast_precision_loss, reason = "counts of spans are small")]
    let share = 100.0 - pipeline.exported.load(Relaxed) as f64 * 100.0 / spans as f64;
    share
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

/// Counts what is allocated and not freed, while [`COUNTING`].
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
    if !COUNTING.load(Relaxed) {
        return;
    }
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(live, Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

const BURSTS: [u64; 2] = [16_000, 400_000];
const ROUNDS: usize = 15;
const HEAP_ROUNDS: usize = 5;
const TEXT: usize = 200;
/// How often the bound of ours is set to what the other's queue took.
const FITTINGS: usize = 3;
