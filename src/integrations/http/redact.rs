//! Secrets in URLs: credentials in front of the host, and values in the query.

use std::borrow::Cow;

/// A query without its secrets: `q=shoes&sig=REDACTED`.
///
/// The conventions name `AWSAccessKeyId`, `Signature`, `sig` and `X-Goog-Signature`. Ours are more,
/// in any case, with or without `-`, `_` and `.`, percent-coded or not.
pub(in crate::integrations) fn redacted(query: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < query.len() {
        let rest = &query[at..];
        let key = rest.find(['=', '&', ';']).map_or(rest, |end| &rest[..end]);
        let value = at + key.len() + 1;
        if !rest[key.len()..].starts_with('=') {
            at = value;
        } else if is_secret(key) {
            // up to `&` alone: a `;` may be part of the secret
            let end = end_of(query, value, &['&']);
            safe.push_str(&query[copied..value]);
            safe.push_str(REDACTED);
            (at, copied) = (end + 1, end);
        } else {
            at = end_of(query, value, &['&', ';']) + 1;
        }
    }
    if copied == 0 {
        return query.into();
    }
    safe.push_str(&query[copied..]);
    safe.into()
}

/// `url.full`: an absolute URL without its secrets. `authority` has no credentials any more.
pub(in crate::integrations) fn full_url(
    scheme: &str,
    had_credentials: bool,
    authority: &str,
    path: &str,
    query: Option<&str>,
) -> String {
    let credentials = if had_credentials { "REDACTED:REDACTED@" } else { "" };
    let (mark, query) = query.map_or(("", "".into()), |query| ("?", redacted(query)));
    [scheme, "://", credentials, authority, path, mark, &query].concat()
}

fn end_of(query: &str, from: usize, ends: &[char]) -> usize {
    query[from..].find(ends).map_or(query.len(), |length| from + length)
}

/// Whether the value of this key is nobody's business.
fn is_secret(key: &str) -> bool {
    let mut plain = [0; LONGEST];
    let mut length = 0;
    for byte in percent_decoded(key) {
        match byte {
            b'-' | b'_' | b'.' | b'+' | b' ' => continue,
            // `token[]`, `token[0]`
            b'[' => break,
            _ if length == LONGEST => return false,
            _ => plain[length] = byte.to_ascii_lowercase(),
        }
        length += 1;
    }
    SECRETS.contains(&&plain[..length])
}

pub(in crate::integrations) fn percent_decoded(text: &str) -> impl Iterator<Item = u8> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
        {
            at += 3;
            return u8::try_from(high * 16 + low).ok();
        }
        at += 1;
        Some(byte)
    })
}

const REDACTED: &str = "REDACTED";

/// Keys without separators, in lower case.
const SECRETS: &[&[u8]] = &[
    b"accesskey",
    b"accesstoken",
    b"apikey",
    b"apitoken",
    b"assertion",
    b"auth",
    b"authorization",
    b"authtoken",
    b"awsaccesskeyid",
    b"bearer",
    b"clientassertion",
    b"clientsecret",
    b"codeverifier",
    b"credential",
    b"credentials",
    b"csrftoken",
    b"idtoken",
    b"jwt",
    b"otp",
    b"passphrase",
    b"passwd",
    b"password",
    b"privatekey",
    b"privatetoken",
    b"pwd",
    b"refreshtoken",
    b"samlresponse",
    b"secret",
    b"secretaccesskey",
    b"secretkey",
    b"session",
    b"sessionid",
    b"sessiontoken",
    b"sig",
    b"signature",
    b"token",
    b"xamzcredential",
    b"xamzsecuritytoken",
    b"xamzsignature",
    b"xapikey",
    b"xgoogcredential",
    b"xgoogsignature",
];

/// The longest of them.
const LONGEST: usize = 17;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_secret_keys_are_replaced() {
        for (query, expected) in [
            ("color=blue&sig=abc", "color=blue&sig=REDACTED"),
            ("AWSAccessKeyId=a&Signature=b", "AWSAccessKeyId=REDACTED&Signature=REDACTED"),
            ("X-Goog-Signature=a&x=1", "X-Goog-Signature=REDACTED&x=1"),
            ("X-Amz-Signature=a&X-Amz-Expires=300", "X-Amz-Signature=REDACTED&X-Amz-Expires=300"),
            ("%73ig=abc&SIG=d", "%73ig=REDACTED&SIG=REDACTED"),
            ("accessToken=a&access_token=b", "accessToken=REDACTED&access_token=REDACTED"),
            ("token[]=a&token%5B0%5D=b", "token[]=REDACTED&token%5B0%5D=REDACTED"),
            ("a=b;sig=secret", "a=b;sig=REDACTED"),
            ("sig=half;other", "sig=REDACTED"),
            ("password=", "password=REDACTED"),
            ("sig=a=b&c=d", "sig=REDACTED&c=d"),
        ] {
            assert_eq!(redacted(query), expected);
        }
    }

    #[test]
    fn a_harmless_query_is_not_copied() {
        for query in ["", "&&", "q=signature", "design=a", "sig", "author=me", "=x", "ü=1;b=%"] {
            assert!(matches!(redacted(query), Cow::Borrowed(same) if same == query), "{query}");
        }
    }

    #[test]
    fn the_longest_key_is_as_long_as_it_says() {
        assert_eq!(SECRETS.iter().map(|key| key.len()).max(), Some(LONGEST));
    }

    #[test]
    fn a_url_loses_its_credentials() {
        let url = full_url("https", true, "example.com:8443", "/a", Some("b=1&token=2"));
        assert_eq!(url, "https://REDACTED:REDACTED@example.com:8443/a?b=1&token=REDACTED");
    }

    /// A secret key as somebody may write it, and whether its letters are capitals or percent-coded.
    fn secret_key() -> impl Strategy<Value = String> {
        let key = proptest::sample::select(SECRETS);
        (key, proptest::collection::vec(0..4_u8, LONGEST)).prop_map(|(key, how)| {
            let letters = key.iter().zip(how).map(|(&byte, how)| match how {
                0 => format!("%{byte:02x}"),
                1 => char::from(byte).to_ascii_uppercase().to_string(),
                2 => format!("_{}", char::from(byte)),
                _ => char::from(byte).to_string(),
            });
            letters.collect()
        })
    }

    proptest! {
        #[test]
        fn no_secret_is_left_and_nothing_else_is_lost(
            pairs in proptest::collection::vec(
                prop_oneof![
                    (secret_key(), Just("s3cr3t".to_owned())),
                    ("[a-z]{0,3}(page|lang|q)", "[a-z0-9%+ü]{0,9}"),
                ],
                0..8,
            )
        ) {
            let join = |pairs: Vec<(String, String)>| {
                pairs.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&")
            };
            let expected = pairs.iter().cloned().map(|(key, value)| {
                let value = if value == "s3cr3t" { REDACTED.to_owned() } else { value };
                (key, value)
            });
            let (query, expected) = (join(pairs.clone()), join(expected.collect()));
            prop_assert_eq!(redacted(&query), expected);
        }

        #[test]
        fn whatever_comes_is_taken_and_twice_is_as_once(query in "\\PC*") {
            let once = redacted(&query).into_owned();
            prop_assert_eq!(&redacted(&once), &once);
        }
    }
}
