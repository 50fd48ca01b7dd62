//! Our own voice: lines on stderr that never pass through the pipeline they speak of.
//!
//! Each topic is limited in rate, so a collector that is down for a night does not fill a disk;
//! what was held back is counted in the next line. Writing never panics, stderr closed or not.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{Severity, escape};
use crate::guarded::guarded;
use crate::streams::Stderr;

/// A handle on the voice of one stack; clones share the rate limits.
#[derive(Clone)]
pub(crate) struct Diagnostics(Arc<Inner>);

struct Inner {
    sink: Box<Sink>,
    least: Option<Severity>,
    interval: Duration,
    topics: Mutex<Vec<Topic>>,
}

type Sink = dyn Fn(Severity, &str) + Send + Sync;

/// Topics are literals of this crate, so their number is bounded.
struct Topic {
    name: &'static str,
    said: Instant,
    held_back: u64,
}

impl Diagnostics {
    /// Lines on stderr, those of `least` and above; `None` is silence.
    pub(crate) fn stderr(least: Option<Severity>) -> Self {
        Self::to(least, Box::new(to_stderr))
    }

    /// Lines to a function of the caller's.
    pub(crate) fn to(least: Option<Severity>, sink: Box<Sink>) -> Self {
        let topics = Mutex::default();
        Self(Arc::new(Inner { sink, least, interval: INTERVAL, topics }))
    }

    /// Says something now, unless the same topic was spoken of less than ten seconds ago.
    pub(crate) fn say(&self, severity: Severity, topic: &'static str, message: fmt::Arguments<'_>) {
        if self.0.least.is_none_or(|least| severity < least) {
            return;
        }
        match self.held_back(topic) {
            Some(0) => self.tell(severity, &message.to_string()),
            Some(n) => {
                self.tell(severity, &format!("{message} ({n} similar messages held back)"));
            }
            None => {}
        }
    }

    /// Says something that happens once by its nature: no rate limit.
    pub(crate) fn say_once(&self, severity: Severity, message: fmt::Arguments<'_>) {
        if self.0.least.is_some_and(|least| severity >= least) {
            self.tell(severity, &message.to_string());
        }
    }

    /// Says what somebody has asked to hear: line by line, whatever the least is.
    pub(crate) fn print(&self, severity: Severity, text: &str) {
        for line in text.lines() {
            self.tell(severity, line);
        }
    }

    /// A sink that panics takes no thread of ours with it, and what it did not take goes to stderr.
    fn tell(&self, severity: Severity, line: &str) {
        let line = escape(line);
        if guarded(|| (self.0.sink)(severity, &line)).is_err() {
            to_stderr(severity, &line);
        }
    }

    /// How many messages were held back before this one, or `None` when it is itself held back.
    fn held_back(&self, topic: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut topics = self.0.topics.lock();
        let Some(entry) = topics.iter_mut().find(|t| t.name == topic) else {
            topics.push(Topic { name: topic, said: now, held_back: 0 });
            return Some(0);
        };
        if now.duration_since(entry.said) < self.0.interval {
            entry.held_back += 1;
            return None;
        }
        entry.said = now;
        Some(std::mem::take(&mut entry.held_back))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").field("least", &self.0.least).finish_non_exhaustive()
    }
}

fn to_stderr(severity: Severity, message: &str) {
    let line = format!("otel-setup: {severity}: {message}\n");
    // a closed stderr is nobody's reason to stop
    let _ = Stderr.write_all(line.as_bytes());
}

const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_said_once_in_an_interval() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = said.clone();
        let voice = Diagnostics::to(
            Some(Severity::Info),
            Box::new(move |_, line| sink.lock().push(line.to_owned())),
        );
        for n in 0..5 {
            voice.say(Severity::Error, "loss", format_args!("lost {n}"));
            voice.say(Severity::Debug, "other", format_args!("never said"));
        }
        voice.say(Severity::Error, "another", format_args!("said"));
        assert_eq!(*said.lock(), ["lost 0", "said"]);
    }
}
