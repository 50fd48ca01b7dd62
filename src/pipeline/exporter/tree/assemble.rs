//! Spans arrive as they end, in any order and from several threads; traces leave when they are whole.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use super::span::Span;

/// Traces that are not shown yet, and a little of those that are.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    held: HashMap<TraceId, Held>,
    spans: usize,
    bytes: usize,
    shown: VecDeque<Shown>,
    /// Traces that were ever held.
    arrivals: u64,
}

/// A trace, ready to be shown.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    pub(super) spans: Vec<Span>,
    /// Its first part was shown before.
    pub(super) continues: Option<Shown>,
}

#[derive(Debug)]
struct Held {
    spans: Vec<Span>,
    bytes: usize,
    /// The earliest of its spans, in nanoseconds since 1970.
    start: u64,
    first: Instant,
    last: Instant,
    /// Which trace it was to come: a batch of them has one `first`.
    arrival: u64,
}

/// What is remembered of a trace that was shown: late spans are put in relation to it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    id: TraceId,
    pub(super) start: u64,
    names: HashMap<SpanId, Cow<'static, str>>,
}

impl Assembler {
    pub(super) fn admit(&mut self, trace: TraceId, span: Span, bytes: usize, now: Instant) {
        self.spans += 1;
        self.bytes += bytes;
        let held = self.held.entry(trace).or_insert_with(|| {
            self.arrivals += 1;
            let arrival = self.arrivals;
            Held { spans: Vec::new(), bytes: 0, start: u64::MAX, first: now, last: now, arrival }
        });
        held.bytes += bytes;
        held.start = held.start.min(span.start);
        held.last = now;
        held.spans.push(span);
    }

    /// Traces that are whole, or that nobody should wait for any longer, in the order of their starts.
    /// Where spans come from several sources, each of those hands over in its own time.
    pub(super) fn due(&mut self, now: Instant, several_sources: bool) -> Vec<Trace> {
        let due = |id: &TraceId, held: &Held| {
            let shown = self.shown.iter().any(|shown| shown.id == *id);
            now >= held.due(shown, several_sources)
        };
        let due = self.held.iter().filter(|(id, held)| due(id, held)).map(|(id, _)| *id).collect();
        let mut traces = self.take(due);
        traces.extend(self.beyond_bounds());
        traces
    }

    /// Traces that must go to keep within the bounds: those that have been here for longest.
    pub(super) fn beyond_bounds(&mut self) -> Vec<Trace> {
        if self.spans <= MOST_SPANS && self.bytes <= MOST_BYTES {
            return Vec::new();
        }
        let mut by_age: Vec<_> = self.held.iter().map(|(id, held)| (held.arrival, *id)).collect();
        by_age.sort_unstable_by_key(|(arrival, _)| *arrival);
        let (mut spans, mut bytes, mut going) = (self.spans, self.bytes, Vec::new());
        for (_, id) in by_age {
            // to half, so that it is not done again for the next span
            if spans <= MOST_SPANS / 2 && bytes <= MOST_BYTES / 2 {
                break;
            }
            spans -= self.held[&id].spans.len();
            bytes -= self.held[&id].bytes;
            going.push(id);
        }
        self.take(going)
    }

    /// Everything in which a source has a part.
    pub(super) fn of_source(&mut self, source: usize) -> Vec<Trace> {
        let all = self.held.iter().filter(|(_, held)| held.has_part(source));
        let all = all.map(|(id, _)| *id).collect();
        self.take(all)
    }

    pub(super) fn holds_of_source(&self, source: usize) -> bool {
        self.held.values().any(|held| held.has_part(source))
    }

    /// In the order of their starts, and of two that started at once, in which they came.
    fn take(&mut self, ids: Vec<TraceId>) -> Vec<Trace> {
        let mut taken: Vec<_> =
            ids.into_iter().filter_map(|id| Some((id, self.held.remove(&id)?))).collect();
        taken.sort_unstable_by_key(|(_, held)| (held.start, held.arrival));
        taken.into_iter().map(|(id, held)| self.leave(id, held)).collect()
    }

    fn leave(&mut self, id: TraceId, held: Held) -> Trace {
        self.spans -= held.spans.len();
        self.bytes -= held.bytes;
        let at = self.shown.iter().position(|shown| shown.id == id);
        let before = at.and_then(|at| self.shown.remove(at));
        let mut now = before.clone().unwrap_or_else(|| Shown {
            id,
            start: held.start,
            names: HashMap::new(),
        });
        for span in held.spans.iter().rev() {
            if now.names.len() >= MOST_NAMES {
                break;
            }
            now.names.insert(span.id, span.name.clone());
        }
        self.shown.push_back(now);
        if self.shown.len() > MOST_SHOWN {
            self.shown.pop_front();
        }
        Trace { id, spans: held.spans, continues: before }
    }
}

impl Held {
    fn has_part(&self, source: usize) -> bool {
        self.spans.iter().any(|span| span.source == source)
    }

    /// When it will be shown if nothing more comes.
    fn due(&self, was_shown: bool, several_sources: bool) -> Instant {
        let quiet = |pause| (self.last + pause).min(self.first + LONGEST);
        let has_root = self.spans.iter().any(|span| span.parent.is_none());
        let of = |kind| self.spans.iter().filter(|span| span.kind == kind).count();
        if has_root && of(SpanKind::Producer) > of(SpanKind::Consumer) {
            quiet(CONSUMER)
        } else if has_root {
            quiet(if several_sources { ELSEWHERE } else { STRAGGLERS })
        } else if was_shown || self.spans.iter().any(|span| span.parent_is_remote) {
            quiet(REMOTE)
        } else {
            quiet(ROOT)
        }
    }
}

impl Shown {
    pub(super) fn name(&self, span: SpanId) -> Option<&str> {
        self.names.get(&span).map(|name| &**name)
    }
}

/// How long a trace with its root waits for what ends just after it on other threads.
const STRAGGLERS: Duration = Duration::from_millis(50);
/// The same for what ends just after it in another pipeline that shares the picture.
const ELSEWHERE: Duration = Duration::from_millis(300);
/// How long a trace with its root waits for the consumer of a message that it has sent: it may be
/// in this program.
const CONSUMER: Duration = Duration::from_secs(1);
/// How long spans wait for a remote parent, which may be in this program too, or for others that
/// are late as they are.
const REMOTE: Duration = Duration::from_millis(300);
/// How long spans wait for a root that is still open while nothing else happens.
const ROOT: Duration = Duration::from_secs(5);
/// How long the first of them waits for anything, however often something new comes.
const LONGEST: Duration = Duration::from_secs(30);

const MOST_SPANS: usize = 50_000;
const MOST_BYTES: usize = 64 << 20;
const MOST_SHOWN: usize = 64;
const MOST_NAMES: usize = 512;
