//! The request pipeline: from a client's bytes to an upstream and back.
