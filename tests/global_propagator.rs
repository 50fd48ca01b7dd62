//! What goes by the global propagator, which `Setup::init` installs: once in a process.

mod support;

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::propagation::{
    CurrentTrace, Injector as _, Propagator, Relation, TraceCarrier, current_span_context, extract,
    extract_env, inject, inject_env, inject_env_by, spawn_thread,
};
use otel_setup::{Guard, Setup};
use support::{child, is_child, memory, run, spans};
use tracing::info_span;

const PARENT: &str = "00-0000000000000000000000000000004d-0000000000000007-01";

#[test]
fn a_carrier_holds_the_current_context() {
    setup();
    let span = info_span!("work");
    span.in_scope(|| {
        let _attached = with_tenant(&Context::current()).attach();
        let carrier = TraceCarrier::current();
        let fields: HashMap<_, _> = carrier.iter().collect();
        assert_eq!(fields["traceparent"], traceparent(&here()));
        assert_eq!(fields["baggage"], "tenant=7");
        assert_eq!(fields.len(), 2, "{fields:?}");
    });
    assert!(TraceCarrier::current().is_empty(), "outside of every trace there is nothing to hold");
}

#[test]
fn a_carrier_of_another_context_gives_it_back() {
    setup();
    let cause = with_tenant(&Context::new().with_remote_span_context(remote("a=1,b=2")));
    let carrier = info_span!("elsewhere").in_scope(|| TraceCarrier::of(&cause));
    let back = carrier.extract();
    assert_eq!(back.span().span_context(), &remote("a=1,b=2"));
    assert_eq!(tenant(&back).as_deref(), Some("7"));
}

#[test]
fn what_is_not_in_a_carrier_is_not_in_its_context() {
    setup();
    info_span!("elsewhere").in_scope(|| {
        let _attached = with_tenant(&Context::current()).attach();
        let context = TraceCarrier::default().extract();
        assert!(!context.has_active_span());
        assert_eq!(tenant(&context), None);
    });
}

#[test]
fn a_span_under_an_attached_carrier_is_its_child() {
    let seen = setup();
    let carrier = TraceCarrier::of(&Context::new().with_remote_span_context(remote("")));
    {
        let _attached = carrier.attach();
        info_span!("under an attached carrier").in_scope(|| ());
    }
    assert_eq!(current_span_context(), None, "the guard takes the context away again");
    let span = ended(seen, "under an attached carrier");
    assert_eq!(span.span_context.trace_id(), remote("").trace_id());
    assert_eq!(span.parent_span_id, remote("").span_id());
}

#[test]
fn a_carriers_span_and_the_one_around_it_are_parent_and_link() {
    let seen = setup();
    let carrier = TraceCarrier::of(&Context::new().with_remote_span_context(remote("")));
    let elsewhere = info_span!("elsewhere").in_scope(|| {
        drop(carrier.span(Relation::Child, || info_span!("a carrier's child")));
        drop(carrier.span(Relation::Link, || info_span!("a carrier's link")));
        here()
    });
    drop(carrier.span(Relation::Link, || info_span!("a carrier's root")));
    for (name, parent, link) in [
        ("a carrier's child", remote("").span_id(), elsewhere.span_id()),
        ("a carrier's link", elsewhere.span_id(), remote("").span_id()),
        ("a carrier's root", SpanId::INVALID, remote("").span_id()),
    ] {
        let span = ended(seen, name);
        assert_eq!(span.parent_span_id, parent, "{name}");
        let links: Vec<_> = span.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(links, [link], "{name}");
        let is_of_carrier = span.span_context.trace_id() == remote("").trace_id();
        assert_eq!(is_of_carrier, name == "a carrier's child");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_stored_carrier_continues_the_trace() {
    let seen = setup();
    let (stored, cause) = info_span!("stores").in_scope(|| {
        let carrier = TraceCarrier::current();
        (serde_json::to_string(&carrier).expect("a map of strings"), here())
    });
    let carrier: TraceCarrier = serde_json::from_str(&stored).expect("a map of strings");
    drop(carrier.span(Relation::Child, || info_span!("picks up")));
    let span = ended(seen, "picks up");
    assert_eq!(span.span_context.trace_id(), cause.trace_id());
    assert_eq!(span.parent_span_id, cause.span_id());
    assert!(span.parent_span_is_remote);
}

#[test]
fn a_carrier_that_was_read_is_bounded_and_keeps_its_trace() {
    setup();
    let trace = format!("traceparent={PARENT}");
    let flood = (0..1000).map(|n| format!("&k{n}=v")).collect::<Vec<_>>().concat();
    let long = format!("&baggage={}", "x".repeat(20_000));
    for text in [format!("{trace}{flood}"), format!("{trace}{long}")] {
        let carrier: TraceCarrier = text.parse().expect("parsing never fails");
        assert!(carrier.iter().count() <= 64);
        assert!(
            carrier.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= 16_384
        );
        assert_eq!(carrier.extract().span().span_context(), &remote(""));
    }
    let mut damaged: TraceCarrier = trace.parse().expect("parsing never fails");
    damaged.set("traceparent", PARENT[..54].to_owned());
    assert!(!damaged.extract().has_active_span());
}

#[test]
fn any_carrier_is_written_and_read() {
    setup();
    info_span!("work").in_scope(|| {
        let mut headers = HashMap::new();
        inject(&mut headers);
        let context = extract(&headers);
        assert_eq!(context.span().span_context().span_id(), here().span_id());
        assert!(context.span().span_context().is_remote());
    });
}

#[test]
fn a_child_process_gets_the_current_trace() {
    setup();
    let mut command = Command::new("true");
    // of an older trace, as the command would inherit them
    command.env("TRACEPARENT", PARENT).env("TRACESTATE", "old=1").env("PATH", "/bin");
    let here = info_span!("starts a process").in_scope(|| {
        inject_env(&mut command);
        here()
    });
    let variables: HashMap<_, _> = command
        .get_envs()
        .map(|(name, value)| (name.to_str().expect("ours"), value.and_then(|v| v.to_str())))
        .collect();
    assert_eq!(variables["TRACEPARENT"], Some(traceparent(&here).as_str()));
    assert_eq!(variables["TRACESTATE"], None, "it belongs to the old parent");
    assert_eq!(variables["BAGGAGE"], None);
    assert_eq!(variables["PATH"], Some("/bin"));
}

#[test]
fn baggage_of_jaegers_format_in_our_own_environment_is_not_inherited() {
    const CASE: &str = "baggage_of_jaegers_format_in_our_own_environment_is_not_inherited";
    if is_child(CASE) {
        let context = Context::new().with_remote_span_context(remote("a=1"));
        let mut command = Command::new("true");
        inject_env_by(&Propagator::jaeger(), &context, &mut command);
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert_eq!(removed, [("UBERCTX_USER".as_ref(), None)]);
        return;
    }
    run(child(CASE).env("UBERCTX_USER", "admin")).assert_success();
}

#[test]
fn a_process_continues_the_trace_that_started_it() {
    const CASE: &str = "a_process_continues_the_trace_that_started_it";
    setup();
    if is_child(CASE) {
        let caller = extract_env();
        let span = caller.span();
        println!("\nparent={}", traceparent(span.span_context()));
        println!("state={}", span.span_context().trace_state().header());
        println!("tenant={}", tenant(&caller).unwrap_or_default());
        return;
    }
    let mut command = child(CASE);
    {
        let _attached =
            with_tenant(&Context::new().with_remote_span_context(remote("a=1"))).attach();
        inject_env(&mut command);
    }
    let child = run(&mut command);
    child.assert_success();
    for line in [&format!("parent={PARENT}"), "state=a=1", "tenant=7"] {
        assert!(child.stdout.lines().any(|l| l == line), "no {line} in {}", child.stdout);
    }
}

#[test]
fn a_thread_keeps_the_trace() {
    let seen = setup();
    let outer = info_span!("spawns a thread").in_scope(|| {
        let _attached = with_tenant(&Context::current()).attach();
        let thread = spawn_thread(|| {
            drop(info_span!("on a thread"));
            tenant(&TraceCarrier::current().extract())
        });
        assert_eq!(thread.join().expect("it does not panic").as_deref(), Some("7"));
        here()
    });
    assert_eq!(ended(seen, "on a thread").parent_span_id, outer.span_id());
}

#[test]
fn related_work_elsewhere_carries_its_own_span() {
    let seen = setup();
    let outer = info_span!("causes").in_scope(|| {
        let work = CurrentTrace::related(Relation::Link, || info_span!("linked work"));
        let carrier = work.spawn_thread(TraceCarrier::current).join().expect("it does not panic");
        let cause = here();
        let id = carrier.extract().span().span_context().span_id();
        assert_ne!(id, cause.span_id());
        assert_eq!(ended(seen, "linked work").span_context.span_id(), id);
        cause
    });
    let links = ended(seen, "linked work").links;
    assert_eq!(
        links.iter().map(|l| l.span_context.span_id()).collect::<Vec<_>>(),
        [outer.span_id()]
    );
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_keep_the_trace() {
    use otel_setup::propagation::{spawn, spawn_blocking};
    use tracing::{Instrument as _, info};

    let seen = setup();
    let outer = async {
        let task = spawn(async {
            tokio::task::yield_now().await;
            info!("in a task");
            drop(info_span!("in a task"));
            TraceCarrier::current()
        });
        let carrier = task.await.expect("it does not panic");
        let fields: HashMap<_, _> = carrier.iter().collect();
        assert_eq!(fields["traceparent"], traceparent(&here()));
        let blocking = spawn_blocking(|| drop(info_span!("in a blocking task")));
        blocking.await.expect("it does not panic");
        here()
    };
    let outer = outer.instrument(info_span!("spawns tasks")).await;
    for name in ["in a task", "in a blocking task"] {
        assert_eq!(ended(seen, name).parent_span_id, outer.span_id(), "{name}");
    }
    assert_eq!(ended(seen, "spawns tasks").events.len(), 1);
}

/// Sets up the process, and is what its exporter has seen.
fn setup() -> &'static Process {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    PROCESS.get_or_init(|| {
        let (exporter, seen) = memory();
        let setup = Setup::new("global-propagator").with_env(|_| None).with_exporter(exporter);
        Process { guard: setup.init().expect("nothing is wrong with it"), seen }
    })
}

struct Process {
    guard: Guard,
    seen: InMemorySpanExporter,
}

/// The one span of this name, which has ended.
#[track_caller]
fn ended(process: &Process, name: &str) -> SpanData {
    process.guard.flush(Duration::from_secs(10)).expect("a memory takes everything");
    let mut named: Vec<_> =
        spans(&process.seen).into_iter().filter(|span| span.name == name).collect();
    assert_eq!(named.len(), 1, "spans named {name:?}");
    named.remove(0)
}

fn remote(state: &str) -> SpanContext {
    SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        state.parse::<TraceState>().expect("a valid state"),
    )
}

fn here() -> SpanContext {
    current_span_context().expect("there is a current span")
}

fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}

fn with_tenant(context: &Context) -> Context {
    context.with_baggage([KeyValue::new("tenant", "7")])
}

fn tenant(context: &Context) -> Option<String> {
    context.baggage().get("tenant").map(ToString::to_string)
}
