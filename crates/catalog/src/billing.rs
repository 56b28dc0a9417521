//! What a provider charges for besides complete answers: facts of its row, each
//! with the page that states it.
//!
//! Without such a fact nothing is assumed: an attempt under a money cap whose
//! cost is unknown is charged what was held for it.

/// Statuses that are free at every provider: the request was refused before a
/// model read it (RFC 9110, section 15.5), or redirected, which is never
/// followed. 400 is free unless [`Billing::bills_refusals`]. Not in the list:
/// 408 and 499, which say that somebody stopped waiting, and 424, which
/// Bedrock gives to a model that failed.
const FREE: [u16; 18] =
    [300, 301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 406, 411, 413, 415, 422, 429, 431];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Billing {
    /// `free_errors=STATUS,…:URL`: server errors that the provider does not
    /// charge for, and the page that says so. `own_free_errors=…`: the same, but
    /// only at the provider's own base URL, since its prefix is used for any
    /// compatible server.
    pub free_errors: Box<[u16]>,
    /// `free_errors` hold only at the provider's own base URL.
    pub only_own_errors: bool,
    /// The page that lists `free_errors`.
    pub free_errors_source: Option<&'static str>,
    /// `bills_refusals=URL`: a 400 for content or for the length of the input
    /// may be charged (Azure: "for both the prompt and completion tokens").
    pub bills_refusals: Option<&'static str>,
    /// `states_cost=URL`: usage says in US dollars what the call cost.
    pub states_cost: Option<&'static str>,
    /// `local`: a server on the operator's own machine or network. Unless the
    /// operator gives it a price, it sends no bill: a call whose client has gone
    /// is cancelled; at every other provider it is read to its end.
    pub sends_no_bill: bool,
}

impl Billing {
    /// Returns true if an answer with `status` costs nothing, where the error
    /// is not a refusal of content or length. `is_own`: the provider is called at
    /// its own base URL.
    pub fn is_free(&self, status: u16, is_own: bool) -> bool {
        let may_be_listed = is_own || !self.only_own_errors;
        status == 400
            || FREE.contains(&status)
            || (may_be_listed && self.free_errors.contains(&status))
    }

    /// Reads the value of `free_errors`.
    pub(crate) fn set_free_errors(&mut self, value: &'static str) -> Option<()> {
        let (statuses, source) = value.split_once(':')?;
        self.free_errors =
            statuses.split(',').map(|text| text.parse().ok()).collect::<Option<_>>()?;
        self.free_errors_source = Some(source);
        Some(())
    }
}
