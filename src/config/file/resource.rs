//! `resource`: attributes, detectors and the schema's URL.

use super::reader::{Field, Reader, number};
use super::yaml::{Content, Node, Type};
use crate::config::choice::named;
use crate::config::{AttributeValue, ResourceDetectorKind, Settings, resource};
use crate::error::escape;

pub(super) fn read(field: Field, settings: &mut Settings, reader: &mut Reader) {
    let Some(mut fields) = reader.map(field) else { return };
    let mut attributes = Vec::new();
    if let Some(field) = fields.take("attributes_list")
        && let Some(text) = reader.string(&field)
    {
        attributes = from_list(&text, &field, reader);
    }
    // behind the list, so that each counts more than its entries
    let items = fields.take("attributes").map(|field| reader.list(field)).unwrap_or_default();
    attributes.extend(items.into_iter().filter_map(|item| attribute(item, reader)));
    settings.resource_attributes = attributes;
    // none where nothing is said, as the schema has it
    let detection = fields.take_developing("detection", "detection/development");
    settings.detectors = Some(detection.map(|field| detectors(field, reader)).unwrap_or_default());
    settings.schema_url = fields.take("schema_url").and_then(|field| reader.string(&field));
    reader.finish(fields);
}

/// The format of `OTEL_RESOURCE_ATTRIBUTES`.
fn from_list(text: &str, field: &Field, reader: &mut Reader) -> Vec<(String, AttributeValue)> {
    match resource::parsed_pairs(text) {
        Ok(pairs) => {
            for problem in resource::wrong_names(&pairs) {
                let problem = field.problem(problem, resource::NO_SERVICE_NAME);
                reader.wrong(field.line, &field.path, problem);
            }
            pairs.into_iter().map(|(key, value)| (key, value.into())).collect()
        }
        Err(problem) => {
            let problem = field.problem(problem, "is not a list of key=value, percent-encoded");
            reader.wrong(field.line, &field.path, problem);
            Vec::new()
        }
    }
}

fn attribute(field: Field, reader: &mut Reader) -> Option<(String, AttributeValue)> {
    let mut fields = reader.map(field)?;
    let name_field = fields.required("name", reader);
    let name = name_field.as_ref().and_then(|name| reader.string(name));
    let type_field = fields.take("type").filter(|field| !field.node.is_null());
    let wanted = match type_field {
        Some(field) => reader.word(&field, TYPES),
        None => Some(Wanted::String),
    };
    let value = fields.take("value");
    let line = fields.line;
    let path = fields.path.clone();
    reader.finish(fields);
    let (name, wanted) = (name?, wanted?);
    let Some(field) = value.filter(|field| !field.node.is_null()) else {
        // what an undefined variable leaves behind, and allowed by the schema
        let shown =
            name_field.filter(Field::is_substituted).map_or(escape(&name), |field| field.shown());
        reader.ignore(line, &path, format!("{shown} has no value, and is left out"));
        return None;
    };
    let value = typed(&field.node, wanted);
    if value.is_none() {
        let type_name =
            TYPES.iter().find(|(_, known)| *known == wanted).map_or("", |known| known.0);
        reader.wrong(field.line, &field.path, format!("it is not of the type {type_name}"));
    }
    if name == "service.name"
        && let Some(AttributeValue::String(text)) = &value
        && let Err(problem) = resource::check_service_name(text)
    {
        let problem = field.problem(problem, resource::NO_SERVICE_NAME);
        reader.wrong(field.line, &field.path, problem);
    }
    Some((name, value?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    String,
    Bool,
    Int,
    Double,
    Strings,
    Bools,
    Ints,
    Doubles,
}

fn typed(node: &Node, wanted: Wanted) -> Option<AttributeValue> {
    Some(match wanted {
        Wanted::String => AttributeValue::String(text(node)?),
        Wanted::Bool => AttributeValue::Bool(boolean(node)?),
        Wanted::Int => AttributeValue::Int(integer(node)?),
        Wanted::Double => AttributeValue::Double(double(node)?),
        Wanted::Strings => AttributeValue::Strings(all(node, text)?),
        Wanted::Bools => AttributeValue::Bools(all(node, boolean)?),
        Wanted::Ints => AttributeValue::Ints(all(node, integer)?),
        Wanted::Doubles => AttributeValue::Doubles(all(node, double)?),
    })
}

fn all<T>(node: &Node, read: impl Fn(&Node) -> Option<T>) -> Option<Vec<T>> {
    match &node.content {
        Content::List(nodes) if !nodes.is_empty() => nodes.iter().map(read).collect(),
        _ => None,
    }
}

/// As it is written, whatever it looks like.
fn text(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar(scalar) if scalar.resolved() != Type::Null => Some(scalar.text.clone()),
        _ => None,
    }
}

fn boolean(node: &Node) -> Option<bool> {
    match resolved(node)? {
        Type::Bool(value) => Some(value),
        _ => None,
    }
}

fn integer(node: &Node) -> Option<i64> {
    match resolved(node)? {
        Type::Int(value) => Some(value),
        _ => None,
    }
}

fn double(node: &Node) -> Option<f64> {
    number(resolved(node)?)
}

fn resolved(node: &Node) -> Option<Type> {
    match &node.content {
        Content::Scalar(scalar) => Some(scalar.resolved()),
        _ => None,
    }
}

/// Their names depend on the language: the schema's are here, and this crate's own.
fn detectors(field: Field, reader: &mut Reader) -> Vec<ResourceDetectorKind> {
    let mut kinds = Vec::new();
    let Some(mut fields) = reader.map(field) else { return kinds };
    if let Some(attributes) = fields.take("attributes").filter(|field| !field.node.is_null()) {
        reader.unsupported(&attributes, "is not supported: every detected attribute is kept");
    }
    let items = fields.take("detectors").map(|field| reader.list(field)).unwrap_or_default();
    reader.finish(fields);
    for item in items {
        let Some((name, field)) = reader.only(item) else { continue };
        match named::<ResourceDetectorKind>(&name) {
            Ok(kind) => {
                reader.empty(field);
                kinds.push(kind);
                // the schema's host detector is for both
                if kind == ResourceDetectorKind::Host {
                    kinds.push(ResourceDetectorKind::Os);
                }
            }
            // one of another language's is no mistake
            Err(_) => reader.unsupported(&field, "is no detector of this crate"),
        }
    }
    kinds
}

const TYPES: &[(&str, Wanted)] = &[
    ("string", Wanted::String),
    ("bool", Wanted::Bool),
    ("int", Wanted::Int),
    ("double", Wanted::Double),
    ("string_array", Wanted::Strings),
    ("bool_array", Wanted::Bools),
    ("int_array", Wanted::Ints),
    ("double_array", Wanted::Doubles),
];
