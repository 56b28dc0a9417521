//! Providers, models and prices, as data in the binary, and cost arithmetic. No I/O.
//!
//! Three tables in `data/` are compiled in as text and searched where they lie,
//! so that the catalogue costs nothing until it is asked. [`resolve()`] turns a
//! model name into a [`Provider`] and the name that goes upstream; [`model()`]
//! finds what is known about it; [`Prices`] and [`cost()`] turn usage into money,
//! exactly. Deliberately absent: environment variables (their names are here,
//! `config` reads them), time, and any price that is guessed.

mod billing;
mod cost;
mod family;
mod model;
mod off_peak;
mod prices;
mod provider;
mod provider_rows;
mod resolve;
mod table;

pub use billing::Billing;
pub use cost::{Cost, Terms, cost, stated, worst_case, worst_case_searches};
pub use family::Families;
pub use model::{Model, data_version, model, models, models_of};
pub use prices::{PriceError, Prices, Region, SearchContext, Tier, Unit};
pub use provider::{Auth, FillError, Metadata, OutputLimit, Provider, Quirks, Served, Unsupported};
pub use provider_rows::{provider, providers, unsupported, unsupported_providers};
pub use resolve::{Unresolved, resolve};
