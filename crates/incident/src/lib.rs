//! An incident: from "is it us?" to a report that somebody could publish.
//!
//! What is known is kept in one file, so that a person who was woken up can
//! stop, sleep, and go on. Each step adds to it; [`report`] turns it into
//! text. Knows nothing of a gateway: what one knows is handed in as plain rows
//! ([`usage::Call`]). What nobody has looked at is an unknown, and said so.

mod dossier;
mod facts;
mod merge;
pub mod plan;
pub mod report;
mod scope;
mod state;
pub mod usage;

pub use dossier::{Asked, open};
pub use facts::{
    Bound, Claim, Containment, Event, Exposed, Exposure, Facts, Frozen, Incident, Place, Scope,
    Standing, Step, Suspect,
};
pub use scope::{Looked, exposure, scope};
pub use state::{latest, list, load, save};
