//! SQLite behind the traits of `ledger`, and the spool that makes a record
//! durable before its answer ends. The only crate that knows SQL.
//!
//! A record's way: [`ledger::Journal`] appends it to a file of the spool and
//! returns; a thread of its own reads the files and puts the records into a
//! [`ledger::Store`] in batches. The files are the only queue, so memory stays
//! flat however long the database is away, and what was acknowledged survives
//! `kill -9`. On start, [`open`] first puts in whatever the last process left.
//!
//! Deliberately absent: caching of keys, limits, prices; who asks knows those.

mod data_dir;
mod drain;
mod error;
mod frame;
mod salvage;
mod segment;
mod spool;
mod sqlite;
mod start;

pub use data_dir::DataDir;
pub use drain::Observer;
pub use error::OpenError;
pub use salvage::{DamagedPart, Imported, Salvaged, SalvagedFile, salvage, salvage_into};
pub use spool::{Settings, Sync};
pub use sqlite::Sqlite;
pub use start::{Recovered, State, attach, open};
