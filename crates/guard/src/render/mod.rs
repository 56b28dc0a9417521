//! A report as people and machines want to have it. Pure: a report in, a text
//! out; who asked for it decides where it goes.

mod cyclonedx;
mod explain;
mod json;
mod junit;
mod place;
pub(crate) mod rules;
mod sarif;
mod table;

pub use cyclonedx::cyclonedx;
pub use explain::explain;
pub use json::json;
pub use junit::junit;
pub(crate) use sarif::hits_of;
pub use sarif::sarif;
pub use table::{headline, table, table_and_graph};
