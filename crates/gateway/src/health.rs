//! Which deployments are to be left alone for a while.
//!
//! LiteLLM's rules: only statuses that speak of the deployment count (401,
//! 402, 404, 408, 429 and 500 up), a client's own mistakes never; a group's
//! only deployment is not cooled, since there is nowhere else to go. What is
//! seen here is what the upstream did: who calls leaves out what the client
//! brought about, be it by a request that could not be sent, a time limit of
//! its own, or a model name that a wildcard let through.

use http::StatusCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// When a deployment is cooled down, and for how long.
#[derive(Clone, Debug)]
pub struct CooldownRules {
    /// `disable_cooldowns` or `cooldown_time: 0`.
    pub disabled: bool,
    /// How long, unless the provider says how long.
    pub cooldown_ms: i64,
    /// Failures in a minute that are still allowed; none means LiteLLM's
    /// ratio rule.
    pub allowed_fails: Option<u32>,
}

/// One deployment's recent past. Outlives a reload.
#[derive(Default)]
pub struct Health {
    cooling_until_ms: AtomicI64,
    minute: Mutex<Minute>,
    exceeds_output_limit: AtomicBool,
}

#[derive(Default)]
struct Minute {
    number: i64,
    requests: u32,
    failures: u32,
    /// Whether the last attempt failed; outlives the minute.
    last_failed: bool,
}

/// How a deployment fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its last attempt succeeded, or there was none.
    Healthy,
    /// Its last attempt failed.
    Failing,
    /// It is cooling down.
    Cooling,
}

/// What a deployment did with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Success,
    /// This status, or none where no answer came.
    Failure(Option<StatusCode>),
}

impl Health {
    /// Milliseconds until it may be used again; 0 where it may now.
    pub fn cooling_ms(&self, now_ms: i64) -> i64 {
        (self.cooling_until_ms.load(Ordering::Relaxed) - now_ms).max(0)
    }

    /// How it fares.
    pub fn state(&self, now_ms: i64) -> State {
        let minute = self.minute.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (self.cooling_ms(now_ms) > 0, minute.last_failed) {
            (true, _) => State::Cooling,
            (false, true) => State::Failing,
            (false, false) => State::Healthy,
        }
    }

    /// Starts a cooldown, whatever the rules for failures say.
    pub fn cool(&self, now_ms: i64, cooldown_ms: i64) {
        self.cooling_until_ms.fetch_max(now_ms.saturating_add(cooldown_ms), Ordering::Relaxed);
    }

    /// Notes an answer longer than the output limit that was sent. Returns true
    /// for the first one.
    pub fn note_long_answer(&self) -> bool {
        !self.exceeds_output_limit.swap(true, Ordering::Relaxed)
    }

    /// Returns true if an answer has been longer than the output limit that was
    /// sent: that limit bounds no cost here.
    pub fn exceeds_output_limit(&self) -> bool {
        self.exceeds_output_limit.load(Ordering::Relaxed)
    }

    /// Takes note of an outcome; true where it starts a cooldown.
    pub fn observe(
        &self,
        outcome: Outcome,
        now_ms: i64,
        alone: bool,
        retry_after_ms: Option<u64>,
        rules: &CooldownRules,
    ) -> bool {
        let (requests, failures) = {
            let mut minute = self.minute.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let number = now_ms.div_euclid(60_000);
            if minute.number != number {
                *minute = Minute { number, last_failed: minute.last_failed, ..Minute::default() };
            }
            minute.requests += 1;
            let blamed = matches!(outcome, Outcome::Failure(status) if counts(status));
            minute.failures += u32::from(blamed);
            minute.last_failed = blamed || (minute.last_failed && outcome != Outcome::Success);
            (minute.requests, minute.failures)
        };
        let Outcome::Failure(status) = outcome else { return false };
        if rules.disabled || alone || !counts(status) {
            return false;
        }
        let cool = match rules.allowed_fails {
            Some(allowed) => failures > allowed,
            None => {
                matches!(status.map(|s| s.as_u16()), Some(401 | 404 | 429))
                    || (requests >= 5 && failures * 2 > requests)
            }
        };
        if cool {
            let asked = retry_after_ms.and_then(|ms| i64::try_from(ms).ok());
            let until = now_ms.saturating_add(asked.unwrap_or(rules.cooldown_ms));
            self.cooling_until_ms.fetch_max(until, Ordering::Relaxed);
        }
        cool
    }
}

fn counts(status: Option<StatusCode>) -> bool {
    status.is_none_or(|status| {
        matches!(status.as_u16(), 401 | 402 | 404 | 408 | 429) || status.is_server_error()
    })
}

#[cfg(test)]
mod tests {
    use super::{CooldownRules, Health, Outcome, State};
    use http::StatusCode;

    fn rules(allowed_fails: Option<u32>) -> CooldownRules {
        CooldownRules { disabled: false, cooldown_ms: 5000, allowed_fails }
    }

    fn failed(status: u16) -> Outcome {
        Outcome::Failure(StatusCode::from_u16(status).ok())
    }

    #[test]
    fn a_rate_limit_cools_at_once_for_as_long_as_the_provider_says() {
        let health = Health::default();
        assert!(health.observe(failed(429), 1000, false, Some(20_000), &rules(None)));
        assert_eq!(health.cooling_ms(1000), 20_000);
        assert_eq!(health.cooling_ms(21_000), 0);
    }

    #[test]
    fn the_only_deployment_and_a_clients_mistakes_never_cool() {
        let health = Health::default();
        assert!(!health.observe(failed(429), 0, true, None, &rules(None)));
        for _ in 0..100 {
            assert!(!health.observe(failed(400), 0, false, None, &rules(None)));
        }
    }

    #[test]
    fn a_clients_mistakes_do_not_tip_the_balance_either() {
        let health = Health::default();
        for _ in 0..100 {
            assert!(!health.observe(failed(400), 0, false, None, &rules(None)));
        }
        assert!(!health.observe(failed(500), 0, false, None, &rules(None)));
        assert!(!health.observe(failed(500), 0, false, None, &rules(Some(2))));
    }

    #[test]
    fn more_failures_than_successes_cool_after_five_requests() {
        let health = Health::default();
        let outcomes = [Outcome::Success, Outcome::Success, failed(500), failed(500), failed(500)];
        let cooled: Vec<bool> =
            outcomes.iter().map(|o| health.observe(*o, 0, false, None, &rules(None))).collect();
        assert_eq!(cooled, [false, false, false, false, true]);
    }

    #[test]
    fn allowed_fails_are_counted_by_the_minute() {
        let health = Health::default();
        assert!(!health.observe(failed(500), 59_000, false, None, &rules(Some(1))));
        assert!(!health.observe(failed(500), 60_000, false, None, &rules(Some(1))));
        assert!(health.observe(failed(500), 61_000, false, None, &rules(Some(1))));
    }

    #[test]
    fn the_state_is_that_of_the_last_attempt_until_it_cools() {
        let health = Health::default();
        assert_eq!(health.state(0), State::Healthy);
        health.observe(failed(500), 0, false, None, &rules(Some(1)));
        health.observe(failed(400), 61_000, false, None, &rules(Some(1)));
        assert_eq!(health.state(61_000), State::Failing, "a client's mistake mends nothing");
        health.observe(Outcome::Success, 61_000, false, None, &rules(Some(1)));
        assert_eq!(health.state(61_000), State::Healthy);
        health.observe(failed(429), 61_000, false, None, &rules(None));
        assert_eq!(health.state(62_000), State::Cooling);
        assert_eq!(health.state(66_000), State::Failing);
    }
}
