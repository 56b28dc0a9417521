//! What providers serve over HTTP, by name.

/// An endpoint of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI's older text completions; also fill-in-the-middle.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI responses.
    Responses,
    /// Anthropic messages.
    Messages,
    /// Anthropic's token count of a messages request.
    CountTokens,
    /// Google's answers, whole.
    GenerateContent,
    /// Google's answers, in pieces.
    StreamGenerateContent,
    /// Google's token count.
    CountContentTokens,
    /// The list of models.
    Models,
}

impl Endpoint {
    const ALL: [Self; 10] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountContentTokens,
        Self::Models,
    ];

    /// Its name in the table of providers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::CountContentTokens => "count_content_tokens",
            Self::Models => "models",
        }
    }

    /// Reads the name of [`Endpoint::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == text)
    }
}
