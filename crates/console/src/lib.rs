//! People's face: the management API, compatible with LiteLLM's.
