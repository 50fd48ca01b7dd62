//! Which state a span has, by its id: what the registry's extensions would say at five times the
//! cost (a boxed value in a map by type, behind two locks, found through a reference count).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::span::Id;

use super::state::OtelSpan;

/// The open spans of one layer that have state.
pub(super) struct Spans(Box<[Shard]>);

/// Far enough from its neighbours that threads do not meet in one cache line.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    direct: Vec<Option<(u64, Arc<OtelSpan>)>>,
    /// Those whose slot is taken, or too far out.
    others: BTreeMap<u64, Arc<OtelSpan>>,
}

impl Spans {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    #[inline]
    pub(super) fn insert(&self, id: &Id, span: Arc<OtelSpan>) {
        let (shard, at) = self.place(id);
        let mut slots = shard.0.lock();
        match slots.direct.get_mut(at) {
            Some(free @ None) => *free = Some((id.into_u64(), span)),
            _ => slots.insert_elsewhere(id.into_u64(), at, span),
        }
    }

    #[inline]
    pub(super) fn find(&self, id: &Id) -> Option<Arc<OtelSpan>> {
        let (shard, at) = self.place(id);
        let slots = shard.0.lock();
        match slots.direct.get(at) {
            Some(Some((key, span))) if *key == id.into_u64() => Some(span.clone()),
            _ => slots.others.get(&id.into_u64()).cloned(),
        }
    }

    #[inline]
    pub(super) fn remove(&self, id: &Id) -> Option<Arc<OtelSpan>> {
        let (shard, at) = self.place(id);
        let mut slots = shard.0.lock();
        match slots.direct.get_mut(at) {
            Some(slot) if slot.as_ref().is_some_and(|(key, _)| *key == id.into_u64()) => {
                slot.take().map(|(_, span)| span)
            }
            _ => slots.others.remove(&id.into_u64()),
        }
    }

    /// The registry counts its ids from one, and packs the slot in the low bits, dense from zero,
    /// and the thread that made the span above. Were that to change, all would still be found, in
    /// the maps.
    #[inline]
    fn place(&self, id: &Id) -> (&Shard, usize) {
        let index = id.into_u64() - 1;
        let shard = usize::try_from((index >> SLOT_BITS) % SHARDS as u64).unwrap_or_default();
        let at = usize::try_from(index & ((1 << SLOT_BITS) - 1)).unwrap_or(usize::MAX);
        (&self.0[shard], at)
    }
}

impl Slots {
    #[cold]
    fn insert_elsewhere(&mut self, id: u64, at: usize, span: Arc<OtelSpan>) {
        if at < MOST_DIRECT && at >= self.direct.len() {
            self.direct.resize_with((at + 1).next_power_of_two(), || None);
            self.direct[at] = Some((id, span));
        } else {
            self.others.insert(id, span);
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

const SLOT_BITS: u32 = 38;
const SHARDS: usize = 64;
/// In one shard; 64 KiB of them.
const MOST_DIRECT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::otel::state::State;

    #[track_caller]
    fn holds(ids: &[u64]) {
        let spans = Spans::new();
        let made: Vec<_> = ids
            .iter()
            .map(|id| {
                let span = Arc::new(OtelSpan::new(State::Closed, false));
                spans.insert(&Id::from_u64(*id), span.clone());
                (Id::from_u64(*id), span)
            })
            .collect();
        for (id, span) in &made {
            assert!(spans.find(id).is_some_and(|found| Arc::ptr_eq(&found, span)), "{id:?}");
        }
        for (id, span) in &made {
            assert!(spans.remove(id).is_some_and(|found| Arc::ptr_eq(&found, span)), "{id:?}");
            assert!(spans.find(id).is_none() && spans.remove(id).is_none(), "{id:?}");
        }
    }

    #[test]
    fn ids_of_one_slot_do_not_meet() {
        let (next_thread, same_shard) = (1 << SLOT_BITS, (SHARDS as u64) << SLOT_BITS);
        holds(&[1, 2, 33, 1 + next_thread, 1 + same_shard, 1 + 2 * same_shard]);
    }

    #[test]
    fn any_number_is_an_id() {
        holds(&[1, MOST_DIRECT as u64, MOST_DIRECT as u64 + 1, 1 << SLOT_BITS, u64::MAX]);
    }
}
