//! A trace as text: a header, the axis, and a line for each thing that is shown.

use std::collections::HashMap;

use opentelemetry::trace::{SpanId, TraceId};

use super::bar::{Axis, Bar};
use super::columns::{self, Columns, NUMBER};
use super::forest::{Forest, NodeKind};
use super::header::{axis_line, header, services};
use super::label::Label;
use super::levels::fold_levels;
use super::lines::{Content, Detail, Line, lines};
use super::prune::prune;
use super::span::{Span, Weight};
use super::style::{Ink, Style};
use super::terminal::Page;
use super::text::{columns, grouped};
use super::words;

/// What is drawn, and what is known of it beside its spans.
pub(crate) struct Subject<'a> {
    pub(crate) id: TraceId,
    pub(crate) spans: &'a [Span],
    /// The first start of a trace of which spans were shown before.
    pub(crate) continues: Option<u64>,
    /// Names of spans that were shown before.
    pub(crate) names: &'a dyn Fn(SpanId) -> Option<String>,
}

/// Everything that is known while a picture is drawn.
pub(super) struct Picture<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) forest: Forest<'a>,
    pub(super) page: Page,
    pub(super) axis: Axis,
    pub(super) columns: Columns,
    /// Those of the roots first.
    pub(super) services: Vec<&'a str>,
    /// Where each span is.
    pub(super) parents: HashMap<SpanId, usize>,
}

pub(crate) fn paint(subject: &Subject<'_>, page: Page) -> String {
    let mut forest = Forest::grow(subject.spans, SHOWN_WHOLE);
    let is_small = subject.spans.len() <= SHOWN_WHOLE;
    if !is_small {
        fold_levels(&mut forest);
    }
    prune(&mut forest, MOST_NODES);
    let starts = subject.spans.iter().map(|span| span.start);
    let ends = subject.spans.iter().map(|span| span.end);
    let axis = Axis { start: starts.min().unwrap_or(0), end: ends.max().unwrap_or(0) };
    let services = services(&forest);
    let detail = Detail {
        events: if is_small { 10 } else { 3 },
        weight: if is_small { Weight::Plain } else { Weight::Warning },
        indent: columns::of_guides(page, services.len() > 1),
        charset: page.charset,
    };
    let lines = lines(&forest, detail);
    let parents = if services.len() > 1 {
        subject.spans.iter().enumerate().map(|(i, span)| (span.id, i)).collect()
    } else {
        HashMap::new()
    };
    let columns = Columns::default();
    let mut picture = Picture { subject, forest, page, axis, columns, services, parents };
    picture.columns = Columns::of(&picture, &lines);
    picture.draw(&lines)
}

impl Picture<'_> {
    fn is_chain(&self, node: usize) -> bool {
        matches!(self.forest.nodes[node].kind, NodeKind::Levels(_))
    }

    pub(super) fn members(&self, node: usize) -> &[usize] {
        self.forest.members(node)
    }

    fn draw(&self, lines: &[Line]) -> String {
        let mut out = String::with_capacity(lines.len() * self.page.width);
        let mut ink = Ink { out: &mut out, colour: self.page.colour };
        header(self, &mut ink);
        if self.subject.spans.len() > 1 {
            axis_line(self, &mut ink);
        }
        for line in lines {
            match line.content {
                Content::Node { node, is_root } => self.row(&mut ink, line, node, is_root),
                Content::Details(node) => self.details_below(&mut ink, line, node),
                Content::Complaint(span) => {
                    let words = self.subject.spans[span].complaint().unwrap_or_default();
                    let words = self.page.charset.clean(words);
                    self.note(
                        &mut ink,
                        line,
                        Style::Failed,
                        self.page.charset.pick("✗", "x"),
                        &words,
                    );
                }
                Content::Event { span, event } => self.event(&mut ink, line, span, event),
                Content::MoreEvents(n) => {
                    let words = format!("{} more events", grouped(n));
                    let ellipsis = self.page.charset.pick("…", "...");
                    self.note(&mut ink, line, Style::Faint, ellipsis, &words);
                }
            }
        }
        out.push('\n');
        out
    }

    /// A node: its label, what it took, and its bar.
    fn row(&self, ink: &mut Ink<'_>, line: &Line, node: usize, is_root: bool) {
        let label = Label::of(self, node, is_root);
        ink.put(Style::Faint, &line.guides);
        let guides = columns(&line.guides);
        let members = self.members(node);
        if members.is_empty() {
            label.put(ink, self.page.width.saturating_sub(guides), self.page.charset);
            return ink.end_line();
        }
        let used = label.put(ink, self.columns.name.saturating_sub(guides), self.page.charset);
        ink.blanks(self.columns.name.saturating_sub(guides + used));
        let spans = &self.subject.spans;
        // of levels, one has the others in it
        let shown = if self.is_chain(node) { &members[..1] } else { members };
        let took = shown.iter().map(|i| spans[*i].duration()).sum();
        let own = members.iter().map(|i| self.forest.self_time(*i)).sum();
        self.number(ink, Style::Plain, Some(took));
        self.number(ink, Style::Faint, (own != took).then_some(own));
        ink.blanks(2);
        let drawn = self.bar(ink, node);
        if let Some(room) = self.columns.details {
            ink.blanks(self.columns.bar - drawn + 2);
            ink.put(Style::Faint, &self.fit(&self.words(node), room, true).0);
        }
        ink.end_line();
    }

    fn number(&self, ink: &mut Ink<'_>, style: Style, nanos: Option<u64>) {
        let text = nanos.map_or_else(String::new, |nanos| self.page.charset.duration(nanos));
        ink.blanks((2 + NUMBER).saturating_sub(columns(&text)));
        ink.put(style, &text);
    }

    /// Returns the columns it took.
    fn bar(&self, ink: &mut Ink<'_>, node: usize) -> usize {
        let members = self.members(node);
        let mut bar = Bar::new(self.axis, self.columns.bar);
        let mut add = |span: usize, innermost: usize| {
            let Span { start, end, .. } = self.subject.spans[span];
            bar.add(start, end, &self.forest.waits[innermost]);
        };
        match members {
            [outermost, .., innermost] if self.is_chain(node) => add(*outermost, *innermost),
            _ => members.iter().for_each(|span| add(*span, *span)),
        }
        let mut cells: Vec<_> =
            bar.cells(self.page.charset).into_iter().map(|c| (c, None)).collect();
        if let [span] = members {
            for event in &self.subject.spans[*span].events {
                let mark = match event.weight() {
                    Weight::Error => (self.page.charset.pick("✗", "x"), Style::StrongFailed),
                    Weight::Warning => ("!", Style::Warned),
                    Weight::Plain => continue,
                };
                let at = self.axis.column(event.at, self.columns.bar);
                cells.resize(cells.len().max(at + 1), (' ', None));
                cells[at] = (mark.0.chars().next().unwrap_or(' '), Some(mark.1));
            }
        }
        let style = self.bar_style(members);
        for run in cells.chunk_by(|a, b| a.1 == b.1) {
            let text: String = run.iter().map(|(c, _)| *c).collect();
            ink.put(run[0].1.unwrap_or(style), &text);
        }
        cells.len()
    }

    fn bar_style(&self, members: &[usize]) -> Style {
        let span = &self.subject.spans[members[0]];
        if span.is_error() {
            return Style::Failed;
        }
        let service = self.services.iter().position(|service| **service == *span.service);
        Style::Service(service.unwrap_or(0))
    }

    fn words(&self, node: usize) -> Vec<String> {
        let charset = self.page.charset;
        match &self.forest.nodes[node].kind {
            NodeKind::Span(span) => words::attributes(&self.subject.spans[*span], charset),
            NodeKind::Fold(spans) => {
                let spans: Vec<_> = spans.iter().map(|i| &self.subject.spans[*i]).collect();
                vec![words::sum(&spans, charset)]
            }
            _ => Vec::new(),
        }
    }

    /// As many words as have room, and how many that are; the last line says how many are left.
    fn fit(&self, words: &[String], room: usize, is_last: bool) -> (String, usize) {
        let (mut text, mut used) = (String::new(), 0);
        for word in words {
            let blanks = if used == 0 { 0 } else { 2 };
            let more = if is_last && used + 1 < words.len() { MORE } else { 0 };
            if used > 0 && columns(&text) + blanks + columns(word) + more > room {
                break;
            }
            text.extend(std::iter::repeat_n(' ', blanks));
            text.push_str(word);
            used += 1;
        }
        let left = words.len() - used;
        if is_last && left > 0 {
            let text = self.page.charset.cut(&text, room.saturating_sub(MORE));
            return (format!("{text}  +{left}"), used);
        }
        (self.page.charset.cut(&text, room), used)
    }

    /// Attributes below the row, where they have no column.
    fn details_below(&self, ink: &mut Ink<'_>, line: &Line, node: usize) {
        if self.columns.details.is_some() {
            return;
        }
        let room = self.page.width.saturating_sub(columns(&line.guides));
        let words = self.words(node);
        let mut words = &words[..];
        for n in 1..=DETAIL_LINES {
            if words.is_empty() {
                return;
            }
            let (text, used) = self.fit(words, room, n == DETAIL_LINES);
            words = &words[used..];
            ink.put(Style::Faint, &line.guides);
            ink.put(Style::Faint, &text);
            ink.end_line();
        }
    }

    fn event(&self, ink: &mut Ink<'_>, line: &Line, span: usize, event: usize) {
        let charset = self.page.charset;
        let event = &self.subject.spans[span].events[event];
        let (style, mark) = match event.weight() {
            Weight::Error => (Style::Failed, charset.pick("✗", "x")),
            Weight::Warning => (Style::Warned, "!"),
            Weight::Plain => (Style::Plain, charset.pick("·", "*")),
        };
        let after = charset.duration(event.at.saturating_sub(self.axis.start));
        let words = format!("+{after} {}", words::event(event, charset));
        self.note(ink, line, style, mark, &words);
    }

    fn note(&self, ink: &mut Ink<'_>, line: &Line, style: Style, mark: &str, words: &str) {
        ink.put(Style::Faint, &line.guides);
        let room = self.page.width.saturating_sub(columns(&line.guides));
        ink.put(style, &self.page.charset.cut(&format!("{mark} {words}"), room));
        ink.end_line();
    }
}

/// A trace of no more spans than this is shown as it is, every event included.
const SHOWN_WHOLE: usize = 50;
/// Rows of a larger trace.
const MOST_NODES: usize = 150;
const DETAIL_LINES: usize = 2;
/// `  +12`
const MORE: usize = 5;
