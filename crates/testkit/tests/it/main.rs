//! The testkit against a plain socket, and the house rules over the workspace.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod tidy;
mod upstream;
