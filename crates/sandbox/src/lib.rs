//! Confines a command, or this process, with what the Linux kernel offers.
//!
//! [`Confined::start`] runs a command in user, mount, PID, IPC and network
//! namespaces of its own. Its root is built from the places that a [`Plan`]
//! names, so that nothing else is there to be read; its network is a loopback on
//! which only the ports of the plan answer; then capabilities are dropped and
//! Landlock and seccomp are put on top. What the kernel could not do is in the
//! [`Report`], never silently left out.
//!
//! Not here: which places, hosts and variables a command may have. That is the
//! caller's policy; this crate knows no package manager and no model.
//!
//! Only this crate has `unsafe` of its own, and of it only the module `sys`.

#![cfg(target_os = "linux")]

mod channel;
mod devices;
mod door;
mod error;
mod files;
mod init;
mod landlock;
mod network;
mod own;
mod plan;
mod privileges;
mod report;
mod spawn;
mod sys;
mod syscalls;

pub use door::Door;
pub use error::Error;
pub use network::Attempt;
pub use own::confine_this_process;
pub use plan::Plan;
pub use report::{Protection, Report};
pub use spawn::{Confined, Ending};
