//! SQLite behind the traits of ledger, and the spool that makes a record durable before its answer ends. The only crate that knows SQL.
