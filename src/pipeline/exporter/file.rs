//! OTLP in JSON lines, to a file (specification, "OpenTelemetry Protocol File Exporter").

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::json::JsonEncoder;
use crate::error::escape;
use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Retry};

/// An exporter to a file of JSON lines, of which the OpenTelemetry collector's `otlpjsonfile`
/// receiver and others read: each line is a `TracesData` in OTLP's JSON, one batch.
///
/// Lines are appended. Before a line would make the file larger than
/// [`with_max_bytes`](Self::with_max_bytes), the file is renamed to `….1`, `….1` to `….2` and so on.
/// A line is never split, and one that could not be written whole is taken back. What is written
/// survives the process, not a loss of power. One process writes a file; it must not be rotated by
/// others. Behind a symbolic link it is the file that is renamed, where it is. What is no regular
/// file (a device, a pipe, `/dev/stdout`) is written to and never renamed, and a file that cannot be
/// renamed grows on.
///
/// A full disk is waited for as a dead backend is; a path that cannot be written loses its batch,
/// which is counted and said, and is tried again with the next one.
///
/// ```
/// use otel_setup::{Exporter, Setup};
///
/// # fn main() -> Result<(), otel_setup::Error> {
/// # let directory = std::env::temp_dir();
/// let path = directory.join("traces.jsonl");
/// let setup = Setup::new("checkout").with_exporter(
///     Exporter::file(path).with_max_bytes(10 << 20).with_max_files(3), // 30 MiB in all
/// );
/// # drop(setup.with_env(|_| None).build()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "an exporter works once it is given to `Setup::with_exporter`"]
pub struct FileExporter {
    path: PathBuf,
    max_bytes: u64,
    max_files: usize,
}

impl FileExporter {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, max_bytes: MAX_BYTES, max_files: MAX_FILES }
    }

    /// How large a file becomes before the next one is begun: 64 MiB by default. A batch that is
    /// larger than that alone gets a file of its own.
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How many files there are, the one that is written included: five by default, one at least.
    /// The oldest is deleted for a new one.
    pub fn with_max_files(mut self, max_files: usize) -> Self {
        self.max_files = max_files.max(1);
        self
    }
}

/// The open exporter; the file itself is opened by the first batch.
#[derive(Debug)]
pub(super) struct JsonLinesExporter {
    settings: FileExporter,
    file: Option<Lines>,
    encoder: JsonEncoder,
}

impl JsonLinesExporter {
    pub(super) fn new(mut settings: FileExporter) -> Self {
        // the program may change its directory before the first batch, or between two files
        if let Ok(absolute) = std::path::absolute(&settings.path) {
            settings.path = absolute;
        }
        Self { settings, file: None, encoder: JsonEncoder::default() }
    }

    /// Appends a line, and says what kept the file from being rotated.
    fn append(&mut self, line: &[u8]) -> io::Result<Option<io::Error>> {
        let FileExporter { path, max_bytes, max_files } = &self.settings;
        let mut file = match self.file.take() {
            Some(file) => file,
            None => Lines::open(path)?,
        };
        let mut trouble = None;
        if file.rotates && file.len > 0 && file.len.saturating_add(line.len() as u64) > *max_bytes {
            drop(file);
            // a file that is too large is better than spans that are lost
            let place = fs::canonicalize(path);
            trouble = unless_gone(place.and_then(|file| rotate(&file, *max_files))).err();
            file = Lines::open(path)?;
        }
        file.append(line)?;
        // after an error it is opened anew, in case the file is what is wrong
        self.file = Some(file);
        Ok(trouble)
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let retry = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::Interrupted => {
                Retry::Backoff
            }
            _ => Retry::Never,
        };
        Failure { message: format!("cannot write {}: {error}", self.shown()), retry }
    }

    fn shown(&self) -> String {
        escape(&self.settings.path.display().to_string())
    }
}

impl BlockingExporter for JsonLinesExporter {
    fn name(&self) -> &'static str {
        "otlp-file"
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.encoder.set_resource(resource);
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        let mut line = self.encoder.encode(batch).map_err(|error| {
            let message = format!("the batch cannot be encoded: {error}");
            Failure { message, retry: Retry::Never }
        })?;
        line.push(b'\n');
        Ok(Payload::Encoded(line))
    }

    fn send(&mut self, payload: &mut Payload, _deadline: Instant) -> Result<Receipt, Failure> {
        let Payload::Encoded(line) = payload else { return Ok(Receipt::default()) };
        match self.append(line) {
            Ok(trouble) => {
                let message = trouble.map(|error| {
                    format!("cannot rotate {}, which grows on: {error}", self.shown())
                });
                Ok(Receipt { rejected: 0, message })
            }
            Err(error) => Err(self.failure(&error)),
        }
    }
}

/// A file of whole lines.
#[derive(Debug)]
struct Lines {
    file: File,
    len: u64,
    /// Whether another file may take its place.
    rotates: bool,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        let is_regular = metadata.file_type().is_file();
        let mut len = metadata.len();
        if is_regular && len > 0 && ends_within_a_line(path) {
            file.write_all(b"\n")?;
            len += 1;
        }
        Ok(Self { file, len, rotates: is_regular && !is_descriptor(path) })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(line) {
            // half a line would spoil the next one; where that fails, `open` mends it
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += line.len() as u64;
        Ok(())
    }
}

/// A process before us was killed while it wrote.
fn ends_within_a_line(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        io::Result::Ok(last[0])
    };
    last().is_ok_and(|last| last != b'\n')
}

/// Whether the path names what the process has open already, as `/dev/stdout` does: where output
/// goes to a file, the file is regular, and the path is still not ours to rename.
fn is_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if path.starts_with("/proc") || path.starts_with("/dev/fd") {
            return true;
        }
        let Ok(target) = fs::read_link(&path) else { return false };
        path.pop();
        path.push(target);
    }
    false
}

/// Makes way for a new file at `path`, which is no link, and keeps no more than `max_files - 1` old
/// ones. It moves the files that are there, up to the first gap, however many there may be.
fn rotate(path: &Path, max_files: usize) -> io::Result<()> {
    if max_files == 1 {
        return unless_gone(fs::remove_file(path));
    }
    let is_taken = |n: &usize| fs::symlink_metadata(numbered(path, *n)).is_ok();
    let taken = (1..max_files - 1).take_while(is_taken).count();
    for n in (1..=taken).rev() {
        unless_gone(fs::rename(numbered(path, n), numbered(path, n + 1)))?;
    }
    unless_gone(fs::rename(path, numbered(path, 1)))
}

/// What others have removed is out of the way.
fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// `traces.jsonl.1`
fn numbered(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

const MAX_BYTES: u64 = 64 << 20;
const MAX_FILES: usize = 5;
/// More than that many links after each other no system follows.
const MAX_LINKS: usize = 40;
