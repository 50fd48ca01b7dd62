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
    let mut wrong = 0;
    for &digit in digits {
        let value = VALUES[usize::from(digit)];
        wrong |= value;
        number = number << 4 | u64::from(value);
    }
    (wrong < 16).then_some(number)
}

/// Writes all bytes as lower-case digits.
#[inline]
pub(super) fn write(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
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

static PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};
