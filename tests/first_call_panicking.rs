//! The very first setup, from a destructor that runs because its thread is panicking.

mod support;

use otel_setup::{LogFormat, Setup};
use support::{memory, spans};

#[test]
fn a_first_setup_while_panicking_works() {
    let (exporter, seen) = memory();
    let panicked = std::thread::spawn(move || {
        let _sets_up = SetsUp(Some(exporter));
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    assert_eq!(spans(&seen).len(), 1);
    assert!(otel_setup::setup_tracing("late").is_ok());
}

struct SetsUp(Option<otel_setup::Exporter>);

impl Drop for SetsUp {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        let exporter = self.0.take().expect("dropped once");
        let guard = Setup::new("late")
            .with_exporter(exporter)
            .with_log_format(LogFormat::Off)
            .init()
            .expect("nobody was before");
        tracing::info_span!("while unwinding").in_scope(|| {});
        drop(guard);
    }
}
