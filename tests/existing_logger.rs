//! A `log` logger that was there before is not a failure of ours: it is reported.

mod support;

use std::time::Duration;

use otel_setup::Setup;
use support::{Said, memory, span};

struct Elsewhere;

impl log::Log for Elsewhere {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &log::Record<'_>) {}
    fn flush(&self) {}
}

#[test]
fn an_existing_log_logger_is_reported_and_traces_work() {
    log::set_logger(&Elsewhere).expect("we are first");
    let (exporter, seen) = memory();
    let said = Said::default();
    let guard = Setup::new("beside a logger")
        .with_exporter(exporter)
        .with_diagnostics(said.sink())
        .init()
        .expect("a logger is not a failure");
    let said = said.lines();
    assert!(said.iter().any(|line| line.contains("another `log` logger is installed")), "{said:?}");

    tracing::info_span!("works").in_scope(|| log::info!("goes elsewhere"));
    guard.flush(Duration::from_secs(10)).expect("nothing is lost");
    assert!(span(&seen, "works").events.is_empty());
}
