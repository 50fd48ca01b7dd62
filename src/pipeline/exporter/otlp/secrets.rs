//! What backends are told and messages must not show.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::credentials::{userinfo, without_credentials};
use crate::config::OtlpConfig;
use crate::error::escape;

/// The values of headers and of the endpoint's query, its user and its password: a backend may quote
/// what it was sent, as it was sent or decoded.
pub(in crate::pipeline::exporter) struct Secrets(Vec<String>);

impl Secrets {
    pub(in crate::pipeline::exporter) fn of(config: &OtlpConfig) -> Self {
        let (_, authorization) = without_credentials(&config.endpoint);
        let headers = config.headers.iter().map(|(_, value)| value).chain(&authorization);
        let headers = headers.filter_map(|value| value.to_str().ok());
        let headers = headers.flat_map(|value| both(value, value.split_once(' ')));
        let pairs = config.endpoint.query().into_iter().flat_map(|query| query.split('&'));
        let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let userinfo = userinfo(&config.endpoint).into_iter().flat_map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            [userinfo, user, password]
        });
        let mut secrets: Vec<_> =
            headers.chain(values).chain(userinfo).flat_map(in_all_forms).collect();
        secrets.retain(|secret| !secret.is_empty());
        // one that another one begins with must not leave the rest of it
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets)
    }

    /// The first `limit` characters of what others say, without secrets and escaped.
    pub(in crate::pipeline::exporter) fn out_of(&self, words: &str, limit: usize) -> String {
        let (mut shown, mut rest) = (String::new(), words);
        let mut left = limit;
        let mut before = None;
        while let Some(c) = rest.chars().next()
            && left > 0
        {
            left -= 1;
            let secret = self.0.iter().find(|secret| begins(rest, secret, before));
            let taken = if let Some(secret) = secret {
                shown.push_str("[redacted]");
                secret.len()
            } else {
                shown.push(c);
                c.len_utf8()
            };
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        escape(&shown)
    }
}

/// Without the secrets themselves.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// A whole value, and what follows `Bearer` in it.
fn both<'a>(
    value: &'a str,
    parts: Option<(&'a str, &'a str)>,
) -> impl Iterator<Item = &'a str> + use<'a> {
    std::iter::once(value).chain(parts.map(|(_, token)| token))
}

fn in_all_forms(secret: &str) -> [String; 3] {
    let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
    [secret.to_owned(), decoded, encoded]
}

/// Whether a secret is next. A short one counts as a word of its own alone: with `?v=1`, not every
/// digit is one.
fn begins(words: &str, secret: &str, before: Option<char>) -> bool {
    let Some(after) = words.strip_prefix(secret) else { return false };
    let is_apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    secret.len() >= SHORT || is_apart(before) && is_apart(after.chars().next())
}

const SHORT: usize = 4;
