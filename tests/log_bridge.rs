//! Records of the `log` crate become events of the span that they happen in.

mod support;

use std::time::Duration;

use otel_setup::{LogFormat, Setup};
use support::{memory, span};

#[test]
fn log_records_become_events_of_the_current_span() {
    let (exporter, seen) = memory();
    let guard = Setup::new("bridged")
        .with_exporter(exporter)
        .with_log_format(LogFormat::Off)
        .init()
        .expect("nobody was before");
    // who comes later is told, and takes nothing away
    log::set_logger(&Late).expect_err("the bridge was before");
    tracing::info_span!("caller").in_scope(|| {
        log::info!("from the log crate");
        log::debug!("under the filter's level");
    });
    guard.set_trace_filter("debug").expect("it parses");
    tracing::info_span!("verbose").in_scope(|| log::debug!("now above it"));
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");

    let names = |name| -> Vec<_> {
        span(&seen, name).events.iter().map(|event| event.name.to_string()).collect()
    };
    assert_eq!(names("caller"), ["from the log crate"]);
    assert_eq!(names("verbose"), ["now above it"]);
}

struct Late;

impl log::Log for Late {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}
