//! Traces for people: each one as a tree, with bars on a common time axis.
//!
//! Each concern has a file: `assemble` decides when a trace is whole, `sources` who shares the
//! picture, `forest` who is under whom and which siblings are folded, `levels` which generations,
//! `prune` what a large trace shows, `lines` the order from top to bottom, `columns` how the width
//! is shared, `bar` the time axis, `paint` with `header`, `label`, `words` and `style` the picture,
//! `text` what comes from outside made harmless, `terminal` what the reader can see. `open` is the
//! exporter as its pipeline drives it, and this file is what a user sees of it, and what clones share.

mod assemble;
mod bar;
mod columns;
mod forest;
mod header;
mod label;
mod levels;
mod lines;
mod open;
mod paint;
mod prune;
mod sources;
mod span;
mod style;
mod terminal;
mod text;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

#[cfg(any(test, feature = "testing"))]
use opentelemetry_sdk::trace::SpanData;
use parking_lot::{Condvar, Mutex};

use self::assemble::{Assembler, Trace};
use self::open::OpenTree;
use self::paint::{Subject, paint};
use self::sources::Sources;
#[cfg(any(test, feature = "testing"))]
use self::span::Span;
use self::terminal::Look;
use self::text::Charset;
use crate::config::Resolver;
use crate::pipeline::export::BlockingExporter;

/// Shows each finished trace as a tree with a bar for every span: for development, on a terminal.
///
/// ```text
/// shop · 132ms · 4 spans                          4bf92f3577b34da6a3ce929d0e0e4736
///                         took    self  0                 66.0ms             132ms
/// POST /orders server    132ms  18.0ms  ━━────────────────────────────────────╼━━━
/// ├╴load cart           31.0ms  800µs    ╺────────╸
/// │ └╴SELECT carts      30.2ms            ━━━━━━━━╸
/// └╴charge card client  82.0ms                     ╺━━━━━━━━━━━━━━━━━━━━━━━╸
/// ```
///
/// A bar is heavy where the span itself is at work and light where it waits for its children; `self`
/// is the sum of the former. Attributes, events and errors are below their span, or beside it on a
/// wide terminal. Siblings of one name are folded into a row in a trace of more than 50 spans, and
/// so are the levels of a recursion. Where a row is deeper than there is room, `⋯17` says how many
/// levels lead to it that are not drawn.
///
/// A trace is shown, at once and whole, when its root has ended. Where spans have a remote parent it
/// is waited for, 0.3 s, in case it is in this process; where a message was sent, its consumer, 1 s.
/// A trace whose root stays open is shown in parts: after 5 s without a new span, when more than
/// 50,000 spans are held, and at a flush. Nothing is waited for longer than 30 s in all, whatever
/// keeps coming. What comes later is shown as a continuation of its trace. Traces that are shown
/// together are in the order of their starts. Spans that could not be written count as dropped, also
/// where the writer has panicked, and until they are written they count as in flight.
///
/// The picture is as wide as the terminal (`COLUMNS` overrides it, 80 columns if neither is known),
/// in colour on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`, and in ASCII if the locale
/// (`LC_ALL`, `LC_CTYPE`, `LANG`) is set and not UTF-8. Characters that could drive or deceive a
/// terminal are escaped.
///
/// A clone shares the picture: give one to each of several setups in a process, and their services
/// are shown in one tree, with the service's name wherever it is another than its parent's. A trace
/// then waits 0.3 s instead of 0.05 s when its root has ended, and a flush up to 0.5 s, for what the
/// others still have. Spans whose parent is in another process are under a line that says so, with
/// the parent's id; the first line of the picture has the trace's.
///
/// ```
/// use otel_setup::{Exporter, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// let setup = Setup::new("shop").with_exporter(Exporter::tree());
/// # drop(setup.with_env(|_| None).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "an exporter works once it is given to `Setup::with_exporter`"]
pub struct TreeExporter {
    desk: Arc<Desk>,
    look: Look,
}

/// What clones have in common.
#[derive(Default)]
struct Desk {
    shared: Mutex<Shared>,
    /// Somebody has handed over, or shown something.
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    assembler: Assembler,
    sources: Sources,
    /// `None`: stdout.
    writer: Option<Box<dyn Write + Send>>,
}

impl TreeExporter {
    pub(super) fn new() -> Self {
        Self { desk: Arc::default(), look: Look::default() }
    }

    /// How many columns the picture takes, whatever the terminal has: between 40 and 400.
    pub fn with_width(mut self, columns: usize) -> Self {
        self.look.width = Some(columns);
        self
    }

    /// Colours, whatever the terminal is and `NO_COLOR` says.
    pub fn with_colour(mut self, colour: bool) -> Self {
        self.look.colour = Some(colour);
        self
    }

    /// Only ASCII characters, or lines and marks of Unicode, whatever the locale is.
    pub fn with_ascii(mut self, ascii: bool) -> Self {
        self.look.charset = Some(if ascii { Charset::Ascii } else { Charset::Unicode });
        self
    }

    /// Where pictures go, for all clones: stdout by default. Each is one write, and no colours
    /// unless [`with_colour`](Self::with_colour) asks for them.
    pub fn with_writer(self, writer: impl Write + Send + 'static) -> Self {
        self.desk.shared.lock().writer = Some(Box::new(writer));
        self
    }

    /// What the worker drives.
    pub(super) fn open(self, resolver: &Resolver<'_>) -> Box<dyn BlockingExporter> {
        Box::new(OpenTree::new(self.desk, self.look.or_environment(resolver)))
    }
}

impl fmt::Debug for TreeExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeExporter").field("look", &self.look).finish_non_exhaustive()
    }
}

impl Shared {
    fn due(&mut self, now: Instant) -> Vec<Trace> {
        self.assembler.due(now, self.sources.are_several())
    }

    fn show(&mut self, traces: Vec<Trace>, look: Look) {
        for trace in traces {
            let page = look.page(self.writer.is_none());
            let written = catch(|| picture(&trace, page), "the trace could not be drawn")
                .and_then(|text| catch(|| self.write(&text), "its writer has panicked")?);
            for span in &trace.spans {
                let settled = self.sources.settled(span.source);
                match &written {
                    Ok(()) => settled.exported += 1,
                    Err(error) => {
                        settled.dropped += 1;
                        settled.trouble.get_or_insert_with(|| trouble(error));
                    }
                }
            }
        }
    }

    /// One write, in turn with the log lines that go to the same place.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write_all(text.as_bytes())?;
            return writer.flush();
        }
        let mut stdout = io::stdout().lock();
        let _turn = crate::streams::beside_log_lines(&stdout);
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

/// Spans as pictures, the traces in order of their starts.
#[cfg(feature = "testing")]
pub(crate) fn draw(spans: Vec<SpanData>, width: usize) -> String {
    let (mut assembler, now) = (Assembler::default(), Instant::now());
    for span in spans {
        let (trace, span) = Span::new(span, "test".into(), 0);
        assembler.admit(trace, span, 0, now);
    }
    let traces = assembler.of_source(0);
    let page = terminal::Page { width, colour: false, charset: Charset::Unicode };
    traces.iter().map(|trace| picture(trace, page)).collect()
}

/// The spans of a trace are accounted for even if what is done with them panics.
fn catch<R>(call: impl FnOnce() -> R, panicked: &'static str) -> io::Result<R> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| io::Error::other(panicked))
}

fn picture(trace: &Trace, page: terminal::Page) -> String {
    let names = |id| trace.continues.as_ref()?.name(id).map(str::to_owned);
    let subject = Subject {
        id: trace.id,
        spans: &trace.spans,
        continues: trace.continues.as_ref().map(|shown| shown.start),
        names: &names,
    };
    paint(&subject, page)
}

fn trouble(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::BrokenPipe => "stdout is closed".to_owned(),
        _ => format!("the tree cannot be written: {error}"),
    }
}
