//! OTLP's protobuf, written straight from the SDK's spans.
//!
//! One pass, into one buffer: no message is built in memory first, so a span costs no allocation
//! here. What comes out is byte for byte what prost makes of opentelemetry-proto's messages, which
//! the tests hold it to.

mod spans;
#[cfg(test)]
mod tests;
mod writer;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use self::writer::Writer;

/// An `ExportTraceServiceRequest` for each batch of one resource's spans.
#[derive(Debug, Default)]
pub(super) struct RequestEncoder {
    /// The field `resource`, as it goes into every request.
    resource: Vec<u8>,
    schema_url: String,
    /// How long the last request was: about what the next one takes.
    last: usize,
}

impl RequestEncoder {
    pub(super) fn set_resource(&mut self, resource: &Resource) {
        let mut writer = Writer::default();
        spans::resource(&mut writer, resource);
        self.resource = writer.into_bytes();
        resource.schema_url().unwrap_or_default().clone_into(&mut self.schema_url);
    }

    pub(super) fn encode(&mut self, batch: &[SpanData]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.last + self.last / 8);
        spans::request(&mut writer, batch, &self.resource, &self.schema_url);
        let bytes = writer.into_bytes();
        self.last = bytes.len();
        bytes
    }
}
