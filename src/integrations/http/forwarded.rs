//! What proxies say of the request as it was before them: `Forwarded` (RFC 7239) and `X-Forwarded-*`.

use std::net::IpAddr;

use super::{Said, host_and_port};

/// The outermost hop: what the first proxy saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::integrations) struct Forwarded<'a> {
    pub(in crate::integrations) client: Option<&'a str>,
    pub(in crate::integrations) host: Option<&'a str>,
    pub(in crate::integrations) proto: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// `Forwarded` counts before `X-Forwarded-*`, part by part.
    pub(in crate::integrations) fn of(said: &Said<'a>) -> Self {
        let Self { client, host, proto } = said.forwarded.map(Self::parse).unwrap_or_default();
        let first = |list: Option<&'a str>| {
            let first = list?.split(',').next()?.trim();
            (!first.is_empty()).then_some(first)
        };
        Self {
            client: client.or_else(|| address(first(said.forwarded_for)?)),
            host: host.or_else(|| first(said.forwarded_host)),
            proto: proto.or_else(|| scheme(first(said.forwarded_proto)?)),
        }
    }

    /// `for="[2001:db8::1]:4711";host=example.com;proto=https, for=…`
    fn parse(value: &'a str) -> Self {
        let mut forwarded = Self::default();
        for pair in first_element(value) {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            let slot = match name.trim() {
                name if name.eq_ignore_ascii_case("for") => {
                    forwarded.client = address(value);
                    continue;
                }
                name if name.eq_ignore_ascii_case("host") => &mut forwarded.host,
                name if name.eq_ignore_ascii_case("proto") => {
                    forwarded.proto = scheme(value);
                    continue;
                }
                _ => continue,
            };
            *slot = Some(value).filter(|value| !value.is_empty());
        }
        forwarded
    }
}

/// Not `unknown`, nor a name that a proxy has made up to hide the address, nor whatever else somebody
/// has sent.
fn address(value: &str) -> Option<&str> {
    Some(host_and_port(value).0).filter(|host| host.parse::<IpAddr>().is_ok())
}

/// In lower case: whoever sends the header decides what it says.
fn scheme(value: &str) -> Option<&'static str> {
    SCHEMES.into_iter().find(|scheme| scheme.eq_ignore_ascii_case(value))
}

const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// The pairs up to the first comma that is not quoted.
fn first_element(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let end = value.find(|c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let mut is_quoted = false;
    value[..end.unwrap_or(value.len())].split(move |c| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn sees(headers: &[(&'static str, &'static str)], expected: [Option<&str>; 3]) {
        let map = headers.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        let map: http::HeaderMap = map.collect();
        let [client, host, proto] = expected;
        assert_eq!(
            Forwarded::of(&Said::by(&map)),
            Forwarded { client, host, proto },
            "{headers:?}"
        );
    }

    #[test]
    fn the_outermost_hop_counts() {
        sees(
            &[(
                "forwarded",
                r#"For="[2001:db8::1]:4711";Proto=https;host=shop.example, for=10.0.0.1"#,
            )],
            [Some("2001:db8::1"), Some("shop.example"), Some("https")],
        );
        sees(&[("x-forwarded-for", "203.0.113.7, 10.0.0.1")], [Some("203.0.113.7"), None, None]);
        sees(&[("x-forwarded-for", "203.0.113.7:4711")], [Some("203.0.113.7"), None, None]);
        sees(&[("x-forwarded-for", "2001:db8::1")], [Some("2001:db8::1"), None, None]);
        sees(
            &[("x-forwarded-host", "a:8080"), ("x-forwarded-proto", "https")],
            [None, Some("a:8080"), Some("https")],
        );
    }

    #[test]
    fn the_standard_header_counts_before_the_others() {
        sees(
            &[
                ("forwarded", "proto=https"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-for", "::1"),
            ],
            [Some("::1"), None, Some("https")],
        );
    }

    #[test]
    fn an_obfuscated_client_is_no_address() {
        sees(&[("forwarded", "for=_hidden;proto=http")], [None, None, Some("http")]);
        sees(&[("forwarded", "for=unknown")], [None, None, None]);
        sees(&[("x-forwarded-for", "Unknown, 10.0.0.1")], [None, None, None]);
        sees(&[("x-forwarded-for", "_hidden")], [None, None, None]);
    }

    #[test]
    fn a_client_that_is_no_address_is_none() {
        for made_up in
            ["not an ip <script>", "shop.example", "1.2.3", "1.2.3.4.5", "::g", "[", ":80"]
        {
            sees(&[("x-forwarded-for", made_up)], [None, None, None]);
        }
        sees(&[("forwarded", "for=shop.example")], [None, None, None]);
    }

    #[test]
    fn a_scheme_that_is_none_of_the_webs_is_none() {
        sees(&[("x-forwarded-proto", "wss")], [None, None, Some("wss")]);
        sees(&[("x-forwarded-proto", "HTTPS, http")], [None, None, Some("https")]);
        for made_up in ["javascript", "https;x", "on", "h2"] {
            sees(&[("x-forwarded-proto", made_up)], [None, None, None]);
        }
        sees(
            &[("forwarded", "proto=gopher"), ("x-forwarded-proto", "ws")],
            [None, None, Some("ws")],
        );
    }

    #[test]
    fn separators_in_quotes_do_not_separate() {
        sees(&[("forwarded", r#"host="a;b,c";proto=https"#)], [None, Some("a;b,c"), Some("https")]);
    }

    #[test]
    fn garbage_is_nothing() {
        for garbage in ["", ";;;", ",", "for", "for=", "for=\"", "=;=,=", "for=\"\"", "\"\"\"for=1"]
        {
            sees(&[("forwarded", garbage), ("x-forwarded-for", ",")], [None, None, None]);
        }
    }
}
