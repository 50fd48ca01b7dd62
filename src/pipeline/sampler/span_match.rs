//! Which spans a rule is about.

use std::fmt;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, Key, Value};
use wildmatch::WildMatch;

use super::NewSpan;
#[cfg(feature = "config-file")]
use crate::config::{AttributeRule, ParentPlace, SamplingRule, SpanKindName};

/// Spans by name, kind, attributes and parent. All that is asked for must hold.
///
/// In names and values `*` stands for any characters, none included, and `?` for exactly one; case
/// matters. A string is a `SpanMatch` by name.
#[derive(Debug, Clone, Default)]
#[must_use = "it matches nothing before it is in a rule"]
pub struct SpanMatch {
    name: Option<WildMatch>,
    kinds: Vec<SpanKind>,
    attributes: Vec<AttributeMatch>,
    parents: Vec<SpanParent>,
}

/// Where the parent of a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanParent {
    /// There is none: the span is the root of its trace.
    None,
    /// In another process.
    Remote,
    /// In this process.
    Local,
}

#[derive(Debug, Clone)]
struct AttributeMatch {
    key: Key,
    /// One of them must match, and none of the others.
    included: Vec<Pattern>,
    excluded: Vec<Pattern>,
}

#[derive(Debug, Clone)]
enum Pattern {
    Wild(WildMatch),
    #[cfg(feature = "config-file")]
    Exact(String),
}

impl SpanMatch {
    /// Every span.
    pub fn any() -> Self {
        Self::default()
    }

    /// Spans of this name.
    pub fn name(pattern: &str) -> Self {
        Self::any().with_name(pattern)
    }

    /// Spans of this name; the last one set counts.
    pub fn with_name(mut self, pattern: &str) -> Self {
        self.name = Some(WildMatch::new(pattern));
        self
    }

    /// Spans of this kind, or of another one that was given.
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Spans with an attribute of this key and value, at the start.
    ///
    /// A value that is no string is matched as it is written: `200`, `true`, `1.5`. Of an array, one
    /// element must match.
    pub fn with_attribute(mut self, key: impl Into<String>, pattern: &str) -> Self {
        let key = Key::from(key.into());
        let included = vec![Pattern::Wild(WildMatch::new(pattern))];
        self.attributes.push(AttributeMatch { key, included, excluded: Vec::new() });
        self
    }

    /// Spans with such a parent, or another one that was given.
    pub fn with_parent(mut self, parent: SpanParent) -> Self {
        self.parents.push(parent);
        self
    }

    pub(super) fn matches(&self, span: &NewSpan<'_>) -> bool {
        self.name.as_ref().is_none_or(|name| name.matches(span.name))
            && (self.kinds.is_empty() || self.kinds.contains(span.kind))
            && (self.parents.is_empty() || self.parents.contains(&SpanParent::of(span)))
            && self.attributes.iter().all(|wanted| {
                let mut having = span.attributes.iter().filter(|having| having.key == wanted.key);
                having.any(|having| wanted.matches(&having.value))
            })
    }
}

impl SpanParent {
    fn of(span: &NewSpan<'_>) -> Self {
        match span.parent {
            None => Self::None,
            Some(parent) if parent.is_remote() => Self::Remote,
            Some(_) => Self::Local,
        }
    }
}

impl AttributeMatch {
    fn matches(&self, value: &Value) -> bool {
        let is_wanted = |text: &str| {
            let among = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(text));
            (self.included.is_empty() || among(&self.included)) && !among(&self.excluded)
        };
        match value {
            Value::Array(Array::String(texts)) => texts.iter().any(|text| is_wanted(text.as_str())),
            Value::Array(Array::Bool(flags)) => flags.iter().any(|v| is_wanted(&v.to_string())),
            Value::Array(Array::I64(numbers)) => numbers.iter().any(|v| is_wanted(&v.to_string())),
            Value::Array(Array::F64(numbers)) => numbers.iter().any(|v| is_wanted(&v.to_string())),
            value => is_wanted(&value.as_str()),
        }
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Wild(pattern) => pattern.matches(text),
            #[cfg(feature = "config-file")]
            Self::Exact(exact) => exact == text,
        }
    }
}

#[cfg(feature = "config-file")]
impl From<SamplingRule> for SpanMatch {
    fn from(rule: SamplingRule) -> Self {
        let kind = |kind| match kind {
            SpanKindName::Internal => SpanKind::Internal,
            SpanKindName::Server => SpanKind::Server,
            SpanKindName::Client => SpanKind::Client,
            SpanKindName::Producer => SpanKind::Producer,
            SpanKindName::Consumer => SpanKind::Consumer,
        };
        let parent = |parent| match parent {
            ParentPlace::None => SpanParent::None,
            ParentPlace::Remote => SpanParent::Remote,
            ParentPlace::Local => SpanParent::Local,
        };
        Self {
            name: None,
            kinds: rule.span_kinds.into_iter().map(kind).collect(),
            attributes: rule.attributes.into_iter().map(AttributeMatch::from).collect(),
            parents: rule.parents.into_iter().map(parent).collect(),
        }
    }
}

#[cfg(feature = "config-file")]
impl From<AttributeRule> for AttributeMatch {
    fn from(rule: AttributeRule) -> Self {
        let wild = |patterns: Vec<String>| {
            patterns.iter().map(|pattern| Pattern::Wild(WildMatch::new(pattern))).collect()
        };
        let mut included: Vec<_> = wild(rule.included);
        included.extend(rule.values.into_iter().map(Pattern::Exact));
        Self { key: Key::from(rule.key), included, excluded: wild(rule.excluded) }
    }
}

impl From<&str> for SpanMatch {
    fn from(name: &str) -> Self {
        Self::name(name)
    }
}

impl From<String> for SpanMatch {
    fn from(name: String) -> Self {
        Self::name(&name)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wild(pattern) => pattern.fmt(f),
            #[cfg(feature = "config-file")]
            Self::Exact(exact) => f.write_str(exact),
        }
    }
}

impl fmt::Display for SpanMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.name.as_ref().map(|name| format!("name={name}")));
        parts.extend(self.kinds.iter().map(|kind| format!("kind={kind:?}")));
        for AttributeMatch { key, included, excluded } in &self.attributes {
            parts.extend(included.iter().map(|pattern| format!("{key}={pattern}")));
            parts.extend(excluded.iter().map(|pattern| format!("{key}!={pattern}")));
        }
        parts.extend(self.parents.iter().map(|parent| format!("parent={parent:?}")));
        f.write_str(&parts.join(","))
    }
}
