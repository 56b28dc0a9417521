//! Who may spend what: subjects, allowances, reservations, usage, spend
//! records. Exact arithmetic; storage as traits.
//!
//! One mechanism. A virtual key's budget, requests per minute, tokens per
//! minute and parallel requests are all an [`Allowance`]: subject, unit,
//! window, limit. The [`Book`] keeps one [`Cell`] for each; [`admit`] and
//! [`reserve`] take from several cells at once, all or nothing, so that
//! `spent + held ≤ limit` holds for every cell whatever the threads do.
//!
//! Deliberately absent: I/O, an async runtime, SQL, prices. Time comes from a
//! [`base::Clock`]; what must outlive the process goes through [`Journal`] and
//! [`Store`], which crate `store` implements.

mod account;
mod allowance;
mod astray;
mod book;
mod cell;
mod compact;
mod hasher;
mod inline;
mod journal;
mod key;
mod key_change;
mod recent;
mod record;
mod record_id;
mod refusal;
mod reservation;
mod store;
mod window;

pub use account::Account;
pub use allowance::{Allowance, Opening, Period, Subject, Unit};
pub use book::Book;
pub use cell::{Cell, CellUsage};
pub use hasher::{KeyHasher, public_name};
pub use journal::{Journal, Written};
pub use key::{CANARY_TAG, KeyPatch, VirtualKey};
pub use key_change::{KeyChange, KeyFate};
pub use record::{CostSource, Ending, Opened, SpendRecord, Timing, UsageCounts};
pub use record_id::RecordId;
pub use refusal::{Cause, Refusal};
pub use reservation::{
    Ask, Hold, Overrun, Reservation, admit, available_money, available_tokens, count_retry, reserve,
};
pub use store::{
    AccountName, Accounts, Batch, Boxed, DaySpend, KeyFilter, KeySort, Keys, Position, Spend,
    SpendFilter, SpoolId, Store, StoreError,
};
pub use window::{Window, WindowError, WindowUnit};
