//! The resource: what every span carries.

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};

use crate::config::AttributeValue;

/// `telemetry.sdk.*`, and over it what was configured.
pub(crate) fn resource(
    attributes: &[(String, AttributeValue)],
    schema_url: Option<&str>,
) -> Resource {
    let configured =
        attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), sdk_value(value)));
    // not `Resource::builder`: it reads the process's environment by itself, and reads it wrongly
    let sdk = TelemetryResourceDetector.detect();
    let sdk = sdk.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let attributes = sdk.chain(configured);
    match schema_url {
        Some(url) => Resource::builder_empty().with_schema_url(attributes, url.to_owned()).build(),
        None => Resource::builder_empty().with_attributes(attributes).build(),
    }
}

fn sdk_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => text.clone().into(),
        AttributeValue::Bool(flag) => (*flag).into(),
        AttributeValue::Int(number) => (*number).into(),
        AttributeValue::Double(number) => (*number).into(),
        AttributeValue::Strings(texts) => {
            let texts = texts.iter().map(|text| StringValue::from(text.clone()));
            Value::Array(Array::String(texts.collect()))
        }
        AttributeValue::Bools(flags) => Value::Array(Array::Bool(flags.clone())),
        AttributeValue::Ints(numbers) => Value::Array(Array::I64(numbers.clone())),
        AttributeValue::Doubles(numbers) => Value::Array(Array::F64(numbers.clone())),
    }
}
