//! Secrets in URLs: credentials in front of the host, and values in the query.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::secrets::is_secret;

/// A query without its secrets: `q=shoes&sig=REDACTED`.
///
/// The conventions name `AWSAccessKeyId`, `Signature`, `sig` and `X-Goog-Signature`. Ours are more,
/// in any case, with or without `-`, `_` and `.`, percent-coded or not, nested, and as a word of a
/// longer name. `more` are those of the user, as [`plain`](super::secrets::plain) has them.
pub(in crate::integrations) fn redacted<'q>(query: &'q str, more: &[Vec<u8>]) -> Cow<'q, str> {
    let mut safe = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < query.len() {
        let rest = &query[at..];
        let key = rest.find(['=', '&', ';']).map_or(rest, |end| &rest[..end]);
        let value = at + key.len() + 1;
        if !rest[key.len()..].starts_with('=') {
            at = value;
            continue;
        }
        // up to `&` alone: a `;` may be part of the secret
        let (whole, part) = (end_of(query, value, &['&']), end_of(query, value, &['&', ';']));
        if is_secret(key.as_bytes(), more) || holds_secret(&query[value..part], more) {
            safe.push_str(&query[copied..value]);
            safe.push_str(REDACTED);
            (at, copied) = (whole + 1, whole);
        } else {
            at = part + 1;
        }
    }
    if copied == 0 {
        return query.into();
    }
    safe.push_str(&query[copied..]);
    safe.into()
}

/// `url.full`: an absolute URL without its secrets. `authority` has no credentials any more; where
/// there is none the rest is all that is known.
pub(in crate::integrations) fn full_url(
    scheme: &str,
    had_credentials: bool,
    authority: &str,
    path: &str,
    query: Option<&str>,
    more: &[Vec<u8>],
) -> String {
    let credentials = if had_credentials { "REDACTED:REDACTED@" } else { "" };
    let (mark, query) = query.map_or(("", "".into()), |query| ("?", redacted(query, more)));
    let (scheme, slashes) = if authority.is_empty() { ("", "") } else { (scheme, "://") };
    [scheme, slashes, credentials, authority, path, mark, &query].concat()
}

fn end_of(query: &str, from: usize, ends: &[char]) -> usize {
    query[from..].find(ends).map_or(query.len(), |length| from + length)
}

/// Whether the value of a harmless key holds such a key itself, as the URL to return to after a login
/// does: as it is, or percent-coded once or twice.
fn holds_secret(value: &str, more: &[Vec<u8>]) -> bool {
    let is_pair = |pair: &[u8]| {
        let end = pair.iter().position(|byte| *byte == b'=');
        end.is_some_and(|end| is_secret(&pair[..end], more))
    };
    let mut text = SmallVec::<[u8; 128]>::from_slice(value.as_bytes());
    for _ in 0..=MOST_ENCODED {
        if text.split(|byte| b"?&;#/".contains(byte)).any(is_pair) {
            return true;
        }
        if !text.contains(&b'%') {
            return false;
        }
        text = decoded(&text).collect();
    }
    false
}

#[cfg(feature = "tonic")]
pub(in crate::integrations) fn percent_decoded(text: &str) -> impl Iterator<Item = u8> {
    decoded(text.as_bytes())
}

pub(super) fn decoded(bytes: &[u8]) -> impl Iterator<Item = u8> {
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
/// How often a value is decoded to look into it.
const MOST_ENCODED: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::secrets::{SECRETS, plain};
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
            assert_eq!(redacted(query, &[]), expected);
        }
    }

    #[test]
    fn a_harmless_query_is_not_copied() {
        for query in ["", "&&", "q=signature", "design=a", "sig", "author=me", "=x", "ü=1;b=%"] {
            assert!(
                matches!(redacted(query, &[]), Cow::Borrowed(same) if same == query),
                "{query}"
            );
        }
    }

    #[test]
    fn secrets_of_services_that_are_asked_for_by_query_are_no_secrets_any_more() {
        for (query, expected) in [
            ("key=a&q=b", "key=REDACTED&q=b"),
            ("code=a&state=b", "code=REDACTED&state=b"),
            ("OAuth_Token=a&id_token_hint=b", "OAuth_Token=REDACTED&id_token_hint=REDACTED"),
            ("X-Auth-Token=a", "X-Auth-Token=REDACTED"),
        ] {
            assert_eq!(redacted(query, &[]), expected);
        }
    }

    #[test]
    fn a_secret_in_a_nested_key_is_found() {
        for key in [
            "user[password]",
            "user%5Bpass_word%5D",
            "a[b][token]",
            "user[password][]",
            "user[password][0]",
            "token[value]",
            "user.password",
            "a[user.api-key]",
            "login.user[secret",
            "password.length",
        ] {
            assert_eq!(redacted(&format!("{key}=x&b=1"), &[]), format!("{key}=REDACTED&b=1"));
        }
        for key in ["user[name]", "passwordless", "user[nopassword]", "[]", "][.", "."] {
            assert!(matches!(redacted(&format!("{key}=x"), &[]), Cow::Borrowed(_)), "{key}");
        }
    }

    #[test]
    fn a_secret_word_in_a_longer_name_is_found() {
        for key in [
            "reset_password_token",
            "user[password_confirmation]",
            "new-password",
            "hub.verify_token",
            "credentials[0][a]",
            "confirmationToken",
            "oobCode",
            "client-key",
            "access_key_id",
            "myAPIKey",
            "stripe_api_key",
            "JWTString",
            "jwt%5Fstring",
            "client:secret",
        ] {
            assert_eq!(
                redacted(&format!("a=1&{key}=x&b=1"), &[]),
                format!("a=1&{key}=REDACTED&b=1")
            );
        }
        for key in
            ["tokenize", "mytoken", "secretary", "jwtx", "monkey", "apikeys", "encode", "_", "A_B"]
        {
            assert!(matches!(redacted(&format!("{key}=x"), &[]), Cow::Borrowed(_)), "{key}");
        }
    }

    #[test]
    fn a_secret_in_a_url_in_a_value_is_found() {
        for value in [
            "https%3A%2F%2Fh%2F%3Ftoken%3Dabc",
            "https%3a%2f%2fh%2f%3fpage%3d1%26reset_token%3dabc",
            "%2Fcb%23access_token%3Dabc",
            "/cb?token=abc",
            "token%3Dabc",
            "https%253A%252F%252Fh%252F%253Ftoken%253Dabc",
        ] {
            let query = format!("a=1&redirect={value}&b=1");
            assert_eq!(redacted(&query, &[]), "a=1&redirect=REDACTED&b=1", "{value}");
        }
        for value in ["https%3A%2F%2Fh%2F%3Fpage%3D2", "token", "a%3D%3D", "100%", "%3D", "a=b=c"] {
            let query = format!("redirect={value}");
            assert!(matches!(redacted(&query, &[]), Cow::Borrowed(_)), "{value}");
        }
    }

    #[test]
    fn more_names_are_found_as_the_others_are() {
        let more = [plain("Patient-Id"), plain("social.security_number")];
        let query = "patient_id=1&PATIENTID=2&a[patient.id]=3&social-security-number=4&sig=5&id=6";
        let r = "REDACTED";
        let expected = format!(
            "patient_id={r}&PATIENTID={r}&a[patient.id]={r}&social-security-number={r}&sig={r}&id=6"
        );
        assert_eq!(redacted(query, &more), expected);
    }

    #[test]
    fn a_url_loses_its_credentials() {
        let url = full_url("https", true, "example.com:8443", "/a", Some("b=1&token=2"), &[]);
        assert_eq!(url, "https://REDACTED:REDACTED@example.com:8443/a?b=1&token=REDACTED");
        assert_eq!(full_url("http", false, "", "/a", Some("sig=2"), &[]), "/a?sig=REDACTED");
    }

    /// A secret key as somebody may write it, and whether its letters are capitals or percent-coded.
    fn secret_key() -> impl Strategy<Value = String> {
        let key = proptest::sample::select(SECRETS);
        (key, proptest::collection::vec(0..4_u8, 20)).prop_map(|(key, how)| {
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
            prop_assert_eq!(redacted(&query, &[]), expected);
        }

        #[test]
        fn whatever_comes_is_taken_and_twice_is_as_once(query in "\\PC*") {
            let once = redacted(&query, &[]).into_owned();
            prop_assert_eq!(&redacted(&once, &[]), &once);
        }
    }
}
