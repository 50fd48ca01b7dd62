//! Payloads made smaller, once for all attempts to send them.

#[cfg(feature = "gzip")]
use std::io::Write as _;

use crate::config::Compression;

/// The bytes as they go on the wire.
#[cfg_attr(
    not(any(feature = "gzip", feature = "zstd")),
    expect(clippy::unnecessary_wraps, reason = "there is nothing to fail")
)]
pub(super) fn compressed(bytes: Vec<u8>, how: Compression) -> std::io::Result<Vec<u8>> {
    match how {
        #[cfg(feature = "gzip")]
        Compression::Gzip => {
            let room = Vec::with_capacity(bytes.len() / 4);
            let mut encoder = flate2::write::GzEncoder::new(room, flate2::Compression::default());
            encoder.write_all(&bytes)?;
            encoder.finish()
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::bulk::compress(&bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
        // what is not compiled in is refused before an exporter is opened
        _ => Ok(bytes),
    }
}

/// The `Content-Encoding` of such bytes.
pub(super) fn content_encoding(how: Compression) -> Option<http::HeaderValue> {
    match how {
        Compression::None => None,
        Compression::Gzip => Some(http::HeaderValue::from_static("gzip")),
        Compression::Zstd => Some(http::HeaderValue::from_static("zstd")),
    }
}
