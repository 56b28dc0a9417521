//! The testkit against a plain socket, and the house rules over the workspace.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null, it never panics")]

mod tidy;
mod upstream;
