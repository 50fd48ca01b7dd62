//! What a span that other crates touched leaves behind when it has ended: nothing.

use allocation_counter::measure;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::{Exporter, LogFormat, Sampler, Setup, Stack};
use tracing::info_span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

fn stack(sampler: impl Into<Sampler>) -> Stack {
    let setup = Setup::new("memory").with_env(|_| None).with_exporter(Exporter::none());
    let setup = setup.with_log_format(LogFormat::Off).with_sampler(sampler);
    setup.build().expect("these settings are right")
}

/// Spans that have all been touched, one after the other and some inside each other.
fn touched(spans: usize) {
    for _ in 0..spans {
        let outer = info_span!("outer");
        assert!(outer.context().span().span_context().is_valid());
        outer.in_scope(|| {
            let inner = info_span!("inner", n = 1);
            inner.set_attribute("k", "v");
            inner.in_scope(|| assert!(tracing::Span::current().context().has_active_span()));
        });
    }
}

#[test]
fn a_touched_span_left_its_data_behind() {
    for sampler in [Sampler::always_on, Sampler::always_off] {
        let stack = stack(Sampler::parent_based(sampler()));
        tracing::dispatcher::with_default(stack.dispatch(), || {
            touched(100);
            let left = measure(|| touched(5_000)).bytes_current;
            assert!(left < 4_096, "{left} bytes are left of 10,000 spans");
        });
    }
}
