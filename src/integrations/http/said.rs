//! The headers of a request that its span tells of.

use std::str::from_utf8;

/// Each by its first value, if that is text.
#[derive(Debug, Default)]
pub(in crate::integrations) struct Said<'a> {
    pub(in crate::integrations) host: Option<&'a str>,
    pub(in crate::integrations) user_agent: Option<&'a str>,
    pub(super) forwarded: Option<&'a str>,
    pub(super) forwarded_for: Option<&'a str>,
    pub(super) forwarded_host: Option<&'a str>,
    pub(super) forwarded_proto: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// In one pass: to look each up costs more than all the headers that a request has as a rule.
    pub(in crate::integrations) fn by(headers: &'a http::HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            let slot = match name.as_str() {
                "host" => &mut said.host,
                "user-agent" => &mut said.user_agent,
                "forwarded" => &mut said.forwarded,
                "x-forwarded-for" => &mut said.forwarded_for,
                "x-forwarded-host" => &mut said.forwarded_host,
                "x-forwarded-proto" => &mut said.forwarded_proto,
                _ => continue,
            };
            if slot.is_none() {
                *slot = from_utf8(value.as_bytes()).ok();
            }
        }
        said
    }
}
