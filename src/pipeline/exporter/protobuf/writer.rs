//! The wire format (protobuf's "Encoding"): fields in the order that they are written in.

/// A message, or as much of it as has been written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

/// The kinds of fields that OTLP has.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED_32: u32 = 5;

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Fields that have been written elsewhere.
    pub(super) fn raw(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    pub(super) fn varint_field(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    pub(super) fn fixed32_field(&mut self, field: u32, value: u32) {
        self.key(field, FIXED_32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed64_field(&mut self, field: u32, value: u64) {
        self.key(field, FIXED_64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes_field(&mut self, field: u32, value: &[u8]) {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// As protobuf's third version has it: an empty one is not written.
    pub(super) fn text_unless_empty(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes_field(field, value.as_bytes());
        }
    }

    pub(super) fn varint_unless_zero(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint_field(field, value);
        }
    }

    pub(super) fn fixed64_unless_zero(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.fixed64_field(field, value);
        }
    }

    /// A message inside this one. Its length stands before it and is known after it: `room` bytes
    /// are left for it, and what follows is moved in the rare case that they were not right.
    pub(super) fn message(&mut self, field: u32, room: usize, fields: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH);
        let at = self.bytes.len();
        let start = at + room;
        self.bytes.resize(start, 0);
        fields(self);
        let length = self.bytes.len() - start;
        let takes = varint_size(length as u64);
        if takes > room {
            self.bytes.resize(self.bytes.len() + takes - room, 0);
        }
        if takes != room {
            self.bytes.copy_within(start..start + length, at + takes);
            self.bytes.truncate(at + takes + length);
        }
        let mut rest = length as u64;
        for byte in &mut self.bytes[at..at + takes] {
            *byte = last_seven(rest) | 0x80;
            rest >>= 7;
        }
        self.bytes[at + takes - 1] &= 0x7f;
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(last_seven(value) | 0x80);
            value >>= 7;
        }
        self.bytes.push(last_seven(value));
    }
}

fn last_seven(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

fn varint_size(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
