//! User and password in an endpoint: they go into a header, over HTTP and gRPC alike.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// The endpoint without user and password, and the `authorization` that they are.
pub(in crate::pipeline::exporter) fn without_credentials(
    endpoint: &Uri,
) -> (Uri, Option<HeaderValue>) {
    let authorization = userinfo(endpoint).and_then(basic);
    let host = endpoint.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
    let bare = host.and_then(|(_, host)| {
        let mut parts = endpoint.clone().into_parts();
        parts.authority = Some(host.parse().ok()?);
        Uri::from_parts(parts).ok()
    });
    (bare.unwrap_or_else(|| endpoint.clone()), authorization)
}

/// `user:password`, as the URL has it.
pub(super) fn userinfo(endpoint: &Uri) -> Option<&str> {
    let (userinfo, _) = endpoint.authority()?.as_str().rsplit_once('@')?;
    Some(userinfo).filter(|userinfo| !userinfo.is_empty())
}

/// RFC 7617; what is encoded for the URL's sake is decoded.
fn basic(userinfo: &str) -> Option<HeaderValue> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(endpoint: &'static str, bare: &str, authorization: Option<&str>) {
        let (uri, header) = without_credentials(&Uri::from_static(endpoint));
        assert_eq!(uri, bare);
        assert_eq!(
            header.as_ref().map(|header| header.to_str().expect("it is text")),
            authorization
        );
    }

    #[test]
    fn user_and_password_become_a_header() {
        splits("http://h:1/p?q=r", "http://h:1/p?q=r", None);
        splits("http://u:p@h:1/p?q=r", "http://h:1/p?q=r", Some("Basic dTpw"));
        splits("http://user@h", "http://h/", Some("Basic dXNlcjo="));
        splits("http://u:pa@[::1]:1", "http://[::1]:1/", Some("Basic dTpwYQ=="));
    }

    #[test]
    fn what_was_encoded_for_the_url_was_sent_encoded() {
        splits("http://us%40er:p%3Ass@h", "http://h/", Some("Basic dXNAZXI6cDpzcw=="));
    }
}
