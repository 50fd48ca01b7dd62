//! Who is whom, where several are expected and each fits some of those that are there.

/// Who is taken where each expected one gets one of those that fit it; or which gets none.
pub(super) fn assign_all(fits: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut taken = Vec::new();
    for expected in 0..fits.len() {
        if !assign(expected, fits, &mut taken, &mut Vec::new()) {
            return Err(expected);
        }
    }
    Ok(taken.into_iter().map(|(_, taken)| taken).collect())
}

/// Finds one for an expected one, and others for those that are in its way.
fn assign(
    expected: usize,
    fits: &[Vec<usize>],
    taken: &mut Vec<(usize, usize)>,
    tried: &mut Vec<usize>,
) -> bool {
    for &child in &fits[expected] {
        if tried.contains(&child) {
            continue;
        }
        tried.push(child);
        let holder = taken.iter().position(|(_, taken)| *taken == child);
        let is_free = match holder {
            None => true,
            Some(at) => {
                let (other, _) = taken[at];
                assign(other, fits, taken, tried)
            }
        };
        if is_free {
            taken.retain(|(holder, taken)| *holder != expected && *taken != child);
            taken.push((expected, child));
            return true;
        }
    }
    false
}
