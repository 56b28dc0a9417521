//! Python's words for what is wanted: specifiers, markers, requirements.
//!
//! The grammar is that of Python's `packaging`, which is the oracle in the
//! tests; a text that it refuses is refused here.

pub mod artefact;
pub mod marker;
pub mod requirement;
pub mod specifier;

pub use requirement::Requirement;
pub use specifier::Specifiers;
