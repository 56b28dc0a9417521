//! A scripted upstream and golden-file helpers for tests.
