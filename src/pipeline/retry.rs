//! When to try again: exponential backoff with jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The pauses between the attempts on one batch.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    jitter: RandomState,
    attempt: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, jitter: RandomState::new(), attempt: 0 }
    }

    /// The next pause: between half of the step and the whole of it, so that processes which lost
    /// their collector together do not come back together.
    pub(crate) fn pause(&mut self) -> Duration {
        self.attempt += 1;
        let step = self.next;
        self.next = (step * 2).min(LONGEST);
        let random = self.jitter.hash_one(self.attempt) % 1024;
        step / 2 + step.mul_f64(f64::from(u16::try_from(random).unwrap_or(0)) / 2048.0)
    }
}

/// `now` plus a duration of any size.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration.min(A_CENTURY)).unwrap_or(now)
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);
const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
