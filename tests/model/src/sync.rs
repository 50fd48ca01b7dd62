//! The scheduler's versions of what the crate calls `crate::sync`, and how a check is run.

#[cfg(feature = "loom")]
use loom as scheduler;
#[cfg(feature = "shuttle")]
use shuttle as scheduler;

#[cfg(any(feature = "loom", feature = "shuttle"))]
mod primitives {
    use std::sync::PoisonError;

    use super::scheduler;
    pub(crate) use scheduler::sync::{Arc, MutexGuard, atomic, mpsc};
    pub(crate) use scheduler::thread;

    /// With the interface of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(scheduler::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(scheduler::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

/// The real ones: then the checks are stress tests, for a sanitizer.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod primitives {
    pub(crate) use std::sync::{Arc, atomic, mpsc};
    pub(crate) use std::thread;

    pub(crate) use parking_lot::{Mutex, MutexGuard};
}

pub(crate) use primitives::*;

#[cfg(feature = "shuttle")]
pub(crate) fn check(f: impl Fn() + Send + Sync + 'static) {
    let f = std::sync::Arc::new(f);
    for scheduler in 0..2 {
        let f = f.clone();
        match scheduler {
            0 => shuttle::check_random(move || f(), schedules()),
            _ => shuttle::check_pct(move || f(), schedules(), 3),
        }
    }
}

#[cfg(feature = "loom")]
pub(crate) fn check(f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(f);
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) fn check(f: impl Fn() + Send + Sync + 'static) {
    (0..schedules()).for_each(|_| f());
}

#[cfg(not(feature = "loom"))]
fn schedules() -> usize {
    std::env::var("OTEL_SETUP_SCHEDULES")
        .map_or(2_000, |text| text.parse().expect("OTEL_SETUP_SCHEDULES is a number"))
}
