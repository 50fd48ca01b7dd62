//! Child processes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::process::Command;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use otel_setup::propagation::{Propagator, extract_env_by, inject_env_by};

use super::{remote, remote_context};

fn variables(command: &Command) -> HashMap<String, Option<String>> {
    let text = |text: &OsStr| text.to_str().expect("UTF-8").to_owned();
    command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
}

#[test]
fn a_child_gets_the_context_and_none_of_an_old_one() {
    let mut command = Command::new("true");
    command.env("TRACESTATE", "old=1").env("PATH", "/bin");
    let both = Propagator::composite([Propagator::trace_context(), Propagator::b3_multi()]);
    inject_env_by(&both, &remote_context(), &mut command);
    let variables = variables(&command);
    let parent = "00-0000000000000000000000000000004d-0000000000000007-01";
    assert_eq!(variables["TRACEPARENT"].as_deref(), Some(parent));
    assert_eq!(variables["TRACESTATE"], None, "removed, not inherited");
    assert_eq!(variables["X_B3_SPANID"].as_deref(), Some("0000000000000007"));
    assert_eq!(variables["PATH"].as_deref(), Some("/bin"));
}

#[test]
fn baggage_of_jaegers_format_that_an_older_trace_left_is_not_inherited() {
    let old = ["UBERCTX_USER", "UBER_TRACE_ID", "X_B3_FLAGS", "uberctx_mine", "UBERCTXT"];
    for (propagator, kept) in [
        (Propagator::jaeger(), &["X_B3_FLAGS", "uberctx_mine", "UBERCTXT"][..]),
        (Propagator::b3(), &["UBERCTX_USER", "UBER_TRACE_ID", "uberctx_mine", "UBERCTXT"]),
    ] {
        let mut command = Command::new("true");
        command.envs(old.map(|name| (name, "old")));
        inject_env_by(&propagator, &remote_context(), &mut command);
        let variables = variables(&command);
        let is_kept = |name: &&str| variables[*name].as_deref() == Some("old");
        assert_eq!(old.into_iter().filter(is_kept).count(), kept.len(), "{variables:?}");
        assert!(kept.iter().all(is_kept), "{variables:?}");
    }
}

#[test]
fn outside_of_a_trace_the_environment_stays_as_it_is() {
    let mut command = Command::new("true");
    command.env("TRACEPARENT", "of somebody else");
    inject_env_by(&Propagator::trace_context(), &Context::new(), &mut command);
    assert_eq!(variables(&command)["TRACEPARENT"].as_deref(), Some("of somebody else"));
}

#[test]
fn a_process_reads_the_context_that_it_was_started_in() {
    let parent = "00-0000000000000000000000000000004d-0000000000000007-01";
    let variables = [("TRACEPARENT", parent), ("TRACESTATE", "a=1"), ("_TRACEPARENT", "b")];
    let context = extract_env_by(&Propagator::trace_context(), variables);
    let span = context.span();
    assert_eq!(span.span_context().span_id(), remote().span_id());
    assert_eq!(span.span_context().trace_state().get("a"), Some("1"));
    let nothing = extract_env_by(&Propagator::trace_context(), [("PATH", "/bin")]);
    assert!(!nothing.has_active_span());
}

#[test]
fn what_is_written_into_an_environment_is_read_again_by_every_propagator() {
    let values = [KeyValue::new("tenant_id", "a b"), KeyValue::new("user", "7")];
    let sent = remote_context().with_baggage(values);
    for (name, writer, reader) in [
        ("w3c", Propagator::trace_context(), Propagator::trace_context()),
        ("b3", Propagator::b3(), Propagator::b3_multi()),
        ("b3multi", Propagator::b3_multi(), Propagator::b3()),
        ("jaeger", Propagator::jaeger(), Propagator::jaeger()),
        ("xray", Propagator::xray(), Propagator::xray()),
    ] {
        let mut command = Command::new("true");
        inject_env_by(&writer, &sent, &mut command);
        let written = variables(&command).into_iter().filter_map(|(name, v)| Some((name, v?)));
        let read = extract_env_by(&reader, written);
        assert_eq!(read.span().span_context(), &remote(), "{name}");
        if name == "jaeger" {
            let of = |key| read.baggage().get(key).map(ToString::to_string);
            assert_eq!([of("tenant_id"), of("user")], [Some("a b".into()), Some("7".into())]);
        }
    }
}
