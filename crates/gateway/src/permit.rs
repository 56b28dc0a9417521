//! A permit: the right to make one attempt upstream.
//!
//! No upstream is called without one. It holds the worst case of every
//! allowance that applies, all or nothing, and is settled exactly once: by
//! [`Permit::settle`], or, where the attempt is dropped in the middle (the
//! client went away, a panic), by its `Drop`, from what was seen so far.
//! Either way one spend record is in the journal before the caller goes on.

use crate::admission::Admission;
use crate::bound::{self, Bound, Left, Sent};
use crate::call::Call;
use crate::deployment::Candidate;
use crate::detach::Presence;
use crate::effective::Effective;
use crate::estimates::ShareReached;
use crate::gateway::Gateway;
use crate::price_keys::{self, Asked};
use crate::pricing::{self, Charge, Conditions, Evidence, Row};
use base::NanoUsd;
use catalog::{Prices, Terms, Tier};
use dialect::Surface;
use dialect::tap::Observed;
use dialect::{ErrorClass, Usage};
use http::StatusCode;
use ledger::{Ask, Cell, CostSource, Ending, Hold, Refusal, Reservation, Unit, Written};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What an attempt showed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Usage that the provider reported so far.
    pub usage: Option<Usage>,
    /// The usage is final.
    pub is_final: bool,
    /// Bytes of text that came back, for estimates.
    pub output_bytes: u64,
    /// Output came back that `output_bytes` does not measure.
    pub has_unmeasured_output: bool,
    /// The tier that served it, where the provider said so.
    pub tier: Option<Tier>,
    /// Status of an error that the provider reported in an answer with status 200.
    pub failed: Option<u16>,
    /// The error is a refusal of the content or of the input's length.
    pub is_refusal: bool,
}

impl Seen {
    /// Takes over what a tap observed; `is_complete` is true if no choice is
    /// still to come.
    pub fn update(&mut self, observed: &Observed, is_complete: bool) {
        self.usage = observed.usage;
        self.is_final = is_complete && observed.usage_is_final;
        self.output_bytes = observed.output_text_bytes;
        self.has_unmeasured_output = observed.has_unmeasured_output;
        self.tier = observed.service_tier.as_deref().map(price_keys::tier);
    }

    /// Notes the class of an error, and its status where it came under 200.
    pub fn fail(&mut self, class: ErrorClass, in_band: Option<u16>) {
        self.failed = in_band.or(self.failed);
        self.is_refusal = matches!(class, ErrorClass::ContentPolicy | ErrorClass::ContextLength);
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
    /// The budget that all keys share.
    shared: Option<Arc<Cell>>,
    _deployment: Option<Hold>,
    bound: Bound,
    /// Output that is paid for by what is reserved, in tokens.
    reserved_output_tokens: u64,
    asked: Asked,
    /// Money is reserved: what is not known is charged at its bound.
    capped: bool,
    /// All that a call may use has a price.
    covered: bool,
    body_bytes: u64,
    pub(crate) started_at: Duration,
    phase: Phase,
    settled: bool,
    /// Entry written before the upstream is called; see
    /// [`Permit::written_down`].
    opened: Option<Written>,
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
    /// The key's estimated charges have reached its share of a shared budget.
    ShareReached(ShareReached),
    /// Many attempts of the key still run without their clients.
    Crowded,
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
        if attempt > 1 && admission.runtime.retries_count_as_requests {
            count_request(admission)?;
        }
        let deployment = match &candidate.deployment.in_flight {
            Some(cell) => {
                let place = ledger::admit(std::slice::from_ref(cell));
                Some(place.map_err(|_| Refused::DeploymentFull)?)
            }
            None => None,
        };
        let sent = effective.sent();
        let is_unlimited = candidate.deployment.health.exceeds_output_limit();
        let sent = Sent { takes_no_limit: sent.takes_no_limit || is_unlimited, ..sent };
        let is_free = bound::is_free(admission.call.surface);
        let cells = if is_free { Cow::Borrowed(&[][..]) } else { admission.permit_cells() };
        check_abandoned(admission)?;
        // Also where nothing is reserved: settlement goes by it.
        let bound = if is_free {
            Bound::default()
        } else {
            let left = Left {
                money: ledger::available_money(&cells),
                tokens: ledger::available_tokens(&cells),
                output_floor_tokens: admission.runtime.output_floor_tokens,
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
            let ask = Ask { money, tokens: bound.rate_tokens };
            Some(ledger::reserve(&cells, ask).map_err(Refused::Allowance)?)
        };
        let started_at = gateway.clock.monotonic();
        let mut permit = Box::new(Self {
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
            shared: admission.runtime.proxy_permit.first().map(Arc::clone),
            _deployment: deployment,
            bound,
            reserved_output_tokens: bound.output_tokens,
            asked: Asked::of(sent.head, sent.body),
            capped,
            covered,
            body_bytes: sent.body.len() as u64,
            started_at,
            phase: Phase::Prepared,
            settled: false,
            opened: None,
        });
        if permit.shared.is_some() {
            let caller = admission.call.principal.identity;
            gateway.estimates.hold(caller, permit.held().unwrap_or_default());
        }
        permit.opened = permit.write_down()?;
        permit.call.client.set_held(permit.held().unwrap_or_default());
        Ok(permit)
    }

    fn write_down(&self) -> Result<Option<Written>, Refused> {
        let Some(reservation) = self.reservation.as_ref().filter(|_| self.capped) else {
            return Ok(None);
        };
        let opened = self.opened(reservation.held().money, reservation.reserved_ms());
        self.gateway.journal.open(&opened).map(Some).map_err(Refused::Journal)
    }

    /// Waits until what was written down is durable. To be awaited before the
    /// upstream is called.
    ///
    /// # Errors
    /// [`Refused::Journal`]; the permit must not be used then.
    pub async fn written_down(&mut self) -> Result<(), Refused> {
        match self.opened.take() {
            Some(opened) => opened.await.map_err(Refused::Journal),
            None => Ok(()),
        }
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

    /// Charges to the limits on tokens what the answer has used so far, so that a
    /// long answer counts in the minutes in which it streams.
    pub fn charge_streamed(&mut self) {
        let Some(reservation) = &mut self.reservation else { return };
        let reported = self.seen.usage.unwrap_or_default();
        let output = reported.output.max(bound::estimated_tokens(self.seen.output_bytes));
        reservation.charge_streamed(reported.input.saturating_add(output));
    }

    /// Returns true if the answer is longer than any text of the output that is
    /// reserved, and money is capped: [`Permit::extend`] is due.
    pub fn is_beyond_bound(&self) -> bool {
        let max_bytes = self.reserved_output_tokens.saturating_mul(LONG_TOKEN_BYTES);
        self.capped && self.seen.output_bytes > max_bytes.saturating_add(LONG_ANSWER_BYTES)
    }

    /// Reserves as much output again, for an answer that does not keep its limit.
    ///
    /// # Errors
    /// [`Refusal`] if a budget does not pay for it; the answer must end.
    pub fn extend(&mut self) -> Result<(), Refusal> {
        self.note_long_answer();
        let paid = self.reserved_output_tokens.max(1);
        let seen = bound::estimated_tokens(self.seen.output_bytes);
        let next = paid.saturating_mul(2).max(seen);
        if let (Some(reservation), Some(prices)) =
            (&mut self.reservation, self.candidate.facts.prices.as_deref())
        {
            let cost =
                |output_tokens| bound::worst_case(prices, &Bound { output_tokens, ..self.bound });
            reservation.extend(cost(next).saturating_sub(cost(paid)))?;
        }
        self.reserved_output_tokens = next;
        Ok(())
    }

    fn note_long_answer(&self) {
        if self.candidate.deployment.health.note_long_answer() {
            tracing::warn!(
                deployment = %self.candidate.deployment.id,
                model = %self.candidate.upstream_model,
                limit_tokens = self.bound.output_tokens,
                "an answer was longer than the output limit that was sent: calls under a budget \
                 hold the model's own limit from now on"
            );
        }
    }

    /// Settles with the truth, as `ending` and what was seen tell it.
    pub fn settle(mut self: Box<Self>, ending: Ending) -> Settled {
        // Written down already; nobody waits for more.
        self.settle_once(ending).0
    }

    /// As [`Permit::settle`]; the second is ready once the record is durable,
    /// which the end of the client's answer waits for.
    pub fn settle_durably(mut self: Box<Self>, ending: Ending) -> (Settled, Written) {
        self.settle_once(ending)
    }

    fn settle_once(&mut self, ending: Ending) -> (Settled, Written) {
        self.settled = true;
        let ending = match (ending, self.call.client.presence()) {
            // Finished in the background, after its client had gone.
            (Ending::Complete | Ending::CompleteWithoutUsage, Presence::HungUp) => {
                Ending::ClientGoneBefore
            }
            (
                Ending::Complete
                | Ending::CompleteWithoutUsage
                | Ending::ClientGoneBefore
                | Ending::ClientGoneAfter,
                Presence::TimedOut,
            ) => Ending::Timeout,
            (ending, _) => ending,
        };
        let Charge { cost, source, usage, parts, row } = self.charge(ending);
        let output = self.seen.usage.map_or(0, |usage| usage.output);
        let limit = self.bound.output_tokens;
        if limit < self.bound.most_output_tokens
            && output > limit.saturating_add((limit / 4).max(LIMIT_SLACK_TOKENS))
        {
            self.note_long_answer();
        }
        let reserved_ms =
            self.reservation.as_ref().map_or(self.started_at_ms, Reservation::reserved_ms);
        self.account(cost, source);
        if let Some(reservation) = self.reservation.take() {
            let used = usage.map_or(0, |usage| usage.total());
            // As money does, tokens settle at what was held where nothing is known.
            let is_unknown = matches!(row, Row::UnknownStatus | Row::Held | Row::Guessed);
            let held = if is_unknown { reservation.held().tokens } else { 0 };
            let tokens = used.max(held);
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
        let record = self.record(ending, cost, source, usage.as_ref(), reserved_ms);
        let written = self.gateway.unsettled.settle(&*self.gateway.journal, record);
        (Settled { cost, usage, parts }, written)
    }

    /// Money that is reserved: what is not known is charged at it.
    fn held(&self) -> Option<NanoUsd> {
        let held = self.reservation.as_ref().map(|reservation| reservation.held().money);
        held.filter(|_| self.capped)
    }

    /// Raises what follows from a settlement beside the record: the key's part
    /// in a shared budget, and an alarm where the usage is not possible.
    fn account(&self, cost: NanoUsd, source: CostSource) {
        let caller = self.call.principal.identity;
        if let Some(held) = self.call.client.take_abandoned() {
            self.gateway.estimates.settle_abandoned(caller, held);
        }
        self.call.client.set_held(NanoUsd::ZERO);
        if let Some(shared) = &self.shared {
            let is_estimated = matches!(source, CostSource::Estimated | CostSource::OutOfBounds);
            let charged = if is_estimated { cost } else { NanoUsd::ZERO };
            let held = self.held().unwrap_or_default();
            self.gateway.estimates.settle(caller, held, charged, shared.usage().resets_at_ms);
        }
        if source == CostSource::OutOfBounds {
            tracing::error!(
                call = %self.call.id,
                deployment = %self.candidate.deployment.id,
                model = %self.candidate.upstream_model,
                input_tokens = self.seen.usage.map(|usage| usage.input),
                output_tokens = self.seen.usage.map(|usage| usage.output),
                "the provider reported more usage than the model can have: charged at most \
                 what the model's limits allow, and the deployment cools down"
            );
            self.gateway.cool(&self.candidate);
        }
    }

    /// Returns true if the provider's cheaper hours hold at the beginning and at
    /// the end of the attempt: which of them counts is the provider's to say.
    fn is_off_peak(&self, prices: &Prices) -> bool {
        prices.is_off_peak(self.started_at_ms) && prices.is_off_peak(self.gateway.clock.unix_ms())
    }

    /// The cost, by the decision table of [`pricing`].
    fn charge(&self, ending: Ending) -> Charge {
        let facts = &self.candidate.facts;
        let billing = &self.candidate.deployment.provider.billing;
        let seen = &self.seen;
        let evidence = Evidence {
            is_free_surface: bound::is_free(self.call.surface),
            has_left: self.phase > Phase::Prepared && ending != Ending::Refused,
            status: self.status.map(|status| status.as_u16()),
            failed: seen.failed,
            is_refusal: seen.is_refusal,
            usage: seen.usage,
            is_final: seen.is_final,
            output_bytes: seen.output_bytes,
            has_unmeasured_output: seen.has_unmeasured_output,
            held: self.held(),
        };
        // OpenAI searches once where it is asked to, and does not count it.
        let asked_once = u64::from(self.bound.search_key == Some("web_search_options"));
        pricing::charge(
            &evidence,
            &Conditions {
                billing,
                prices: facts.prices.as_deref(),
                prices_are_configured: facts.prices_are_configured,
                is_covered: self.covered,
                bound: &self.bound,
                body_bytes: self.body_bytes,
                is_own: self.candidate.deployment.is_own_origin,
                is_text: !self.bound.media,
                own_searches: facts.own_searches.max(asked_once),
                cost: &|prices, usage| self.cost(prices, usage),
            },
        )
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

/// Bytes that a token of output stands for at most, on average over an answer, and
/// what an answer may be longer: beyond that its output limit is not kept.
const LONG_TOKEN_BYTES: u64 = 16;
const LONG_ANSWER_BYTES: u64 = 4 << 10;

/// Tokens above the limit that a provider may report for a kept limit: some count
/// the end of the answer.
const LIMIT_SLACK_TOKENS: u64 = 64;

/// Records of others that one call writes down before it goes on.
const RETRIED_MAX: usize = 64;

/// Takes one more request from every limit on requests.
fn count_request(admission: &Admission) -> Result<(), Refused> {
    let own = &admission.call.principal.admission;
    ledger::count_retry(own).map_err(Refused::Allowance)
}

/// Checks that the caller, unless it is the administrator, has not left too many
/// attempts behind.
fn check_abandoned(admission: &Admission) -> Result<(), Refused> {
    let principal = &admission.call.principal;
    if principal.is_admin() {
        return Ok(());
    }
    let (gateway, caller) = (&admission.gateway, principal.identity);
    if gateway.drains.is_crowded(caller) {
        return Err(Refused::Crowded);
    }
    let Some(shared) = admission.runtime.proxy_permit.first() else { return Ok(()) };
    let percent = admission.runtime.estimated_share_max_percent;
    gateway.estimates.check(&caller, || shared.usage(), percent).map_err(|reached| {
        if reached.is_first {
            tracing::error!(
                key = principal.key_hash().map(|hash| hash.to_string()),
                charged = %reached.charged,
                abandoned = %reached.abandoned,
                "a key has reached its share of the shared budget with calls whose cost is only \
                 estimated; it is refused until the budget resets or such calls end"
            );
        }
        Refused::ShareReached(reached)
    })
}

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
        // Written down already; a drop cannot wait.
        drop(self.settle_once(ending));
    }
}
