//! Log lines on stderr: their ids, their escapes, and their independence from traces.

mod support;

use std::time::Duration;

use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use otel_setup::{LogFormat, Sampler, Setup, setup_tracing};
use support::{Child, child, is_child, memory, run, span};

/// Log lines of one child, without its own messages.
fn lines(out: &Child) -> Vec<&str> {
    out.stderr.lines().filter(|line| !line.starts_with("otel-setup:")).collect()
}

#[test]
fn a_line_carries_the_ids_of_its_span() {
    if is_child("a_line_carries_the_ids_of_its_span") {
        let guard = setup_tracing("lines").expect("nobody was before");
        let outer = tracing::info_span!("outer", user = "alice", late = tracing::field::Empty);
        outer.record("late", 7);
        outer.in_scope(|| {
            tracing::info!(n = 1, "first");
            tracing::info_span!("inner").in_scope(|| tracing::warn!("second"));
        });
        tracing::error!(parent: &outer, "third, by explicit parent");
        tracing::info!("fourth, outside");
        let tracer = opentelemetry::global::tracer("native");
        tracer.in_span("native", |_| tracing::info!("fifth, in a native span"));
        drop(outer);
        drop(guard);
        return;
    }
    let out = run(&mut child("a_line_carries_the_ids_of_its_span"));
    out.assert_success();
    let lines = lines(&out);
    assert_eq!(lines.len(), 5, "{}", out.stderr);

    let printed = |name: &str, key: &str| -> String {
        let span = out
            .stdout
            .split("Instrumentation Scope")
            .find(|span| span.contains(&format!("Name         : {name}\n")));
        let line = span.and_then(|s| s.lines().find(|l| l.contains(key))).expect("it is printed");
        line.split(": ").nth(1).expect("key and value").to_owned()
    };
    let ids = |name| {
        format!(" trace_id={} span_id={}", printed(name, "TraceId"), printed(name, "SpanId"))
    };
    let outer = "outer{user=\"alice\" late=7}";
    assert!(
        lines[0].contains(&format!("log_lines: first n=1 in {outer}{}", ids("outer"))),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("Z  INFO "), "{}", lines[0]);
    assert!(
        lines[1].ends_with(&format!("second in inner < {outer}{}", ids("inner"))),
        "{}",
        lines[1]
    );
    assert!(lines[2].ends_with(&format!("parent in {outer}{}", ids("outer"))), "{}", lines[2]);
    assert!(lines[3].ends_with("fourth, outside"), "{}", lines[3]);
    assert!(
        lines[4].ends_with(&format!("fifth, in a native span{}", ids("native"))),
        "{}",
        lines[4]
    );
}

#[test]
fn words_for_the_tracing_layer_are_in_no_line() {
    let case = "words_for_the_tracing_layer_are_in_no_line";
    if is_child(case) {
        let format = match std::env::var("FORMAT").as_deref() {
            #[cfg(feature = "log-json")]
            Ok("json") => LogFormat::Json,
            _ => LogFormat::Text,
        };
        let guard = Setup::new("lines").with_log_format(format).init().expect("nobody was before");
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            otel.name = "GET /",
            user = "alice",
            otel.status_code = tracing::field::Empty,
            late = tracing::field::Empty,
        );
        span.record("otel.status_code", "error");
        span.record("late", 7);
        span.in_scope(|| tracing::info!("inside"));
        drop((span, guard));
        return;
    }
    let formats: &[_] = if cfg!(feature = "log-json") { &["text", "json"] } else { &["text"] };
    for format in formats {
        let out = run(child(case).env("FORMAT", format));
        out.assert_success();
        let lines = lines(&out);
        assert_eq!(lines.len(), 1, "{}", out.stderr);
        assert!(!lines[0].contains("otel."), "{}", lines[0]);
        let fields = match *format {
            "json" => r#""fields":{"late":7,"user":"alice"}"#,
            _ => r#"request{user="alice" late=7}"#,
        };
        assert!(lines[0].contains(fields), "{}", lines[0]);
        assert!(out.stdout.contains("GET /"), "the span has its name: {}", out.stdout);
    }
}

#[cfg(feature = "log-json")]
#[test]
fn a_json_line_is_json_whatever_is_in_it() {
    if is_child("a_json_line_is_json_whatever_is_in_it") {
        let guard = Setup::new("lines").with_log_format(LogFormat::Json).init();
        let _guard = guard.expect("nobody was before");
        let span =
            tracing::info_span!("request \"quoted\"", path = "/a\nb", late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", "\u{1b}[31m");
        tracing::info!(nan = f64::NAN, big = u64::MAX, r#type = "t", "said\r\n{}", "\"it\"");
        tracing::info!(parent: None, "a root");
        return;
    }
    let out = run(&mut child("a_json_line_is_json_whatever_is_in_it"));
    out.assert_success();
    let lines: Vec<serde_json::Value> = lines(&out)
        .into_iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert_eq!(lines.len(), 2, "{}", out.stderr);
    let first = &lines[0];
    assert_eq!(first["level"], "INFO");
    assert_eq!(first["message"], "said\r\n\"it\"");
    assert_eq!(first["fields"]["nan"], "NaN");
    assert_eq!(first["fields"]["big"], u64::MAX);
    assert_eq!(first["fields"]["type"], "t");
    assert_eq!(first["spans"][0]["name"], "request \"quoted\"");
    assert_eq!(first["spans"][0]["fields"]["path"], "/a\nb");
    assert_eq!(first["spans"][0]["fields"]["late"], "\u{1b}[31m");
    assert_eq!(first["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!(first["span_id"].as_str().map(str::len), Some(16));
    assert_eq!(first["trace_flags"], "03");
    assert!(lines[1].get("trace_id").is_none(), "{}", lines[1]);
}

#[test]
fn a_strangers_control_characters_cannot_forge_a_line() {
    if is_child("a_strangers_control_characters_cannot_forge_a_line") {
        let _guard = setup_tracing("lines").expect("nobody was before");
        let evil = "x\r\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J";
        let span = tracing::info_span!("request", display = %evil, debug = ?Raw(evil), text = evil);
        let _entered = span.enter();
        tracing::info!(display = %evil, text = evil, error = &Evil as &dyn std::error::Error, "{evil}");
        return;
    }
    let out = run(&mut child("a_strangers_control_characters_cannot_forge_a_line"));
    out.assert_success();
    assert_eq!(lines(&out).len(), 1, "{}", out.stderr);
    assert!(!out.stderr.contains(['\u{1b}', '\r']), "{:?}", out.stderr);
}

struct Raw(&'static str);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Debug)]
struct Evil;

impl std::fmt::Display for Evil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("evil\nerror\u{1b}")
    }
}

impl std::error::Error for Evil {}

#[test]
fn rust_log_silences_lines_and_not_traces() {
    if is_child("rust_log_silences_lines_and_not_traces") {
        let _guard = setup_tracing("quiet").expect("nobody was before");
        tracing::info_span!("traced").in_scope(|| {
            tracing::info!("an event of the span");
            tracing::warn!("a line");
        });
        return;
    }
    let out = run(child("rust_log_silences_lines_and_not_traces").env("RUST_LOG", "warn"));
    let lines = lines(out.assert_success());
    assert_eq!(lines.len(), 1, "{}", out.stderr);
    assert!(lines[0].contains("a line") && lines[0].contains("trace_id="), "{}", lines[0]);
    assert_eq!(out.spans("traced"), 1, "{}", out.stdout);
    assert!(out.stdout.contains("an event of the span"), "{}", out.stdout);
}

#[test]
fn a_bad_rust_log_is_named_and_info_is_used() {
    if is_child("a_bad_rust_log_is_named_and_info_is_used") {
        let _guard = setup_tracing("bad filter").expect("a bad variable is no failure");
        tracing::info!("an info line");
        return;
    }
    let out = run(child("a_bad_rust_log_is_named_and_info_is_used").env("RUST_LOG", "a=b=c"));
    let stderr = &out.assert_success().stderr;
    assert!(stderr.contains("RUST_LOG") && stderr.contains("a=b=c"), "{stderr}");
    assert!(stderr.contains("an info line"), "{stderr}");
}

#[test]
fn a_closed_stderr_stops_nothing() {
    if is_child("a_closed_stderr_stops_nothing") {
        let guard = setup_tracing("unheard").expect("nobody was before");
        for _ in 0..100 {
            tracing::info_span!("spoken").in_scope(|| tracing::info!("to nobody"));
        }
        guard.flush(Duration::from_secs(10)).expect("spans are not lines");
        return;
    }
    let mut child = child("a_closed_stderr_stops_nothing")
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the test binary can be run");
    drop(child.stderr.take());
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success());
    let stdout = String::from_utf8_lossy(&out.stdout);
    assert_eq!(stdout.matches("\tName         : spoken\n").count(), 100);
}

#[test]
fn no_log_lines_when_they_are_off() {
    if is_child("no_log_lines_when_they_are_off") {
        let (exporter, seen) = memory();
        let guard = Setup::new("silent")
            .with_exporter(exporter)
            .with_log_format(LogFormat::Off)
            .init()
            .expect("nobody was before");
        tracing::info_span!("traced").in_scope(|| tracing::error!("no line"));
        guard.flush(Duration::from_secs(10)).expect("nothing is lost");
        assert_eq!(span(&seen, "traced").events.len(), 1);
        assert!(!opentelemetry::Context::current().has_active_span());
        return;
    }
    let out = run(&mut child("no_log_lines_when_they_are_off"));
    assert_eq!(out.assert_success().stderr, "");
}

#[test]
fn a_line_deep_in_an_unsampled_trace_carries_its_ids() {
    if is_child("a_line_deep_in_an_unsampled_trace_carries_its_ids") {
        let setup = Setup::new("lines").with_sampler(Sampler::parent_based(Sampler::always_off()));
        let _guard = setup.init().expect("nobody was before");
        let root = tracing::info_span!("root").entered();
        tracing::info!("at the root");
        let mut entered = Vec::new();
        for level in 0..20 {
            entered.push(tracing::info_span!("inner", level).entered());
            tracing::info!(level, "on the way in");
        }
        drop(root);
        // every other one, and then the rest
        for step in [2, 1] {
            for at in (0..entered.len()).step_by(step).rev() {
                drop(entered.remove(at));
                tracing::info!(at, left = entered.len(), "on the way out");
            }
        }
        return;
    }
    let out = run(&mut child("a_line_deep_in_an_unsampled_trace_carries_its_ids"));
    let lines = lines(out.assert_success());
    assert_eq!(lines.len(), 1 + 20 + 20, "{}", out.stderr);
    let (last, others) = lines.split_last().expect("there are lines");
    let (_, ids) = others[0].split_once(" trace_id=").expect("the root's ids");
    for line in others {
        assert!(line.ends_with(&format!(" trace_id={ids}")), "{line}");
    }
    assert!(last.ends_with("left=0"), "{last}");
}
