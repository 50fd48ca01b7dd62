//! Names that come from outside, as many as may be in use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::uri::PathAndQuery;
use parking_lot::RwLock;

/// Names that have proven to be real, up to a bound: what strangers send must not make more.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: RwLock<HashSet<String>>,
    count: AtomicUsize,
}

/// A name in use that may have to be taken back: it is what somebody has sent.
#[derive(Debug)]
pub(super) struct Unproven {
    pub(super) path: PathAndQuery,
    pub(super) names: Arc<Names>,
}

impl Names {
    /// Whether the name may be used for now.
    pub(super) fn admits(&self, name: &str) -> bool {
        name.len() <= LONGEST && (self.count.load(Relaxed) < MOST || self.contains(name))
    }

    /// Keeps a name that has proven to be real; `false` if there is no room.
    pub(super) fn keep(&self, name: &str) -> bool {
        if self.contains(name) {
            return true;
        }
        let mut names = self.names.write();
        let is_kept = names.contains(name) || (names.len() < MOST && names.insert(name.to_owned()));
        self.count.store(names.len(), Relaxed);
        is_kept
    }

    fn contains(&self, name: &str) -> bool {
        self.names.read().contains(name)
    }
}

const MOST: usize = 1_000;
const LONGEST: usize = 256;
