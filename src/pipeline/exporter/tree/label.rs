//! What a row is called.

use opentelemetry::trace::{SpanKind, Status};

use super::columns::LEAST_NAME;
use super::forest::NodeKind;
use super::paint::Picture;
use super::span::Span;
use super::style::{Ink, Style};
use super::text::{Charset, columns, counted, grouped};

/// A name, and what follows it.
#[derive(Debug)]
pub(super) struct Label {
    name: (Style, String),
    /// Always shown.
    marks: Vec<(Style, String)>,
    /// Where it is another than the parent's: shortened, if need be.
    service: Option<(Style, String)>,
    /// Left out where there is no room.
    kind: Option<(Style, String)>,
}

impl Label {
    pub(super) fn of(picture: &Picture<'_>, node: usize, is_root: bool) -> Self {
        let charset = picture.page.charset;
        let spans = picture.subject.spans;
        let faint = |text: String| Self {
            name: (Style::Faint, text),
            marks: Vec::new(),
            service: None,
            kind: None,
        };
        let absent = charset.pick("◌", "?");
        match &picture.forest.nodes[node].kind {
            NodeKind::Absent { id, is_remote } => {
                let name = (picture.subject.names)(*id).map(|name| charset.clean(&name));
                faint(match (name, is_remote) {
                    (Some(name), _) => format!("{absent} {name}, shown above"),
                    (None, true) => format!("{absent} remote parent {id}"),
                    (None, false) => format!("{absent} {id}, not ended yet"),
                })
            }
            NodeKind::Rest { spans, errors: 0 } => {
                faint(format!("{} {}", charset.pick("…", "..."), counted_more(*spans)))
            }
            NodeKind::Rest { spans, errors } => faint(format!(
                "{} {}, {}",
                charset.pick("…", "..."),
                counted_more(*spans),
                counted(*errors, "error")
            )),
            NodeKind::Levels(spans) => {
                faint(format!("{} {} more levels", charset.pick("…", "..."), grouped(spans.len())))
            }
            NodeKind::Span(span) => Self::span(picture, &spans[*span], None, is_root),
            NodeKind::Fold(members) => {
                Self::span(picture, &spans[members[0]], Some(members.len()), is_root)
            }
        }
    }

    fn span(picture: &Picture<'_>, span: &Span, times: Option<usize>, is_root: bool) -> Self {
        let charset = picture.page.charset;
        let style = match (span.is_error(), is_root) {
            (true, true) => Style::StrongFailed,
            (true, false) => Style::Failed,
            (false, true) => Style::Strong,
            (false, false) => Style::Plain,
        };
        let name = charset.clean(&span.name);
        let name = if name.is_empty() { "\"\"".to_owned() } else { name };
        let mut marks = Vec::new();
        if let Some(times) = times {
            marks.push((Style::Strong, format!("{}{}", charset.pick("×", "x"), grouped(times))));
        }
        match span.status {
            Status::Error { .. } => {
                marks.push((Style::StrongFailed, charset.pick("✗", "[error]").to_owned()));
            }
            Status::Ok => marks.push((Style::Good, charset.pick("✓", "[ok]").to_owned())),
            Status::Unset => {}
        }
        let is_told = picture.services.len() > 1 && (is_root || picture.changes_service(span));
        let service = is_told.then(|| {
            let at = picture.services.iter().position(|service| **service == *span.service);
            (Style::Service(at.unwrap_or(0)), charset.clean(&span.service))
        });
        let kind = kind(&span.kind).map(|kind| (Style::Faint, kind.to_owned()));
        Self { name: (style, name), marks, service, kind }
    }

    pub(super) fn width(&self) -> usize {
        let service = self.service.as_ref().map_or(0, |(_, name)| 1 + BRACKETS + columns(name));
        columns(&self.name.1) + with_gaps(&self.marks) + service + with_gaps(&self.kind)
    }

    /// Writes it into no more than `room` columns; how many it took.
    pub(super) fn put(self, ink: &mut Ink<'_>, room: usize, charset: Charset) -> usize {
        let least = columns(&self.name.1).min(LEAST_NAME);
        let mut others = self.marks;
        if let Some((style, service)) = self.service {
            let most = room.saturating_sub(1 + with_gaps(&others) + 1 + BRACKETS);
            let beside_name = (most + 1).saturating_sub(least);
            let service = charset.cut(&service, beside_name.max(LEAST_SERVICE).min(most));
            others.push((style, format!("[{service}]")));
        }
        if least + with_gaps(&others) + with_gaps(&self.kind) <= room {
            others.extend(self.kind);
        }
        let name = charset.cut(&self.name.1, room.saturating_sub(with_gaps(&others)));
        ink.put(self.name.0, &name);
        for (style, text) in &others {
            ink.blanks(1);
            ink.put(*style, text);
        }
        columns(&name) + with_gaps(&others)
    }
}

impl Picture<'_> {
    /// Whether a span belongs to another service than its parent.
    fn changes_service(&self, span: &Span) -> bool {
        let parent = span.parent.and_then(|id| self.parents.get(&id));
        parent.is_none_or(|parent| self.subject.spans[*parent].service != span.service)
    }
}

fn with_gaps<'a>(parts: impl IntoIterator<Item = &'a (Style, String)>) -> usize {
    parts.into_iter().map(|(_, text)| columns(text) + 1).sum()
}

fn counted_more(spans: usize) -> String {
    format!("{} more span{}", grouped(spans), if spans == 1 { "" } else { "s" })
}

fn kind(kind: &SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

const BRACKETS: usize = 2;
/// Of the name of a service, in columns.
const LEAST_SERVICE: usize = 6;
