//! Where an OTLP exporter sends to.

use http::Uri;
use http::uri::PathAndQuery;

use super::{Origin, OtlpSettings, Protocol};
use crate::config::explain::{Source, Sourced};
use crate::config::parse::Shown;
use crate::config::resolver::Resolver;
use crate::config::variables::{ENDPOINT, INSECURE, TRACES_ENDPOINT, TRACES_INSECURE};
use crate::error::redact_url;

/// The code's endpoint, then the variables', then the default of the protocol.
pub(super) fn endpoint(code: &OtlpSettings, protocol: Protocol, r: &mut Resolver<'_>) -> Uri {
    let is_grpc = protocol == Protocol::Grpc;
    let insecure = code.said(code.insecure);
    let insecure = r.setting(insecure, &[&TRACES_INSECURE, &INSECURE], false).value;
    let read = |text: &str| {
        if is_grpc { parsed(&with_scheme(text, insecure)) } else { parsed(text) }
    };
    let in_code = code.endpoint.as_deref().map(|text| {
        let url = read(text)?;
        // a URL with a path is used as it is; one without is a base
        let is_base =
            code.origin == Origin::Code && !is_grpc && url.path() == "/" && url.query().is_none();
        if is_base { read(&with_path(text)) } else { Ok(url) }
    });
    let in_code = in_code.and_then(|url| match url {
        Ok(url) => Some(Endpoint(url)),
        Err(problem) => {
            r.findings.refused("OTLP endpoint", problem);
            None
        }
    });
    // over HTTP the traces endpoint is used as it is, and the general one is a base that the path
    // is added to (OTLP exporter, "Endpoint URLs for OTLP/HTTP")
    let default = if is_grpc { DEFAULT_GRPC } else { code.default_endpoint() };
    let variables = [(&TRACES_ENDPOINT, false), (&ENDPOINT, !is_grpc)];
    let chosen = r.read(
        code.said(in_code),
        &variables.map(|(variable, _)| variable),
        |variable, text: String| {
            let is_base =
                variables.iter().any(|(v, is_base)| v.row.name == variable.name && *is_base);
            let url = read(&text)?;
            Ok(Endpoint(if is_base { read(&with_path(&text))? } else { url }))
        },
        default,
    );
    let Some(Sourced { value: Endpoint(url), source }) = chosen else {
        return Uri::from_static(default);
    };
    let has_path = url.path_and_query().is_some_and(|path| path.as_str() != "/");
    if is_grpc && has_path { without_path(url, source, r) } else { url }
}

/// The methods of a gRPC service are its paths, and no other is asked for.
fn without_path(url: Uri, source: Source, r: &mut Resolver<'_>) -> Uri {
    let shown = redact_url(&url.to_string());
    let mut parts = url.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    let target = Uri::from_parts(parts).expect("with scheme and authority every path is right");
    let used = redact_url(&target.to_string());
    let problem = format!("{shown:?} has a path, and gRPC has paths of its own");
    let instead = format!("{used} is used");
    r.show(&TRACES_ENDPOINT.row, &used);
    match source {
        Source::Variable(name) => r.findings.ignored(name, &problem, &instead),
        // no error: what the protocol is, a variable may have said
        _ => r.findings.told("OTLP endpoint", format!("{problem}; {instead}")),
    }
    target
}

/// Whether a file's endpoint, which is a whole URL over HTTP, can be used.
#[cfg(feature = "config-file")]
pub(in crate::config) fn checked(text: &str, is_grpc: bool, insecure: bool) -> Result<(), String> {
    let text = if is_grpc { with_scheme(text, insecure) } else { text.to_owned() };
    parsed(&text).map(drop)
}

struct Endpoint(Uri);

impl Shown for Endpoint {
    fn shown(&self) -> String {
        redact_url(&self.0.to_string())
    }
}

fn parsed(text: &str) -> Result<Uri, String> {
    // it would be cut off, and with it a path that is behind it
    if text.contains('#') {
        return Err(format!("{:?} has a fragment, which is sent to nobody", redact_url(text)));
    }
    let url: Uri = text.parse().map_err(|e| format!("{:?} is not a URL: {e}", redact_url(text)))?;
    match url.scheme_str() {
        Some("http") => Ok(url),
        Some("https") if cfg!(feature = "tls") => Ok(url),
        Some("https") => Err(format!("{:?} needs the feature tls", redact_url(text))),
        _ => Err(format!("{:?} does not begin with http:// or https://", redact_url(text))),
    }
}

/// `host:port` is a target of gRPC's, of which `insecure` says how it is spoken to.
fn with_scheme(text: &str, insecure: bool) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    format!("{}://{text}", if insecure { "http" } else { "https" })
}

fn with_path(base: &str) -> String {
    let (base, query) = base.split_once('?').map_or((base, None), |(b, q)| (b, Some(q)));
    let url = format!("{}/v1/traces", base.trim_end_matches('/'));
    query.map_or(url.clone(), |query| format!("{url}?{query}"))
}

const DEFAULT_GRPC: &str = "http://localhost:4317";
