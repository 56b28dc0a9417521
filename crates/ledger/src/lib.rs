//! Who may spend what: subjects, allowances, reservations, usage, spend records. Exact arithmetic; storage as traits.
