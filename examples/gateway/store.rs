//! Where answers are kept: the last thousand, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Reserved,
    SoldOut,
    Failed,
}

#[derive(Clone)]
pub struct Store(Arc<watch::Sender<BTreeMap<u64, Answer>>>);

impl Default for Store {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Store {
    #[tracing::instrument(name = "store", skip(self))]
    pub fn put(&self, id: u64, answer: Answer) {
        self.0.send_modify(|answers| {
            answers.insert(id, answer);
            if answers.len() > CAPACITY {
                answers.pop_first();
            }
        });
    }

    pub fn get(&self, id: u64) -> Option<Answer> {
        self.0.borrow().get(&id).copied()
    }

    /// Waits for the answer.
    pub async fn answer_to(&self, id: u64) -> Answer {
        let mut answers = self.0.subscribe();
        let known = answers.wait_for(|answers| answers.contains_key(&id)).await;
        known.expect("this store is the sender")[&id]
    }
}

const CAPACITY: usize = 1000;
