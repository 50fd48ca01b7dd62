//! The spans of a capture, as they start and end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::pipeline::Limits;

/// Keeps spans as they end, on the thread that ends them.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder(Arc<Recording>);

#[derive(Debug, Default)]
struct Recording {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// `tracing` spans that were never entered yet: for OpenTelemetry they have not started.
    pub(super) made: BTreeMap<u64, &'static str>,
    pub(super) open: Vec<(SpanId, String)>,
    pub(super) ended: Vec<SpanData>,
    pub(super) lost: usize,
}

impl Recorder {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    pub(super) fn notify(&self) {
        self.0.changed.notify_all();
    }

    /// Whether every span has ended within `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        while !(state.open.is_empty() && state.made.is_empty()) {
            let Some(deadline) = deadline else {
                self.0.changed.wait(&mut state);
                continue;
            };
            let timed_out = self.0.changed.wait_until(&mut state, deadline).timed_out();
            if timed_out {
                return state.open.is_empty() && state.made.is_empty();
            }
        }
        true
    }
}

impl State {
    /// The names of spans that have not ended.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(|(_, name)| name.as_str()).chain(self.made.values().copied())
    }
}

impl SpanProcessor for Recorder {
    fn on_start(&self, span: &mut Span, _cx: &Context) {
        let id = span.span_context().span_id();
        let name = span.exported_data().map_or_else(String::new, |data| data.name.into_owned());
        self.lock().open.push((id, name));
    }

    fn on_end(&self, mut span: SpanData) {
        // as exporters get it: each key once
        Limits::default().tidy(&mut span);
        let mut state = self.lock();
        let id = span.span_context.span_id();
        if let Some(at) = state.open.iter().rposition(|(open, _)| *open == id) {
            state.open.swap_remove(at);
        }
        if state.ended.len() < MOST_SPANS {
            state.ended.push(span);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.notify();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// More belong into a benchmark.
const MOST_SPANS: usize = 100_000;
