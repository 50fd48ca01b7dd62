//! Stdout and stderr when they are one file, as in `2>&1 | less`: log lines and spans each come out whole.
//!
//! Of the locks in here `TURN` is the innermost: who holds it waits for nothing but its own write. So a
//! program may hold stdout and log, or hold stderr and print, and nobody waits in a circle. The
//! locks of both streams, one inside the other, would not promise that.

use std::io::{self, IsTerminal as _, StdoutLock, Write};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// Stderr as this crate writes to it: one write is one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        let _turn = turn();
        stderr.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        let _turn = turn();
        stderr.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The turn of a span on stdout, if log lines go to the same place.
///
/// Elsewhere a reader that has stopped reading stdout must not hold up the log lines.
#[must_use = "log lines may come in between once it is dropped"]
pub(crate) fn beside_log_lines(stdout: &StdoutLock<'_>) -> Option<SpanTurn> {
    meets_stderr(stdout).then(|| {
        let turn = TURN.lock();
        PRINTING.store(std::process::id(), Ordering::Relaxed);
        SpanTurn { _turn: turn }
    })
}

/// What keeps log lines out of a span that is being printed.
pub(crate) struct SpanTurn {
    _turn: MutexGuard<'static, ()>,
}

impl Drop for SpanTurn {
    fn drop(&mut self) {
        PRINTING.store(0, Ordering::Relaxed);
    }
}

/// `None` in the child of a fork that came while a span was printed: the thread that would end the
/// turn is not in this process.
fn turn() -> Option<MutexGuard<'static, ()>> {
    TURN.try_lock().or_else(|| {
        let printing = PRINTING.load(Ordering::Relaxed);
        (printing == 0 || printing == std::process::id()).then(|| TURN.lock())
    })
}

fn meets_stderr(stdout: &StdoutLock<'_>) -> bool {
    let stderr = io::stderr();
    (stdout.is_terminal() && stderr.is_terminal()) || is_one_file(stdout, &stderr)
}

#[cfg(unix)]
fn is_one_file(stdout: &StdoutLock<'_>, stderr: &io::Stderr) -> bool {
    match (rustix::fs::fstat(stdout), rustix::fs::fstat(stderr)) {
        (Ok(out), Ok(err)) => (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino),
        _ => false,
    }
}

/// What a handle refers to is not known here: only terminals are told.
#[cfg(not(unix))]
fn is_one_file(_: &StdoutLock<'_>, _: &io::Stderr) -> bool {
    false
}

static TURN: Mutex<()> = Mutex::new(());

/// The process whose span has the turn; 0 while none has.
static PRINTING: AtomicU32 = AtomicU32::new(0);
