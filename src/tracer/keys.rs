//! Attributes whose keys are all different.

use opentelemetry::{KeyValue, Value};

/// Of several attributes with the same key the last one stays, in the place of the first.
pub(crate) fn last_of_each_key(attributes: &mut Vec<KeyValue>) {
    let mut at = 1;
    while at < attributes.len() {
        let (before, rest) = attributes.split_at_mut(at);
        match before.iter_mut().find(|known| known.key == rest[0].key) {
            Some(known) => {
                known.value = std::mem::replace(&mut rest[0].value, Value::Bool(false));
                attributes.remove(at);
            }
            None => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_stays_once() {
        let mut attributes = ["a", "b", "a", "c", "a", "b"]
            .into_iter()
            .zip(0_i64..)
            .map(|(key, n)| KeyValue::new(key, n))
            .collect();
        last_of_each_key(&mut attributes);
        let expected = [("a", 4), ("b", 5), ("c", 3)];
        assert_eq!(attributes, expected.map(|(key, n)| KeyValue::new(key, n)));
    }
}
