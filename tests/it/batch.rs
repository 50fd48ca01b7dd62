//! Batches and what is in them, whatever was asked for.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry::{KeyValue, Value};
use otel_setup::{LogFormat, Setup};

use crate::support::{Said, memory, span, spans, spans_in, with_variables};
use crate::{run, stack};

#[test]
fn every_variable_of_the_batches_works_at_its_extremes() {
    for name in [
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    ] {
        for value in ["0", "1", "9223372036854775807", "18446744073709551615"] {
            let (exporter, seen) = memory();
            let stack = Setup::new("it")
                .with_env(with_variables(&[(name, value)]))
                .with_exporter(exporter)
                .with_log_format(LogFormat::Off)
                .with_diagnostics(Said::default().sink())
                .build()
                .unwrap_or_else(|error| panic!("{name}={value}: {error}"));
            for n in 1..=3 {
                // one at a time fits any queue
                spans_in(&stack, 1);
                let flushed = stack.flush(Duration::from_secs(20));
                flushed.unwrap_or_else(|error| panic!("{name}={value}: {error}"));
                assert_eq!(spans(&seen).len(), n, "{name}={value}");
            }
            stack.shutdown(Duration::from_secs(20)).expect("nothing is lost");
        }
    }
}

#[test]
fn a_span_never_ends_before_it_starts() {
    let (stack, seen) = stack(|s| s);
    let later = SystemTime::now() + Duration::from_secs(3600);
    run(&stack, || {
        let tracer = stack.tracer_provider().tracer("native");
        // as if the clock had been set back while it was open
        let mut native = tracer.span_builder("native").with_start_time(later).start(&tracer);
        native.end();
        let mut told = tracer.span_builder("told").with_start_time(later).start(&tracer);
        told.end_with_timestamp(SystemTime::UNIX_EPOCH);
    });
    for name in ["native", "told"] {
        let span = span(&seen, name);
        assert_eq!((span.start_time, span.end_time), (later, later), "{name}");
    }
}

#[test]
fn of_a_key_that_comes_twice_the_last_value_is_exported_once() {
    let (stack, seen) = stack(|s| s);
    run(&stack, || {
        let tracer = stack.tracer_provider().tracer("native");
        let mut native = tracer.start("native");
        for n in 0..3 {
            native.set_attribute(KeyValue::new("key", n));
            native.set_attribute(KeyValue::new(format!("other {n}"), n));
        }
    });
    let native = span(&seen, "native");
    let of_key: Vec<_> = native.attributes.iter().filter(|a| a.key.as_str() == "key").collect();
    assert_eq!((of_key.len(), &of_key[0].value), (1, &Value::I64(2)));
    assert_eq!(native.attributes.len(), 4);
}
