//! OTLP in JSON lines, in files that grow, turn and cannot be written.

#![cfg(feature = "file")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use otel_setup::{DropReason, Exporter, FileExporter, LogFormat, Setup, Stack};
use support::{Said, child, is_child, run, spans_in, with_variables};

/// A directory of the test's own, removed when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("otel-setup-file-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("the name is ours");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("traces.jsonl")
    }

    /// The names and sizes of the files in it, by name.
    fn files(&self) -> Vec<(String, u64)> {
        let entries = fs::read_dir(&self.0).expect("it is there").map(|entry| {
            let entry = entry.expect("it can be read");
            let name = entry.file_name().into_string().expect("the names are ours");
            (name, entry.metadata().expect("it is there").len())
        });
        let mut files: Vec<_> = entries.collect();
        files.sort();
        files
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stack(exporter: FileExporter) -> Stack {
    let setup = Setup::new("checkout").with_exporter(exporter).with_log_format(LogFormat::Off);
    // no longer than the first pause, so a batch is tried once
    let env = with_variables(&[("OTEL_BSP_EXPORT_TIMEOUT", "250")]);
    setup.with_env(env).build().expect("the settings are right")
}

#[track_caller]
fn exports(stack: &Stack, spans: usize) {
    spans_in(stack, spans);
    stack.flush(PATIENCE).expect("nothing is lost");
}

/// The number of spans in each line.
#[track_caller]
fn lines(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).expect("it was written");
    assert!(text.ends_with('\n'), "{text}");
    let spans = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let batch = &json["resourceSpans"][0];
        assert!(batch["resource"]["attributes"].is_array(), "{line}");
        batch["scopeSpans"][0]["spans"].as_array().expect("there are spans").len()
    };
    text.lines().map(spans).collect()
}

#[test]
fn each_batch_is_a_line_and_lines_are_appended() {
    let directory = Directory::new();
    let first = stack(Exporter::file(directory.file()));
    exports(&first, 2);
    exports(&first, 3);
    drop(first);
    exports(&stack(Exporter::file(directory.file())), 1);
    assert_eq!(lines(&directory.file()), [2, 3, 1]);
}

#[test]
fn a_full_file_makes_way_and_the_oldest_goes() {
    let directory = Directory::new();
    let stack = stack(Exporter::file(directory.file()).with_max_bytes(3000).with_max_files(3));
    for _ in 0..20 {
        exports(&stack, 2);
    }
    let files = directory.files();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["traces.jsonl", "traces.jsonl.1", "traces.jsonl.2"]);
    for (name, size) in files {
        assert!(size <= 3000, "{name} has {size} bytes");
        assert!(lines(&directory.0.join(name)).iter().all(|spans| *spans == 2));
    }
}

#[test]
fn one_file_begins_anew_when_it_is_full() {
    let directory = Directory::new();
    let stack = stack(Exporter::file(directory.file()).with_max_bytes(1).with_max_files(0));
    for spans in [1, 2, 3] {
        exports(&stack, spans);
        assert_eq!(lines(&directory.file()), [spans]);
    }
    assert_eq!(directory.files().len(), 1);
}

/// It renamed every number below the limit, whether or not there was such a file.
#[test]
fn a_limit_of_all_numbers_rotated_for_ever() {
    let directory = Directory::new();
    let stack =
        stack(Exporter::file(directory.file()).with_max_bytes(1).with_max_files(usize::MAX));
    for spans in [1, 2, 3] {
        exports(&stack, spans);
    }
    let spans = |name| lines(&directory.0.join(name));
    assert_eq!(spans("traces.jsonl"), [3]);
    assert_eq!(spans("traces.jsonl.1"), [2]);
    assert_eq!(spans("traces.jsonl.2"), [1]);
    assert_eq!(directory.files().len(), 3);
}

#[test]
fn a_batch_was_lost_where_its_file_could_not_be_renamed() {
    let directory = Directory::new();
    fs::create_dir(directory.0.join("traces.jsonl.1")).expect("it can be made");
    let stack = stack(Exporter::file(directory.file()).with_max_bytes(1).with_max_files(2));
    for spans in [1, 2, 3] {
        exports(&stack, spans);
    }
    assert_eq!(lines(&directory.file()), [1, 2, 3]);
    fs::remove_dir(directory.0.join("traces.jsonl.1")).expect("nothing is in it");
    exports(&stack, 4);
    assert_eq!(lines(&directory.file()), [4]);
}

/// Descriptors of the process, whatever is behind them.
#[cfg(target_os = "linux")]
#[test]
fn a_link_to_what_is_no_file_was_renamed() {
    use std::os::fd::AsRawFd as _;

    let directory = Directory::new();
    let target = fs::File::create(directory.0.join("redirected")).expect("it can be made");
    let descriptor = format!("/dev/fd/{}", target.as_raw_fd());
    for to in ["/dev/null", &descriptor] {
        let link = directory.file();
        std::os::unix::fs::symlink(to, &link).expect("the name is free");
        let stack = stack(Exporter::file(&link).with_max_bytes(1).with_max_files(3));
        for _ in 0..3 {
            exports(&stack, 2);
        }
        assert_eq!(fs::read_link(&link).expect("it is still a link"), Path::new(to));
        fs::remove_file(&link).expect("it is there");
    }
    assert_eq!(lines(&directory.0.join("redirected")), [2, 2, 2]);
    assert_eq!(directory.files().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_was_renamed_in_place_of_the_file() {
    let directory = Directory::new();
    let place = directory.0.join("elsewhere");
    fs::create_dir(&place).expect("it can be made");
    // it need not be there yet
    std::os::unix::fs::symlink("elsewhere/target", directory.file()).expect("the name is free");
    let stack = stack(Exporter::file(directory.file()).with_max_bytes(1).with_max_files(3));
    for n in 1..=4 {
        exports(&stack, n);
    }
    for (name, n) in [("target", 4), ("target.1", 3), ("target.2", 2)] {
        assert_eq!(lines(&place.join(name)), [n], "{name}");
    }
    assert!(directory.file().is_symlink());
    assert_eq!(fs::read_dir(&place).expect("it is there").count(), 3);
    assert_eq!(directory.files().len(), 2);
}

#[test]
fn a_line_that_a_killed_process_left_unfinished_spoils_no_other() {
    let directory = Directory::new();
    fs::write(directory.file(), "{\"resourceSpans\":[{\"res").expect("it can be written");
    exports(&stack(Exporter::file(directory.file())), 1);
    let text = fs::read_to_string(directory.file()).expect("it was written");
    let last = text.lines().nth(1).expect("a line of its own");
    serde_json::from_str::<serde_json::Value>(last).expect("it is JSON");
}

#[test]
fn a_path_that_cannot_be_written_is_named_and_tried_again_with_the_next_batch() {
    let directory = Directory::new();
    let path = directory.0.join("later").join("traces.jsonl");
    let stack = stack(Exporter::file(&path));
    spans_in(&stack, 2);
    let error = stack.flush(PATIENCE).expect_err("there is no such directory").to_string();
    assert!(error.contains(&format!("cannot write {}", path.display())), "{error}");
    assert_eq!(stack.stats().exporters[0].dropped.by(DropReason::ExportFailed), 2);

    fs::create_dir(directory.0.join("later")).expect("it can be made");
    exports(&stack, 3);
    assert_eq!(lines(&path), [3]);
    assert_eq!(stack.stats().exporters[0].exported, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_waited_for() {
    let stack = stack(Exporter::file("/dev/full"));
    for _ in 0..2 {
        spans_in(&stack, 1);
        let error = stack.flush(PATIENCE).expect_err("no byte fits").to_string();
        assert!(error.contains("cannot write /dev/full: No space left"), "{error}");
    }
    assert_eq!(stack.stats().exporters[0].dropped.by(DropReason::RetryExhausted), 2);
}

/// A limit on the size of files cuts a write short in the middle, as a disk that runs full does.
#[cfg(unix)]
#[test]
fn a_line_that_fits_only_in_part_is_taken_back() {
    const CASE: &str = "a_line_that_fits_only_in_part_is_taken_back";
    const FILE: &str = "OTEL_SETUP_TEST_FILE";
    if is_child(CASE) {
        let path = PathBuf::from(std::env::var_os(FILE).expect("the parent sets it"));
        let stack = stack(Exporter::file(&path));
        exports(&stack, 1);
        spans_in(&stack, 50);
        let error = stack.flush(PATIENCE).expect_err("50 spans do not fit").to_string();
        assert!(error.contains("File too large"), "{error}");
        exports(&stack, 1);
        return;
    }
    let directory = Directory::new();
    let test = child(CASE);
    let mut limited = Command::new("sh");
    // 8 blocks of 512 bytes; the signal that goes with the limit is ignored by the child too
    limited.args(["-c", "trap '' XFSZ && ulimit -f 8 && exec \"$0\" \"$@\""]);
    limited.arg(test.get_program()).args(test.get_args());
    for (name, value) in test.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    run(limited.env(FILE, directory.file())).assert_success();
    assert_eq!(lines(&directory.file()), [1, 1]);
}

#[test]
fn variables_name_it_and_its_path() {
    let directory = Directory::new();
    let by_variables = |pairs: &[(&str, &str)]| {
        let said = Said::default();
        let setup = Setup::new("checkout").with_log_format(LogFormat::Off);
        let setup = setup.with_env(with_variables(pairs)).with_diagnostics(said.sink());
        (setup.build().expect("the settings are right"), said.lines())
    };
    let path = directory.file();
    let exporter = ("OTEL_TRACES_EXPORTER", "otlp_file");
    let file = ("OTEL_RUST_OTLP_FILE", path.to_str().expect("the path is ours"));
    let (stack, said) = by_variables(&[exporter, file]);
    assert_eq!(said, Vec::<String>::new());
    exports(&stack, 4);
    assert_eq!(lines(&path), [4]);
    assert_eq!(stack.stats().exporters[0].name, "otlp-file");

    let (_, said) = by_variables(&[exporter]);
    let expected =
        "OTEL_TRACES_EXPORTER: otlp_file needs a path in OTEL_RUST_OTLP_FILE; it is left out";
    assert_eq!(said, [expected]);
}

const PATIENCE: Duration = Duration::from_secs(20);
