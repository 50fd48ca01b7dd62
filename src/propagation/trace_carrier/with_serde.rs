//! In serde: a map of strings.

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{MAX_READ, TraceCarrier};

/// Every other kind of value, which stands for nothing.
macro_rules! nothing {
    ($nothing:expr) => {
        nothing!(@ $nothing, visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64,
            visit_u128: u128, visit_f64: f64, visit_bytes: &[u8]);

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
    (@ $nothing:expr, $($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($nothing)
        })*
    };
}

impl Serialize for TraceCarrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.fields)
    }
}

impl<'de> Deserialize<'de> for TraceCarrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            // such formats say of each value what it is, and one that is damaged can be seen
            return deserializer.deserialize_any(Damaged);
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What is no map of strings is left out, value by value.
struct Damaged;

impl<'de> Visitor<'de> for Damaged {
    type Value = TraceCarrier;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Fields.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut carrier = TraceCarrier::default();
        for _ in 0..MAX_READ {
            let Some((key, value)) = map.next_entry::<Text, Text>()? else {
                return Ok(carrier);
            };
            if let (Text(Some(key)), Text(Some(value))) = (key, value) {
                carrier.put(key, value);
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(carrier)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TraceCarrier::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(TraceCarrier::default())
    }

    nothing!(TraceCarrier::default());
}

/// A string, or `None` for anything else.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strings)
    }
}

struct Strings;

impl<'de> Visitor<'de> for Strings {
    type Value = Text;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Text, E> {
        Ok(Text(Some(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_any(self)
    }

    nothing!(Text(None));
}

/// In formats that say nothing of themselves.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = TraceCarrier;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map of strings: the fields of a trace context")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut carrier = TraceCarrier::default();
        for _ in 0..MAX_READ {
            let Some((key, value)) = map.next_entry::<String, String>()? else {
                return Ok(carrier);
            };
            carrier.put(key, value);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(carrier)
    }
}
