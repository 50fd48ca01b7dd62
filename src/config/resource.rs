//! The resource's attributes, from code and from `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.

use std::path::Path;

use super::AttributeValue;
use super::detectors::{self, ResourceDetectorKind};
use super::explain::Source;
use super::parse::{Problems, Shown, percent_decoded, quoted};
use super::resolver::{Resolver, Said};
use super::variables::{RESOURCE_ATTRIBUTES, RESOURCE_DETECTORS, SERVICE_NAME};

/// Each key once. The code's attributes count more than the variable's, those more than the file's,
/// and `OTEL_SERVICE_NAME` more than a `service.name` among the last two (Resource SDK, "Specifying
/// resource information via an environment variable"). What is detected counts least, and the name
/// that a setup begins with is what is left where nobody says anything else.
pub(super) fn attributes(r: &mut Resolver<'_>) -> Vec<(String, AttributeValue)> {
    let code = r.code;
    if let Err(problem) = check_service_name(&code.service_name) {
        r.findings.refused("", problem);
    }
    let kinds = ResourceDetectorKind::DEFAULT.to_vec();
    let kinds = r.setting(r.said(|s| s.detectors.clone()), &[&RESOURCE_DETECTORS], kinds).value;
    let env = r.env();
    let root = Path::new("/");
    let mut resource = Gathered::default();
    resource.set(NAME, code.service_name.as_str(), Source::Code);
    for found in detectors::detect(&kinds, env, root, detectors::BUDGET, &mut r.findings) {
        resource.set(found.key, found.value, Source::Detector(found.detector));
    }
    if let Some(file) = r.file {
        resource.set_all(&file.resource_attributes, Source::File);
    }
    for (key, value) in r.variable(&RESOURCE_ATTRIBUTES).unwrap_or_default() {
        resource.set(&key, value, Source::Variable(RESOURCE_ATTRIBUTES.row.name));
    }
    resource.set_all(&code.resource_attributes, Source::Code);
    name_from_variable(&mut resource, r);
    for Attribute { key, value, source } in &resource.0 {
        if key != NAME {
            r.settle(
                &RESOURCE_ATTRIBUTES.row,
                format!("{}={}", key.shown(), value.shown()),
                *source,
            );
        }
    }
    resource.0.into_iter().map(|attribute| (attribute.key, attribute.value)).collect()
}

fn name_from_variable(resource: &mut Gathered, r: &mut Resolver<'_>) {
    let (unset, source) = resource.service_name();
    let in_code = r.code.resource_attributes.iter().rev().find(|(key, _)| key == NAME);
    let said = Said::in_code(in_code.map(|(_, value)| value.shown()));
    match r.optional(said, &[&SERVICE_NAME], &unset) {
        Some(name) => resource.set(NAME, name.value, name.source),
        None => r.resettle(&SERVICE_NAME.row, source),
    }
}

/// Attributes in the order in which their keys came, each with its source.
#[derive(Debug, Default)]
struct Gathered(Vec<Attribute>);

#[derive(Debug)]
struct Attribute {
    key: String,
    value: AttributeValue,
    source: Source,
}

impl Gathered {
    fn set(&mut self, key: &str, value: impl Into<AttributeValue>, source: Source) {
        let value = value.into();
        match self.0.iter_mut().find(|attribute| attribute.key == key) {
            Some(old) => (old.value, old.source) = (value, source),
            None => self.0.push(Attribute { key: key.to_owned(), value, source }),
        }
    }

    fn set_all(&mut self, attributes: &[(String, AttributeValue)], source: Source) {
        for (key, value) in attributes {
            self.set(key, value.clone(), source);
        }
    }

    fn service_name(&self) -> (String, Source) {
        let name = self.0.iter().find(|attribute| attribute.key == NAME);
        name.map_or_else(
            || (String::new(), Source::Default),
            |name| (name.value.shown(), name.source),
        )
    }
}

/// What `OTEL_SERVICE_NAME` holds.
pub(super) fn service_name(text: &str, problems: &mut Problems) -> Option<String> {
    match check_service_name(text) {
        Ok(()) => Some(text.to_owned()),
        Err(problem) => problems.useless(problem),
    }
}

/// Of all pairs, those that name the service with what is no name.
#[cfg(feature = "config-file")]
pub(super) fn wrong_names(pairs: &[(String, String)]) -> Vec<String> {
    let names = pairs.iter().filter(|(key, _)| key == NAME);
    names.filter_map(|(_, name)| check_service_name(name).err()).collect()
}

pub(super) fn check_service_name(name: &str) -> Result<(), String> {
    let problem = if name.trim().is_empty() {
        format!("{name:?} is empty")
    } else if name.chars().any(char::is_control) {
        format!("{} has a control character in it", quoted(name))
    } else if name.len() > LONGEST_NAME {
        format!("of {} bytes is longer than {LONGEST_NAME}", name.len())
    } else {
        return Ok(());
    };
    Err(format!(
        "service name {problem}; give the name that backends shall show, \"my-service\" for instance"
    ))
}

/// `key=value,key=value`, values percent-encoded. On any error the whole value is discarded, as the
/// specification demands.
pub(super) fn pairs(text: &str, problems: &mut Problems) -> Option<Vec<(String, String)>> {
    match parsed_pairs(text) {
        Ok(mut pairs) => {
            pairs.retain(|(key, value)| match check_service_name(value) {
                Err(problem) if key == NAME => {
                    problems.but(problem, "that entry is left out");
                    false
                }
                _ => true,
            });
            Some(pairs)
        }
        Err(problem) => {
            problems.but(problem, "the whole variable is ignored");
            None
        }
    }
}

pub(super) fn parsed_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("{} is not key=value", quoted(pair)))?;
        let key = percent_decoded(key.trim())?;
        if key.is_empty() {
            return Err(format!("{} has no key", quoted(pair)));
        }
        Ok((key, percent_decoded(value.trim())?))
    });
    pairs.collect()
}

impl Shown for AttributeValue {
    fn shown(&self) -> String {
        match self {
            Self::String(text) => text.shown(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Strings(texts) => listed(texts),
            Self::Bools(flags) => listed(flags),
            Self::Ints(numbers) => listed(numbers),
            Self::Doubles(numbers) => listed(numbers),
        }
    }
}

fn listed<T: std::fmt::Debug>(values: &[T]) -> String {
    format!("{values:?}")
}

impl Shown for Vec<(String, String)> {
    fn shown(&self) -> String {
        let pairs: Vec<_> =
            self.iter().map(|(k, v)| format!("{}={}", k.shown(), v.shown())).collect();
        pairs.join(",")
    }
}

/// In words that quote nothing.
#[cfg(feature = "config-file")]
pub(super) const NO_SERVICE_NAME: &str = "is no service name: it is empty, longer than 255 bytes, or \
                                          has a control character in it";
const NAME: &str = "service.name";
const LONGEST_NAME: usize = 255;
