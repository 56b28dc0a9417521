//! A pretend provider on loopback, for the demo model group: a first answer without an account.
