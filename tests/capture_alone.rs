//! A capture that is the only subscriber of its process: alone in its file, so in its process.

#![cfg(feature = "testing")]

use otel_setup::testing::{capture, span};

fn work() {
    tracing::info_span!("work").in_scope(|| {});
}

#[test]
fn a_thread_without_a_subscriber_switched_a_callsite_off_for_the_capture() {
    let capture = capture();
    std::thread::spawn(work).join().expect("nothing panics");
    work();
    capture.assert(span("work"));
}
