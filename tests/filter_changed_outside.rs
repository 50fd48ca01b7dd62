//! A filter that is changed where the stack is not the current subscriber, the only one there is.

mod support;

use otel_setup::{LogFormat, Setup};

#[test]
fn a_filter_changed_outside_of_the_stacks_scope_holds_inside() {
    let (exporter, seen) = support::memory();
    let stack = Setup::new("filter")
        .with_env(|_| None)
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .build()
        .expect("these settings are right");
    let work = || {
        tracing::dispatcher::with_default(stack.dispatch(), || {
            tracing::info_span!("seen").in_scope(|| {});
            tracing::debug_span!("work").in_scope(|| {});
        });
        stack.flush(std::time::Duration::from_secs(10)).expect("nothing is lost");
    };
    work();
    assert_eq!(support::spans(&seen).len(), 1);
    stack.set_trace_filter("debug").expect("it parses");
    work();
    assert_eq!(support::spans(&seen).len(), 3);
}
