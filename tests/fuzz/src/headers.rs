//! Headers of any bytes, by every propagator, and the lists that variables hold: what is read is
//! valid, what is written is read again as the same, and nothing panics.

#![no_main]

use std::ffi::OsString;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::TraceContextExt as _;
use otel_setup::propagation::{
    HeaderExtractor, HeaderInjector, Propagator, TextMapPropagator as _,
};
use otel_setup::{Exporter, Setup};

static PROPAGATORS: LazyLock<[Propagator; 6]> = LazyLock::new(|| {
    [
        Propagator::composite([Propagator::trace_context(), Propagator::baggage()]),
        Propagator::b3(),
        Propagator::b3_multi(),
        Propagator::jaeger(),
        Propagator::xray(),
        Propagator::composite([Propagator::xray(), Propagator::b3(), Propagator::trace_context()]),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    propagated(bytes);
    listed(bytes);
});

/// Each line is a header; the byte before it says which.
fn propagated(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let [which, value @ ..] = line else { continue };
        let name = NAMES[usize::from(*which) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    for propagator in &*PROPAGATORS {
        let context = propagator.extract(&HeaderExtractor(&headers));
        let span = context.span().span_context().clone();
        assert_eq!(span.is_valid(), span.is_remote(), "{headers:?}");
        let mut written = HeaderMap::new();
        propagator.inject_context(&context, &mut HeaderInjector(&mut written));
        let again = propagator.extract(&HeaderExtractor(&written));
        let again = again.span().span_context().clone();
        assert_eq!((again.trace_id(), again.span_id()), (span.trace_id(), span.span_id()));
        assert_eq!(again.is_sampled(), span.is_sampled(), "{headers:?} {written:?}");
    }
}

/// As the value of the variables that hold lists.
fn listed(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let value = OsString::from(text);
    let setup = Setup::new("fuzz").with_exporter(Exporter::otlp()).with_resource_detectors([]);
    let setup = setup.with_env(move |name| LISTS.contains(&name).then(|| value.clone()));
    let explanation = setup.explain();
    let _ = (explanation.to_string(), explanation.to_json());
}

const NAMES: [&str; 10] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "x-amzn-trace-id",
];

const LISTS: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_PROPAGATORS",
    "OTEL_RUST_RESOURCE_DETECTORS",
];
