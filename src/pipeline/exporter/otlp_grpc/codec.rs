//! Requests that are encoded already, so that a retry does not encode them again.

use prost::Message as _;
use prost::bytes::BufMut as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::pipeline::exporter::otlp::verdict::Answer;

#[derive(Debug)]
pub(super) struct EncodedCodec;

impl Codec for EncodedCodec {
    type Encode = Vec<u8>;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, room: &mut EncodeBuf<'_>) -> Result<(), Status> {
        room.reserve(item.len());
        room.put_slice(&item);
        Ok(())
    }
}

impl Decoder for EncodedCodec {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // a message that is no answer of OTLP's says nothing about spans
        Ok(Some(Answer::decode(bytes).unwrap_or_default()))
    }
}
