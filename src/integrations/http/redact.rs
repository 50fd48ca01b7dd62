//! Secrets in URLs: credentials in front of the host, and values in the query.

use std::borrow::Cow;

use smallvec::SmallVec;

/// A query without its secrets: `q=shoes&sig=REDACTED`.
///
/// The conventions name `AWSAccessKeyId`, `Signature`, `sig` and `X-Goog-Signature`. Ours are more,
/// in any case, with or without `-`, `_` and `.`, percent-coded or not, and nested. `more` are those
/// of the user, as [`plain`] has them.
pub(in crate::integrations) fn redacted<'q>(query: &'q str, more: &[Vec<u8>]) -> Cow<'q, str> {
    let mut safe = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < query.len() {
        let rest = &query[at..];
        let key = rest.find(['=', '&', ';']).map_or(rest, |end| &rest[..end]);
        let value = at + key.len() + 1;
        if !rest[key.len()..].starts_with('=') {
            at = value;
        } else if is_secret(key, more) {
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
    more: &[Vec<u8>],
) -> String {
    let credentials = if had_credentials { "REDACTED:REDACTED@" } else { "" };
    let (mark, query) = query.map_or(("", "".into()), |query| ("?", redacted(query, more)));
    [scheme, "://", credentials, authority, path, mark, &query].concat()
}

fn end_of(query: &str, from: usize, ends: &[char]) -> usize {
    query[from..].find(ends).map_or(query.len(), |length| from + length)
}

/// Whether the value of this key is nobody's business: `token`, `token[0]`, `user[password]`,
/// `user.password`.
fn is_secret(key: &str, more: &[Vec<u8>]) -> bool {
    let is_listed = |name: &[u8]| SECRETS.contains(&name) || more.iter().any(|one| one == name);
    // of the part between brackets, all of it and what is behind its last dot
    let (mut part, mut last) = (SmallVec::<[u8; 32]>::new(), 0);
    for byte in percent_decoded(key).chain([b']']) {
        match byte {
            b'[' | b']' => {
                if is_listed(&part) || is_listed(&part[last..]) {
                    return true;
                }
                part.clear();
                last = 0;
            }
            b'.' => last = part.len(),
            byte => part.extend(letter(byte)),
        }
    }
    false
}

/// A name as it is compared.
pub(super) fn plain(name: &str) -> Vec<u8> {
    name.bytes().filter(|byte| *byte != b'.').filter_map(letter).collect()
}

fn letter(byte: u8) -> Option<u8> {
    (!matches!(byte, b'-' | b'_' | b'+' | b' ')).then(|| byte.to_ascii_lowercase())
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

/// Keys without separators, in lower case. The documentation of `tower` has the list.
const SECRETS: &[&[u8]] = &[
    b"accesscode",
    b"accesskey",
    b"accesstoken",
    b"apikey",
    b"apisecret",
    b"apitoken",
    b"appkey",
    b"appsecret",
    b"assertion",
    b"auth",
    b"authcode",
    b"authorization",
    b"authtoken",
    b"awsaccesskeyid",
    b"bearer",
    b"clientassertion",
    b"clientsecret",
    b"code",
    b"codeverifier",
    b"credential",
    b"credentials",
    b"csrftoken",
    b"devicecode",
    b"hmac",
    b"idtoken",
    b"idtokenhint",
    b"jsessionid",
    b"jwt",
    b"key",
    b"oauthsignature",
    b"oauthtoken",
    b"oauthtokensecret",
    b"oauthverifier",
    b"otp",
    b"passcode",
    b"passphrase",
    b"passwd",
    b"password",
    b"phpsessid",
    b"privatekey",
    b"privatetoken",
    b"pwd",
    b"refreshtoken",
    b"resettoken",
    b"samlresponse",
    b"secret",
    b"secretaccesskey",
    b"secretkey",
    b"session",
    b"sessionid",
    b"sessiontoken",
    b"sharedsecret",
    b"sig",
    b"signature",
    b"subscriptionkey",
    b"ticket",
    b"token",
    b"usercode",
    b"verificationcode",
    b"xamzcredential",
    b"xamzsecuritytoken",
    b"xamzsignature",
    b"xapikey",
    b"xauthtoken",
    b"xgoogcredential",
    b"xgoogsignature",
    b"xsrftoken",
];

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
        ] {
            assert_eq!(redacted(&format!("{key}=x&b=1"), &[]), format!("{key}=REDACTED&b=1"));
        }
        for key in ["user[name]", "password.length", "user[nopassword]", "[]", "][.", "."] {
            assert!(matches!(redacted(&format!("{key}=x"), &[]), Cow::Borrowed(_)), "{key}");
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
    fn the_documentation_has_every_name() {
        let documentation = include_str!("../tower/mod.rs");
        for name in SECRETS {
            let name = format!("`{}`", String::from_utf8_lossy(name));
            assert!(documentation.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_url_loses_its_credentials() {
        let url = full_url("https", true, "example.com:8443", "/a", Some("b=1&token=2"), &[]);
        assert_eq!(url, "https://REDACTED:REDACTED@example.com:8443/a?b=1&token=REDACTED");
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
