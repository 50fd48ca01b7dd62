//! What a capture sees of its stack's `tracing` spans: which are open, and on which threads they are
//! entered.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};

use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard, WeakDispatch};

use super::recorder::Recorder;
use crate::layer::{Observer, observer_of};
use crate::propagation::Propagator;

#[derive(Debug)]
pub(super) struct Watch {
    recorder: Recorder,
    /// The thread of the test, which has the capture's dispatcher anyway.
    home: ThreadId,
    dispatch: OnceLock<WeakDispatch>,
    pub(super) propagator: OnceLock<Propagator>,
    /// Whether panics are put on spans.
    pub(super) panic_events: AtomicBool,
}

/// A thread that has a capture's dispatcher for as long as spans of the capture are entered on it.
struct Followed {
    /// Tells captures apart.
    watch: usize,
    entered: usize,
    _default: DefaultGuard,
}

impl Watch {
    pub(super) fn new(recorder: Recorder) -> Arc<Self> {
        Arc::new(Self {
            recorder,
            home: thread::current().id(),
            dispatch: OnceLock::new(),
            propagator: OnceLock::new(),
            panic_events: AtomicBool::new(false),
        })
    }

    /// Does something with the capture that this thread belongs to now.
    pub(super) fn here<R>(f: impl FnOnce(&Self) -> R) -> Option<R> {
        let mut f = Some(f);
        dispatcher::get_default(|dispatch| {
            let observer: &dyn Any = &**observer_of(dispatch)?;
            Some(f.take()?(observer.downcast_ref::<Self>()?))
        })
    }

    pub(super) fn wants_panics() -> bool {
        Self::here(|watch| watch.panic_events.load(Relaxed)).unwrap_or_default()
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether the thread is to follow from now on: it belongs to no capture.
    fn is_new_here(&self) -> bool {
        let counted = FOLLOWED.try_with(|followed| {
            let mut followed = followed.try_borrow_mut().ok()?;
            match followed.as_mut() {
                None => Some(false),
                Some(followed) => {
                    followed.entered += usize::from(followed.watch == self.key());
                    Some(true)
                }
            }
        });
        matches!(counted, Ok(Some(false)))
            && thread::current().id() != self.home
            && Self::here(|_| ()).is_none()
    }

    fn follow(&self, dispatch: &Dispatch) {
        // cannot be done from inside `get_default`
        let set = catch_unwind(AssertUnwindSafe(|| dispatcher::set_default(dispatch)));
        let Ok(default) = set else { return };
        let followed = Followed { watch: self.key(), entered: 1, _default: default };
        // if the thread is ending, the default is reset at once
        let _ = FOLLOWED.try_with(|cell| cell.try_borrow_mut().map(|mut f| *f = Some(followed)));
    }
}

impl Observer for Watch {
    fn bind(&self, dispatch: WeakDispatch) {
        let _ = self.dispatch.set(dispatch);
    }

    fn made(&self, span: u64, name: &'static str) {
        self.recorder.lock().made.insert(span, name);
    }

    fn entered(&self, span: u64) {
        // from here on the recorder knows it, if it is recorded at all
        self.recorder.lock().made.remove(&span);
        if self.is_new_here()
            && let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade)
        {
            self.follow(&dispatch);
        }
    }

    fn left(&self, _span: u64) {
        let done = FOLLOWED.try_with(|followed| {
            let mut followed = followed.try_borrow_mut().ok()?;
            let of_this = followed.as_mut().filter(|followed| followed.watch == self.key())?;
            of_this.entered -= 1;
            if of_this.entered == 0 { followed.take() } else { None }
        });
        // what it drops may run code of others
        drop(done);
    }

    fn closed(&self, span: u64) {
        self.recorder.lock().made.remove(&span);
        self.recorder.notify();
    }
}

thread_local! {
    static FOLLOWED: RefCell<Option<Followed>> = const { RefCell::new(None) };
}
