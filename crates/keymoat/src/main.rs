//! The binary: command line, wiring, process lifetime. No logic of its own.
fn main() {}
