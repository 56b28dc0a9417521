//! Dialects against fixtures, properties and recordings.

mod anthropic_conversation;
mod anthropic_goldens;
mod anthropic_properties;
mod anthropic_recordings;
mod anthropic_stream;
mod facts_anthropic;
