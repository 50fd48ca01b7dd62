//! The one call, from inside a span of a subscriber that is only this thread's.

mod support;

use std::time::Duration;

use otel_setup::{LogFormat, Setup};

#[test]
fn a_setup_inside_of_somebody_elses_span_works_from_there_on() {
    let (exporter, seen) = support::memory();
    let guard = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        tracing::info_span!("around").in_scope(|| {
            let guard = Setup::new("inside")
                .with_env(|_| None)
                .with_exporter(exporter)
                .with_log_format(LogFormat::Off)
                .init()
                .expect("nobody was before");
            // this thread still has the other subscriber
            tracing::info_span!("theirs").in_scope(|| {});
            guard
        })
    });
    tracing::info_span!("ours").in_scope(|| {});
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    let names: Vec<_> = support::spans(&seen).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["ours"]);
}
