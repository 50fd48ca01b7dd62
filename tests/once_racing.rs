//! Of many threads that set up at once, exactly one installs.

mod support;

use std::sync::Barrier;
use std::thread;

use otel_setup::{Setup, setup_tracing};
use support::{memory, spans};

#[test]
fn of_racing_threads_exactly_one_installs() {
    const THREADS: usize = 16;
    let barrier = Barrier::new(THREADS);
    let start = |n: usize| {
        let (exporter, seen) = memory();
        barrier.wait();
        // half of them strict, half of them not
        let won = if n.is_multiple_of(2) {
            let setup = Setup::new("racing").with_exporter(exporter).init();
            match setup {
                Ok(guard) => {
                    std::mem::forget(guard);
                    true
                }
                Err(error) => {
                    assert!(error.is_already_installed(), "{error}");
                    let text = error.to_string();
                    assert!(text.contains("\"racing\", at tests/once_racing.rs:"), "{text}");
                    false
                }
            }
        } else {
            std::mem::forget(setup_tracing("racing").expect("it shares what won"));
            false
        };
        (won, seen)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || start(n))).collect();
        threads.into_iter().map(|t| t.join().expect("no thread panics")).collect()
    });

    // a `setup_tracing` may have won, with the console: then no memory exporter has
    assert!(results.iter().filter(|(won, _)| *won).count() <= 1);
    let guard = setup_tracing("racing").expect("it is installed");
    tracing::info_span!("after the race").in_scope(|| {});
    guard.flush(std::time::Duration::from_secs(10)).expect("nothing is lost");
    assert_eq!(guard.stats().started, 1);
    for (won, seen) in &results {
        assert_eq!(spans(seen).len(), usize::from(*won));
    }
}
