//! METADATA and PKG-INFO: the header of a mail, of which two lines matter.

/// The first `Name` and `Version` of a header; what follows an empty line is a
/// description and may say anything.
pub(super) fn name_and_version(text: &str) -> (Option<&str>, Option<&str>) {
    let (mut name, mut version) = (None, None);
    for line in text.lines() {
        if line.trim().is_empty() {
            break;
        }
        // A line that begins with a blank goes on with the one before it.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((field, value)) = line.split_once(':') else { continue };
        let slot = match field.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "version" => &mut version,
            _ => continue,
        };
        slot.get_or_insert(value.trim());
    }
    (name.filter(|name| !name.is_empty()), version.filter(|version| !version.is_empty()))
}

/// Every `Requires-Dist` of a header.
pub(super) fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let header = text.lines().take_while(|line| !line.trim().is_empty());
    let fields = header.filter(|line| !line.starts_with([' ', '\t']));
    fields.filter_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case("requires-dist").then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::name_and_version;

    #[test]
    fn only_the_header_counts_and_the_first_of_each() {
        let text = "Metadata-Version: 2.1\nname: A\nVersion: 1.0\n 9.9\nName: B\n\nVersion: 2.0\n";
        assert_eq!(name_and_version(text), (Some("A"), Some("1.0")));
        assert_eq!(name_and_version("\nName: A\n"), (None, None));
        assert_eq!(name_and_version("Name:\nVersion"), (None, None));
    }
}
