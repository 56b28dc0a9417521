//! What goes wrong, in one shape for every dialect.

use crate::json::read::Wrong;

/// What a provider said went wrong, or what we say to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind of failure, for routing and for the client's dialect.
    pub class: ErrorClass,
    /// The HTTP status it came with, or should go with.
    pub status: u16,
    /// In words.
    pub message: String,
    /// The provider's `type`.
    pub kind: Option<String>,
    /// The provider's `code`.
    pub code: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
}

/// What kind of failure (wire formats, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request is wrong.
    BadRequest,
    /// The prompt is longer than the model's window.
    ContextLength,
    /// A content policy refused the prompt.
    ContentPolicy,
    /// A key is missing or wrong.
    Authentication,
    /// Nothing left to spend at the provider.
    Billing,
    /// The key may not do this.
    Permission,
    /// No such model or path.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// The provider is overloaded.
    Overloaded,
    /// The provider took too long.
    Timeout,
    /// The provider failed.
    Server,
}

/// Why a body could not be read as its dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// What is wrong and where, for the client.
    pub message: String,
    /// The parameter at fault, where known: `messages[2].content`.
    pub param: Option<String>,
}

impl From<Wrong> for DecodeError {
    fn from(Wrong { path, what }: Wrong) -> Self {
        if path.is_empty() {
            return Self { message: what, param: None };
        }
        Self { message: format!("{path}: {what}"), param: Some(path) }
    }
}

impl DecodeError {
    /// An error about the parameter `param`.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.into()) }
    }

    /// An error: `param` is not a `wanted`.
    pub(crate) fn wrong_type(param: impl Into<String>, wanted: &str) -> Self {
        let param = param.into();
        Self { message: format!("`{param}` must be {wanted}"), param: Some(param) }
    }
}

/// Why a request cannot be said in the target's dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The target has no such parameter; `drop_params` would leave it out.
    #[error(
        "`{param}` is not supported by this model's provider; leave it out, or set `drop_params: true`"
    )]
    Unsupported {
        /// As the client's dialect names it.
        param: String,
    },
    /// A part of the conversation has no form in the target's dialect. It is
    /// never left out: the model would answer another question.
    #[error(
        "`{param}`: {what} cannot be sent to this model's provider; remove it, or use a model that takes it"
    )]
    Content {
        /// The part, as the client's dialect numbers it:
        /// `messages[2].content[1]`.
        param: String,
        /// Its kind: `input_audio`, `container_upload`.
        what: String,
    },
    /// The parameter's value cannot be said.
    #[error("`{param}`: {message}")]
    Invalid {
        /// As the client's dialect names it.
        param: String,
        /// Why, and what would do.
        message: String,
    },
}

impl EncodeError {
    /// The parameter or part at fault.
    pub fn param(&self) -> &str {
        match self {
            Self::Unsupported { param }
            | Self::Content { param, .. }
            | Self::Invalid { param, .. } => param,
        }
    }
}
