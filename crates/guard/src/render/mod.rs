//! A report as people and machines want to have it. Pure: a report in, a text
//! out; who asked for it decides where it goes.

mod cyclonedx;
mod json;
mod junit;
mod place;
mod rules;
mod sarif;
mod table;

pub use cyclonedx::cyclonedx;
pub use json::json;
pub use junit::junit;
pub use sarif::sarif;
pub use table::{headline, table};
