//! Environment variables of child processes as a carrier: OpenTelemetry's specification,
//! "Environment Variables as Context Propagation Carriers".

use std::ffi::OsString;
use std::fmt;
use std::process::Command;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::own::{baggage_header, is_own};
use super::with_propagator;

/// Writes the current context into the environment of a process that is to be started, by the
/// global propagator: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`.
///
/// A key of Jaeger's baggage is part of a variable's name (`UBERCTX_TENANT`), which has neither case
/// nor `-`: `Tenant-Id` is read again as `tenant_id`.
///
/// Variables of the propagator that the process would inherit from ours are removed (of Jaeger's, all
/// `UBERCTX_…`), so that no old state passes for that of the new parent. Outside of every trace, and without baggage, nothing is
/// changed. A [`tokio::process::Command`](https://docs.rs/tokio/latest/tokio/process/struct.Command.html)
/// has the `Command` for this by `as_std_mut`.
///
/// ```
/// use std::process::Command;
///
/// let mut command = Command::new("make");
/// otel_setup::propagation::inject_env(&mut command);
/// ```
pub fn inject_env(command: &mut Command) {
    let context = Context::current();
    with_propagator(|propagator| inject_env_by(propagator, &context, command));
}

/// As [`inject_env`], any context by any propagator.
pub fn inject_env_by(propagator: &dyn TextMapPropagator, context: &Context, command: &mut Command) {
    let mut variables = Variables(Vec::new());
    propagator.inject_context(context, &mut variables);
    if variables.0.is_empty() {
        return;
    }
    let given = command.get_envs().map(|(name, _)| name.to_owned());
    let inherited = std::env::vars_os().map(|(name, _)| name);
    let names = given.chain(inherited).filter_map(|name| name.into_string().ok());
    let old: Vec<_> = names.filter(|name| is_own_name(propagator, name)).collect();
    for name in propagator.fields().map(normalized).chain(old) {
        command.env_remove(name);
    }
    // a value with a NUL cannot be passed on, and would fail the start
    command.envs(variables.0.into_iter().filter(|(_, value)| !value.contains('\0')));
}

/// Reads the context that our own process was started in, by the global propagator.
///
/// ```
/// use otel_setup::propagation::{self, Relation};
///
/// // once, at the start of a program that others start
/// let caller = propagation::extract_env();
/// let span = Relation::Child.span(&caller, || tracing::info_span!("build"));
/// ```
pub fn extract_env() -> Context {
    with_propagator(|propagator| extract_env_by(propagator, std::env::vars_os()))
}

/// As [`extract_env`], by any propagator, from any variables: it reads all that [`inject_env_by`] writes
/// by the same propagator.
///
/// ```
/// use otel_setup::propagation::{Propagator, extract_env_by};
///
/// let caller = extract_env_by(&Propagator::jaeger(), std::env::vars_os());
/// ```
pub fn extract_env_by<K: Into<OsString>, V: Into<OsString>>(
    propagator: &dyn TextMapPropagator,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Context {
    let own = variables.into_iter().filter_map(|(name, value)| {
        let name = name.into().into_string().ok().filter(|name| is_own_name(propagator, name))?;
        // a value that is not UTF-8 is none of ours
        Some((name, value.into().into_string().ok()?))
    });
    // its keys are found by their prefix among the names
    let own = own.map(|(name, value)| (baggage_header(&name).unwrap_or(name), value));
    propagator.extract_with_context(&Context::new(), &Variables(own.collect()))
}

/// Variables by their normalized names, and Jaeger's baggage by that of its headers.
struct Variables(Vec<(String, String)>);

impl Injector for Variables {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((normalized(key), value));
    }
}

impl Extractor for Variables {
    fn get(&self, key: &str) -> Option<&str> {
        let name = normalized(key);
        self.0.iter().find(|(known, _)| normalized(known) == name).map(|(_, value)| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether a variable says something of a context to this propagator: as [`is_own`] of a header.
fn is_own_name(propagator: &dyn TextMapPropagator, name: &str) -> bool {
    let is_field = || propagator.fields().any(|field| normalized(field) == name);
    normalized(name) == name && (is_own(propagator, &name.replace('_', "-")) || is_field())
}

/// The specification's section "Key Name Normalization".
fn normalized(key: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let mut name: String = key.chars().map(character).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
