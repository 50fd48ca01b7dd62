//! Deep traces, and traces of several services.

use std::fs;
use std::path::Path;

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};

use super::super::paint::{Subject, paint};
use super::super::span::Span;
use super::super::terminal::Page;
use super::super::text::Charset;

/// The nth span, under the one of the number `parent`, from one microsecond to another.
fn span(n: u64, parent: u64, name: &str, micros: (u64, u64)) -> Span {
    Span {
        id: SpanId::from(n),
        parent: (parent > 0).then(|| SpanId::from(parent)),
        parent_is_remote: false,
        kind: SpanKind::Internal,
        name: name.to_owned().into(),
        start: START + micros.0 * 1_000,
        end: START + micros.1 * 1_000,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        service: "shop".into(),
        source: 0,
    }
}

fn drawn(spans: &[Span], width: usize, charset: Charset) -> String {
    let id = TraceId::from(1_u128);
    let subject = Subject { id, spans, continues: None, names: &|_| None };
    paint(&subject, Page { width, colour: false, charset })
}

/// A chain of spans, each within the one before.
fn deep(levels: u64, name: impl Fn(u64) -> String) -> Vec<Span> {
    (1..=levels).map(|n| span(n, n - 1, &name(n), (n, 2 * levels - n + 1))).collect()
}

#[track_caller]
fn fits(text: &str, width: usize) {
    for line in text.lines() {
        let columns = super::super::text::columns(line);
        assert!(columns <= width, "{columns} columns at {width}: {line}\n{text}");
    }
}

#[test]
fn rows_of_a_deep_trace_had_no_name() {
    for width in [40, 60, 80, 120, 200] {
        for charset in [Charset::Unicode, Charset::Ascii] {
            for levels in [40, 149, 10_000] {
                let text = drawn(&deep(levels, |n| format!("s{n}")), width, charset);
                fits(&text, width);
                for n in 1..=levels.min(149) {
                    let name = format!("s{n} ");
                    assert!(text.contains(&name), "no {name}at {width}:\n{text}");
                }
            }
        }
    }
    let text = drawn(&deep(40, |n| format!("a long name of {n}")), 80, Charset::Unicode);
    assert_eq!(text.matches("a long name").count(), 40, "{text}");
    assert!(text.contains("\n⋯29                   └╴a long name…  "), "{text}");
}

#[test]
fn a_recursion_filled_the_screen() {
    let text = drawn(&deep(10_000, |_| "descend".to_owned()), 80, Charset::Unicode);
    // its first 3 levels, its last 3, and one for the others
    assert_eq!((text.matches("╴descend ").count(), text.lines().count()), (5, 10), "{text}");
    assert!(text.contains("    └╴… 9,994 more levels  19.9ms  19.9ms  ━━━"), "{text}");
    // what differs is not one of the levels
    let mut spans = deep(100, |_| "descend".to_owned());
    spans[49].status = Status::error("the 50th");
    let text = drawn(&spans, 80, Charset::Unicode);
    assert_eq!(text.matches("└╴… 4").count(), 2, "{text}");
    assert!(text.contains("✗ the 50th"), "{text}");
}

/// A request that three services have a part in.
fn order() -> Vec<Span> {
    let mut spans = vec![
        span(1, 0, "POST /orders", (0, 90_000)),
        span(2, 1, "GET", (5_000, 30_000)),
        span(3, 2, "GET /stock/{item}", (7_000, 28_000)),
        span(4, 3, "SELECT stock", (9_000, 25_000)),
        span(5, 1, "publish orders", (40_000, 42_000)),
        span(6, 5, "process a message of the topic orders", (45_000, 80_000)),
        span(7, 6, "store", (50_000, 70_000)),
        span(8, 7, "POST", (55_000, 68_000)),
        span(9, 8, "POST /receipts", (56_000, 67_000)),
    ];
    for (n, service, kind) in [
        (1, "web", SpanKind::Server),
        (2, "web", SpanKind::Client),
        (3, "inventory", SpanKind::Server),
        (4, "inventory", SpanKind::Client),
        (5, "web", SpanKind::Producer),
        (6, "worker", SpanKind::Consumer),
        (7, "worker", SpanKind::Internal),
        (8, "worker", SpanKind::Client),
        (9, "a service with a long name", SpanKind::Server),
    ] {
        spans[n - 1].service = service.into();
        spans[n - 1].kind = kind;
    }
    spans[8].status = Status::error("no paper");
    spans
}

#[test]
fn the_picture_of_several_services() {
    for width in [60, 80, 200] {
        pinned(&format!("tree_services_{width}"), &drawn(&order(), width, Charset::Unicode));
    }
}

#[test]
fn a_service_was_not_named_for_want_of_room() {
    for width in 40..=200 {
        let text = drawn(&order(), width, Charset::Unicode);
        fits(&text, width);
        let told: Vec<_> = text.lines().filter(|line| line.contains('[')).collect();
        assert_eq!(told.len(), 4, "at {width}:\n{text}");
    }
    let text = drawn(&order(), 80, Charset::Unicode);
    assert!(text.contains("GET /stock/{it… [inventory]  "), "{text}");
}

/// Compares with a file; `OTEL_SETUP_UPDATE_SNAPSHOTS` writes it instead.
#[track_caller]
fn pinned(name: &str, text: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = directory.join(format!("{name}.txt"));
    if std::env::var_os("OTEL_SETUP_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} has become\n{text}\nand was\n{expected}");
}

const START: u64 = 1_600_000_000_000_000_000;
