//! The only crate that opens outbound sockets.
//!
//! [`Egress::send`] takes a [`vault::Authorized`] head, whose destination is
//! final, and no other. The origin must be one that the [`Policy`] allows; its
//! name is resolved once, every address of the answer is vetted, and the socket
//! is opened to a [`VettedAddr`], so that no second look-up can lead elsewhere.
//! Redirects are returned, never followed; proxies that the environment names
//! are never used.
//!
//! The pool is our own, over hyper's connections: a request looks its origin
//! up once, and an HTTP/1 connection runs in the task of the request that uses
//! it (`hub`), without a task switch for each piece of a body.
//!
//! Not here: retries (but for a pooled connection that died unused), caps on
//! body sizes, anything about models or credentials.

mod body;
mod client;
mod deadline;
mod dial;
mod error;
mod h1;
mod h2;
mod hub;
mod policy;
mod resolve;
mod settings;
mod site;
mod socket;
mod tls;
mod transport;
mod tunnel;
pub mod vet;

pub use body::Body;
pub use client::Egress;
pub use error::{Certainty, Error, Refusal, Wait};
pub use policy::{Policy, Reach};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use settings::{Limits, Roots, Settings};
pub use tunnel::{TunnelError, tunnel};
pub use vet::VettedAddr;
