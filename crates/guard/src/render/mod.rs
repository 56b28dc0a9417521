//! A report as people and programs read it.

mod json;
mod table;

pub use json::json;
pub use table::table;
