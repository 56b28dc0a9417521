//! The binary, from outside: what a person types, and what they are answered.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod advisories;
mod audit;
mod canary;
mod flags;
mod incident;
mod pin;
mod salvage;
mod serving;
mod victim;
