//! Which real spans have data in the shadow, and under which id.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::span::Id;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Default)]
pub(super) struct Entries {
    shards: [Shard; SHARDS],
    /// How many are of spans that have no state with us to remember that they have one.
    stateless: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// By a real span's id.
    entries: Mutex<HashMap<u64, Entry>>,
    /// Held by whoever makes an entry.
    making: Mutex<()>,
}

pub(super) struct Entry {
    /// Of the data in the shadow; whoever has it in hand holds it.
    pub(super) id: Arc<Id>,
    pub(super) is_stateless: bool,
}

impl Entries {
    pub(super) fn known(&self, real: &Id) -> Option<Arc<Id>> {
        self.shard(real).entries.lock().get(&real.into_u64()).map(|entry| entry.id.clone())
    }

    /// Makes the entry of a span that has none, unless another thread has meanwhile.
    pub(super) fn make(&self, real: &Id, make: impl FnOnce() -> Option<Entry>) -> Option<Arc<Id>> {
        let shard = self.shard(real);
        let _making = shard.making.lock();
        if let Some(known) = self.known(real) {
            return Some(known);
        }
        let entry = make()?;
        let id = entry.id.clone();
        if entry.is_stateless {
            self.stateless.fetch_add(1, Relaxed);
        }
        shard.entries.lock().insert(real.into_u64(), entry);
        Some(id)
    }

    pub(super) fn remove(&self, real: &Id) -> Option<Arc<Id>> {
        let entry = self.shard(real).entries.lock().remove(&real.into_u64())?;
        if entry.is_stateless {
            self.stateless.fetch_sub(1, Relaxed);
        }
        Some(entry.id)
    }

    /// Whether any span without state has one.
    #[inline]
    pub(super) fn has_stateless(&self) -> bool {
        self.stateless.load(Relaxed) > 0
    }

    fn shard(&self, real: &Id) -> &Shard {
        let number = usize::try_from(real.into_u64() % SHARDS as u64);
        &self.shards[number.expect("it is less than the number of shards")]
    }
}

const SHARDS: usize = 16;
