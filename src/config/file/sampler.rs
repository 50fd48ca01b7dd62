//! `tracer_provider.sampler`: the tree of samplers.

use super::reader::{Field, Fields, Reader};
use crate::config::sampler::{
    AttributeRule, ParentBasedConfig, ParentPlace, SamplerConfig, SamplingRule, SpanKindName,
};

/// A sampler of the stable schema, or one under development that this crate has.
pub(super) fn sampler(field: Field, reader: &mut Reader) -> Option<SamplerConfig> {
    let (name, field) = reader.only(field)?;
    match name.as_str() {
        "always_on" => Some(empty(SamplerConfig::AlwaysOn, field, reader)),
        "always_off" => Some(empty(SamplerConfig::AlwaysOff, field, reader)),
        "trace_id_ratio_based" => Some(SamplerConfig::Ratio(ratio(field, reader)?)),
        "probability/development" => Some(SamplerConfig::Consistent(ratio(field, reader)?)),
        "parent_based" => parent_based(field, reader),
        "composite/development" => composite(field, reader),
        _ => unknown(&field, reader),
    }
}

/// Composable samplers say at which share they sample: each is consistent.
fn composite(field: Field, reader: &mut Reader) -> Option<SamplerConfig> {
    let (name, field) = reader.only(field)?;
    match name.as_str() {
        "always_on" => Some(empty(SamplerConfig::Consistent(1.0), field, reader)),
        "always_off" => Some(empty(SamplerConfig::AlwaysOff, field, reader)),
        "probability" => Some(SamplerConfig::Consistent(ratio(field, reader)?)),
        "parent_threshold" => {
            let mut fields = reader.map(field)?;
            let root = fields.required("root", reader).and_then(|root| composite(root, reader));
            reader.finish(fields);
            Some(SamplerConfig::parent_based(root?))
        }
        "rule_based" => rule_based(field, reader),
        _ => unknown(&field, reader),
    }
}

fn unknown(field: &Field, reader: &mut Reader) -> Option<SamplerConfig> {
    let what = "this crate has no such sampler: it has always_on, always_off, \
                trace_id_ratio_based, parent_based, probability/development and, of \
                composite/development, always_on, always_off, probability, parent_threshold and \
                rule_based";
    reader.wrong(field.line, &field.path, what);
    None
}

fn empty(sampler: SamplerConfig, field: Field, reader: &mut Reader) -> SamplerConfig {
    reader.empty(field);
    sampler
}

fn ratio(field: Field, reader: &mut Reader) -> Option<f64> {
    let mut fields = reader.map(field)?;
    let ratio = match fields.take("ratio") {
        Some(ratio) if !ratio.node.is_null() => reader.ratio(&ratio),
        _ => Some(1.0),
    };
    reader.finish(fields);
    ratio
}

fn parent_based(field: Field, reader: &mut Reader) -> Option<SamplerConfig> {
    let mut fields = reader.map(field)?;
    let mut part = |key| {
        let field = fields.take(key).filter(|field| !field.node.is_null())?;
        sampler(field, reader)
    };
    let parts = ParentBasedConfig {
        root: part("root").unwrap_or(SamplerConfig::AlwaysOn),
        remote_parent_sampled: part("remote_parent_sampled"),
        remote_parent_not_sampled: part("remote_parent_not_sampled"),
        local_parent_sampled: part("local_parent_sampled"),
        local_parent_not_sampled: part("local_parent_not_sampled"),
    };
    reader.finish(fields);
    Some(SamplerConfig::ParentBased(Box::new(parts)))
}

fn rule_based(field: Field, reader: &mut Reader) -> Option<SamplerConfig> {
    let mut fields = reader.map(field)?;
    let rules = fields.take("rules").map(|rules| reader.list(rules)).unwrap_or_default();
    reader.finish(fields);
    let rules = rules.into_iter().filter_map(|rule| self::rule(rule, reader)).collect();
    Some(SamplerConfig::Rules(rules))
}

fn rule(field: Field, reader: &mut Reader) -> Option<SamplingRule> {
    let mut fields = reader.map(field)?;
    let rule = SamplingRule {
        span_kinds: words(&mut fields, "span_kinds", SPAN_KINDS, reader),
        parents: words(&mut fields, "parent", PARENTS, reader),
        attributes: [
            attribute(&mut fields, "attribute_values", reader),
            attribute(&mut fields, "attribute_patterns", reader),
        ]
        .into_iter()
        .flatten()
        .collect(),
        sampler: fields
            .required("sampler", reader)
            .and_then(|sampler| composite(sampler, reader))
            .unwrap_or(SamplerConfig::AlwaysOff),
    };
    reader.finish(fields);
    Some(rule)
}

fn attribute(fields: &mut Fields, key: &'static str, reader: &mut Reader) -> Option<AttributeRule> {
    let field = fields.take(key).filter(|field| !field.node.is_null())?;
    let mut fields = reader.map(field)?;
    let key_field = fields.required("key", reader);
    let key_text = key_field.and_then(|field| reader.string(&field));
    let mut strings = |name| fields.take(name).map(|f| reader.strings(f)).unwrap_or_default();
    let rule = if key == "attribute_values" {
        let values = strings("values");
        AttributeRule { values, ..AttributeRule::default() }
    } else {
        let (included, excluded) = (strings("included"), strings("excluded"));
        AttributeRule { included, excluded, ..AttributeRule::default() }
    };
    reader.finish(fields);
    Some(AttributeRule { key: key_text?, ..rule })
}

fn words<T: Copy>(
    fields: &mut Fields,
    key: &'static str,
    known: &[(&str, T)],
    reader: &mut Reader,
) -> Vec<T> {
    let Some(field) = fields.take(key) else { return Vec::new() };
    let items = reader.list(field);
    items.into_iter().filter_map(|item| reader.word(&item, known)).collect()
}

const SPAN_KINDS: &[(&str, SpanKindName)] = &[
    ("internal", SpanKindName::Internal),
    ("server", SpanKindName::Server),
    ("client", SpanKindName::Client),
    ("producer", SpanKindName::Producer),
    ("consumer", SpanKindName::Consumer),
];
const PARENTS: &[(&str, ParentPlace)] =
    &[("none", ParentPlace::None), ("remote", ParentPlace::Remote), ("local", ParentPlace::Local)];
