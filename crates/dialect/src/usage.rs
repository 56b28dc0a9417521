//! What a call consumed, in one shape for every dialect.

use base::Decimal;

/// Token counts as the provider reported them, normalised: `input` and
/// `output` are totals, the others say what part of them was special.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cache reads and writes included.
    pub input: u64,
    /// Part of `input` read from the provider's cache.
    pub cache_read: u64,
    /// Part of `input` written to the provider's cache for five minutes (or
    /// for the provider's only lifetime).
    pub cache_write_5m: u64,
    /// Part of `input` written to the provider's cache for an hour.
    pub cache_write_1h: u64,
    /// Part of `input` that was audio.
    pub input_audio: u64,
    /// All output tokens, reasoning and audio included.
    pub output: u64,
    /// Part of `output` that was reasoning.
    pub reasoning: u64,
    /// Part of `output` that was audio.
    pub output_audio: u64,
    /// Web searches that the provider ran for this call.
    pub searches: u64,
    /// The provider's own statement of the cost in US dollars (OpenRouter), with
    /// what another provider charges for the client's own key added.
    pub stated_cost: Option<Decimal>,
}

impl Usage {
    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Takes over every count of `later` that is larger: reports of usage in
    /// one stream are running totals.
    pub fn merge(&mut self, later: &Self) {
        let Self {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            input_audio,
            output,
            reasoning,
            output_audio,
            searches,
            stated_cost,
        } = later;
        for (own, said) in [
            (&mut self.input, input),
            (&mut self.cache_read, cache_read),
            (&mut self.cache_write_5m, cache_write_5m),
            (&mut self.cache_write_1h, cache_write_1h),
            (&mut self.input_audio, input_audio),
            (&mut self.output, output),
            (&mut self.reasoning, reasoning),
            (&mut self.output_audio, output_audio),
            (&mut self.searches, searches),
        ] {
            *own = (*own).max(*said);
        }
        self.stated_cost = stated_cost.or(self.stated_cost);
    }
}
