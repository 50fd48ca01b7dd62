//! The console exporter: opentelemetry-stdout, made safe to use beside log lines and closed pipes.
//!
//! opentelemetry-stdout prints a span by many `println!` calls, which panic on a closed pipe, let
//! other output in between, and write names raw. Here spans go through it one at a time, under the
//! lock of stdout, names escaped, after a look at whether anybody still reads, and with the
//! duration that it leaves to be reckoned.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use crate::error::escape;
use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Retry};
use crate::streams;

/// Prints spans on stdout.
#[derive(Debug, Default)]
pub(crate) struct StdoutExporter {
    inner: opentelemetry_stdout::SpanExporter,
}

impl BlockingExporter for StdoutExporter {
    fn name(&self) -> &'static str {
        "console"
    }

    fn schedule_delay(&self) -> Duration {
        // somebody is looking on
        Duration::from_millis(200)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        Ok(Payload::Spans(batch))
    }

    fn send(&mut self, payload: &mut Payload, _deadline: Instant) -> Result<Receipt, Failure> {
        let spans = payload.take_spans();
        let all = spans.len();
        for (printed, span) in spans.into_iter().enumerate() {
            if let Err(failure) = self.print(span) {
                if printed == 0 {
                    return Err(failure);
                }
                let rejected = (all - printed) as u64;
                return Ok(Receipt { rejected, message: Some(failure.message) });
            }
        }
        Ok(Receipt::default())
    }
}

impl StdoutExporter {
    fn print(&mut self, span: SpanData) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let _turn = streams::beside_log_lines(&stdout);
        if reader_is_gone() {
            return Err(closed());
        }
        let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
        // the reader can still go away between the look and the last line
        catch_unwind(AssertUnwindSafe(|| export_now(&self.inner, printable(span))))
            .map_err(|_| closed())?
            .map_err(|e| Failure { message: e.to_string(), retry: Retry::Never })?;
        let ms = Millis(duration);
        writeln!(stdout, "\tDuration     : {ms}\n")
            .and_then(|()| stdout.flush())
            .map_err(|_| closed())
    }
}

/// The exporter's future never waits: one poll ends it.
fn export_now(exporter: &opentelemetry_stdout::SpanExporter, span: SpanData) -> OTelSdkResult {
    match pin!(exporter.export(vec![span])).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(()),
    }
}

/// opentelemetry-stdout quotes values, but writes names and keys as they are.
fn printable(mut span: SpanData) -> SpanData {
    let is_raw = |text: &str| text.chars().any(char::is_control);
    if is_raw(&span.name) {
        span.name = escape(&span.name).into();
    }
    for event in &mut span.events.events {
        if is_raw(&event.name) {
            event.name = escape(&event.name).into();
        }
        event.attributes.iter_mut().for_each(printable_key);
    }
    span.links.links.iter_mut().flat_map(|link| &mut link.attributes).for_each(printable_key);
    span.attributes.iter_mut().for_each(printable_key);
    span
}

fn printable_key(attribute: &mut opentelemetry::KeyValue) {
    if attribute.key.as_str().chars().any(char::is_control) {
        attribute.key = escape(attribute.key.as_str()).into();
    }
}

/// Whether stdout is a pipe or socket whose other end is closed.
#[cfg(unix)]
fn reader_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = std::io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| {
        ready > 0 && fds[0].revents().intersects(PollFlags::ERR | PollFlags::NVAL)
    })
}

/// Elsewhere the panic of `println!` is what tells, and it is caught.
#[cfg(not(unix))]
fn reader_is_gone() -> bool {
    false
}

fn closed() -> Failure {
    Failure { message: "stdout is closed".to_owned(), retry: Retry::Never }
}

/// `0.042 ms`
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03} ms", micros / 1000, micros % 1000)
    }
}
