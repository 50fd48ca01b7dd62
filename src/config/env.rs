//! The environment, behind a lookup that tests can inject.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

/// Where variables are looked up: the process's environment, or a function.
#[derive(Clone)]
pub(crate) struct Env(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// What a variable holds. Empty is unset (specification, "Parsing empty value"), and so is nothing
/// but white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Nothing,
    /// Without surrounding white space.
    Text(String),
    NotUtf8,
}

impl Env {
    pub(crate) fn process() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    pub(crate) fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The value as it is.
    #[cfg(feature = "config-file")]
    pub(crate) fn raw(&self, name: &str) -> Option<OsString> {
        (self.0)(name)
    }

    pub(crate) fn held(&self, name: &str) -> Held {
        match (self.0)(name).map(OsString::into_string) {
            None => Held::Nothing,
            Some(Ok(text)) if text.trim().is_empty() => Held::Nothing,
            Some(Ok(text)) => Held::Text(text.trim().to_owned()),
            Some(Err(_)) => Held::NotUtf8,
        }
    }

    /// For what is no setting of ours: what others have put there for whoever reads it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.held(name) {
            Held::Text(text) => Some(text),
            Held::Nothing | Held::NotUtf8 => None,
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the environment is full of secrets
        f.write_str("Env")
    }
}
