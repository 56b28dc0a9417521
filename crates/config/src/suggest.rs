//! "Did you mean …": the nearest name to one that nobody knows.

/// The longest name that is compared: longer ones are not typing mistakes.
const LENGTH_MAX: usize = 64;

/// The known name nearest to `name`, where it is near enough to be a slip: one
/// edit for short names, two for longer ones (a swap of neighbours is one).
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    within(if name.len() < 6 { 1 } else { 2 }, name, known)
}

/// As [`nearest`], with at most one edit: for names that may well be right.
pub(crate) fn slip<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    within(1, name, known)
}

fn within<'a>(
    allowed: usize,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(LENGTH_MAX + 1).map(fold).collect();
    if wanted.len() < 3 || wanted.len() > LENGTH_MAX {
        return None;
    }
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= allowed)
        .map(|candidate| {
            (distance(&wanted, &candidate.chars().map(fold).collect::<Vec<_>>()), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn fold(character: char) -> char {
    if character == '-' { '_' } else { character.to_ascii_lowercase() }
}

/// Insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut a_previous = None;
    for (i, a_char) in a.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        let mut b_previous = None;
        for (j, b_char) in b.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&row, j) + usize::from(a_char != b_char))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            if j > 0 && a_previous == Some(b_char) && b_previous == Some(a_char) {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
            b_previous = Some(b_char);
        }
        before = std::mem::replace(&mut row, next);
        a_previous = Some(a_char);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["api_key", "api_base", "rpm", "tpm", "num_retries", "temperature"];
        for (name, expected) in [
            ("api_kye", Some("api_key")),
            ("apikey", Some("api_key")),
            ("API-KEY", Some("api_key")),
            ("num_retry", None),
            ("num_retrys", Some("num_retries")),
            ("rmp", Some("rpm")),
            ("temprature", Some("temperature")),
            ("top_p", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"é".repeat(10_000), known), None);
    }
}
