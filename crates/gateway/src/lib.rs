//! The request pipeline: from a client's bytes to an upstream and back.
//!
//! [`request`] is the whole life of a request in one file; the others are its
//! stages. What it deliberately does not do: open sockets (`egress`), see a
//! secret (`vault`), know SQL (`store`), or read a wire format anywhere but in
//! `dialect`.

pub mod admission;
pub mod authenticate;
pub mod betas;
pub mod body;
mod body_budgets;
pub mod bound;
mod bytes_queue;
pub mod call;
pub mod canary;
mod client_headers;
pub mod coding;
pub mod controls;
pub mod deployment;
pub mod detach;
pub mod dice;
pub mod dispatch;
pub mod effective;
pub mod error;
pub mod estimates;
mod expansion;
pub mod gateway;
mod header_names;
pub mod headers;
pub mod health;
mod idle;
pub mod key_cache;
pub mod late;
pub mod local;
mod mode;
mod off_worker;
mod pace;
pub mod paths;
pub mod permit;
pub mod price_keys;
pub mod pricing;
pub mod principal;
pub mod proxy_budget;
pub mod quirks;
pub mod record;
pub mod refusal;
pub mod relay;
pub mod request;
pub mod respond;
pub mod route;
pub mod routing;
pub mod rules;
pub mod runtime;
pub mod stream;
pub mod traits;
pub mod unsettled;
mod users;
pub mod wire;
pub mod wishes;
pub mod witness;

pub use error::{Compat, Failure, Fault};
pub use gateway::{Gateway, Parts};
pub use respond::Body;
pub use runtime::Runtime;
