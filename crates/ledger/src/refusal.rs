//! Why a call may not go ahead, for the person who sent it.

use crate::allowance::{Allowance, Unit};
use base::NanoUsd;
use std::fmt;

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The allowance is used up: waiting helps only if it resets.
    Spent,
    /// Calls in flight hold the rest: waiting for them may help.
    Held,
    /// The call asks for more than the whole allowance.
    TooLarge,
}

/// One allowance that does not suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The allowance, with its limit as it is now.
    pub allowance: Allowance,
    /// Used in this window; nano-dollars for money, else a count.
    pub spent: i64,
    /// Reserved by calls in flight.
    pub held: i64,
    /// What this call asked for.
    pub asked: i64,
    /// When the window ends, milliseconds since 1970. Of a limit per minute,
    /// when this call would fit if nothing else were used; `None` if calls in
    /// flight must end first.
    pub resets_at_ms: Option<i64>,
    /// The same, in milliseconds from now.
    pub retry_after_ms: Option<i64>,
    /// Whether it is worth waiting.
    pub cause: Cause,
}

struct Amount(Unit, i64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unit::Money => write!(f, "${}", NanoUsd(self.1)),
            _ => write!(f, "{}", self.1),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Allowance { subject, unit, window, limit } = &self.allowance;
        let amount = |value| Amount(*unit, value);
        if *unit == Unit::InFlight {
            return write!(f, "{subject} has {} of {limit} {unit}", self.held);
        }
        match self.cause {
            Cause::Spent => write!(f, "{subject} has used its allowance of {unit}")?,
            Cause::Held => write!(f, "calls in flight hold what {subject} has left of {unit}")?,
            Cause::TooLarge => write!(f, "one call asks for more {unit} than {subject} may use")?,
        }
        write!(
            f,
            ": limit {} {window}, spent {}, held {}, asked {}",
            amount(*limit),
            amount(self.spent),
            amount(self.held),
            amount(self.asked),
        )?;
        match self.resets_at_ms {
            Some(at_ms) => write!(f, "; resets at {}", base::clock::rfc3339(at_ms)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
