//! A terminal that no one looks at.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};

/// What a tree is written on: counts, and waits while it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paper(Arc<Sheet>);

#[derive(Debug, Default)]
struct Sheet {
    lines: AtomicU64,
    stopped: Mutex<bool>,
    goes_on: Condvar,
}

impl Paper {
    pub(crate) fn lines(&self) -> u64 {
        self.0.lines.load(Relaxed)
    }

    /// Whether nothing more is taken for now.
    pub(crate) fn stop(&self, stop: bool) {
        *self.0.stopped.lock().expect("nobody panics") = stop;
        self.0.goes_on.notify_all();
    }
}

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let lines = text.split(|byte| *byte == b'\n').count() - 1;
        self.0.lines.fetch_add(lines as u64, Relaxed);
        let stopped = self.0.stopped.lock().expect("nobody panics");
        drop(self.0.goes_on.wait_while(stopped, |stopped| *stopped).expect("nobody panics"));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
