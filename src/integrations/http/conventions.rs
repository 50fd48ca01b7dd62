//! What the conventions leave to whoever runs the program: which methods are known, and which query
//! keys are secret beside those that always are.

use std::sync::{Arc, OnceLock};

use super::secrets::plain;

/// How the spans of one layer are to be told.
#[derive(Debug, Clone, Default)]
pub(in crate::integrations) struct Conventions {
    /// In place of those of the process.
    known_methods: Option<Arc<[String]>>,
    /// As [`plain`] has them.
    secret_keys: Arc<[Vec<u8>]>,
}

impl Conventions {
    pub(in crate::integrations) fn set_known_methods(
        &mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) {
        self.known_methods = Some(methods.into_iter().map(Into::into).collect());
    }

    pub(in crate::integrations) fn add_secret_keys(
        &mut self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        let new = names.into_iter().map(|name| plain(name.as_ref()));
        self.secret_keys = self.secret_keys.iter().cloned().chain(new).collect();
    }

    /// The name of a method that is known; others could be anything.
    pub(in crate::integrations) fn known<'m>(&self, method: &'m http::Method) -> Option<&'m str> {
        let name = method.as_str();
        let given = self.known_methods.as_deref();
        let is_known = match given.or(of_process()) {
            Some(given) => given.iter().any(|known| known == name),
            None => KNOWN_METHODS.contains(&name),
        };
        is_known.then_some(name)
    }

    pub(in crate::integrations) fn secret_keys(&self) -> &[Vec<u8>] {
        &self.secret_keys
    }
}

/// Those of the variable, which is read once.
fn of_process() -> Option<&'static [String]> {
    static OF_PROCESS: OnceLock<Option<Vec<String>>> = OnceLock::new();
    OF_PROCESS.get_or_init(|| parsed(&std::env::var(VARIABLE).ok()?)).as_deref()
}

/// Separated by commas, each as it is; none at all is as if it were unset.
fn parsed(list: &str) -> Option<Vec<String>> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<_> = names.map(ToOwned::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// "Semantic conventions for HTTP spans", `http.request.method`.
const VARIABLE: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

/// Those of RFC 9110, PATCH (RFC 5789) and QUERY, the most usual first.
const KNOWN_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "QUERY", "CONNECT", "TRACE"];

#[cfg(test)]
mod tests {
    use super::*;

    fn known(conventions: &Conventions, method: &str) -> bool {
        let method = http::Method::from_bytes(method.as_bytes()).expect("a token");
        conventions.known(&method) == Some(method.as_str())
    }

    #[test]
    fn methods_are_known_by_their_exact_name() {
        let conventions = Conventions::default();
        for method in KNOWN_METHODS {
            assert!(known(&conventions, method), "{method}");
            assert!(!known(&conventions, &method.to_lowercase()), "{method}");
        }
        assert!(!known(&conventions, "PURGE"));
    }

    #[test]
    fn a_list_of_methods_is_in_place_of_the_usual_one() {
        let mut conventions = Conventions::default();
        conventions.set_known_methods(["PURGE", "get"]);
        let is = ["PURGE", "get", "GET", "purge"].map(|method| known(&conventions, method));
        assert_eq!(is, [true, true, false, false]);
        conventions.set_known_methods([""; 0]);
        assert!(!known(&conventions, "GET"), "no method at all is a list, too");
    }

    #[test]
    fn the_variable_is_a_list_by_commas() {
        assert_eq!(parsed(" GET ,purge,,"), Some(vec!["GET".to_owned(), "purge".to_owned()]));
        assert_eq!(parsed(" , "), None);
    }
}
