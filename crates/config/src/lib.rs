//! YAML as people write it, turned into one checked configuration; every
//! problem with line and column.
//!
//! Reads LiteLLM's `config.yaml` and our own `keymoat:` section, the files that
//! it names, and the environment, which no other crate reads. The path of a
//! value: bytes → tree with places (`parse`, `node`) → typed readers that write
//! down a verdict for each key (`reader`, and one module for each section) →
//! [`Config`]. Deliberately absent: the network, any store, code from a file,
//! and `Debug` on whatever holds a secret.

mod binding;
mod cidr;
mod credentials;
mod env;
mod files;
mod general;
mod identity;
mod keymoat;
mod known_keys;
mod left_out;
mod litellm;
mod load;
mod missing;
mod model_list;
mod names;
mod node;
mod param_values;
mod parse;
mod reader;
mod report;
mod router;
mod scalar;
mod served;
mod settings;
mod suggest;
mod typed;
mod types;

pub use cidr::{Cidr, CidrError};
pub use env::{Env, ProcessEnv, variables};
pub use files::{PEM_MAX_BYTES, ReadFile, read_file};
pub use load::{Loaded, defaults, load, load_text};
pub use report::{Entry, LeftOut, Report, Verdict};
pub use settings::{
    Compat, Drain, Listen, Log, LogFormat, LogLevel, MetricsKey, ResponseModel, Roots, Sandbox,
    Settings, Spool, SpoolSync, Tls, UnknownPrice,
};
pub use types::{
    Access, Alias, Config, Deployment, Fallback, KeyLimits, Period, PeriodUnit, Routing, Rules,
};
