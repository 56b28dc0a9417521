//! The endpoints that clients call, by name. Their rows are in
//! [`surfaces`](crate::surfaces).

use crate::Dialect;

/// An endpoint that clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// `POST /v1/chat/completions`.
    OpenAiChat,
    /// `POST /v1/completions`.
    OpenAiCompletions,
    /// `POST /v1/embeddings`.
    OpenAiEmbeddings,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`.
    AnthropicCountTokens,
    /// `POST /v1beta/models/{model}:generateContent`.
    GeminiGenerate,
    /// `POST /v1beta/models/{model}:streamGenerateContent`.
    GeminiStream,
    /// `POST /v1beta/models/{model}:countTokens`.
    GeminiCountTokens,
}

impl Surface {
    /// Dialect of the endpoint's bodies, errors and events.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenAiChat | Self::OpenAiCompletions | Self::OpenAiEmbeddings => {
                Dialect::OpenAiChat
            }
            Self::AnthropicMessages | Self::AnthropicCountTokens => Dialect::AnthropicMessages,
            Self::GeminiGenerate | Self::GeminiStream | Self::GeminiCountTokens => Dialect::Gemini,
        }
    }
}
