//! Trace and span ids: random, and other ones after a fork.

use std::cell::RefCell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};

use super::fork;

/// The SDK's ids, and in a fork's child, where those would be the parent's again, our own. All bits
/// are random (Trace Context level 2, "random trace id flag").
#[derive(Debug, Default)]
pub(crate) struct RandomIds(RandomIdGenerator);

struct Source {
    random: SmallRng,
    /// Of the process that it was seeded in.
    generation: u32,
}

impl IdGenerator for RandomIds {
    #[inline]
    fn new_trace_id(&self) -> TraceId {
        if fork::generation() == 0 { self.0.new_trace_id() } else { trace_id_in_child() }
    }

    #[inline]
    fn new_span_id(&self) -> SpanId {
        if fork::generation() == 0 { self.0.new_span_id() } else { span_id_in_child() }
    }
}

#[cold]
fn trace_id_in_child() -> TraceId {
    let bytes =
        with_source(|random| (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64()));
    TraceId::from(bytes.max(1))
}

#[cold]
fn span_id_in_child() -> SpanId {
    // zero is no id
    SpanId::from(with_source(SmallRng::next_u64).max(1))
}

fn with_source<R>(draw: impl FnOnce(&mut SmallRng) -> R) -> R {
    SOURCE.with_borrow_mut(|source| {
        if source.generation != fork::generation() {
            *source = Source::new();
        }
        draw(&mut source.random)
    })
}

impl Source {
    fn new() -> Self {
        Self { random: SmallRng::from_os_rng(), generation: fork::generation() }
    }
}

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source::new());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_childs_ids_are_valid_and_differ() {
        let traces: HashSet<_> = (0..1000).map(|_| trace_id_in_child()).collect();
        let spans: HashSet<_> = (0..1000).map(|_| span_id_in_child()).collect();
        assert_eq!((traces.len(), spans.len()), (1000, 1000));
        assert!(!traces.contains(&TraceId::INVALID) && !spans.contains(&SpanId::INVALID));
    }
}
