//! RECORD: what an installer says it installed. CSV of path, hash, size.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// One installed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Relative to the folder that RECORD's own folder lies in, with `/`.
    pub(super) path: String,
    /// SHA-256, where it is given; other algorithms are not compared.
    pub(super) sha256: Option<[u8; 32]>,
    /// True if any hash at all is given.
    pub(super) has_hash: bool,
}

/// The rows of a RECORD; the error is the number of the line that is none.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, usize> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let fields = fields(line).ok_or(number)?;
        let mut fields = fields.into_iter();
        let (path, hash) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if path.is_empty() {
            return Err(number);
        }
        // PDM writes an algorithm and no digest where it makes links.
        let hash =
            hash.strip_suffix('=').filter(|name| !name.contains('=')).map_or(hash.as_str(), |_| "");
        let digest = hash.strip_prefix("sha256=").map(|text| text.trim_end_matches('='));
        let sha256 = match digest.map(|text| URL_SAFE_NO_PAD.decode(text)) {
            None => None,
            Some(bytes) => Some(bytes.ok().and_then(|b| b.try_into().ok()).ok_or(number)?),
        };
        rows.push(Row { path: path.replace('\\', "/"), sha256, has_hash: !hash.is_empty() });
    }
    Ok(rows)
}

/// The fields of a line of CSV: a field in quotes may hold commas, and a quote
/// doubled in it is a quote.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(letter),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_and_rows_without_a_hash() {
        let text = "a/b.py,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\n\"a, \"\"b\"\".py\",,\nx,md5=00,1\n";
        let rows = rows(text).unwrap();
        // The SHA-256 of "abc".
        assert_eq!(rows[0].sha256.unwrap()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!((rows[1].path.as_str(), rows[1].has_hash), ("a, \"b\".py", false));
        assert!(rows[2].has_hash && rows[2].sha256.is_none());
    }

    #[test]
    fn an_algorithm_without_a_digest_is_no_hash() {
        let rows = rows("a.py,sha256=,3\n").unwrap();
        assert_eq!((rows[0].sha256, rows[0].has_hash), (None, false));
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        assert_eq!(rows("a,,\n\"b,,\n"), Err(2));
        assert_eq!(rows("a,sha256=short,\n"), Err(1));
        assert_eq!(rows(",,\n"), Err(1));
    }
}
