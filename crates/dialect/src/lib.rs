//! Wire formats to and from one neutral model. Pure functions: no I/O, no async, no clock.
