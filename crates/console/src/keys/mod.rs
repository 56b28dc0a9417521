//! Virtual keys: `/key/*`.
//!
//! A change goes to the store first, then to the living allowances in the
//! book, then the gateway forgets what it knew of the key: see [`block`] and
//! [`update`]. Only the holder of the master key may change or list keys; a
//! key may read its own row.

pub(crate) mod aliases;
pub(crate) mod block;
pub(crate) mod bulk;
mod ceilings;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod generate;
pub(crate) mod health;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod refused;
pub(crate) mod regenerate;
pub(crate) mod request;
pub(crate) mod reset;
pub(crate) mod update;
pub(crate) mod urgent;
