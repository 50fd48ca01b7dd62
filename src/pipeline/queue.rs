//! The way from the threads that end spans to the workers that export them.
//!
//! Each thread fills a buffer of its own. When it is full, the whole chunk changes hands at once:
//! to every exporter's inlet, by a push that takes no lock. So producers never wait for each other
//! and the price of meeting is paid once in [`Bounds::chunk_items`] spans. What idle threads still
//! hold is swept up by the workers on schedule.

use once_cell::sync::OnceCell;

use super::ledger::{Account, DropReason};
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, Mutex, mpsc};

/// What one thread has ended and not handed over yet, and how much it has started and ended.
///
/// A thread that ends leaves its buffer behind in the exchange; the next sweep collects it.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    filling: Mutex<Filling<T>>,
    started: AtomicU64,
    ended: AtomicU64,
}

#[derive(Debug)]
struct Filling<T> {
    items: Vec<T>,
    bytes: usize,
    /// No more goes in, for this reason.
    closed: Option<DropReason>,
}

/// Spans that change hands together. Shared, because several exporters read the same ones.
#[derive(Debug)]
pub(crate) struct Chunk<T> {
    pub(crate) items: Vec<T>,
    pub(crate) bytes: usize,
}

/// Where full chunks go: the inlets of all exporters.
#[derive(Debug)]
pub(crate) struct Exchange<T> {
    pub(crate) inlets: Box<[Arc<Inlet<T>>]>,
    bounds: Bounds,
    buffers: Mutex<Buffers<T>>,
    /// Emptied vectors, to be filled again.
    spare: Mutex<Vec<Vec<T>>>,
}

#[derive(Debug)]
struct Buffers<T> {
    of_threads: Vec<Arc<Buffer<T>>>,
    /// What threads that have ended had counted.
    retired: Counts,
    closed: Option<DropReason>,
}

/// Starts and ends, as far as a reader can see them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

/// How much may lie where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) queue_items: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) chunk_items: usize,
    pub(crate) chunk_bytes: usize,
    /// From how many queued items or bytes on the worker is woken.
    pub(crate) wake_items: usize,
    pub(crate) wake_bytes: usize,
}

/// The producers' end of one exporter's queue.
#[derive(Debug)]
pub(crate) struct Inlet<T> {
    sender: mpsc::Sender<Arc<Chunk<T>>>,
    items: AtomicUsize,
    bytes: AtomicUsize,
    bounds: Bounds,
    pub(crate) account: Account,
    bell: Bell,
}

/// The worker's end of one exporter's queue.
#[derive(Debug)]
pub(crate) struct Outlet<T> {
    receiver: mpsc::Receiver<Arc<Chunk<T>>>,
    inlet: Arc<Inlet<T>>,
}

/// Wakes a worker, at most once until it has looked.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    sleeper: OnceCell<Thread>,
}

impl<T> Buffer<T> {
    fn new(closed: Option<DropReason>) -> Self {
        let filling = Mutex::new(Filling { items: Vec::new(), bytes: 0, closed });
        Self { filling, started: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Counts a start. Only for the thread that owns this buffer.
    #[inline]
    pub(crate) fn start(&self) {
        // one writer: a plain addition does, and spares the locked instruction
        self.started.store(self.started.load(Relaxed) + 1, Release);
    }

    /// Counts a start in a buffer that several threads share.
    pub(crate) fn start_shared(&self) {
        self.started.fetch_add(1, Release);
    }

    /// Counts an end where nobody wants what has ended. Only for the thread that owns this buffer.
    #[inline]
    pub(crate) fn end(&self) {
        self.ended.store(self.ended.load(Relaxed) + 1, Release);
    }

    /// Counts such an end in a buffer that several threads share.
    pub(crate) fn end_shared(&self) {
        self.ended.fetch_add(1, Release);
    }

    /// Moves an ended item in. Dropped and counted if the buffer is closed.
    #[expect(clippy::inline_always, reason = "as a call, what is moved is copied once more")]
    #[inline(always)]
    pub(crate) fn push(&self, item: T, bytes: usize, exchange: &Exchange<T>)
    where
        T: Send + Sync,
    {
        let mut filling = self.filling.lock();
        // under the lock, so there is one writer here too
        self.ended.store(self.ended.load(Relaxed) + 1, Release);
        if let Some(reason) = filling.closed {
            drop(filling);
            return exchange.refuse(reason, 1);
        }
        filling.items.push(item);
        filling.bytes += bytes;
        let bounds = &exchange.bounds;
        if filling.items.len() >= bounds.chunk_items || filling.bytes >= bounds.chunk_bytes {
            // still under the buffer's lock: whoever closes it then knows that all is handed over
            exchange.publish(&mut filling);
        }
    }
}

impl<T> Exchange<T> {
    pub(crate) fn new(inlets: Vec<Arc<Inlet<T>>>, bounds: Bounds) -> Self {
        let buffers = Buffers { of_threads: Vec::new(), retired: Counts::default(), closed: None };
        let (inlets, spare) = (inlets.into_boxed_slice(), Mutex::default());
        Self { inlets, bounds, buffers: Mutex::new(buffers), spare }
    }

    /// A buffer for one more thread. `closed` makes one that takes nothing.
    pub(crate) fn buffer(&self, closed: Option<DropReason>) -> Arc<Buffer<T>> {
        let mut buffers = self.buffers.lock();
        let buffer = Arc::new(Buffer::new(closed.or(buffers.closed)));
        buffers.of_threads.push(buffer.clone());
        buffer
    }

    /// Hands over what the threads hold, and forgets the buffers of threads that have ended.
    pub(crate) fn sweep(&self) {
        let mut buffers = self.buffers.lock();
        let Buffers { of_threads, retired, .. } = &mut *buffers;
        of_threads.retain_mut(|buffer| {
            // asked first: no other reference can appear, and nothing is pushed without one
            let alone = Arc::get_mut(buffer).is_some();
            self.publish(&mut buffer.filling.lock());
            if alone {
                retired.started += buffer.started.load(Acquire);
                retired.ended += buffer.ended.load(Acquire);
            }
            !alone
        });
    }

    /// Hands everything over, for the last time: what ends later is dropped for `reason`.
    pub(crate) fn close(&self, reason: DropReason) {
        let mut buffers = self.buffers.lock();
        buffers.closed.get_or_insert(reason);
        for buffer in &buffers.of_threads {
            let mut filling = buffer.filling.lock();
            self.publish(&mut filling);
            filling.closed.get_or_insert(reason);
        }
    }

    /// Starts and ends of all threads. No end is seen without its start.
    pub(crate) fn counts(&self) -> Counts {
        let buffers = self.buffers.lock();
        let sum = |field: fn(&Buffer<T>) -> &AtomicU64| -> u64 {
            buffers.of_threads.iter().map(|buffer| field(buffer).load(Acquire)).sum()
        };
        // the order matters: see the ledger's rules
        let ended = sum(|buffer| &buffer.ended) + buffers.retired.ended;
        let started = sum(|buffer| &buffer.started) + buffers.retired.started;
        Counts { started, ended }
    }

    /// Counts `n` ended items as dropped, for every exporter.
    #[cold]
    fn refuse(&self, reason: DropReason, n: u64) {
        for inlet in &self.inlets {
            inlet.account.turn_away(reason, n);
        }
    }

    #[cold]
    #[inline(never)]
    fn publish(&self, filling: &mut Filling<T>) {
        if filling.items.is_empty() {
            return;
        }
        let spare = self.spare.try_lock().and_then(|mut spare| spare.pop());
        let fresh = spare.unwrap_or_else(|| Vec::with_capacity(self.bounds.chunk_items));
        let items = std::mem::replace(&mut filling.items, fresh);
        let chunk = Arc::new(Chunk { items, bytes: std::mem::take(&mut filling.bytes) });
        for inlet in &self.inlets {
            inlet.offer(&chunk);
        }
    }

    /// Takes back an emptied vector.
    pub(crate) fn recycle(&self, items: Vec<T>) {
        debug_assert!(items.is_empty());
        let mut spare = self.spare.lock();
        if items.capacity() == self.bounds.chunk_items && spare.len() < SPARE_CHUNKS {
            spare.push(items);
        }
    }
}

impl<T> Inlet<T> {
    pub(crate) fn new(bounds: Bounds) -> (Arc<Self>, Outlet<T>) {
        let (sender, receiver) = mpsc::channel();
        let inlet = Arc::new(Self {
            sender,
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            bounds,
            account: Account::default(),
            bell: Bell::default(),
        });
        (inlet.clone(), Outlet { receiver, inlet })
    }

    /// Queues a chunk, or counts it as dropped.
    fn offer(&self, chunk: &Arc<Chunk<T>>) {
        let n = chunk.items.len();
        self.account.offer(n as u64);
        if let Err(reason) = self.reserve(n, chunk.bytes) {
            self.account.refuse(reason, n as u64);
            return self.bell.ring();
        }
        if self.sender.send(chunk.clone()).is_err() {
            // the worker is gone, which only shutdown or a fork can do
            return self.account.refuse(DropReason::AfterShutdown, n as u64);
        }
        if self.ready() {
            self.bell.ring();
        }
    }

    /// Takes room for a chunk.
    fn reserve(&self, n: usize, bytes: usize) -> Result<(), DropReason> {
        // whatever its size, one chunk has room in an empty queue
        let room = |most: usize, more: usize| {
            move |held: usize| held.checked_add(more).filter(|total| *total <= most || held == 0)
        };
        self.items
            .fetch_update(SeqCst, Relaxed, room(self.bounds.queue_items, n))
            .map_err(|_| DropReason::QueueFull)?;
        if self.bytes.fetch_update(SeqCst, Relaxed, room(self.bounds.queue_bytes, bytes)).is_err() {
            self.items.fetch_sub(n, AcqRel);
            return Err(DropReason::BytesFull);
        }
        Ok(())
    }

    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Enough is queued for the worker to start.
    pub(crate) fn ready(&self) -> bool {
        self.items.load(SeqCst) >= self.bounds.wake_items
            || self.bytes.load(SeqCst) >= self.bounds.wake_bytes
    }

    pub(crate) fn queued(&self) -> usize {
        self.items.load(SeqCst)
    }
}

impl<T> Outlet<T> {
    pub(crate) fn inlet(&self) -> &Arc<Inlet<T>> {
        &self.inlet
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.inlet.bell
    }

    /// The next chunk, if there is one; its room is free again.
    pub(crate) fn next(&self) -> Option<Arc<Chunk<T>>> {
        let chunk = self.receiver.try_recv().ok()?;
        self.inlet.items.fetch_sub(chunk.items.len(), AcqRel);
        self.inlet.bytes.fetch_sub(chunk.bytes, AcqRel);
        Some(chunk)
    }
}

impl Bell {
    /// Wakes the sleeper. Until it listens again, further calls only mark a flag.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, SeqCst)
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
    }

    /// Called by the thread that will sleep, before its first [`listen`](Self::listen).
    pub(crate) fn belongs_here(&self) {
        let _ = self.sleeper.set(thread::current());
    }

    /// From here on a ring is heard; what was rung for before must be looked at after this call.
    pub(crate) fn listen(&self) {
        self.rung.swap(false, SeqCst);
    }
}

/// Vectors kept for the next chunks. Under 1 MiB of spans.
const SPARE_CHUNKS: usize = 64;
