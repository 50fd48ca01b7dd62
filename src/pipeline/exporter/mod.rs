//! The exporters, one file each.

#[cfg(feature = "otlp-http")]
mod compress;
mod custom;
#[cfg(feature = "file")]
mod file;
#[cfg(any(feature = "otlp-json", feature = "file"))]
mod json;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod otlp;
#[cfg(feature = "otlp-grpc")]
mod otlp_grpc;
#[cfg(feature = "otlp-http")]
mod otlp_http;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod presets;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
mod protobuf;
mod stdout;
#[cfg(all(feature = "tls", any(feature = "otlp-http", feature = "otlp-grpc")))]
mod tls;
#[cfg(feature = "tree")]
mod tree;

use opentelemetry_sdk::trace::SpanExporter;

use self::custom::CustomExporter;
#[cfg(feature = "file")]
pub use self::file::FileExporter;
#[cfg(feature = "file")]
use self::file::JsonLinesExporter;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
pub use self::otlp::OtlpExporter;
use self::stdout::StdoutExporter;
#[cfg(feature = "tree")]
pub use self::tree::TreeExporter;
#[cfg(feature = "testing")]
pub(crate) use self::tree::draw;
use super::export::BlockingExporter;
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
use crate::config::Intake;
use crate::config::{ExporterKind, Resolver};
use crate::error::Error;

/// Where spans go.
///
/// Each exporter has a queue and a thread of its own, so one that is slow or dead holds up neither
/// the program nor another exporter. What it does is never traced.
#[derive(Debug)]
#[must_use = "an exporter works once it is given to `Setup::with_exporter`"]
pub struct Exporter(Kind);

#[derive(Debug)]
enum Kind {
    None,
    Stdout,
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
    Otlp(OtlpExporter),
    #[cfg(feature = "file")]
    File(FileExporter),
    #[cfg(feature = "tree")]
    Tree(TreeExporter),
    Custom(Box<dyn BlockingExporter>),
}

impl Exporter {
    /// Prints each finished span on stdout, by opentelemetry-stdout: for development
    /// (`OTEL_TRACES_EXPORTER=console`).
    ///
    /// A span comes out once and whole: no log line of this crate's, and nothing that is printed to
    /// stdout, comes in between. On a closed pipe spans are lost, which is counted and said on
    /// stderr. Spans wait at most 200 ms, unless `OTEL_BSP_SCHEDULE_DELAY` says otherwise.
    pub fn stdout() -> Self {
        Self(Kind::Stdout)
    }

    /// Shows each finished trace on stdout as a tree, with bars on a common time axis: for
    /// development (`OTEL_TRACES_EXPORTER=tree`).
    #[cfg(feature = "tree")]
    pub fn tree() -> TreeExporter {
        TreeExporter::new()
    }

    /// Sends spans to an OTLP backend: Jaeger, Tempo, Zipkin and Datadog behind a collector or by
    /// their own OTLP intake, and all others (`OTEL_TRACES_EXPORTER=otlp`).
    ///
    /// With no further settings it speaks protobuf over HTTP, and sends to
    /// `http://localhost:4318/v1/traces` or to where `OTEL_EXPORTER_OTLP_ENDPOINT` says. Where the
    /// feature `otlp-http` is off, it speaks gRPC.
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
    pub fn otlp() -> OtlpExporter {
        OtlpExporter::default()
    }

    /// Sends spans to an OTLP backend by gRPC: [`otlp`](Self::otlp) with
    /// [`Protocol::Grpc`](crate::Protocol::Grpc) (`OTEL_EXPORTER_OTLP_PROTOCOL=grpc`).
    ///
    /// With no further settings it sends to `http://localhost:4317`, or to where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says. It works from a synchronous `main` and beside any async
    /// runtime: its own is private to its thread.
    #[cfg(feature = "otlp-grpc")]
    pub fn otlp_grpc() -> OtlpExporter {
        Self::otlp().with_protocol(crate::config::Protocol::Grpc)
    }

    /// Writes spans to a file, in OTLP's JSON, a batch a line: for an agent or a collector that reads
    /// it, or for later. The preferred extension is `jsonl`.
    ///
    /// By variables: `OTEL_TRACES_EXPORTER=otlp_file`, with the path in `OTEL_RUST_OTLP_FILE`. Both
    /// are this crate's own, since the specification has named none.
    #[cfg(feature = "file")]
    pub fn file(path: impl Into<std::path::PathBuf>) -> FileExporter {
        FileExporter::new(path.into())
    }

    /// Records spans and exports none (`OTEL_TRACES_EXPORTER=none`). Span processors of your own
    /// still see every span.
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// An exporter of your own, or of another crate.
    ///
    /// It is driven by a thread of ours, which is outside of any async runtime: a future that needs
    /// one panics, which is counted and said. An export that fails is not tried again, since the
    /// exporter has consumed the spans. One that keeps the thread for longer than the export
    /// timeout (30 s where that is without end) cannot be ended: that is said, its spans stay in
    /// flight, and the queue fills meanwhile.
    pub fn custom(exporter: impl SpanExporter + 'static) -> Self {
        Self(Kind::Custom(Box::new(CustomExporter::new(exporter))))
    }

    /// What the worker drives, or nothing for [`none`](Self::none).
    pub(crate) fn open(
        self,
        #[cfg_attr(
            not(any(feature = "otlp-http", feature = "otlp-grpc", feature = "tree")),
            expect(unused_variables, reason = "of OTLP and the tree alone")
        )]
        resolver: &mut Resolver<'_>,
    ) -> Result<Option<Box<dyn BlockingExporter>>, Error> {
        Ok(Some(match self.0 {
            Kind::None => return Ok(None),
            Kind::Stdout => Box::new(StdoutExporter::default()),
            #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
            Kind::Otlp(otlp) => otlp.open(resolver)?,
            #[cfg(feature = "file")]
            Kind::File(file) => Box::new(JsonLinesExporter::new(file)),
            #[cfg(feature = "tree")]
            Kind::Tree(tree) => tree.open(resolver),
            Kind::Custom(exporter) => exporter,
        }))
    }

    /// Settles what there is to settle, and opens nothing.
    pub(crate) fn explain(
        &self,
        #[cfg_attr(
            not(any(feature = "otlp-http", feature = "otlp-grpc")),
            expect(unused_variables, reason = "OTLP's alone")
        )]
        resolver: &mut Resolver<'_>,
    ) {
        match &self.0 {
            #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
            Kind::Otlp(otlp) => otlp.explain(resolver),
            #[cfg(feature = "file")]
            Kind::File(_) => {}
            #[cfg(feature = "tree")]
            Kind::Tree(_) => {}
            Kind::None | Kind::Stdout | Kind::Custom(_) => {}
        }
    }

    /// As `OTEL_TRACES_EXPORTER` has it, or the type's own name.
    pub(crate) fn name(&self) -> &str {
        match &self.0 {
            Kind::None => "none",
            Kind::Stdout => "console",
            #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
            Kind::Otlp(otlp) => otlp.backend().unwrap_or("otlp"),
            #[cfg(feature = "file")]
            Kind::File(_) => "otlp_file",
            #[cfg(feature = "tree")]
            Kind::Tree(_) => "tree",
            Kind::Custom(exporter) => exporter.name(),
        }
    }
}

impl From<ExporterKind> for Exporter {
    fn from(kind: ExporterKind) -> Self {
        match kind {
            ExporterKind::Console => Self::stdout(),
            #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
            ExporterKind::Otlp(intake) => match intake {
                Intake::Any => Self::otlp(),
                Intake::Jaeger => Self::jaeger(),
                Intake::Zipkin => Self::zipkin(),
                Intake::Datadog => Self::datadog(),
            }
            .into(),
            #[cfg(all(feature = "config-file", any(feature = "otlp-http", feature = "otlp-grpc")))]
            ExporterKind::OtlpOf(settings) => OtlpExporter::with(*settings).into(),
            #[cfg(feature = "file")]
            ExporterKind::File(path) => Self::file(path).into(),
            #[cfg(feature = "tree")]
            ExporterKind::Tree => Self::tree().into(),
        }
    }
}

#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
impl From<OtlpExporter> for Exporter {
    fn from(otlp: OtlpExporter) -> Self {
        Self(Kind::Otlp(otlp))
    }
}

#[cfg(feature = "file")]
impl From<FileExporter> for Exporter {
    fn from(file: FileExporter) -> Self {
        Self(Kind::File(file))
    }
}

#[cfg(feature = "tree")]
impl From<TreeExporter> for Exporter {
    fn from(tree: TreeExporter) -> Self {
        Self(Kind::Tree(tree))
    }
}
