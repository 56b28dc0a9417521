//! The machine as it lies in files: homes, units, sockets and processes, below
//! a root that may be another machine's disk.
//!
//! Only read. No program is asked, no service manager, no socket.

mod audit;
mod command;
mod indicators;
mod persistence;
mod sockets;

pub use crate::machine::Host;
pub use audit::{Ask, audit};
pub use indicators::hosts_of;
