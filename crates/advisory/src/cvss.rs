//! The base score of a CVSS 3 vector, as far as its severity.
//!
//! CVSS 3.1 specification, section 7. Version 4 has tables instead of a
//! formula; its vectors are left without a severity.

use crate::Severity;

/// The severity of a `CVSS:3.x/…` vector; `None` if it is not one.
pub(super) fn severity(vector: &str) -> Option<Severity> {
    let metrics = vector.strip_prefix("CVSS:3.")?;
    let of = |name: &str| {
        let value = metrics.split('/').find_map(|m| m.strip_prefix(name)?.strip_prefix(':'))?;
        (value.len() == 1).then(|| value.chars().next()).flatten()
    };
    let changed = match of("S")? {
        'U' => false,
        'C' => true,
        _ => return None,
    };
    let reach = match of("AV")? {
        'N' => 0.85,
        'A' => 0.62,
        'L' => 0.55,
        'P' => 0.2,
        _ => return None,
    };
    let ease = match of("AC")? {
        'L' => 0.77,
        'H' => 0.44,
        _ => return None,
    };
    let rights = match (of("PR")?, changed) {
        ('N', _) => 0.85,
        ('L', false) => 0.62,
        ('L', true) => 0.68,
        ('H', false) => 0.27,
        ('H', true) => 0.5,
        _ => return None,
    };
    let people = match of("UI")? {
        'N' => 0.85,
        'R' => 0.62,
        _ => return None,
    };
    let loss = |name| {
        Some(match of(name)? {
            'H' => 0.56,
            'L' => 0.22,
            'N' => 0.0,
            _ => return None,
        })
    };
    let kept: f64 = (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let sub = 1.0 - kept;
    let impact =
        if changed { 7.52 * (sub - 0.029) - 3.25 * (sub - 0.02_f64).powi(15) } else { 6.42 * sub };
    if impact <= 0.0 {
        return Some(Severity::Info);
    }
    let use_of_it = 8.22 * reach * ease * rights * people;
    let factor = if changed { 1.08 } else { 1.0 };
    let score = (factor * (impact + use_of_it)).min(10.0);
    // "Round up" to one decimal, with the tolerance that the specification gives.
    let tenths = (score * 10.0 - 1e-5).ceil();
    Some(match tenths {
        t if t >= 90.0 => Severity::Critical,
        t if t >= 70.0 => Severity::High,
        t if t >= 40.0 => Severity::Medium,
        _ => Severity::Low,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_fall_into_the_bands_that_their_published_scores_have() {
        let known = [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(Severity::Critical)), // 9.8
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Some(Severity::Critical)), // 10.0
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", Some(Severity::High)),     // 7.5
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(Severity::Medium)),   // 6.1
            ("CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", Some(Severity::Low)),      // 1.8
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some(Severity::Info)),     // 0.0
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
            ("CVSS:3.1/AV:N", None),
            ("7.5", None),
        ];
        for (vector, expected) in known {
            assert_eq!(severity(vector), expected, "{vector}");
        }
    }
}
