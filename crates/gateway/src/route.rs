//! Which deployment an attempt goes to: retries, then fallbacks, all before
//! the first semantic byte.
//!
//! After a failure that another try may mend, the same group is asked again
//! (another deployment where there is one, else after a pause); when its
//! retries are used up, the next group of the fallback chain that fits the
//! kind of failure. A client's own mistake is tried nowhere else. A deployment
//! that cannot be told what the client asks for was never attempted: it is
//! passed over, and the client hears of it only where no other fits.

use crate::call::Call;
use crate::deployment::{Candidate, Deployment};
use crate::error::{Failure, Fault};
use crate::gateway::Gateway;
use crate::permit::Refused;
use crate::principal;
use crate::refusal;
use crate::routing::{Been, Found, NonePicked, pick};
use crate::runtime::Runtime;
use crate::witness::{FellBack, From};
use dialect::ErrorClass;
use http::StatusCode;
use std::collections::VecDeque;
use std::sync::Arc;

/// An attempt that gave no answer; its permit is settled.
#[derive(Debug)]
pub struct Failed {
    /// What to tell the client if nothing else works.
    pub failure: Failure,
    /// The upstream's status, where there was one.
    pub status: Option<StatusCode>,
    /// Whether the same request may be tried again.
    pub again: bool,
}

/// Where a call has been, and where it may still go.
pub struct Route {
    found: Found,
    chain: VecDeque<String>,
    chain_chosen: bool,
    been: Been,
    retries_left: u32,
    /// Before the same place is asked again.
    pause_ms: u64,
    /// Why the first deployment of this group that is unfit for the call is.
    unfit: Option<Failure>,
    /// Attempts made so far.
    pub attempts: u32,
    /// Retries made so far.
    pub retries: u32,
    /// Fallback groups entered so far.
    pub fallbacks: u32,
    /// Why the group before this one was left, in a fallback.
    fell_from: Option<From>,
}

/// What the route must know of the call.
pub struct Wanted<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Its configuration at the time of the call.
    pub runtime: &'a Runtime,
    /// Whom the call is for: fallbacks must be allowed too.
    pub principal: &'a principal::Principal,
    /// The call.
    pub call: &'a Call,
    /// The client's own retries, where given.
    pub num_retries: Option<u32>,
    /// The client's own fallbacks, where given.
    pub fallbacks: &'a [Box<str>],
    /// The client wants none.
    pub disable_fallbacks: bool,
}

/// Why a group is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Its attempts failed, or none could be made now.
    Failed,
    /// None of its deployments can be told what the client asks for.
    Unfit,
}

impl Route {
    /// Begins at the group that the client asked for.
    pub fn new(found: Found, wanted: &Wanted<'_>) -> Self {
        let retries_left = wanted.retries_of(&found);
        Self {
            found,
            chain: VecDeque::new(),
            chain_chosen: false,
            been: Been::default(),
            retries_left,
            pause_ms: 0,
            unfit: None,
            attempts: 0,
            retries: 0,
            fallbacks: 0,
            fell_from: None,
        }
    }

    /// The next deployment to try, after a pause where one is due.
    ///
    /// # Errors
    /// A 429 with the time to come back, where all are cooling down; what is
    /// wrong with the request, where no deployment can be told it. Both only
    /// where no fallback is left.
    pub async fn next(&mut self, wanted: &Wanted<'_>) -> Result<Candidate, Failure> {
        if self.pause_ms > 0 && !self.is_untried_elsewhere(wanted) {
            tokio::time::sleep(std::time::Duration::from_millis(self.pause_ms)).await;
            self.pause_ms = 0;
        }
        loop {
            let now_ms = wanted.gateway.ticks_ms();
            let picked = pick(&self.found, &self.been, now_ms, |n| wanted.gateway.dice.below(n));
            let left = match picked {
                Ok(candidate) => {
                    self.been.tried.push(Arc::clone(&candidate.deployment.id));
                    self.attempts += 1;
                    return Ok(candidate);
                }
                Err(NonePicked::Cooling(ms)) => {
                    self.fall_back(self.all_cooling(ms), Left::Failed, wanted)
                }
                Err(NonePicked::NoneFits) => {
                    let unfit = self.unfit.take();
                    let unfit = unfit.unwrap_or_else(|| wanted.nobody(&self.found));
                    self.fall_back(unfit, Left::Unfit, wanted)
                }
            };
            if let Some(failure) = left {
                return Err(failure);
            }
        }
    }

    /// The last candidate cannot be told what the client asks for, or its price
    /// cannot be held: nothing was attempted, so no retry is spent on it.
    pub fn unfit(&mut self, failure: Failure) {
        self.attempts -= 1;
        self.been.unfit.extend(self.been.tried.last().cloned());
        self.unfit.get_or_insert(failure);
    }

    /// A permit was refused: another deployment may have room; a caller's cap
    /// has none anywhere.
    ///
    /// # Errors
    /// What to tell the client, where nothing is left to try.
    pub fn refused(&mut self, refused: Refused, wanted: &Wanted<'_>) -> Result<(), Failure> {
        match refused {
            // Nothing was tried, so that no retry is spent on it.
            Refused::DeploymentFull if self.is_untried_elsewhere(wanted) => {
                self.attempts -= 1;
                Ok(())
            }
            // Another may have a price.
            Refused::Unpriced => {
                self.unfit(refusal::of_permit(refused, wanted.runtime.compat));
                Ok(())
            }
            Refused::DeploymentFull => self.failed(
                Failed {
                    failure: Failure::new(
                        ErrorClass::RateLimit,
                        Fault::Gateway,
                        "All deployments of this model are serving as many calls as they may.",
                    )
                    .retry_after_ms(Some(1000)),
                    status: None,
                    again: true,
                },
                wanted,
            ),
            other => Err(refusal::of_permit(other, wanted.runtime.compat)),
        }
    }

    /// An attempt gave no answer.
    ///
    /// # Errors
    /// What to tell the client, where nothing is left to try.
    pub fn failed(&mut self, failed: Failed, wanted: &Wanted<'_>) -> Result<(), Failure> {
        let others = self.found.group.deployments.len() > 1 + self.been.unfit.len();
        let own_key_refused = matches!(failed.status.map(|s| s.as_u16()), Some(401 | 403));
        if self.retries_left > 0 && (failed.again || (own_key_refused && others)) {
            self.retries_left -= 1;
            self.retries += 1;
            let random = wanted.gateway.dice.below(750);
            self.pause_ms = backoff_ms(self.retries, failed.failure.retry_after_ms, random)
                .max(wanted.runtime.retry_after_ms);
            return Ok(());
        }
        match self.fall_back(failed.failure, Left::Failed, wanted) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Whether the group has a deployment that was not asked yet and may be.
    fn is_untried_elsewhere(&self, wanted: &Wanted<'_>) -> bool {
        let now_ms = wanted.gateway.ticks_ms();
        let mut deployments = self.found.group.deployments.iter();
        deployments.any(|d| d.health.cooling_ms(now_ms) == 0 && !self.been.tried.contains(&d.id))
    }

    /// Moves on to the next fallback group; gives the failure back where there
    /// is none.
    fn fall_back(&mut self, failure: Failure, why: Left, wanted: &Wanted<'_>) -> Option<Failure> {
        self.tell(wanted, None);
        if !self.chain_chosen {
            let Some(chain) = wanted.chain_for(&self.found.group.name, failure.class, why) else {
                return Some(failure);
            };
            self.chain = chain;
            self.chain_chosen = true;
        }
        while self.fallbacks < wanted.runtime.max_fallbacks {
            let Some(name) = self.chain.pop_front() else { break };
            if principal::check_model(wanted.principal, &name, wanted.runtime.compat).is_err() {
                tracing::info!(
                    call = %wanted.call.id,
                    fallback = name,
                    "a fallback is left out: the key of the call may not use that model group"
                );
                continue;
            }
            let Some(found) = wanted.runtime.routes.served(&name) else { continue };
            self.retries_left = wanted.retries_of(&found);
            self.found = found;
            self.been = Been::default();
            self.unfit = None;
            self.pause_ms = 0;
            self.fallbacks += 1;
            self.fell_from = Some(From { class: failure.class, status: failure.status });
            return None;
        }
        Some(failure)
    }

    /// The attempt gave an answer.
    pub fn succeeded(&self, candidate: &Candidate, wanted: &Wanted<'_>) {
        self.tell(wanted, Some(&candidate.deployment));
    }

    /// Tells what came of the fallback, where this is one.
    fn tell(&self, wanted: &Wanted<'_>, answered_by: Option<&Deployment>) {
        if let Some(from) = self.fell_from
            && let Some(witness) = wanted.gateway.witness()
        {
            let group = &self.found.group.name;
            witness.fell_back(&FellBack { call: wanted.call, group, answered_by, from });
        }
    }

    fn all_cooling(&self, ms: i64) -> Failure {
        let seconds = ms.max(0).unsigned_abs().div_ceil(1000);
        Failure::new(
            ErrorClass::RateLimit,
            Fault::Upstream,
            format!(
                "No deployments available for selected model, Try again in {seconds} seconds. \
                 Passed model={}.",
                self.found.group.name
            ),
        )
        .retry_after_ms(Some(ms.max(0).unsigned_abs()))
    }
}

impl Wanted<'_> {
    fn retries_of(&self, found: &Found) -> u32 {
        let own = || found.group.deployments.iter().find_map(|d| d.num_retries);
        let asked = self.num_retries.map(|asked| asked.min(RETRIES_MAX));
        asked.or_else(own).unwrap_or(self.runtime.num_retries)
    }

    /// The failure of a group without deployments: all are left out, or nobody
    /// configured the name.
    fn nobody(&self, found: &Found) -> Failure {
        match found.group.left_out.first() {
            Some(left_out) => refusal::of_left_out(&found.group.name, &left_out.reason),
            None => refusal::of_unknown_model(
                self.call.route,
                self.call.surface.dialect(),
                &found.group.name,
            ),
        }
    }

    /// The groups to try after `group` failed with `class`; none where no
    /// other place would do better. The lists for special failures take the
    /// general one's place once there are any, as in LiteLLM's router.
    fn chain_for(&self, group: &str, class: ErrorClass, why: Left) -> Option<VecDeque<String>> {
        if self.disable_fallbacks {
            return None;
        }
        let runtime = self.runtime;
        let special = match class {
            ErrorClass::ContextLength => Some(&runtime.context_window_fallbacks),
            ErrorClass::ContentPolicy => Some(&runtime.content_policy_fallbacks),
            _ => None,
        };
        let mistake = matches!(class, ErrorClass::BadRequest | ErrorClass::TooLarge);
        let chain = if let Some(special) = special.filter(|special| !special.is_empty()) {
            special.of(group)?
        } else if mistake && why == Left::Failed {
            return None;
        } else if !self.fallbacks.is_empty() {
            return Some(self.fallbacks.iter().map(ToString::to_string).collect());
        } else {
            runtime.fallbacks.of(group).unwrap_or(&runtime.default_fallbacks)
        };
        (!chain.is_empty()).then(|| chain.iter().cloned().collect())
    }
}

/// Retries that a client may ask for.
const RETRIES_MAX: u32 = 10;

/// The provider's word up to a minute, else 0.5 s doubled each time up to 8 s,
/// with up to 0.75 s of jitter.
fn backoff_ms(retry: u32, retry_after_ms: Option<u64>, jitter_ms: u64) -> u64 {
    match retry_after_ms.filter(|ms| *ms <= 60_000) {
        Some(asked) => asked,
        None => (500_u64 << retry.saturating_sub(1).min(4)).min(8000) + jitter_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::backoff_ms;

    #[test]
    fn the_pause_doubles_and_the_providers_word_wins() {
        let pauses: Vec<u64> = (1..8).map(|retry| backoff_ms(retry, None, 0)).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff_ms(1, Some(2500), 700), 2500);
        assert_eq!(backoff_ms(1, Some(3_600_000), 0), 500);
    }
}
