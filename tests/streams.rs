//! Spans on stdout beside log lines on stderr: whole where both are one file, independent where not.

#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use otel_setup::setup_tracing;
use support::{child, is_child};

const THREADS: usize = 4;
const EACH: usize = 200;

#[test]
fn spans_and_log_lines_on_one_pipe_are_whole() {
    if is_child("spans_and_log_lines_on_one_pipe_are_whole") {
        return spans_and_log_lines();
    }
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let mut command = child("spans_and_log_lines_on_one_pipe_are_whole");
    command.stdout(writer.try_clone().expect("it can be shared")).stderr(writer);
    let mut running = command.spawn().expect("the test binary can be run");
    // it holds the writing ends
    drop(command);
    let mut shown = String::new();
    reader.read_to_string(&mut shown).expect("it is text");
    assert!(running.wait().expect("it ends").success(), "{shown}");
    assert_all_is_whole(&shown);
}

#[test]
fn spans_and_log_lines_in_one_file_are_whole() {
    if is_child("spans_and_log_lines_in_one_file_are_whole") {
        return spans_and_log_lines();
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("streams-{}.log", std::process::id()));
    let mut open = std::fs::File::options();
    let mut file = open.read(true).write(true).create_new(true).open(&path).expect("it is new");
    std::fs::remove_file(&path).expect("it was just made");
    let shared = || file.try_clone().expect("it can be shared");
    let mut command = child("spans_and_log_lines_in_one_file_are_whole");
    let status = command.stdout(shared()).stderr(shared()).status();
    let mut shown = String::new();
    file.rewind().expect("it is a file");
    file.read_to_string(&mut shown).expect("it is text");
    assert!(status.expect("the test binary can be run").success(), "{shown}");
    assert_all_is_whole(&shown);
}

fn spans_and_log_lines() {
    let guard = setup_tracing("one-stream").expect("nobody was before");
    // libtest has left its line open
    println!();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for n in 0..EACH {
                    let _span = tracing::info_span!("worked", thread, n).entered();
                    tracing::info!("a log line");
                }
            });
        }
        // so that spans are printed while the threads log
        for _ in 0..20 {
            guard.flush(Duration::from_secs(20)).expect("it is read");
        }
    });
    guard.flush(Duration::from_secs(20)).expect("it is read");
}

#[track_caller]
fn assert_all_is_whole(shown: &str) {
    let (mut spans, mut logged, mut inside) = (0, 0, false);
    for line in shown.lines() {
        if line.contains(" INFO streams: ") {
            assert!(!inside, "a log line is inside a span: {line:?}");
            let end = line.rsplit_once(" span_id=").map(|(_, id)| id.len());
            assert_eq!(end, Some(16), "it is cut short or goes on: {line:?}");
            assert_eq!(line.matches("a log line").count(), 1, "{line:?}");
            assert!(line.starts_with("20"), "something is before the log line: {line:?}");
            logged += 1;
        } else if line == "Spans" {
            assert!(!inside, "a span starts inside another");
            inside = true;
        } else if line.starts_with("\tDuration     : ") {
            assert!(inside, "a span ends that has not started");
            inside = false;
            spans += 1;
        }
    }
    assert_eq!((spans, logged), (THREADS * EACH, THREADS * EACH), "{shown}");
}

#[test]
fn a_program_that_prints_while_it_holds_stderr_is_not_stuck() {
    if is_child("a_program_that_prints_while_it_holds_stderr_is_not_stuck") {
        let guard = setup_tracing("holds-stderr").expect("nobody was before");
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            for n in 0..500 {
                tracing::info_span!("worked", n).in_scope(|| tracing::info!("a log line"));
                let _stderr = std::io::stderr().lock();
                println!("printed under the lock of stderr");
            }
            for n in 0..500 {
                let _stdout = std::io::stdout().lock();
                tracing::info_span!("worked", n)
                    .in_scope(|| tracing::info!("logged under the lock of stdout"));
            }
            done.send(()).expect("somebody waits");
        });
        let stuck = loop {
            // keeps spans coming out all the while
            if guard.flush(Duration::from_secs(20)).is_err() {
                break true;
            }
            match ended.try_recv() {
                Ok(()) => break false,
                Err(mpsc::TryRecvError::Empty) => {}
                Err(mpsc::TryRecvError::Disconnected) => break true,
            }
        };
        std::process::exit(if stuck { 9 } else { 7 });
    }
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let mut command = child("a_program_that_prints_while_it_holds_stderr_is_not_stuck");
    command.stdout(writer.try_clone().expect("it can be shared")).stderr(writer);
    let mut running = command.spawn().expect("the test binary can be run");
    drop(command);
    let mut shown = Vec::new();
    reader.read_to_end(&mut shown).expect("the child ends");
    assert_eq!(running.wait().expect("it ends").code(), Some(7));
}

#[test]
fn log_lines_go_on_while_nobody_reads_stdout() {
    if is_child("log_lines_go_on_while_nobody_reads_stdout") {
        let guard = setup_tracing("unread").expect("nobody was before");
        // more than a pipe holds
        for n in 0..1000 {
            tracing::info_span!("worked", n, padding = "some kilobytes ".repeat(20))
                .in_scope(|| {});
        }
        guard.flush(Duration::from_secs(1)).expect_err("nobody reads");
        tracing::info!("stdout is full");
        let mut end = String::new();
        std::io::stdin().read_line(&mut end).expect("the parent is there");
        std::process::exit(7);
    }
    let mut running = child("log_lines_go_on_while_nobody_reads_stdout")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary can be run");
    let stderr = BufReader::new(running.stderr.take().expect("it is piped"));
    let (said, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = stderr.lines().map_while(Result::ok);
        said.send(lines.any(|line| line.contains("stdout is full")))
    });
    let logged = line.recv_timeout(Duration::from_secs(30));
    running.stdin.take().expect("it is piped").write_all(b"end\n").expect("the child reads");
    running.kill().expect("it is ours");
    running.wait().expect("it ends");
    assert_eq!(logged, Ok(true), "the log line waits for stdout's reader");
}
