//! Providers, models and prices, as data in the binary, and cost arithmetic. No I/O.
