//! What the tests share: a child process for facts about a process, an exporter that remembers.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::ffi::OsString;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use otel_setup::{Exporter, Severity, Stack};

/// Names the case that a child process is to run.
pub const CHILD: &str = "OTEL_SETUP_TEST_CHILD";

/// Whether this process is the child that was started for `case`.
pub fn is_child(case: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|value| value == case)
}

/// This test binary again, running the one test `case` as a child with a clean environment.
pub fn child(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary has a path"));
    command.args(["--exact", case, "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command.env(CHILD, case).stdin(Stdio::null());
    command
}

/// Runs the child to its end.
pub fn run(command: &mut Command) -> Child {
    Child::of(&command.output().expect("the test binary can be run"))
}

pub struct Child {
    pub success: bool,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Child {
    fn of(output: &Output) -> Self {
        Self {
            success: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        assert!(self.success, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// How many spans of this name the console exporter printed.
    pub fn spans(&self, name: &str) -> usize {
        let wanted = format!("\tName         : {name}");
        self.stdout.lines().filter(|line| *line == wanted).count()
    }
}

/// An exporter, and the view of what it got.
pub fn memory() -> (Exporter, InMemorySpanExporter) {
    let memory = InMemorySpanExporter::default();
    (Exporter::custom(memory.clone()), memory)
}

/// The finished spans of a memory exporter.
pub fn spans(memory: &InMemorySpanExporter) -> Vec<SpanData> {
    memory.get_finished_spans().expect("nothing panics while it holds this lock")
}

/// The one span of this name.
#[track_caller]
pub fn span(memory: &InMemorySpanExporter, name: &str) -> SpanData {
    let found: Vec<_> = spans(memory).into_iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "spans named {name:?} among {:?}", spans(memory));
    found.into_iter().next().expect("one was just counted")
}

/// Ends `n` spans in a stack that is not installed.
pub fn spans_in(stack: &Stack, n: usize) {
    tracing::dispatcher::with_default(stack.dispatch(), || {
        for number in 0..n {
            tracing::info_span!("work", number).in_scope(|| {});
        }
    });
}

/// An environment of these variables and no others.
pub fn with_variables(
    pairs: &[(&str, &str)],
) -> impl Fn(&str) -> Option<OsString> + Send + Sync + use<> {
    let pairs: Vec<(String, OsString)> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
}

/// A span's attribute as text.
pub fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|a| a.key.as_str() == key).map(|a| a.value.to_string())
}

/// What the crate said of itself.
#[derive(Clone, Default)]
pub struct Said(Arc<(Mutex<Lines>, Condvar)>);

type Lines = Vec<(Severity, String)>;

impl Said {
    pub fn sink(&self) -> impl Fn(Severity, &str) + Send + Sync + use<> {
        let said = self.0.clone();
        move |severity, line: &str| {
            let mut lines = said.0.lock().expect("pushing does not panic");
            lines.push((severity, line.to_owned()));
            said.1.notify_all();
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.0.lock().expect("pushing does not panic");
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Waits for a line with all of these in it.
    #[track_caller]
    pub fn wait_for(&self, parts: &[&str]) {
        let (lines, changed) = &*self.0;
        let lines = lines.lock().expect("pushing does not panic");
        let missing = |lines: &mut Lines| {
            !lines.iter().any(|(_, line)| parts.iter().all(|part| line.contains(part)))
        };
        let (lines, waited) = changed
            .wait_timeout_while(lines, Duration::from_secs(20), missing)
            .expect("pushing does not panic");
        assert!(!waited.timed_out(), "{parts:?} are not in {lines:?}");
    }
}

/// As many headers as there can be.
#[cfg(feature = "http")]
pub fn full_headers() -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for n in 0_u32.. {
        let name = http::HeaderName::try_from(format!("h{n}")).expect("it is a token");
        if headers.try_append(name, http::HeaderValue::from_static("x")).is_err() {
            break;
        }
    }
    headers
}
