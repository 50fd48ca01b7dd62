//! Variables whose effect is what a process writes and how it ends, each seen from outside.

#![cfg(unix)]

mod support;

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Setup};
use support::{child, is_child, run};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The child `case` under these variables, and under no others that matter.
fn with(case: &str, pairs: Pairs<'_>) -> Command {
    let mut command = child(case);
    // libtest has colours of its own
    command.arg("--color=never").env_remove("NO_COLOR").env("TERM", "xterm");
    command.envs(pairs.iter().copied());
    command
}

/// One span with a log line in it, under what the code says of colours.
fn one_span() {
    let mut setup = Setup::new("looks");
    if let Ok(colour) = std::env::var(IN_CODE) {
        setup = setup.with_color(colour == "true");
    }
    let guard = setup.init().expect("nobody was before");
    tracing::info_span!("request").in_scope(|| tracing::info!(n = 1, "a line"));
    drop(guard);
}

const IN_CODE: &str = "OTEL_SETUP_TEST_COLOUR";

/// Two ends of a terminal: that of who looks on, and that of the program.
fn terminal() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: the two descriptors are written to integers of this frame, and null asks for defaults
    #[expect(unsafe_code, reason = "the standard library has no terminals")]
    let opened =
        unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were just opened, and nobody else knows of them
    #[expect(unsafe_code, reason = "descriptors from a call into C")]
    unsafe {
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// What the child writes to a terminal that is its stdout, or else its stderr.
#[track_caller]
fn shown_on_terminal(mut command: Command, is_stdout: bool) -> String {
    let (mut screen, end) = terminal();
    if is_stdout {
        command.stdout(end).stderr(Stdio::null());
    } else {
        command.stderr(end).stdout(Stdio::null());
    }
    let mut running = command.spawn().expect("the test binary can be run");
    // it holds the program's end
    drop(command);
    let mut shown = Vec::new();
    // on Linux the end of the program is an error
    let _ = screen.read_to_end(&mut shown);
    let shown = String::from_utf8(shown).expect("it is text");
    assert!(running.wait().expect("it ends").success(), "{shown}");
    shown
}

#[track_caller]
fn lines_are_coloured(case: &str, pairs: Pairs<'_>, expected: bool) {
    let shown = shown_on_terminal(with(case, pairs), false);
    assert!(shown.contains("a line"), "{pairs:?}: {shown:?}");
    assert_eq!(shown.contains('\u{1b}'), expected, "{pairs:?}: {shown:?}");
}

#[test]
fn no_color_takes_the_colours_from_log_lines() {
    let case = "no_color_takes_the_colours_from_log_lines";
    if is_child(case) {
        return one_span();
    }
    let none = ("OTEL_TRACES_EXPORTER", "none");
    lines_are_coloured(case, &[none], true);
    // whatever it is set to
    for value in ["1", "0", "false"] {
        lines_are_coloured(case, &[none, ("NO_COLOR", value)], false);
    }
    lines_are_coloured(case, &[none, ("NO_COLOR", "")], true);
    lines_are_coloured(case, &[none, ("NO_COLOR", "1"), (IN_CODE, "true")], true);
    lines_are_coloured(case, &[none, (IN_CODE, "false")], false);
    lines_are_coloured(case, &[none, ("TERM", "dumb")], false);
    lines_are_coloured(case, &[none, ("TERM", "dumb"), (IN_CODE, "true")], true);
    // no terminal, no colours, unless the code asks for them
    for (pairs, expected) in [
        (&[none, ("NO_COLOR", "")][..], false),
        (&[none], false),
        (&[none, ("NO_COLOR", "1"), (IN_CODE, "true")], true),
    ] {
        let out = run(&mut with(case, pairs));
        let stderr = &out.assert_success().stderr;
        assert!(stderr.contains("a line"), "{pairs:?}: {stderr:?}");
        assert_eq!(stderr.contains('\u{1b}'), expected, "{pairs:?}: {stderr:?}");
    }
}

#[cfg(feature = "tree")]
#[test]
fn no_color_takes_the_colours_from_trees() {
    let case = "no_color_takes_the_colours_from_trees";
    if is_child(case) {
        return one_span();
    }
    let tree = ("OTEL_TRACES_EXPORTER", "tree");
    for (pairs, expected) in [
        (&[tree][..], true),
        (&[tree, ("NO_COLOR", "1")], false),
        (&[tree, ("NO_COLOR", "0")], false),
        (&[tree, ("NO_COLOR", "")], true),
        (&[tree, ("TERM", "dumb")], false),
        (&[tree, ("NO_COLOR", "1"), (IN_CODE, "true")], true),
    ] {
        let shown = shown_on_terminal(with(case, pairs), true);
        assert!(shown.contains("request"), "{pairs:?}: {shown:?}");
        assert_eq!(shown.contains('\u{1b}'), expected, "{pairs:?}: {shown:?}");
    }
}

#[test]
fn the_format_of_log_lines_is_that_of_the_variable() {
    let case = "the_format_of_log_lines_is_that_of_the_variable";
    if is_child(case) {
        return one_span();
    }
    let written = |value: &str| {
        let none = ("OTEL_TRACES_EXPORTER", "none");
        let out = run(&mut with(case, &[none, ("OTEL_RUST_LOG_FORMAT", value)]));
        let lines = out.assert_success().stderr.lines();
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for text in ["", "text", " Text "] {
        let [line] = &written(text)[..] else { panic!("one line for {text:?}") };
        assert!(line.contains(" INFO variables_of_a_process: a line n=1 in request"), "{line}");
    }
    for off in ["off", "OFF", "none"] {
        assert_eq!(written(off), [""; 0], "{off}");
    }
    #[cfg(feature = "log-json")]
    for json in ["json", "JSON"] {
        let [line] = &written(json)[..] else { panic!("one line for {json:?}") };
        let line: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        assert_eq!((&line["message"], &line["fields"]["n"]), (&"a line".into(), &1.into()));
    }
    let [warning, line] = &written("xml")[..] else { panic!("a warning and a line") };
    assert!(warning.contains("OTEL_RUST_LOG_FORMAT: \"xml\" is not one of text, "), "{warning}");
    assert!(line.contains(" INFO variables_of_a_process: a line"), "{line}");
}

/// Never done with a batch.
#[derive(Debug)]
struct Hung;

impl SpanExporter for Hung {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn the_flush_timeout_of_the_variable_ends_the_drop_of_a_guard() {
    let case = "the_flush_timeout_of_the_variable_ends_the_drop_of_a_guard";
    if is_child(case) {
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let guard = Setup::new("hung")
            .with_exporter(Exporter::custom(Hung))
            .with_log_format(LogFormat::Off)
            .with_diagnostics(|_, line| SAID.lock().expect("no panic").push(line.to_owned()))
            .init()
            .expect("nobody was before");
        tracing::info_span!("work").in_scope(|| {});
        let started = Instant::now();
        drop(guard);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(300), "it did not wait: {took:?}");
        // the default is five seconds
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(SAID.lock().expect("no panic").len(), 1, "a flush that failed is said");
        return;
    }
    run(&mut with(case, &[("OTEL_RUST_FLUSH_TIMEOUT", "300")])).assert_success();
}
