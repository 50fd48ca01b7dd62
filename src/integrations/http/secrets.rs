//! Which keys of a query have values that are nobody's business.

use smallvec::SmallVec;

use super::redact::decoded;

/// Whether a key, percent-coded or not, is one of them: `token`, `token[0]`, `user[password]`,
/// `user.password`, `resetPasswordToken`.
pub(super) fn is_secret(key: &[u8], more: &[Vec<u8>]) -> bool {
    let key: SmallVec<[u8; 64]> = decoded(key).collect();
    key.split(|byte| matches!(byte, b'[' | b']')).any(|part| is_secret_part(part, more))
}

/// Of the part between brackets: all of it, what is behind its last dot, each word, and each two.
fn is_secret_part(part: &[u8], more: &[Vec<u8>]) -> bool {
    let (mut name, mut words) = (SmallVec::<[u8; 32]>::new(), SmallVec::<[usize; 8]>::new());
    let mut last = 0;
    for (at, byte) in part.iter().enumerate() {
        let is_separator = byte.is_ascii_punctuation() || *byte == b' ';
        if (is_separator || begins_word(part, at)) && words.last() != Some(&name.len()) {
            words.push(name.len());
        }
        match byte {
            b'.' => last = name.len(),
            _ if is_separator => {}
            byte => name.push(byte.to_ascii_lowercase()),
        }
    }
    words.push(name.len());
    let is_listed = |name: &[u8]| SECRETS.contains(&name) || more.iter().any(|one| one == name);
    let is_word = |word: &[u8]| WORDS.contains(&word);
    is_listed(&name)
        || is_listed(&name[last..])
        || words.windows(2).any(|ends| is_word(&name[ends[0]..ends[1]]))
        || words.windows(3).any(|ends| is_word(&name[ends[0]..ends[2]]))
}

/// As the words of `camelCase` and of `JWTString` do.
fn begins_word(text: &[u8], at: usize) -> bool {
    let is_lower = |at: usize| text.get(at).is_some_and(u8::is_ascii_lowercase);
    let Some(before) = at.checked_sub(1) else { return true };
    text[at].is_ascii_uppercase() && (!text[before].is_ascii_uppercase() || is_lower(at + 1))
}

/// A name as it is compared.
pub(super) fn plain(name: &str) -> Vec<u8> {
    let is_separator = |byte: &u8| byte.is_ascii_punctuation() || *byte == b' ';
    name.bytes().filter(|byte| !is_separator(byte)).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// What makes every name secret that has it for a word, or for two.
const WORDS: &[&[u8]] = &[
    b"accesskey",
    b"apikey",
    b"credential",
    b"credentials",
    b"jwt",
    b"passcode",
    b"passphrase",
    b"passwd",
    b"password",
    b"privatekey",
    b"pwd",
    b"secret",
    b"secrets",
    b"signature",
    b"token",
];

/// Names without separators, in lower case. The documentation of `tower` has both lists.
pub(super) const SECRETS: &[&[u8]] = &[
    b"accesscode",
    b"accesskey",
    b"accesskeyid",
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
    b"clientkey",
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
    b"oobcode",
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
    use super::*;

    #[test]
    fn the_documentation_has_every_name() {
        let documentation = include_str!("../tower/mod.rs");
        for name in SECRETS.iter().chain(WORDS) {
            let name = format!("`{}`", String::from_utf8_lossy(name));
            assert!(documentation.contains(&name), "{name}");
        }
    }
}
