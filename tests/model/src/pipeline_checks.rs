//! What must hold of the queue and the ledger in whatever order threads run.

use crate::pipeline::ledger::{Account, DropReason, Outcome};
use crate::pipeline::queue::{Bounds, Buffer, Exchange, Inlet, Outlet};
use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, check, thread};

const EXPORTED: Outcome = Outcome::Exported { rejected: 0 };

fn bounds(queue_items: usize) -> Bounds {
    Bounds {
        queue_items,
        queue_bytes: usize::MAX,
        chunk_items: 2,
        chunk_bytes: usize::MAX,
        wake_items: 1,
        wake_bytes: usize::MAX,
    }
}

struct Line {
    exchange: Arc<Exchange<u8>>,
    inlet: Arc<Inlet<u8>>,
    outlet: Outlet<u8>,
}

fn line(queue_items: usize) -> Line {
    let (inlet, outlet) = Inlet::new(bounds(queue_items));
    let exchange = Arc::new(Exchange::new(vec![inlet.clone()], bounds(queue_items)));
    Line { exchange, inlet, outlet }
}

/// A thread that starts and ends `n` items in a buffer of its own.
fn producer(exchange: &Arc<Exchange<u8>>, n: usize) -> thread::JoinHandle<()> {
    let exchange = exchange.clone();
    thread::spawn(move || {
        let buffer: Arc<Buffer<u8>> = exchange.buffer(None);
        for _ in 0..n {
            buffer.start();
            buffer.push(0, 1, &exchange);
        }
    })
}

/// Settles all that is queued; how much that was.
fn drain(outlet: &Outlet<u8>) -> u64 {
    let mut drained = 0;
    while let Some(chunk) = outlet.next() {
        drained += chunk.items.len() as u64;
        outlet.inlet().account.settle(chunk.items.len() as u64, EXPORTED);
    }
    drained
}

/// As `Guard::stats` reads it.
fn balanced(exchange: &Exchange<u8>, inlet: &Inlet<u8>) {
    let account = inlet.account.read("checked");
    let counts = exchange.counts();
    let settled = account.exported + account.lost();
    assert!(counts.ended <= counts.started, "an end without its start: {counts:?}");
    assert!(settled <= counts.ended, "{settled} settled of {counts:?}");
}

#[test]
fn the_ledger_balances_whenever_it_is_read() {
    check(|| {
        let Line { exchange, inlet, outlet } = line(2);
        let producing = producer(&exchange, 3);
        let reading = {
            let (exchange, inlet) = (exchange.clone(), inlet.clone());
            thread::spawn(move || balanced(&exchange, &inlet))
        };
        drain(&outlet);
        producing.join().unwrap();
        reading.join().unwrap();
        balanced(&exchange, &inlet);
        exchange.close(DropReason::AfterShutdown);
        drain(&outlet);
        assert_eq!((exchange.counts().ended, inlet.account.settled()), (3, 3));
        assert_eq!(inlet.queued(), 0);
    });
}

#[test]
fn a_worker_that_sleeps_is_woken_for_everything() {
    check(|| {
        let Line { exchange, outlet, .. } = line(100);
        let worker = thread::spawn(move || {
            outlet.bell().belongs_here();
            let mut drained = 0;
            while drained < 4 {
                outlet.bell().listen();
                drained += drain(&outlet);
                if drained < 4 {
                    thread::park();
                }
            }
        });
        let producing = [producer(&exchange, 2), producer(&exchange, 2)];
        producing.into_iter().for_each(|thread| thread.join().unwrap());
        // a wake-up that is lost is a deadlock, which the scheduler sees
        worker.join().unwrap();
    });
}

#[test]
fn what_ends_while_the_exchange_closes_is_queued_or_dropped_and_counted() {
    check(|| {
        let Line { exchange, inlet, outlet } = line(100);
        let producing = producer(&exchange, 3);
        exchange.close(DropReason::AfterShutdown);
        producing.join().unwrap();
        // nothing is left in a buffer: what is there was closed with it
        let drained = drain(&outlet);
        let dropped = inlet.account.dropped().by(DropReason::AfterShutdown);
        assert_eq!((exchange.counts().ended, drained + dropped), (3, 3));
        assert_eq!(inlet.account.offered(), 3);
    });
}

#[test]
fn a_thread_that_ends_leaves_its_spans_and_its_counts() {
    check(|| {
        let Line { exchange, inlet, outlet } = line(100);
        let producing = producer(&exchange, 1);
        exchange.sweep();
        balanced(&exchange, &inlet);
        producing.join().unwrap();
        exchange.sweep();
        let counts = exchange.counts();
        assert_eq!((counts.started, counts.ended, drain(&outlet)), (1, 1, 1));
    });
}

#[test]
fn a_queue_never_holds_more_than_it_may() {
    check(|| {
        let Line { exchange, inlet, outlet } = line(2);
        let producing = [producer(&exchange, 2), producer(&exchange, 2)];
        assert!(inlet.queued() <= 2);
        let drained = drain(&outlet);
        producing.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(inlet.queued() <= 2);
        let drained = drained + drain(&outlet);
        let dropped = inlet.account.dropped().by(DropReason::QueueFull);
        assert_eq!(drained + dropped, 4);
        assert_eq!(inlet.queued(), 0);
    });
}

#[test]
fn a_worker_and_a_shutdown_settle_each_span_once() {
    check(|| {
        let account = Arc::new(Account::default());
        account.offer(4);
        let worker = {
            let account = account.clone();
            thread::spawn(move || {
                account.settle(2, EXPORTED);
                account.settle(2, Outcome::Dropped(DropReason::ExportFailed));
            })
        };
        let left = account.abandon();
        worker.join().unwrap();
        assert_eq!((account.offered(), account.settled()), (4, 4));
        assert_eq!(account.dropped().by(DropReason::ShutdownTimeout), left);
    });
}

#[test]
fn two_exporters_get_everything_and_hold_each_other_up_in_nothing() {
    check(|| {
        let (one, first) = Inlet::new(bounds(100));
        let (two, second) = Inlet::new(bounds(2));
        let exchange = Arc::new(Exchange::new(vec![one.clone(), two.clone()], bounds(100)));
        let drained = Arc::new(AtomicUsize::new(0));
        let producing = producer(&exchange, 4);
        let worker = {
            let drained = drained.clone();
            thread::spawn(move || {
                drained.fetch_add(usize::try_from(drain(&first)).unwrap(), SeqCst);
                first
            })
        };
        producing.join().unwrap();
        let first = worker.join().unwrap();
        let rest = usize::try_from(drain(&first)).unwrap();
        assert_eq!(drained.load(SeqCst) + rest, 4);
        // nobody drained the other one
        assert_eq!((two.queued(), two.account.dropped().by(DropReason::QueueFull)), (2, 2));
        assert_eq!(drain(&second), 2);
    });
}
