//! Declarative configuration: `OTEL_CONFIG_FILE`, in OpenTelemetry's configuration schema.
//!
//! `yaml` is the tree with its lines, `substitute` puts variables into it, `reader` makes types of
//! it and reports what it cannot use; each part of the schema that is ours has a room.
//!
//! What does not conform to the schema is an error, all of them at once. What conforms and is not
//! for traces, or is not to be had here, is a warning.

mod exporter;
mod reader;
mod resource;
mod sampler;
mod source;
mod substitute;
mod traces;
mod yaml;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use self::exporter::FileExporter;
use self::reader::{Field, Fields, Reader, Warning};
pub(crate) use self::source::ConfigFile;
use super::choice::{available, named};
use super::parse::{self, Level};
use super::{Env, PropagatorKind, SamplerConfig, Settings};
use crate::error::escape;

/// What a configuration file says.
#[derive(Debug)]
struct FileConfig {
    settings: Settings,
    /// Nothing where the file has no `tracer_provider`.
    traces: Option<Traces>,
    warnings: Vec<Warning>,
}

/// `tracer_provider`.
#[derive(Debug)]
struct Traces {
    exporters: Vec<FileExporter>,
    sampler: Option<SamplerConfig>,
}

/// A file of which no part counts.
#[derive(Debug)]
struct Refused {
    /// Each with its file and line.
    errors: Vec<String>,
    warnings: Vec<Warning>,
}

impl FileConfig {
    /// Reads the file of this path.
    ///
    /// # Errors
    ///
    /// All that is wrong, each with its file and line.
    fn load(path: &Path, env: &Env) -> Result<Self, Refused> {
        match text_of(path) {
            Ok(text) => Self::parse(&text, &shown(path), env),
            Err(problem) => {
                let errors = vec![format!("configuration file {path:?}: {problem}")];
                Err(Refused { errors, warnings: Vec::new() })
            }
        }
    }

    fn parse(text: &str, path: &str, env: &Env) -> Result<Self, Refused> {
        let mut reader = Reader::new(path);
        let document = match yaml::parse(text) {
            Ok(document) => document,
            Err(problem) => {
                reader.wrong(problem.line, "", problem.what);
                None
            }
        };
        let mut config = None;
        if let Some(mut node) = document {
            let mut problems = Vec::new();
            substitute::substitute(&mut node, env, &mut problems);
            for problem in problems {
                reader.wrong(problem.line, "", problem.what);
            }
            // with a wrong reference no part of the file counts
            if reader.is_right() {
                let field = Field { path: String::new(), line: node.line, node };
                config = configuration(field, &mut reader);
            }
        } else if reader.is_right() {
            reader.wrong(1, "", "file_format is missing: the file is empty");
        }
        let (errors, warnings) = reader.into_found();
        match config {
            Some(config) if errors.is_empty() => Ok(Self { warnings, ..config }),
            _ => Err(Refused { errors, warnings }),
        }
    }
}

/// As messages have it: a name of a file can have control characters in it.
fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}

/// No more than the parser takes, so that it is the parser who says what is wrong.
fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    // to open a pipe is to wait for whoever writes, and a device may never end
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let most = yaml::MOST_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn configuration(field: Field, reader: &mut Reader) -> Option<FileConfig> {
    let mut fields = reader.map(field)?;
    file_format(&mut fields, reader);
    let mut settings = Settings {
        disabled: fields.take("disabled").and_then(|field| reader.boolean(&field)),
        diagnostics: fields.take("log_level").and_then(|field| log_level(&field, reader)),
        // none where nothing is said, as the schema has it
        propagators: Some(propagators(&mut fields, reader)),
        ..Settings::default()
    };
    if let Some(field) = fields.take("attribute_limits") {
        traces::attribute_limits(field, &mut settings.limits, reader);
    }
    if let Some(field) = fields.take("resource") {
        resource::read(field, &mut settings, reader);
    }
    let traces = fields.take("tracer_provider").filter(|field| !field.node.is_null());
    let traces = traces.and_then(|field| traces::read(field, &mut settings.limits, reader));
    for (key, what) in FOR_OTHERS {
        if let Some(field) = fields.take(key) {
            reader.for_others(&field, what);
        }
    }
    // of what is experimental this crate has what it has, whatever the file wishes to see
    fields.take("stability");
    reader.finish_open(fields);
    Some(FileConfig { settings, traces, warnings: Vec::new() })
}

/// The schema's version: an equal major one, and the minor one decides what keys may be new.
fn file_format(fields: &mut Fields, reader: &mut Reader) {
    let Some(field) = fields.required("file_format", reader) else { return };
    let Some(text) = reader.string(&field) else { return };
    let number = text.split_once('-').map_or(text.as_str(), |(number, _)| number);
    let mut parts = number.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(MAJOR)), Some(Ok(minor)), None) => reader.is_newer = minor > MINOR,
        (Some(Ok(_)), Some(Ok(_)), None) => {
            let what =
                format!("{} is not supported: this crate reads {MAJOR}.{MINOR}", field.shown());
            reader.wrong(field.line, &field.path, what);
        }
        _ => {
            let what = format!("{} is not a version, as \"{MAJOR}.{MINOR}\" is", field.shown());
            reader.wrong(field.line, &field.path, what);
        }
    }
    if reader.is_newer {
        let what = format!("is newer than {MAJOR}.{MINOR}: what came later has no effect");
        let shown = if field.is_substituted() { field.shown() } else { text };
        reader.ignore(field.line, &format!("{} {shown}", field.path), what);
    }
}

/// A severity number's name (`info`, `warn2`); its number among those of one name makes no
/// difference here.
fn log_level(field: &Field, reader: &mut Reader) -> Option<Level> {
    let text = reader.string(field)?;
    let name = text.strip_suffix(['2', '3', '4']).unwrap_or(&text);
    let level = parse::level(name, &mut parse::Problems::default());
    if level.is_none() {
        let what =
            format!("{} is not one of trace, debug, info, warn, error, fatal", field.shown());
        reader.wrong(field.line, &field.path, what);
    }
    level
}

/// `composite`, and behind it those of `composite_list` that are not there yet.
fn propagators(fields: &mut Fields, reader: &mut Reader) -> Vec<PropagatorKind> {
    let mut kinds = Vec::new();
    let Some(field) = fields.take("propagator") else { return kinds };
    let Some(mut fields) = reader.map(field) else { return kinds };
    let mut names = Vec::new();
    for item in fields.take("composite").map(|field| reader.list(field)).unwrap_or_default() {
        let (line, path) = (item.line, item.path.clone());
        if let Some((name, field)) = reader.only(item) {
            reader.empty(field);
            names.push((line, path, name, false));
        }
    }
    if let Some(field) = fields.take("composite_list")
        && let Some(text) = reader.string(&field)
    {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty() && !part.eq_ignore_ascii_case("none"));
        let is_hidden = field.is_substituted();
        names
            .extend(parts.map(|part| (field.line, field.path.clone(), part.to_owned(), is_hidden)));
    }
    reader.finish(fields);
    for (line, path, name, is_hidden) in names {
        match named::<PropagatorKind>(&name).and_then(available) {
            Ok(kind) if kinds.contains(&kind) => {}
            Ok(kind) => kinds.push(kind),
            Err(_) if is_hidden => {
                let what = "a part of the variable's value is no propagator of this crate";
                reader.wrong(line, &path, what);
            }
            Err(problem) => reader.wrong(line, &path, problem),
        }
    }
    kinds
}

/// The schema's version that this module was written after.
const MAJOR: u32 = 1;
const MINOR: u32 = 2;
/// Parts of the schema that are not about traces.
const FOR_OTHERS: [(&str, &str); 5] = [
    ("meter_provider", "has no effect: this crate makes no metrics"),
    ("logger_provider", "has no effect: this crate exports no logs"),
    ("instrumentation", "has no effect: this crate has no instrumentation to configure"),
    (
        "instrumentation/development",
        "has no effect: this crate has no instrumentation to configure",
    ),
    ("distribution", "has no effect: it is for distributions of OpenTelemetry"),
];

#[cfg(test)]
mod tests;
