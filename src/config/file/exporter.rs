//! `tracer_provider.processors`: batches and the exporters behind them.

use std::time::Duration;

use super::reader::{Field, Fields, Reader};
use crate::config::{BatchSettings, ExporterKind, LEAST_SCHEDULE_DELAY};

/// One exporter and how it is fed.
#[derive(Debug)]
pub(super) struct FileExporter {
    pub(super) kind: ExporterKind,
    pub(super) batch: BatchSettings,
    /// Whose batches are nobody's wish.
    pub(super) is_simple: bool,
}

pub(super) fn processors(field: Field, reader: &mut Reader) -> Vec<FileExporter> {
    let items = reader.list(field);
    items.into_iter().filter_map(|item| processor(item, reader)).collect()
}

fn processor(field: Field, reader: &mut Reader) -> Option<FileExporter> {
    let (name, field) = reader.only(field)?;
    let is_simple = name == "simple";
    if !is_simple && name != "batch" {
        let what = "this crate has no such processor: it has batch and simple";
        reader.wrong(field.line, &field.path, what);
        return None;
    }
    let mut fields = reader.map(field)?;
    let batch = if is_simple {
        // nothing here waits for an export: the shortest delay is what comes nearest to none
        BatchSettings::new().with_schedule_delay(LEAST_SCHEDULE_DELAY)
    } else {
        batch_settings(&mut fields, reader)
    };
    let exporter = fields.required("exporter", reader);
    let kind = exporter.and_then(|exporter| self::exporter(exporter, reader));
    reader.finish(fields);
    Some(FileExporter { kind: kind?, batch, is_simple })
}

fn batch_settings(fields: &mut Fields, reader: &mut Reader) -> BatchSettings {
    let mut batch = BatchSettings::new();
    if let Some(delay) = millis(fields, "schedule_delay", reader) {
        batch = batch.with_schedule_delay(delay);
    }
    if let Some(timeout) = millis(fields, "export_timeout", reader) {
        batch = batch.with_export_timeout(timeout);
    }
    if let Some(spans) = count(fields, "max_queue_size", reader) {
        batch = batch.with_max_queue_size(spans);
    }
    let most = batch.max_queue_size.unwrap_or(BatchSettings::MAX_QUEUE_SIZE);
    if let Some(field) = fields.take("max_export_batch_size")
        && let Some(spans) = at_least_one(&field, reader)
    {
        if spans > most {
            let instead = format!("is more than the queue's {most}; {most} is used");
            let what = field.problem(format!("{spans} {instead}"), &instead);
            reader.ignore(field.line, &format!("{}:", field.path), what);
        }
        batch = batch.with_max_export_batch_size(spans.min(most));
    }
    batch
}

fn millis(fields: &mut Fields, key: &'static str, reader: &mut Reader) -> Option<Duration> {
    let field = fields.take(key)?;
    reader.integer(&field, 0).map(Duration::from_millis)
}

fn count(fields: &mut Fields, key: &'static str, reader: &mut Reader) -> Option<usize> {
    at_least_one(&fields.take(key)?, reader)
}

fn at_least_one(field: &Field, reader: &mut Reader) -> Option<usize> {
    reader.integer(field, 1).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

fn exporter(field: Field, reader: &mut Reader) -> Option<ExporterKind> {
    let (name, field) = reader.only(field)?;
    match name.as_str() {
        "console" => {
            reader.empty(field);
            Some(ExporterKind::Console)
        }
        #[cfg(feature = "otlp-http")]
        "otlp_http" => otlp::http(field, reader),
        #[cfg(feature = "otlp-grpc")]
        "otlp_grpc" => otlp::grpc(field, reader),
        #[cfg(feature = "file")]
        "otlp_file" | "otlp_file/development" => file(field, reader),
        name => {
            reader.wrong(field.line, &field.path, why_not(name));
            None
        }
    }
}

fn why_not(name: &str) -> &'static str {
    match name {
        "otlp_http" => "it needs the feature otlp-http",
        "otlp_grpc" => "it needs the feature otlp-grpc",
        "otlp_file" | "otlp_file/development" => "it needs the feature file",
        "zipkin" => "Zipkin takes OTLP by itself: use otlp_http with its endpoint",
        _ => {
            "this crate has no such exporter: it has otlp_http, otlp_grpc, \
             otlp_file/development and console"
        }
    }
}

#[cfg(feature = "file")]
fn file(field: Field, reader: &mut Reader) -> Option<ExporterKind> {
    let mut fields = reader.map(field)?;
    let (line, path) = (fields.line, fields.path.clone());
    let stream = fields.take("output_stream");
    let stream = stream.and_then(|stream| reader.string(&stream));
    reader.finish(fields);
    let file = stream.as_deref().and_then(|stream| stream.strip_prefix("file://"));
    if let Some(file) = file.filter(|file| file.starts_with('/')) {
        return Some(ExporterKind::File(file.to_owned()));
    }
    let what = "output_stream must be a file here, as file:///var/log/traces.jsonl is";
    reader.wrong(line, &path, what);
    None
}

/// What both transports share.
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod otlp {
    use super::{Field, Fields, Reader, millis};
    use crate::config::choice::available;
    use crate::config::otlp::checked_endpoint;
    use crate::config::otlp::headers::{self, Wrong};
    use crate::config::{
        ClientCertificate, Compression, ExporterKind, Origin, OtlpSettings, Protocol,
    };
    use crate::error::escape;

    #[cfg(feature = "otlp-http")]
    pub(super) fn http(field: Field, reader: &mut Reader) -> Option<ExporterKind> {
        let mut fields = reader.map(field)?;
        let mut settings = settings(&mut fields, false, reader);
        settings.protocol = Some(Protocol::HttpProtobuf);
        let encodings = [("protobuf", Protocol::HttpProtobuf), ("json", Protocol::HttpJson)];
        if let Some(field) = fields.take("encoding")
            && let Some(protocol) = reader.word(&field, &encodings)
        {
            match available(protocol) {
                Ok(protocol) => settings.protocol = Some(protocol),
                Err(missing) => {
                    reader.ignore(field.line, &field.path, format!("{missing}; protobuf is used"));
                }
            }
        }
        reader.finish(fields);
        Some(ExporterKind::OtlpOf(Box::new(settings)))
    }

    #[cfg(feature = "otlp-grpc")]
    pub(super) fn grpc(field: Field, reader: &mut Reader) -> Option<ExporterKind> {
        let mut fields = reader.map(field)?;
        let mut settings = settings(&mut fields, true, reader);
        settings.protocol = Some(Protocol::Grpc);
        reader.finish(fields);
        Some(ExporterKind::OtlpOf(Box::new(settings)))
    }

    fn settings(fields: &mut Fields, is_grpc: bool, reader: &mut Reader) -> OtlpSettings {
        let mut settings = OtlpSettings { origin: Origin::File, ..OtlpSettings::default() };
        if let Some(tls) = fields.take("tls") {
            self::tls(tls, is_grpc, &mut settings, reader);
        }
        if let Some(field) = fields.take("endpoint")
            && let Some(text) = reader.string(&field)
        {
            match checked_endpoint(&text, is_grpc, settings.insecure.unwrap_or(false)) {
                Ok(()) => settings.endpoint = Some(text),
                Err(problem) => {
                    let problem = field.problem(problem, "is not the URL of an OTLP endpoint");
                    reader.wrong(field.line, &field.path, problem);
                }
            }
        }
        settings.headers = self::headers(fields, reader);
        settings.timeout = millis(fields, "timeout", reader);
        if let Some(field) = fields.take("compression") {
            settings.compression = compression(&field, reader);
        }
        settings
    }

    fn compression(field: &Field, reader: &mut Reader) -> Option<Compression> {
        let known =
            [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
        match available(reader.word(field, &known)?) {
            Ok(compression) => Some(compression),
            Err(missing) => {
                let what = format!("{missing}; nothing is compressed");
                reader.ignore(field.line, &field.path, what);
                None
            }
        }
    }

    /// Each entry counts more than those of the list.
    fn headers(fields: &mut Fields, reader: &mut Reader) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        if let Some(field) = fields.take("headers_list")
            && let Some(text) = reader.string(&field)
        {
            let (pairs, wrong): (Vec<_>, Vec<_>) = headers::pairs(&text).partition(Result::is_ok);
            all = pairs.into_iter().flatten().collect();
            for wrong in wrong.into_iter().filter_map(Result::err) {
                let what = field.problem(wrong.what, "has an entry that cannot be sent");
                let wrong = Wrong { what, ..wrong };
                refuse(wrong, field.line, &field.path, reader);
            }
        }
        let items = fields.take("headers").map(|field| reader.list(field)).unwrap_or_default();
        for item in items {
            let Some((name, value)) = header(item, reader) else { continue };
            all.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            all.push((name, value));
        }
        all
    }

    fn header(field: Field, reader: &mut Reader) -> Option<(String, String)> {
        let (line, path) = (field.line, field.path.clone());
        let mut fields = reader.map(field)?;
        let name_field = fields.required("name", reader);
        let name = name_field.as_ref().and_then(|name| reader.string(name));
        let value = fields.take("value");
        let is_unset = value.as_ref().is_some_and(|v| v.is_substituted() && v.node.is_null());
        // an entry without a value is none
        let value = value.and_then(|value| reader.string(&value));
        reader.finish(fields);
        if is_unset && let (Some(name), Some(name_field)) = (&name, &name_field) {
            // what an undefined variable leaves behind
            let shown = if name_field.is_substituted() { name_field.shown() } else { escape(name) };
            reader.ignore(line, &path, format!("{shown} has no value, and is left out"));
        }
        let (name, value) = (name?, value?);
        if let Err(wrong) = headers::check(&name, &value) {
            refuse(wrong, line, &path, reader);
            return None;
        }
        Some((name, value))
    }

    /// What conforms to the schema, and cannot be had, is no error.
    fn refuse(wrong: Wrong, line: usize, path: &str, reader: &mut Reader) {
        if wrong.is_set_here {
            reader.ignore(line, &format!("{path}:"), format!("{}; it is left out", wrong.what));
        } else {
            reader.wrong(line, path, wrong.what);
        }
    }

    fn tls(field: Field, is_grpc: bool, settings: &mut OtlpSettings, reader: &mut Reader) {
        let Some(mut fields) = reader.map(field) else { return };
        let (line, path) = (fields.line, fields.path.clone());
        settings.certificate = pem(&mut fields, "ca_file", reader);
        let key = pem(&mut fields, "key_file", reader);
        let certificate = pem(&mut fields, "cert_file", reader);
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                settings.client_certificate = Some(ClientCertificate { certificate, key });
            }
            (None, None) => {}
            _ => reader.wrong(line, &path, "key_file and cert_file need each other"),
        }
        if is_grpc {
            settings.insecure =
                fields.take("insecure").and_then(|insecure| reader.boolean(&insecure));
        }
        reader.finish(fields);
    }

    /// The absolute path of a file.
    fn pem(fields: &mut Fields, key: &'static str, reader: &mut Reader) -> Option<String> {
        let field = fields.take(key)?;
        let path = reader.string(&field)?;
        let problem = if cfg!(not(feature = "tls")) {
            "it needs the feature tls"
        } else if !std::path::Path::new(&path).is_absolute() {
            "it is not an absolute path"
        } else {
            return Some(path);
        };
        reader.wrong(field.line, &field.path, problem);
        None
    }
}
