//! The exporter as its pipeline drives it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Key;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::Desk;
use super::span::Span;
use super::terminal::Look;
use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Settled};
use crate::pipeline::limits::estimate;

/// One clone in one pipeline.
pub(super) struct OpenTree {
    desk: Arc<Desk>,
    look: Look,
    source: usize,
    service: Arc<str>,
    /// When what is due was shown last.
    looked: Instant,
}

impl OpenTree {
    pub(super) fn new(desk: Arc<Desk>, look: Look) -> Self {
        let source = desk.shared.lock().sources.open();
        let service = "unknown_service".into();
        Self { desk, look, source, service, looked: Instant::now() }
    }
}

impl BlockingExporter for OpenTree {
    fn name(&self) -> &'static str {
        "tree"
    }

    fn schedule_delay(&self) -> Duration {
        // somebody is looking on
        LOOK
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(name) = resource.get(&Key::from_static_str("service.name")) {
            self.service = name.as_str().into();
        }
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        Ok(Payload::Spans(batch))
    }

    fn send(&mut self, payload: &mut Payload, _deadline: Instant) -> Result<Receipt, Failure> {
        let now = Instant::now();
        let mut shared = self.desk.shared.lock();
        for span in payload.take_spans() {
            let bytes = estimate(&span);
            let (trace, span) = Span::new(span, self.service.clone(), self.source);
            shared.assembler.admit(trace, span, bytes, now);
        }
        let mut due = shared.assembler.beyond_bounds();
        // under a load that leaves the worker no time to tick
        if now.duration_since(self.looked) > 4 * LOOK {
            self.looked = now;
            due.extend(shared.due(now));
        }
        shared.show(due, self.look);
        Ok(Receipt::default())
    }

    fn holds_back(&self) -> bool {
        true
    }

    fn settled(&mut self) -> Settled {
        std::mem::take(self.desk.shared.lock().sources.settled(self.source))
    }

    fn tick(&mut self) {
        let mut shared = self.desk.shared.lock();
        self.looked = Instant::now();
        shared.sources.hand_over(self.source);
        let due = shared.due(self.looked);
        shared.show(due, self.look);
        self.desk.changed.notify_all();
    }

    fn flush(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut shared = self.desk.shared.lock();
        shared.sources.hand_over_all(self.source);
        self.desk.changed.notify_all();
        let counts = shared.sources.counts();
        let now = Instant::now();
        let until = now + (deadline.saturating_duration_since(now) / 2).min(OTHERS);
        while shared.assembler.holds_of_source(self.source)
            && !shared.sources.others_have_handed_over(self.source, &counts)
            && !self.desk.changed.wait_until(&mut shared, until).timed_out()
        {}
        let all = shared.assembler.of_source(self.source);
        shared.show(all, self.look);
        self.desk.changed.notify_all();
        Ok(())
    }

    fn shutdown(&mut self, deadline: Instant) -> Result<(), Failure> {
        let flushed = self.flush(deadline);
        self.desk.shared.lock().sources.close(self.source);
        self.desk.changed.notify_all();
        flushed
    }
}

impl fmt::Debug for OpenTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTree").field("source", &self.source).finish_non_exhaustive()
    }
}

/// How often a look is taken at what is whole, and each pipeline hands over what has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How long a flush waits for other pipelines to do so twice.
const OTHERS: Duration = Duration::from_millis(500);
