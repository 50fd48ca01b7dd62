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
    let (url, tail, cut_password) = match url.find(['?', '#']) {
        Some(at) => (&url[..at], "?[redacted]", is_cut(&url[..at], &url[at..])),
        None => (&*url, "", false),
    };
    let is_scheme =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let parts = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme));
    let (scheme, rest) = parts.unwrap_or(("", url));
    let separator = if scheme.is_empty() { "" } else { "://" };
    // a password may have a slash in it, which should have been encoded: nothing before the last
    // `@` is sure to be the host
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{separator}[redacted]@{host}{tail}"),
        None if cut_password => format!("{scheme}{separator}[redacted]{tail}"),
        None => format!("{url}{tail}"),
    }
}

/// Whether what comes before the query ends amid a user and password: a `@` is still to come, and
/// what a colon is before is no port.
#[cfg(any(test, feature = "otlp-http", feature = "otlp-grpc"))]
fn is_cut(before: &str, after: &str) -> bool {
    let authority = before.split_once("://").map_or(before, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    after.contains('@') && port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()))
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
    fn a_password_with_a_slash_was_shown_whole() {
        redacts("http://u:hun/ter2@host:1", "http://[redacted]@host:1");
        redacts("//u:hunter2@h", "[redacted]@h");
        redacts("http:/u:hunter2@h", "[redacted]@h");
        redacts("http:/u:hun://ter2@h", "[redacted]@h");
        redacts("http://hun/ter2@h/v1?a=b", "http://[redacted]@h/v1?[redacted]");
        redacts("http://u:hun?ter2@h", "http://[redacted]?[redacted]");
        redacts("http://u:hun#ter2@h", "http://[redacted]?[redacted]");
        redacts("http://h:1/v1?to=a@b", "http://h:1/v1?[redacted]");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\x1b[31m\r\nb"), "a\\u{1b}[31m\\r\\nb");
        assert_eq!(escape("plain é"), "plain é");
    }
}
