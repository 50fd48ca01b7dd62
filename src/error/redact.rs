//! What a message may show of a value that comes from outside.

/// Control characters as `\u{1b}`: messages quote values that come from outside.
pub(crate) fn escape(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(any(test, feature = "otlp-http", feature = "otlp-grpc"))]
/// A URL without what may be secret in it: user, password, query and fragment.
pub(crate) fn redact_url(url: &str) -> String {
    let url = escape(url);
    let (url, tail) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], "?[redacted]"),
        None => (&*url, ""),
    };
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let user = if host.len() == authority.len() { "" } else { "[redacted]@" };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{user}{host}{path}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn redacts(url: &str, expected: &str) {
        assert_eq!(redact_url(url), expected);
    }

    #[test]
    fn urls_lose_their_secrets() {
        redacts("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces");
        redacts("https://user:secret@host/v1", "https://[redacted]@host/v1");
        redacts("https://user:p@ss@host", "https://[redacted]@host");
        redacts("https://host/v1?api-key=secret", "https://host/v1?[redacted]");
        redacts("user:secret@host:1", "[redacted]@host:1");
        redacts("https://host\r\nX: y", "https://host\\r\\nX: y");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\x1b[31m\r\nb"), "a\\u{1b}[31m\\r\\nb");
        assert_eq!(escape("plain é"), "plain é");
    }
}
