//! Dates as advisories and lock files write them.

/// An RFC 3339 date and time, or a date alone, as milliseconds since 1970.
pub fn unix_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    // A time without an offset is meant in UTC wherever we meet one.
    text.parse::<jiff::Timestamp>()
        .or_else(|_| format!("{text}Z").parse())
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::unix_ms;

    #[test]
    fn offsets_fractions_and_bare_dates() {
        assert_eq!(unix_ms("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(unix_ms("1970-01-01T01:00:00.5+01:00"), Some(500));
        assert_eq!(unix_ms("1970-01-02"), Some(86_400_000));
        assert_eq!(unix_ms("1970-01-01T00:00:01"), Some(1000));
        assert_eq!(unix_ms("yesterday"), None);
    }
}
