//! What a queue holds for its memory: ours beside the SDK's `BatchSpanProcessor`.
//!
//! `cargo bench --bench burst` sends bursts of two threads at full speed, and prints the share that
//! is dropped beside the most that the heap has grown, counted by the allocator: from before the
//! pipeline is made until the burst has been exported. Ours has a bound in bytes with which the heap
//! grows as much as with the other's queue, so all are compared at the same memory; so has *bare*,
//! which does nothing but hand the spans to a thread that frees them.
//!
//! What is dropped is seen in bursts of their own, in which the allocator counts nothing (three
//! threads that count in one place wait for each other more than for anything that is measured), and
//! the rows take turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};
use otel_setup::{BatchSettings, Exporter, LogFormat, Setup};

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        burst(&stock(2_048), 100);
        burst(&ours(1 << 20), 100);
        burst(&bare(1 << 20), 100);
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
        let bytes = fitted(ours, theirs.heap[1]);
        let same = Row::new(format!("ours, {} KiB", bytes >> 10), move || ours(bytes));
        let bytes = fitted(bare, theirs.heap[1]);
        let least = Row::new(format!("bare, {} KiB", bytes >> 10), move || bare(bytes));
        rows.extend([theirs, same, least]);
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
    for row in said[..6].chunks(3) {
        let [ours, bare] = [row[1] / row[0], row[2] / row[0]];
        println!("at the same memory ours drops {ours:.2} of what stock does, bare {bare:.2}");
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

/// With which bound in bytes the heap grows by `most`. What is beside the queue is not known before:
/// buffers of threads, the batch that is being exported.
fn fitted(start: fn(usize) -> Pipeline, most: isize) -> usize {
    let mut bytes = most;
    for _ in 0..FITTINGS {
        let took = heap(&|| start(bytes.cast_unsigned()), BURSTS[1]);
        bytes = (bytes + most - took).max(64 << 10);
    }
    bytes.cast_unsigned()
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

/// Nothing but what hands spans to another thread, which counts and frees them: no books, no
/// batches, no limits. What it drops is due to the race and not to a pipeline's own work.
fn bare(bytes: usize) -> Pipeline {
    let exported = Arc::<AtomicU64>::default();
    let (sender, receiver) = mpsc::channel::<Ended>();
    let queued = Arc::<AtomicUsize>::default();
    let (counted, taken) = (exported.clone(), queued.clone());
    std::thread::spawn(move || {
        for ended in receiver {
            match ended {
                Ended::Spans(spans) => {
                    taken.fetch_sub(spans.len(), Relaxed);
                    counted.fetch_add(spans.len() as u64, Relaxed);
                }
                Ended::Flush(done) => done.send(()).expect("it is waited for"),
            }
        }
    });
    let processor = Bare { sender, queued, most: bytes / SPAN };
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    Pipeline { provider, exported, _ours: None }
}

enum Ended {
    Spans(Vec<SpanData>),
    Flush(mpsc::Sender<()>),
}

#[derive(Debug)]
struct Bare {
    sender: mpsc::Sender<Ended>,
    queued: Arc<AtomicUsize>,
    /// Spans.
    most: usize,
}

/// What a thread has ended, and where it goes when the thread is done.
struct Chunk {
    spans: Vec<SpanData>,
    sender: mpsc::Sender<Ended>,
    queued: Arc<AtomicUsize>,
    most: usize,
}

thread_local! {
    static CHUNK: RefCell<Option<Chunk>> = const { RefCell::new(None) };
}

impl SpanProcessor for Bare {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        CHUNK.with_borrow_mut(|chunk| {
            let chunk = chunk.get_or_insert_with(|| Chunk {
                spans: Vec::with_capacity(CHUNK_ITEMS),
                sender: self.sender.clone(),
                queued: self.queued.clone(),
                most: self.most,
            });
            chunk.spans.push(span);
            if chunk.spans.len() == CHUNK_ITEMS {
                chunk.send();
            }
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        let (done, wait) = mpsc::channel();
        self.sender.send(Ended::Flush(done)).expect("it receives");
        wait.recv().expect("it answers");
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Chunk {
    fn send(&mut self) {
        let spans = std::mem::replace(&mut self.spans, Vec::with_capacity(CHUNK_ITEMS));
        let n = spans.len();
        if self.queued.fetch_add(n, Relaxed) + n > self.most {
            self.queued.fetch_sub(n, Relaxed);
            return;
        }
        self.sender.send(Ended::Spans(spans)).expect("it receives");
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.send();
    }
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
const CHUNK_ITEMS: usize = 32;
/// Bytes of one, about.
const SPAN: usize = size_of::<SpanData>() + size_of::<KeyValue>() + TEXT;
/// How often the bound of ours is set to what the other's queue took.
const FITTINGS: usize = 3;
