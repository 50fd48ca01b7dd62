//! `OTEL_TRACES_EXPORTER`: where spans go when the code leaves it open.

use super::choice::Choice;
use super::explain::Source;
#[cfg(all(feature = "config-file", any(feature = "otlp-http", feature = "otlp-grpc")))]
use super::otlp::OtlpSettings;
use super::parse::Shown as _;
use super::resolver::{Resolver, Said};
use super::variables::{OTLP_FILE, Row, TRACES_EXPORTER};

/// A destination that can be had by variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExporterKind {
    Console,
    #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
    Otlp(Intake),
    /// As a file says.
    #[cfg(all(feature = "config-file", any(feature = "otlp-http", feature = "otlp-grpc")))]
    OtlpOf(Box<OtlpSettings>),
    /// JSON lines, and the path of the file.
    #[cfg(feature = "file")]
    File(String),
    #[cfg(feature = "tree")]
    Tree,
}

/// Whose intake of OTLP.
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Any,
    Jaeger,
    Zipkin,
    Datadog,
}

/// A destination as it is called in the variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExporterName {
    Console,
    Otlp,
    OtlpFile,
    Jaeger,
    Zipkin,
    Datadog,
    Tree,
}

/// The variable's list. Unset: OTLP if the environment names an endpoint, and else the console.
pub(crate) fn exporters(r: &mut Resolver<'_>) -> Vec<ExporterKind> {
    let endpoint = endpoint_set(r);
    let default = if endpoint.is_some() { ExporterName::Otlp } else { ExporterName::Console };
    let unset = default.shown();
    let names = if let Some(names) = r.optional(Said::in_code(None), &[&TRACES_EXPORTER], &unset) {
        names.value
    } else {
        if let Some(row) = endpoint {
            r.resettle(&TRACES_EXPORTER.row, Source::Variable(row.name));
        } else {
            find_unreadable_endpoints(r);
        }
        vec![default]
    };
    let kinds: Vec<_> = names.iter().filter_map(|name| kind(*name, r)).collect();
    if kinds.is_empty() && !names.is_empty() {
        // nothing in it could be used
        r.settle(&TRACES_EXPORTER.row, unset, Source::Default);
        return kind(default, r).into_iter().collect();
    }
    kinds
}

fn kind(name: ExporterName, r: &mut Resolver<'_>) -> Option<ExporterKind> {
    match name {
        ExporterName::Console => Some(ExporterKind::Console),
        ExporterName::OtlpFile => file(r),
        #[cfg(feature = "tree")]
        ExporterName::Tree => Some(ExporterKind::Tree),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        ExporterName::Otlp => Some(ExporterKind::Otlp(Intake::Any)),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        ExporterName::Jaeger => Some(ExporterKind::Otlp(Intake::Jaeger)),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        ExporterName::Zipkin => Some(ExporterKind::Otlp(Intake::Zipkin)),
        #[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
        ExporterName::Datadog => Some(ExporterKind::Otlp(Intake::Datadog)),
        #[cfg(not(all(any(feature = "otlp-http", feature = "otlp-grpc"), feature = "tree")))]
        _ => unreachable!("a name whose feature is off is left out"),
    }
}

#[cfg(feature = "file")]
fn file(r: &mut Resolver<'_>) -> Option<ExporterKind> {
    let path = r.optional(Said::in_code(None), &[&OTLP_FILE], "none");
    if path.is_none() {
        let problem = format!("otlp_file needs a path in {}", OTLP_FILE.row.name);
        r.findings.ignored(TRACES_EXPORTER.row.name, &problem, "it is left out");
    }
    path.map(|path| ExporterKind::File(path.value))
}

#[cfg(not(feature = "file"))]
fn file(_: &mut Resolver<'_>) -> Option<ExporterKind> {
    unreachable!("{} is of no use without its feature", OTLP_FILE.row.name)
}

/// Nobody can tell whether they would have made it OTLP.
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
fn find_unreadable_endpoints(r: &mut Resolver<'_>) {
    use super::variables::{ENDPOINT, TRACES_ENDPOINT};
    for row in [&TRACES_ENDPOINT.row, &ENDPOINT.row] {
        r.find_unreadable(row);
    }
}

#[cfg(not(any(feature = "otlp-http", feature = "otlp-grpc")))]
fn find_unreadable_endpoints(_: &mut Resolver<'_>) {}

/// The variable that names an OTLP endpoint.
#[cfg(any(feature = "otlp-http", feature = "otlp-grpc"))]
fn endpoint_set(r: &mut Resolver<'_>) -> Option<&'static Row> {
    use super::variables::{ENDPOINT, TRACES_ENDPOINT};
    [&TRACES_ENDPOINT.row, &ENDPOINT.row].into_iter().find(|row| r.is_set(row))
}

#[cfg(not(any(feature = "otlp-http", feature = "otlp-grpc")))]
fn endpoint_set(r: &mut Resolver<'_>) -> Option<&'static Row> {
    for name in ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        if r.is_held(name) {
            let problem = "it needs the feature otlp-http or otlp-grpc";
            r.findings.ignored(name, problem, "it has no effect");
        }
    }
    None
}

impl Choice for ExporterName {
    const ALL: &[Self] = &[
        Self::Console,
        Self::Tree,
        Self::Otlp,
        Self::OtlpFile,
        Self::Jaeger,
        Self::Zipkin,
        Self::Datadog,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Otlp => "otlp",
            Self::OtlpFile => "otlp_file",
            Self::Jaeger => "jaeger",
            Self::Zipkin => "zipkin",
            Self::Datadog => "datadog",
            Self::Tree => "tree",
        }
    }

    fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Console => None,
            Self::Tree => (!cfg!(feature = "tree")).then_some("tree"),
            Self::OtlpFile => (!cfg!(feature = "file")).then_some("file"),
            Self::Otlp | Self::Jaeger | Self::Zipkin | Self::Datadog => {
                let either = cfg!(any(feature = "otlp-http", feature = "otlp-grpc"));
                (!either).then_some("otlp-http or otlp-grpc")
            }
        }
    }
}
