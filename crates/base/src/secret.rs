//! Text that must not be seen.

use zeroize::Zeroizing;

/// A secret text: no `Debug`, `Display`, `Serialize` or `Clone`; wiped when
/// dropped. Only `vault` and the crates that read configuration should ever
/// call [`Secret::expose`].
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Each caller must be able to say why.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
