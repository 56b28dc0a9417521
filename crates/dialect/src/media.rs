//! Data URLs and the places where media stand.
//!
//! What the bytes say about their type wins over what the URL says, since
//! clients write `image/jpg` and send PNGs. Nothing is fetched or decoded.

use crate::model::Media;
use std::borrow::Cow;

/// A URL of a request: base64 in place, or a link.
pub(crate) fn of_url(url: &str) -> Media {
    let inline = url.strip_prefix("data:").and_then(|rest| {
        let (head, data) = rest.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?;
        let media_type = media_type.split(';').next().unwrap_or(media_type);
        Some(of_base64(media_type, data))
    });
    inline.unwrap_or_else(|| Media::Url(url.to_owned()))
}

/// Base64 with a stated type, corrected.
pub(crate) fn of_base64(stated: &str, data: &str) -> Media {
    let data = &*compact(data);
    let media_type = match sniff(data) {
        Some(known) => known,
        None if stated.eq_ignore_ascii_case("image/jpg") => "image/jpeg",
        None if stated.is_empty() => "application/octet-stream",
        None => stated,
    };
    Media::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

/// Base64 without the line breaks that some encoders put in and that providers
/// refuse.
pub(crate) fn compact(data: &str) -> Cow<'_, str> {
    if data.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return data.split_ascii_whitespace().collect::<String>().into();
    }
    data.into()
}

/// The data URL of base64.
pub(crate) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// The type that the first bytes show, read from their base64 form.
fn sniff(data: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 4] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGODlh", "image/gif"),
        ("JVBERi0", "application/pdf"),
    ];
    let found = MAGIC.iter().find(|(start, _)| data.starts_with(start)).map(|(_, kind)| *kind);
    // RIFF, four bytes of length, WEBP: 16 characters of base64, the last 5
    // of them wholly the name's.
    let webp = data.starts_with("UklGR") && data.get(11..16) == Some("XRUJQ");
    found.or(webp.then_some("image/webp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_win_over_the_stated_type() {
        let media = of_url("data:image/jpg;base64,iVBORw0KGgoAAAA");
        let expected = Media::Base64 {
            media_type: "image/png".to_owned(),
            data: "iVBORw0KGgoAAAA".to_owned(),
        };
        assert_eq!(media, expected);
    }

    #[test]
    fn line_breaks_in_base64_are_removed() {
        let media = of_url("data:image/png;base64,iVBORw0K\r\nGgoA\n");
        let data = "iVBORw0KGgoA".to_owned();
        assert_eq!(media, Media::Base64 { media_type: "image/png".to_owned(), data });
    }

    #[test]
    fn webp_is_told_from_other_riff_files() {
        // RIFF 0x24 0 0 0 WEBP, and the same with WAVE.
        assert_eq!(sniff("UklGRiQAAABXRUJQ"), Some("image/webp"));
        assert_eq!(sniff("UklGRiQAAABXQVZF"), None);
    }

    #[test]
    fn links_stay_links() {
        let url = "https://example.com/a.png";
        assert_eq!(of_url(url), Media::Url(url.to_owned()));
        assert_eq!(of_url("data:text/plain,hello"), Media::Url("data:text/plain,hello".to_owned()));
    }
}
