//! Says when loss starts, while it lasts, and when it has ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::ledger::{Account, Dropped};
use crate::diagnostics::Diagnostics;
use crate::error::Severity;

/// What one exporter's worker has said of its losses.
#[derive(Debug)]
pub(crate) struct Report {
    diagnostics: Diagnostics,
    name: String,
    /// Said: spans cannot be exported for now, and are tried again.
    retrying: bool,
    /// Said: the exporter keeps the worker.
    hanging: bool,
    /// Losses were said to begin before it was known why the attempt fails.
    is_unexplained: bool,
    losing: Option<Losing>,
    /// Losses that have been spoken of.
    said: u64,
}

/// A time of loss.
#[derive(Debug)]
struct Losing {
    /// Losses before it began.
    before: u64,
    last_said: Instant,
    last_lost: u64,
    last_loss: Instant,
}

impl Report {
    pub(crate) fn new(diagnostics: Diagnostics, name: String) -> Self {
        Self {
            diagnostics,
            name,
            retrying: false,
            hanging: false,
            is_unexplained: false,
            losing: None,
            said: 0,
        }
    }

    /// An attempt failed, and is made again.
    pub(crate) fn retries(&mut self, trouble: &str) {
        let is_news = self.losing.is_none() || std::mem::take(&mut self.is_unexplained);
        if !self.retrying && is_news {
            self.retrying = true;
            let name = &self.name;
            self.diagnostics.say_once(
                Severity::Warning,
                format_args!("{name}: cannot export, spans are kept and tried again: {trouble}"),
            );
        }
    }

    /// The exporter keeps the worker.
    pub(crate) fn hangs(&mut self, trouble: &str) {
        if !self.hanging && self.losing.is_none() {
            self.hanging = true;
            let name = &self.name;
            self.diagnostics.say_once(
                Severity::Warning,
                format_args!("{name}: spans are kept as long as there is room: {trouble}"),
            );
        }
    }

    /// Looks at the account: after each batch, on schedule, and while an exporter does not
    /// return. `said` is told how far it has spoken.
    pub(crate) fn look(&mut self, account: &Account, trouble: Option<&str>, said: &AtomicU64) {
        let (lost, now) = (account.lost(), Instant::now());
        match &mut self.losing {
            None if lost > self.said => {
                let before = self.said;
                self.losing =
                    Some(Losing { before, last_said: now, last_lost: lost, last_loss: now });
                self.speak("losing spans", account, trouble);
            }
            None => {}
            Some(losing) => {
                if lost > losing.last_lost {
                    (losing.last_lost, losing.last_loss) = (lost, now);
                }
                if now.duration_since(losing.last_loss) >= QUIET {
                    self.end(account);
                } else if lost > self.said && now.duration_since(losing.last_said) >= INTERVAL {
                    losing.last_said = now;
                    let what = format!("still losing spans, {} more, in all", lost - self.said);
                    self.speak(&what, account, trouble);
                }
            }
        }
        said.store(self.said, Relaxed);
    }

    /// The same, by somebody else than the worker, who is busy.
    pub(crate) fn look_from_aside(&mut self, account: &Account, trouble: &str, said: &AtomicU64) {
        let was_losing = self.losing.is_some();
        self.look(account, Some(trouble), said);
        self.is_unexplained |= !was_losing && self.losing.is_some();
    }

    /// All has arrived, and there is something to be said of it (OTLP specification, "Partial
    /// Success").
    pub(crate) fn warns(&self, words: &str) {
        self.diagnostics.say(
            Severity::Warning,
            "warning of a backend",
            format_args!("{}: {words}", self.name),
        );
    }

    /// A batch arrived.
    pub(crate) fn exported(&mut self) {
        let was_in_trouble = self.retrying || self.hanging;
        (self.retrying, self.hanging, self.is_unexplained) = (false, false, false);
        if was_in_trouble && self.losing.is_none() {
            let name = &self.name;
            self.diagnostics.say_once(Severity::Info, format_args!("{name}: exporting again"));
        }
    }

    fn speak(&mut self, what: &str, account: &Account, trouble: Option<&str>) {
        let lost = account.lost();
        let tally = Tally { rejected: account.rejected(), dropped: account.dropped() };
        let cause = trouble.map_or(String::new(), |words| format!(": {words}"));
        self.diagnostics
            .say_once(Severity::Error, format_args!("{}: {what}: {tally}{cause}", self.name));
        self.said = lost;
    }

    fn end(&mut self, account: &Account) {
        let Some(losing) = self.losing.take() else { return };
        (self.retrying, self.is_unexplained) = (false, false);
        let lost = account.lost();
        self.diagnostics.say_once(
            Severity::Info,
            format_args!(
                "{}: no span lost for {} s; {} were lost since it began",
                self.name,
                QUIET.as_secs(),
                lost - losing.before
            ),
        );
        self.said = lost;
    }
}

/// `7 dropped (queue full 7)`, and what was rejected.
struct Tally {
    rejected: u64,
    dropped: Dropped,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rejected > 0 {
            write!(f, "{} rejected, ", self.rejected)?;
        }
        write!(f, "{}", self.dropped)
    }
}

/// Between two lines while loss lasts.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long nothing must be lost for the loss to have ended.
const QUIET: Duration = Duration::from_secs(10);
