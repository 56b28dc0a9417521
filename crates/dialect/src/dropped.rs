//! Names of what was left out of a request.
//!
//! Names only, never values, as a header and a log line can hold them: a name
//! may come from the client.

/// The longest text that [`Dropped::text`] returns, in bytes.
pub const TEXT_MAX_BYTES: usize = 1024;

/// What was left out, in the order in which it was met, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(Vec<String>);

impl Dropped {
    /// Adds a name: a parameter's, or a place such as `tools[1]`.
    pub fn add(&mut self, name: impl AsRef<str> + Into<String>) {
        if !self.0.iter().any(|known| known == name.as_ref()) {
            self.0.push(name.into());
        }
    }

    /// Adds all names of `others`.
    pub fn extend(&mut self, others: Self) {
        for name in others.0 {
            self.add(name);
        }
    }

    /// Returns true if nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, separated by commas, in visible ASCII; other characters, `,`
    /// and `%` are percent-encoded. A name that does not fit into
    /// [`TEXT_MAX_BYTES`] ends the list with `...`.
    pub fn text(&self) -> String {
        const MORE: &str = "...";
        let mut text = String::new();
        for name in &self.0 {
            let escaped = escaped(name);
            let comma = usize::from(!text.is_empty());
            if text.len() + comma + escaped.len() + 1 + MORE.len() > TEXT_MAX_BYTES {
                text.extend((comma > 0).then_some(','));
                text.push_str(MORE);
                break;
            }
            text.extend((comma > 0).then_some(','));
            text.push_str(&escaped);
        }
        text
    }
}

fn escaped(name: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b',' | b'%') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(*HEX.get(usize::from(nibble)).unwrap_or(&b'0')));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once_and_escaped() {
        let mut dropped = Dropped::default();
        for name in ["top_k", "a,b\r\nc", "top_k", "é"] {
            dropped.add(name);
        }
        assert_eq!(dropped.text(), "top_k,a%2Cb%0D%0Ac,%C3%A9");
    }

    #[test]
    fn a_long_list_is_cut_between_names() {
        let mut dropped = Dropped::default();
        for number in 0..400 {
            dropped.add(format!("field_{number}"));
        }
        let text = dropped.text();
        assert!(text.len() <= TEXT_MAX_BYTES && text.len() > TEXT_MAX_BYTES - 32);
        assert!(text.starts_with("field_0,field_1,") && text.ends_with(",..."), "{text}");
        let mut one = Dropped::default();
        one.add("x".repeat(5_000));
        assert_eq!(one.text(), "...");
    }
}
