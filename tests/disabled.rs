//! A span that both filters refuse is refused at its callsite.
//!
//! A process of its own: the callsite's interest is shared by all dispatchers of a process.

mod support;

use otel_setup::{Exporter, Setup};

#[test]
fn what_both_filters_refuse_is_refused_at_the_callsite() {
    let guard = Setup::new("disabled")
        .with_exporter(Exporter::none())
        .with_log_filter("warn")
        .with_trace_filter("warn")
        .init()
        .expect("nobody was before");
    let info = || tracing::info_span!("info").is_disabled();
    assert!(info());
    assert!(!tracing::warn_span!("warn").is_disabled());

    guard.set_log_filter("info").expect("it parses");
    assert!(!info(), "the log lines want it now");
    guard.set_log_filter("warn").expect("it parses");
    assert!(info());
}
