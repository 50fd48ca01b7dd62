//! The tree exporter: the picture itself, pinned, and what happens to spans on the way to it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use otel_setup::{Exporter, LogFormat, Setup, Stack, TreeExporter};

use crate::support::{Said, with_variables};

const SECOND: Duration = Duration::from_secs(10);

/// What was written, and how.
#[derive(Debug, Clone, Default)]
struct Paper(Arc<Mutex<Vec<String>>>);

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(text.to_vec()).expect("the picture is text");
        let len = text.len();
        self.0.lock().expect("pushing does not panic").push(text);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    /// Each write.
    fn writes(&self) -> Vec<String> {
        self.0.lock().expect("pushing does not panic").clone()
    }

    /// Everything, ids numbered in order of appearance, and escapes made visible.
    fn text(&self) -> String {
        numbered(&self.writes().concat()).replace('\x1b', "<ESC>")
    }
}

/// Ids of 16 and 32 hexadecimal digits are random: the first is made `…01`, and so on.
fn numbered(text: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let (mut out, mut run) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            run.push(c);
            continue;
        }
        if run.len() == 16 || run.len() == 32 {
            let at = seen.iter().position(|id| *id == run).unwrap_or_else(|| {
                seen.push(run.clone());
                seen.len() - 1
            });
            let number = format!("{:0width$x}", at + 1, width = run.len());
            out.push_str(&number);
        } else {
            out.push_str(&run);
        }
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

fn tree(adjust: impl FnOnce(TreeExporter) -> TreeExporter) -> (Stack, SdkTracer, Paper) {
    let paper = Paper::default();
    let exporter = adjust(Exporter::tree().with_width(80).with_writer(paper.clone()));
    let stack = service("shop", exporter);
    let tracer = stack.tracer_provider().tracer("test");
    (stack, tracer, paper)
}

fn service(name: &str, exporter: TreeExporter) -> Stack {
    let setup = Setup::new(name).with_env(|_| None).with_log_format(LogFormat::Off);
    setup.with_exporter(exporter).build().expect("these settings are right")
}

/// A moment, in microseconds of the trace.
fn at(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_600_000_000_000_000 + micros)
}

/// A span that is to be made at given times.
struct Made {
    name: &'static str,
    times: (u64, u64),
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    status: Status,
}

fn span(name: &'static str, from: u64, to: u64) -> Made {
    let (kind, status) = (SpanKind::Internal, Status::Unset);
    Made { name, times: (from, to), kind, attributes: vec![], events: vec![], status }
}

impl Made {
    fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    fn with(mut self, attributes: &[(&'static str, &'static str)]) -> Self {
        self.attributes.extend(attributes.iter().map(|(k, v)| KeyValue::new(*k, *v)));
        self
    }

    fn event(
        mut self,
        at_micros: u64,
        name: &'static str,
        attributes: &[(&'static str, &'static str)],
    ) -> Self {
        let attributes = attributes.iter().map(|(k, v)| KeyValue::new(*k, *v)).collect();
        self.events.push(Event::new(name, at(at_micros), attributes, 0));
        self
    }

    fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Starts it under `parent`, runs `children` and ends it.
    fn make(self, tracer: &SdkTracer, parent: &Context, children: impl FnOnce(&Context)) {
        let builder = tracer
            .span_builder(self.name)
            .with_kind(self.kind)
            .with_start_time(at(self.times.0))
            .with_attributes(self.attributes)
            .with_events(self.events);
        let context = parent.with_span(builder.start_with_context(tracer, parent));
        children(&context);
        context.span().set_status(self.status);
        context.span().end_with_timestamp(at(self.times.1));
    }

    fn leaf(self, tracer: &SdkTracer, parent: &Context) {
        self.make(tracer, parent, |_| {});
    }
}

/// One of everything.
fn order(tracer: &SdkTracer) {
    span("POST /orders", 0, 132_000)
        .kind(SpanKind::Server)
        .with(&[("http.request.method", "POST"), ("http.route", "/orders"), ("user", "Ann Lee")])
        .with(&[("code.file.path", "src/main.rs"), ("user_agent.original", "curl/8.5.0 (x86_64)")])
        .event(40_000, "stock is low", &[("level", "WARN"), ("target", "shop"), ("item", "tea")])
        .event(131_000, "done", &[("level", "INFO"), ("target", "shop")])
        .make(tracer, &Context::new(), |root| {
            span("load cart", 4_000, 35_000).make(tracer, root, |cart| {
                span("SELECT carts", 4_800, 34_100)
                    .kind(SpanKind::Client)
                    .with(&[
                        ("db.system", "postgresql"),
                        ("db.query.text", "SELECT * FROM carts WHERE id = $1"),
                    ])
                    .leaf(tracer, cart);
            });
            span("charge card", 42_000, 124_000)
                .kind(SpanKind::Client)
                .status(Status::error("card declined"))
                .event(
                    123_000,
                    "exception",
                    &[
                        ("level", "ERROR"),
                        ("exception.type", "payment::Declined"),
                        ("exception.message", "card declined"),
                        ("exception.stacktrace", "0: main\n1: start"),
                    ],
                )
                .make(tracer, root, |card| {
                    span("connect", 43_000, 60_000).leaf(tracer, card);
                    span("a name that is far too long for its column", 60_000, 120_000)
                        .status(Status::error("the bank is closed"))
                        .leaf(tracer, card);
                });
            span("publish order", 125_000, 126_000).kind(SpanKind::Producer).make(
                tracer,
                root,
                |publish| {
                    let sent = publish.span().span_context().clone();
                    let sent = SpanContext::new(
                        sent.trace_id(),
                        sent.span_id(),
                        TraceFlags::SAMPLED,
                        true,
                        TraceState::default(),
                    );
                    let remote = Context::new().with_remote_span_context(sent);
                    span("注文を処理 \u{1b}[31m\u{202e}evil", 128_000, 131_500)
                        .kind(SpanKind::Consumer)
                        .status(Status::Ok)
                        .leaf(tracer, &remote);
                },
            );
        });
}

/// Compares with a file; `OTEL_SETUP_UPDATE_SNAPSHOTS` writes it instead.
#[track_caller]
fn pinned(name: &str, text: &str) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = directory.join(format!("{name}.txt"));
    if std::env::var_os("OTEL_SETUP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("the directory is there");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} has become\n{text}\nand was\n{expected}");
}

#[track_caller]
fn pins_order(name: &str, adjust: impl FnOnce(TreeExporter) -> TreeExporter) {
    let (stack, tracer, paper) = tree(adjust);
    order(&tracer);
    stack.flush(SECOND).expect("nothing is lost");
    pinned(name, &paper.text());
}

#[test]
fn the_picture_at_60_columns() {
    pins_order("tree_60", |tree| tree.with_width(60));
    pins_order("tree_60_colour", |tree| tree.with_width(60).with_colour(true));
}

#[test]
fn the_picture_at_80_columns() {
    pins_order("tree_80", |tree| tree);
    pins_order("tree_80_colour", |tree| tree.with_colour(true));
    pins_order("tree_80_ascii", |tree| tree.with_ascii(true));
}

#[test]
fn the_picture_at_200_columns() {
    pins_order("tree_200", |tree| tree.with_width(200));
    pins_order("tree_200_colour", |tree| tree.with_width(200).with_colour(true));
}

#[test]
fn no_line_is_wider_than_the_page() {
    for width in [1, 40, 41, 60, 79, 100, 119, 120, 121, 160, 200] {
        let (stack, tracer, paper) = tree(|tree| tree.with_width(width));
        order(&tracer);
        stack.flush(SECOND).expect("nothing is lost");
        for line in paper.text().lines() {
            // ids are as long as they are: at the least width they may have a line of their own
            let columns = unicode_width::UnicodeWidthStr::width(line);
            assert!(columns <= width.max(40), "{columns} columns at {width}: {line}");
        }
    }
}

#[test]
fn many_siblings_are_folded_with_count_and_total() {
    let (stack, tracer, paper) = tree(|tree| tree);
    span("import", 0, 1_000_000).make(&tracer, &Context::new(), |root| {
        for n in 0..4_998_u64 {
            let row = span("row", n * 200, n * 200 + 150);
            let row = if n % 1_000 == 0 { row.status(Status::error("bad row")) } else { row };
            row.make(&tracer, root, |row| {
                span("INSERT", n * 200 + 10, n * 200 + 110).leaf(&tracer, row);
            });
        }
        span("commit", 999_700, 999_900).leaf(&tracer, root);
    });
    stack.flush(SECOND).expect("nothing is lost");
    pinned("tree_folded", &paper.text());
}

#[test]
fn a_wide_trace_of_different_names_is_cut_and_counted() {
    let (stack, paper) = {
        let paper = Paper::default();
        (service("shop", Exporter::tree().with_width(80).with_writer(paper.clone())), paper)
    };
    let tracer = stack.tracer_provider().tracer("test");
    tracer.in_span("root", |root| {
        for n in 0..1_000 {
            drop(tracer.start_with_context(format!("step {n}"), &root));
        }
    });
    stack.flush(SECOND).expect("nothing is lost");
    let text = paper.text();
    assert!(text.contains("1,001 spans"), "{text}");
    assert!(text.contains("└╴… 851 more spans\n"), "{text}");
    assert!(text.lines().count() < 160, "{text}");
}

#[test]
fn a_trace_deeper_than_the_stack_is_shown() {
    let (stack, tracer, paper) = tree(|tree| tree);
    let mut contexts = vec![Context::new()];
    for _ in 0..10_000 {
        let parent = contexts.last().expect("there is a first");
        let span = tracer.start_with_context(format!("level {}", contexts.len()), parent);
        contexts.push(parent.with_span(span));
    }
    while contexts.pop().is_some() {}
    stack.flush(SECOND).expect("nothing is lost");
    let text = paper.text();
    assert!(text.contains("9,850 more spans"), "{text}");
    assert!(text.contains("⋯138 ") && text.contains("└╴level 149 "), "{text}");
}

#[test]
fn what_comes_late_is_shown_as_a_continuation() {
    let (stack, tracer, paper) = tree(|tree| tree);
    let root = Context::new().with_span(
        tracer
            .span_builder("request")
            .with_start_time(at(0))
            .start_with_context(&tracer, &Context::new()),
    );
    root.span().end_with_timestamp(at(2_000));
    stack.flush(SECOND).expect("nothing is lost");
    span("in the background", 1_000, 5_000).make(&tracer, &root, |late| {
        span("cleanup", 4_000, 4_500).leaf(&tracer, late);
    });
    stack.flush(SECOND).expect("nothing is lost");
    assert_eq!(paper.writes().len(), 2);
    pinned("tree_late", &paper.text());
}

#[test]
fn parents_that_are_not_there_are_named() {
    let (stack, tracer, paper) = tree(|tree| tree);
    let remote = Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from(77_u128),
        SpanId::from(7_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    ));
    let open = Context::new().with_span(
        tracer.span_builder("open").with_start_time(at(0)).start_with_context(&tracer, &remote),
    );
    span("ended", 1_000, 5_000).leaf(&tracer, &open);
    stack.flush(SECOND).expect("nothing is lost");
    open.span().end_with_timestamp(at(9_000));
    stack.flush(SECOND).expect("nothing is lost");
    pinned("tree_absent", &paper.text());
}

/// A pipe that nobody reads.
#[derive(Debug)]
struct Broken;

impl Write for Broken {
    fn write(&mut self, _text: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn spans_that_could_not_be_written_are_counted_and_said() {
    let said = Said::default();
    let stack = Setup::new("shop")
        .with_env(|_| None)
        .with_log_format(LogFormat::Off)
        .with_diagnostics(said.sink())
        .with_exporter(Exporter::tree().with_writer(Broken))
        .build()
        .expect("these settings are right");
    order(&stack.tracer_provider().tracer("test"));
    let error = stack.flush(SECOND).expect_err("nobody reads");
    assert!(error.is_lost() && error.to_string().contains("stdout is closed"), "{error}");
    let stats = stack.stats();
    assert_eq!((stats.lost(), stats.exporters[0].exported, stats.queued()), (8, 0, 0), "{stats}");
    assert!(
        said.lines().iter().any(|line| line.contains("stdout is closed")),
        "{:?}",
        said.lines()
    );
}

/// A writer of the user's with a fault.
#[derive(Debug)]
struct Panicking;

impl Write for Panicking {
    fn write(&mut self, _text: &[u8]) -> io::Result<usize> {
        panic!("a fault in the writer")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_panics_left_spans_that_nobody_counted() {
    let (stack, tracer, _) = tree(|tree| tree.with_writer(Panicking));
    drop(tracer.start("first"));
    let error = stack.flush(SECOND).expect_err("nothing was written");
    assert!(error.is_lost() && error.to_string().contains("its writer has panicked"), "{error}");
    drop(tracer.start("second"));
    let error = stack.shutdown(SECOND).expect_err("nothing was written");
    assert!(error.is_lost(), "{error}");
    let stats = stack.stats();
    assert_eq!((stats.lost(), stats.exporters[0].exported, stats.queued()), (2, 0, 0), "{stats}");
}

#[test]
fn spans_are_in_flight_until_their_tree_is_written() {
    let (stack, tracer, paper) = tree(|tree| tree);
    let root = tracer.start("root");
    let root = Context::new().with_span(root);
    drop(tracer.start_with_context("child", &root));
    let stats = stack.stats();
    assert_eq!((stats.exporters[0].exported, stats.queued(), stats.live), (0, 1, 1), "{stats}");
    drop(root);
    // nobody flushes: the exporter sees by itself that the trace is whole
    while stack.stats().exporters[0].exported < 2 {
        std::thread::yield_now();
    }
    assert_eq!(paper.writes().len(), 1, "{}", paper.text());
}

#[test]
fn shutdown_shows_what_is_held() {
    let (stack, tracer, paper) = tree(|tree| tree);
    let open = Context::new().with_span(tracer.start("never ends"));
    drop(tracer.start_with_context("child", &open));
    stack.shutdown(SECOND).expect("nothing is lost");
    assert!(paper.text().contains("not ended yet"), "{}", paper.text());
    assert_eq!(stack.stats().exporters[0].exported, 1);
}

#[test]
fn each_trace_is_one_write() {
    let (stack, tracer, paper) = tree(|tree| tree);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    tracer.in_span("outer", |cx| drop(tracer.start_with_context("inner", &cx)));
                }
            });
        }
    });
    stack.flush(SECOND).expect("nothing is lost");
    let writes = paper.writes();
    assert_eq!(writes.len(), 800);
    assert!(writes.iter().all(|write| write.starts_with("shop · ") && write.ends_with("\n\n")));
    assert!(writes.iter().all(|write| write.matches("└╴inner").count() == 1));
}

#[test]
fn the_environment_decides_what_the_code_leaves_open() {
    let picture = |variables: &[(&str, &str)]| {
        let paper = Paper::default();
        let stack = Setup::new("shop")
            .with_env(with_variables(variables))
            .with_log_format(LogFormat::Off)
            .with_exporter(Exporter::tree().with_writer(paper.clone()))
            .build()
            .expect("these settings are right");
        order(&stack.tracer_provider().tracer("test"));
        stack.flush(SECOND).expect("nothing is lost");
        paper.text()
    };
    let widest = |text: &str| {
        text.lines().map(unicode_width::UnicodeWidthStr::width).max().expect("there are lines")
    };
    assert_eq!(widest(&picture(&[])), 80);
    assert!((96..=100).contains(&widest(&picture(&[("COLUMNS", "100")]))));
    assert_eq!(widest(&picture(&[("COLUMNS", "wide")])), 80);
    assert!(picture(&[("LANG", "en_GB.UTF-8")]).contains('━'));
    assert!(picture(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]).is_ascii());
    assert!(picture(&[("LANG", "POSIX")]).is_ascii());
}
