//! A permit: the right to make one attempt upstream.
//!
//! No upstream is called without one. It holds the worst case of every
//! allowance that applies, all or nothing, and is settled exactly once: by
//! [`Permit::settle`], or, where the attempt is dropped in the middle (the
//! client went away, a panic), by its `Drop`, from what was seen so far.
//! Either way one spend record is in the journal before the caller goes on.

use crate::admission::Admission;
use crate::bound::{self, Bound, Left};
use crate::call::Call;
use crate::deployment::Candidate;
use crate::effective::Effective;
use crate::gateway::Gateway;
use crate::price_keys::{self, Asked};
use base::NanoUsd;
use catalog::{Prices, Terms, Tier};
use dialect::Usage;
use dialect::head::Surface;
use dialect::tap::Observed;
use http::StatusCode;
use ledger::{Ask, Cell, CostSource, Ending, Hold, Refusal, Reservation, Unit};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What an attempt showed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Usage that the provider reported; a stream's last word so far.
    pub usage: Option<Usage>,
    /// The usage is the provider's final word.
    pub whole: bool,
    /// Bytes of text that came back, for estimates.
    pub output_bytes: u64,
    /// The tier that served it, where the provider said so.
    pub tier: Option<Tier>,
    /// The provider said that it failed, in an answer with status 200.
    pub failed: bool,
    /// More had come than was looked at when the client went away.
    pub unread: bool,
}

impl Seen {
    /// What a tap observed; `whole` where the answer has come to its end.
    pub fn of(observed: &Observed, whole: bool) -> Self {
        Self {
            usage: observed.usage,
            whole: whole && observed.usage.is_some(),
            output_bytes: observed.output_text_bytes,
            tier: observed.service_tier.as_deref().map(price_keys::tier),
            failed: observed.problem.is_some(),
            unread: false,
        }
    }
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing has left.
    Prepared,
    /// The request may have reached the provider.
    Sent,
    /// The provider has begun to answer.
    Answering,
}

/// The right to make one attempt. See the module.
pub struct Permit {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) call: Arc<Call>,
    pub(crate) candidate: Candidate,
    pub(crate) attempt: u16,
    pub(crate) started_at_ms: i64,
    /// On the monotonic clock, as all that follow.
    pub(crate) first_byte_at: Option<Duration>,
    pub(crate) sent_at: Duration,
    pub(crate) status: Option<StatusCode>,
    /// In a word, for the record; content never.
    pub(crate) error_class: Option<&'static str>,
    /// What was seen; kept current by the relay for the sake of `Drop`.
    pub seen: Seen,
    reservation: Option<Reservation>,
    /// Where the proxy's spending is counted that nothing is reserved of.
    proxy_tally: Option<Arc<Cell>>,
    _deployment: Option<Hold>,
    bound: Bound,
    asked: Asked,
    /// Money is reserved: what is not known is charged at its bound.
    capped: bool,
    /// All that a call may use has a price.
    covered: bool,
    body_bytes: u64,
    /// Answers that were asked for in one, 1 at least.
    choices: u64,
    pub(crate) started_at: Duration,
    phase: Phase,
    settled: bool,
}

/// Why no permit was given.
#[derive(Debug)]
pub enum Refused {
    /// An allowance has not enough left.
    Allowance(Refusal),
    /// The model has no known price and the key has a cap on money.
    Unpriced,
    /// Nobody can bound the cost of what this key of the body asks for, and
    /// money is capped.
    Unbounded(&'static str),
    /// The deployment serves as many calls as it may.
    DeploymentFull,
    /// The spool on disk is full: nothing more may be acknowledged.
    SpoolFull,
    /// The journal could not be written.
    Journal(std::io::Error),
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// What it cost.
    pub cost: NanoUsd,
    /// What it consumed, where known.
    pub usage: Option<Usage>,
    /// The parts of the cost, if it was computed from the provider's usage.
    pub parts: Option<catalog::Cost>,
}

impl Permit {
    /// Takes the worst case of one attempt, and makes it durable where money
    /// is capped, so that a crash in the middle is charged.
    ///
    /// # Errors
    /// See [`Refused`]; nothing is held then.
    pub fn take(
        admission: &Admission,
        candidate: Candidate,
        effective: &Effective<'_>,
        attempt: u32,
    ) -> Result<Box<Self>, Refused> {
        let gateway = &admission.gateway;
        if gateway.journal.is_full() {
            return Err(Refused::SpoolFull);
        }
        gateway.unsettled.retry(&*gateway.journal, RETRIED_MAX).map_err(Refused::Journal)?;
        let deployment = match &candidate.deployment.in_flight {
            Some(cell) => {
                let place = ledger::admit(std::slice::from_ref(cell));
                Some(place.map_err(|_| Refused::DeploymentFull)?)
            }
            None => None,
        };
        let sent = effective.sent();
        let cells = if bound::is_free(admission.call.surface) {
            Cow::Borrowed(&[][..])
        } else {
            admission.permit_cells()
        };
        let bound = if cells.is_empty() {
            Bound::default()
        } else {
            let left = Left {
                money: ledger::available_money(&cells),
                tokens: ledger::available_tokens(&cells),
            };
            bound::bound(&sent, &candidate.facts, left)
        };
        let capped = cells.iter().any(|cell| cell.unit() == Unit::Money);
        let covered = covers(candidate.facts.prices.as_deref(), admission.call.surface, &bound);
        let ceiling = admission.runtime.unknown_price;
        let reservation = if cells.is_empty() {
            None
        } else {
            let prices = candidate.facts.prices.as_deref().filter(|_| covered);
            let money = worst_case(prices, &bound, capped, ceiling)?;
            let guess = bound::estimated_tokens(sent.body.len() as u64);
            let tokens = bound.input_tokens.min(guess).saturating_add(bound.rate_output_tokens);
            Some(ledger::reserve(&cells, Ask { money, tokens }).map_err(Refused::Allowance)?)
        };
        let started_at = gateway.clock.monotonic();
        let permit = Box::new(Self {
            gateway: Arc::clone(gateway),
            call: Arc::clone(&admission.call),
            candidate,
            attempt: u16::try_from(attempt.saturating_sub(1)).unwrap_or(u16::MAX),
            started_at_ms: gateway.clock.unix_ms(),
            first_byte_at: None,
            sent_at: started_at,
            status: None,
            error_class: None,
            seen: Seen::default(),
            reservation,
            proxy_tally: (admission.runtime.proxy_permit.is_empty())
                .then(|| Arc::clone(admission.runtime.proxy_tally.cell())),
            _deployment: deployment,
            bound,
            asked: Asked::of(sent.head, sent.body),
            capped,
            covered,
            body_bytes: sent.body.len() as u64,
            choices: sent.head.n().max(1),
            started_at,
            phase: Phase::Prepared,
            settled: false,
        });
        permit.write_down()?;
        Ok(permit)
    }

    fn write_down(&self) -> Result<(), Refused> {
        let Some(reservation) = &self.reservation else { return Ok(()) };
        if !self.capped {
            return Ok(());
        }
        let opened = self.opened(reservation.held().money, reservation.reserved_ms());
        self.gateway.journal.open(&opened).map_err(Refused::Journal)
    }

    /// The deployment that it is for.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// What was bounded, and the output limit to send.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// The request is about to leave.
    pub fn sent(&mut self) {
        self.phase = Phase::Sent;
        self.sent_at = self.gateway.clock.monotonic();
    }

    /// It turned out that nothing left after all.
    pub fn not_sent(&mut self) {
        self.phase = Phase::Prepared;
    }

    /// The provider has begun to answer.
    pub fn answering(&mut self, status: StatusCode) {
        self.phase = Phase::Answering;
        self.status = Some(status);
    }

    /// The first byte of the answer's body has come.
    pub fn first_byte(&mut self) {
        if self.first_byte_at.is_none() {
            self.first_byte_at = Some(self.gateway.clock.monotonic());
        }
    }

    /// What went wrong, in a word.
    pub fn blame(&mut self, class: &'static str) {
        self.error_class = Some(class);
    }

    /// Since the attempt began.
    pub fn elapsed(&self) -> Duration {
        self.gateway.clock.monotonic().saturating_sub(self.started_at)
    }

    /// Settles with the truth, as `ending` and what was seen tell it.
    pub fn settle(mut self: Box<Self>, ending: Ending) -> Settled {
        self.settle_once(ending)
    }

    fn settle_once(&mut self, ending: Ending) -> Settled {
        self.settled = true;
        let ending = match ending {
            // Finished in the background, after its client had gone.
            Ending::Complete | Ending::CompleteWithoutUsage if self.call.client.is_gone() => {
                Ending::ClientGoneBefore
            }
            ending => ending,
        };
        let (cost, source) = self.price(ending);
        let parts = (source == CostSource::Computed).then(|| self.parts()).flatten();
        let usage = self.seen.usage;
        let reserved_ms =
            self.reservation.as_ref().map_or(self.started_at_ms, Reservation::reserved_ms);
        if let Some(reservation) = self.reservation.take() {
            let tokens = match usage {
                Some(usage) => usage.total(),
                None if source == CostSource::None => 0,
                None => {
                    bound::estimated_tokens(self.body_bytes)
                        + bound::estimated_tokens(self.seen.output_bytes)
                }
            };
            // Tokens a minute are held by a guess, which may be short.
            let overrun = reservation.settle(Ask { money: cost, tokens });
            if let Some(overrun) = overrun.filter(|over| over.money > NanoUsd::ZERO && self.capped)
            {
                tracing::warn!(
                    call = %self.call.id,
                    model = %self.candidate.upstream_model,
                    nanousd = overrun.money.0,
                    "an answer cost more than its worst case: check the model's prices and limits"
                );
            }
        }
        let principal = &self.call.principal;
        if let Some(tally) = principal.tally.as_ref().filter(|_| principal.money.is_none()) {
            tally.charge(reserved_ms, cost.0);
        }
        if let Some(tally) = self.proxy_tally.take() {
            tally.charge(reserved_ms, cost.0);
        }
        let record = self.record(ending, cost, source, reserved_ms);
        self.gateway.unsettled.settle(&*self.gateway.journal, record);
        Settled { cost, usage, parts }
    }

    /// Whether what the client saw, before it went away, is all that was made.
    fn was_shown(&self, ending: Ending) -> bool {
        ending == Ending::ClientGoneAfter
            && !self.seen.unread
            && self.candidate.facts.shows_all_output
            && !self.bound.rereads
    }

    /// Whether the provider's cheaper hours hold, at the beginning and at the
    /// end: which of them counts is the provider's to say.
    fn is_off_peak(&self, prices: &Prices) -> bool {
        prices.is_off_peak(self.started_at_ms) && prices.is_off_peak(self.gateway.clock.unix_ms())
    }

    /// What the attempt cost, and how we know.
    ///
    /// What a provider states as its price counts, and reported usage is priced:
    /// the last word of an answer that came to its end. Without it, a provider that answered, or that
    /// may have worked before the connection broke, is charged at its bound
    /// where money is reserved, and else priced by bytes; a provider that
    /// refused, or that was never reached, is not charged.
    fn price(&self, ending: Ending) -> (NanoUsd, CostSource) {
        let refused = self.status.is_some_and(|status| !status.is_success());
        let free = bound::is_free(self.call.surface);
        if self.phase == Phase::Prepared || ending == Ending::Refused || refused || free {
            return (NanoUsd::ZERO, CostSource::None);
        }
        match self.seen.usage.as_ref().and_then(catalog::stated) {
            Some(stated) if self.seen.whole => (stated, CostSource::Provider),
            // A running sum, cut off: at least that.
            Some(so_far) => {
                let (cost, source) = self.computed(ending);
                (cost.max(so_far), source)
            }
            None => self.computed(ending),
        }
    }

    /// The same, by our own prices.
    fn computed(&self, ending: Ending) -> (NanoUsd, CostSource) {
        let held = self.reservation.as_ref().map(|held| held.held().money);
        let held = held.filter(|_| self.capped);
        let Some(prices) = &self.candidate.facts.prices else {
            return match held {
                Some(ceiling) if ceiling > NanoUsd::ZERO => (ceiling, CostSource::Estimated),
                _ => (NanoUsd::ZERO, CostSource::None),
            };
        };
        if let Some(usage) = self.whole_usage() {
            let cost = self.cost(prices, &usage);
            return match held {
                Some(held) if cost.unpriced || !self.covered => {
                    (cost.total.max(held), CostSource::Estimated)
                }
                _ => (cost.total, CostSource::Computed),
            };
        }
        let guess = bound::estimated_tokens(self.seen.output_bytes);
        // It said that it failed before it said anything else: nothing was made.
        let nothing_made = self.seen.failed && self.seen.output_bytes == 0;
        let usage = match (self.seen.usage, held) {
            (_, Some(held)) if !self.covered => return (held, CostSource::Estimated),
            (None, Some(_)) if nothing_made => {
                Usage { input: self.body_bytes.min(self.bound.input_tokens), ..Usage::default() }
            }
            (Some(usage), Some(_)) if nothing_made => usage,
            // All of the output was shown: no token is less than a byte, and a
            // few may have been under way.
            (usage, Some(_)) if self.was_shown(ending) => {
                let usage = usage.unwrap_or_default();
                let input = if usage.input > 0 { usage.input } else { self.bound.input_tokens };
                let under_way = UNDER_WAY_TOKENS.saturating_mul(self.choices);
                let shown = self.seen.output_bytes.saturating_add(under_way);
                let output = usage.output.max(shown.min(self.bound.output_tokens));
                Usage { input, output, ..usage }
            }
            // The input is known by now; the output is what was allowed.
            (Some(usage), Some(_)) if usage.input > 0 && !self.bound.rereads => {
                Usage { output: usage.output.max(self.bound.output_tokens), ..usage }
            }
            (_, Some(held)) => return (held, CostSource::Estimated),
            (Some(usage), None) => Usage { output: usage.output.max(guess), ..usage },
            (None, None) => {
                let input = bound::estimated_tokens(self.body_bytes);
                Usage { input, output: guess, ..Usage::default() }
            }
        };
        let cost = self.cost(prices, &usage);
        let most = held.filter(|_| cost.unpriced).unwrap_or(cost.total);
        (cost.total.max(most), CostSource::Estimated)
    }

    /// The provider's final usage, with the searches that it does not count.
    fn whole_usage(&self) -> Option<Usage> {
        let usage = self.seen.usage.filter(|_| self.seen.whole)?;
        // OpenAI searches once where it is asked to, and does not count it.
        let asked_once = u64::from(self.bound.search_key == Some("web_search_options"));
        let searches = usage.searches.max(self.candidate.facts.own_searches).max(asked_once);
        Some(Usage { searches, ..usage })
    }

    /// The parts of a cost that was computed from final usage.
    fn parts(&self) -> Option<catalog::Cost> {
        let prices = self.candidate.facts.prices.as_ref()?;
        Some(self.cost(prices, &self.whole_usage()?))
    }

    fn cost(&self, prices: &Prices, usage: &Usage) -> catalog::Cost {
        let off_peak = self.is_off_peak(prices);
        let terms = |tier| Terms { off_peak, ..self.asked.terms(tier) };
        let cost = catalog::cost(prices, usage, terms(self.seen.tier));
        if !self.asked.is_unconfirmed(self.seen.tier) {
            return cost;
        }
        let ordinary = catalog::cost(prices, usage, terms(Some(Tier::Standard)));
        if ordinary.total > cost.total { ordinary } else { cost }
    }
}

/// Records of others that one call writes down before it goes on.
const RETRIED_MAX: usize = 64;

/// What a provider may have made of each answer and not yet sent when its
/// client hangs up.
const UNDER_WAY_TOKENS: u64 = 256;

/// Whether all that a call may use has a price that can be counted.
fn covers(prices: Option<&Prices>, surface: Surface, bound: &Bound) -> bool {
    prices.is_some_and(|prices| {
        (prices.prices_output() || !bound::generates(surface))
            && prices.missed(bound.media).is_none()
    })
}

/// The most that an attempt costs; `prices` only where they cover it.
fn worst_case(
    prices: Option<&Prices>,
    bound: &Bound,
    capped: bool,
    ceiling: Option<NanoUsd>,
) -> Result<NanoUsd, Refused> {
    if let Some(key) = bound.refused.filter(|_| capped) {
        return Err(Refused::Unbounded(key));
    }
    match prices {
        Some(prices) => {
            let free_searches = catalog::worst_case_searches(prices, 1) == NanoUsd::ZERO;
            match bound.search_key.filter(|_| capped && free_searches) {
                Some(key) => Err(Refused::Unbounded(key)),
                None => Ok(bound::worst_case(prices, bound)),
            }
        }
        None if capped => ceiling.ok_or(Refused::Unpriced),
        None => Ok(NanoUsd::ZERO),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let ending = match self.phase {
            Phase::Prepared | Phase::Sent => Ending::ClientGoneBefore,
            Phase::Answering if self.first_byte_at.is_none() => Ending::ClientGoneBefore,
            Phase::Answering => Ending::ClientGoneAfter,
        };
        self.settle_once(ending);
    }
}
