//! Hexadecimal digits, as strictly as the formats want them: no sign, no other case, no white space.

/// The number that these lower-case digits are. At most 32 of them.
#[inline]
pub(super) fn lower(digits: &[u8]) -> Option<u128> {
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    Some(u128::from(lower_u64(high)?) << 64 | u128::from(lower_u64(low)?))
}

/// As [`lower`], of at most 16 digits.
#[inline]
pub(super) fn lower_u64(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    let (eights, rest) = digits.as_chunks::<8>();
    for eight in eights {
        number = number << 32 | eight_digits(u64::from_be_bytes(*eight))?;
    }
    let mut wrong = 0;
    for &digit in rest {
        let value = VALUES[usize::from(digit)];
        wrong |= value;
        number = number << 4 | u64::from(value);
    }
    (wrong < 16).then_some(number)
}

/// The number that eight digits are, all of them at once, one in each byte.
#[inline]
fn eight_digits(text: u64) -> Option<u64> {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    // a byte's first bit says whether it is at least so much; none that is ASCII spills over
    let at_least = |least: u8| text.wrapping_add(each(0x80 - least));
    let digits = at_least(b'0') & !at_least(b'9' + 1);
    let letters = at_least(b'a') & !at_least(b'f' + 1);
    let fit = (digits | letters) & !text & each(0x80);
    if fit != each(0x80) {
        return None;
    }
    let letters = (letters & each(0x80)) >> 7;
    let values = (text & each(0x0f)) + letters * 9;
    let values = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let values = (values | values >> 8) & 0x0000_ffff_0000_ffff;
    Some((values | values >> 16) & 0xffff_ffff)
}

/// The lower-case digits of all bytes, two of each. For a length that is known, it compiles to code
/// that has no branches and works on many at once.
#[inline]
pub(super) fn digits<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    bytes.map(|byte| {
        let byte = u16::from(byte);
        let values = (byte >> 4) | (byte & 0x0f) << 8;
        // those above nine carry into the next half
        let letters = ((values + 0x0606) >> 4) & 0x0101;
        (values + 0x3030 + letters * u16::from(b'a' - b'0' - 10)).to_le_bytes()
    })
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each digit; what is none has a value above 15.
static VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    fn by_one(digits: &[u8]) -> Option<u64> {
        digits.iter().try_fold(0, |number, digit| {
            let value = DIGITS.iter().position(|known| known == digit)?;
            Some(number << 4 | value as u64)
        })
    }

    #[test]
    fn every_byte_in_every_place() {
        for len in 1..=16 {
            for place in 0..len {
                for byte in 0..=u8::MAX {
                    let mut digits = b"0123456789abcdef"[..len].to_vec();
                    digits[place] = byte;
                    assert_eq!(lower_u64(&digits), by_one(&digits), "{digits:?}");
                }
            }
        }
    }

    /// Bytes that are no ASCII must not lend their neighbours what they lack.
    #[test]
    fn two_wrong_bytes_do_not_make_a_right_one() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let digits = [b'1', first, second, b'f', b'0', second, first, b'a'];
                assert_eq!(lower_u64(&digits), by_one(&digits), "{digits:?}");
            }
        }
    }

    #[test]
    fn every_byte_is_written_in_every_place() {
        for place in 0..9 {
            for byte in 0..=u8::MAX {
                let mut bytes = [0x9a, 0, 0xff, 0xa9, 0x0f, 0xf0, 0x5b, 0xb5, 0x10];
                bytes[place] = byte;
                let by_one = bytes.map(|byte| format!("{byte:02x}")).concat();
                assert_eq!(digits(bytes).as_flattened(), by_one.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let number = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
        assert_eq!(lower(digits(number.to_be_bytes()).as_flattened()), Some(number));
    }
}
