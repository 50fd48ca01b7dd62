//! Our own voice: lines on stderr that never pass through the pipeline they speak of.
//!
//! Each topic is limited in rate, so a collector that is down for a night does not fill a disk;
//! what was held back is counted in the next line. Writing never panics, stderr closed or not.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How much a message matters. `OTEL_LOG_LEVEL` sets the least that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Detail for whoever debugs this crate.
    Debug,
    /// A fact that an operator may want: loss has ended, spans flow again.
    Info,
    /// Something does not do what was asked, and what is done instead.
    Warning,
    /// Spans are being lost, or a part of the setup is dead.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

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
            Some(0) => (self.0.sink)(severity, &escape(&message.to_string())),
            Some(n) => {
                let line = format!("{message} ({n} similar messages held back)");
                (self.0.sink)(severity, &escape(&line));
            }
            None => {}
        }
    }

    /// Says something that happens once by its nature: no rate limit.
    pub(crate) fn say_once(&self, severity: Severity, message: fmt::Arguments<'_>) {
        if self.0.least.is_some_and(|least| severity >= least) {
            (self.0.sink)(severity, &escape(&message.to_string()));
        }
    }

    /// Says what somebody has asked to hear: line by line, whatever the least is.
    pub(crate) fn print(&self, severity: Severity, text: &str) {
        for line in text.lines() {
            (self.0.sink)(severity, &escape(line));
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
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Control characters as `\u{1b}`: messages quote values that come from outside.
pub(crate) fn escape(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(any(test, feature = "otlp-http", feature = "otlp-grpc"))]
/// A URL without what may be secret in it: user, password, query and fragment.
pub(crate) fn redact_url(url: &str) -> String {
    let url = escape(url);
    let (url, tail) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], "?[redacted]"),
        None => (&*url, ""),
    };
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let user = if host.len() == authority.len() { "" } else { "[redacted]@" };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{user}{host}{path}{tail}")
}

const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn redacts(url: &str, expected: &str) {
        assert_eq!(redact_url(url), expected);
    }

    #[test]
    fn urls_lose_their_secrets() {
        redacts("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces");
        redacts("https://user:secret@host/v1", "https://[redacted]@host/v1");
        redacts("https://user:p@ss@host", "https://[redacted]@host");
        redacts("https://host/v1?api-key=secret", "https://host/v1?[redacted]");
        redacts("user:secret@host:1", "[redacted]@host:1");
        redacts("https://host\r\nX: y", "https://host\\r\\nX: y");
    }

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

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\x1b[31m\r\nb"), "a\\u{1b}[31m\\r\\nb");
        assert_eq!(escape("plain é"), "plain é");
    }
}
