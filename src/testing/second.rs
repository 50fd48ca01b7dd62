//! A subscriber that is nobody's default.
//!
//! While there is only one subscriber in a process, `tracing` asks about a callsite the thread that
//! comes to it first, and where that thread has none, nobody wants the callsite from then on, not even
//! a capture. With two it asks them all.

use std::sync::OnceLock;

use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

#[derive(Debug)]
struct Second;

/// From now on there is one.
pub(super) fn is_there() {
    SECOND.get_or_init(|| Dispatch::new(Second));
}

impl Subscriber for Second {
    /// As the others say: what all of them always want costs no question.
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

static SECOND: OnceLock<Dispatch> = OnceLock::new();
