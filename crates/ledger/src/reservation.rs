//! Taking from several allowances at once, and giving back.
//!
//! [`admit`] is for the request: one of every request count, one place in
//! flight, the place given back when the [`Hold`] drops. [`count_retry`] takes
//! one of every request count again, for a setting under which each attempt
//! after the first counts as a request. [`reserve`] is for an attempt: the
//! worst case in money and tokens, settled once with the truth.
//! Both lock every cell concerned in one order, look, then take: no other
//! thread sees a half-taken call, and none can slip past a limit.

use crate::allowance::{Unit, count};
use crate::cell::{Cell, Moment, State};
use crate::inline::Inline;
use crate::refusal::{Cause, Refusal};
use base::NanoUsd;
use std::sync::{Arc, MutexGuard};

/// Money and tokens. Negative money counts as nought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Nano-dollars.
    pub money: NanoUsd,
    /// Input and output together.
    pub tokens: u64,
}

impl Ask {
    fn of(self, unit: Unit) -> Option<i64> {
        match unit {
            Unit::Money => Some(self.money.0.max(0)),
            Unit::Tokens => Some(count(self.tokens)),
            Unit::Requests | Unit::InFlight => None,
        }
    }
}

/// By how much the truth exceeded what was reserved. It is charged in full, so
/// a cell may now stand above its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrun {
    /// Nano-dollars above the reservation.
    pub money: NanoUsd,
    /// Tokens above the reservation.
    pub tokens: u64,
}

/// What one reservation has in one cell.
struct Line {
    cell: Arc<Cell>,
    /// The window of `held`; always the same in a sliding window.
    generation: u64,
    held: i64,
}

/// A request's places in flight; given back when dropped.
#[must_use = "dropping it ends the request"]
pub struct Hold {
    lines: Inline<Line>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        for line in self.lines.iter() {
            line.cell.lock().release(line.held);
        }
    }
}

/// What one attempt may cost, taken beforehand. Dropped without
/// [`Reservation::settle`], it is charged in full.
#[must_use = "dropping it charges it in full"]
pub struct Reservation {
    lines: Inline<Line>,
    ask: Ask,
    /// Tokens that are charged already.
    streamed: u64,
    reserved_ms: i64,
    settled: bool,
}

struct Locked<'a> {
    cell: &'a Arc<Cell>,
    state: MutexGuard<'a, State>,
    asked: i64,
}

/// Locks the cells that `amount` concerns, each once, by rising id, so that
/// two calls never wait for each other in a circle.
fn lock(cells: &[Arc<Cell>], amount: impl Fn(Unit) -> Option<i64>) -> Inline<Locked<'_>> {
    let mut locked = Inline::new();
    let mut last: Option<u64> = None;
    loop {
        let next = cells
            .iter()
            .filter(|cell| last.is_none_or(|last| cell.id > last))
            .filter_map(|cell| amount(cell.unit()).map(|asked| (cell, asked)))
            .min_by_key(|(cell, _)| cell.id);
        let Some((cell, asked)) = next else { return locked };
        last = Some(cell.id);
        locked.push(Locked { cell, state: cell.lock(), asked });
    }
}

/// Begins new windows where due; the refusal of the first cell that does not
/// suffice, a final one before one that may pass.
fn check(locked: &mut Inline<Locked<'_>>) -> Result<Moment, Refusal> {
    let mut now = Moment::default();
    let mut waits: Option<Refusal> = None;
    for Locked { cell, state, asked } in locked.iter_mut() {
        state.roll(cell.window(), cell.now_ms(&mut now));
        match state.shortfall(*asked) {
            None => {}
            Some(Cause::Held) => {
                waits.get_or_insert_with(|| cell.refusal(state, *asked, Cause::Held));
            }
            Some(cause) => return Err(cell.refusal(state, *asked, cause)),
        }
    }
    match waits {
        Some(refusal) => Err(refusal),
        None => Ok(now),
    }
}

/// Takes one of every [`Unit::Requests`] and [`Unit::InFlight`] cell in
/// `cells`, or nothing.
///
/// # Errors
/// The first allowance that does not suffice.
pub fn admit(cells: &[Arc<Cell>]) -> Result<Hold, Refusal> {
    take_one(cells, |unit| matches!(unit, Unit::Requests | Unit::InFlight))
}

/// Takes one of every [`Unit::Requests`] cell in `cells`, or nothing: for a
/// further attempt of a request that [`admit`] let in, before its
/// [`reserve`], where each attempt counts as a request.
///
/// # Errors
/// The first allowance that does not suffice.
pub fn count_retry(cells: &[Arc<Cell>]) -> Result<(), Refusal> {
    take_one(cells, |unit| unit == Unit::Requests).map(drop)
}

fn take_one(cells: &[Arc<Cell>], concerns: impl Fn(Unit) -> bool) -> Result<Hold, Refusal> {
    let mut locked = lock(cells, |unit| concerns(unit).then_some(1));
    let mut now = check(&mut locked)?;
    let mut lines = Inline::new();
    for Locked { cell, state, asked } in locked.iter_mut() {
        if cell.unit() == Unit::InFlight {
            state.hold(*asked);
            let (cell, generation) = (Arc::clone(cell), state.generation);
            lines.push(Line { cell, generation, held: *asked });
        } else {
            cell.spend(state, &mut now, *asked);
        }
    }
    Ok(Hold { lines })
}

/// Holds `ask` in every [`Unit::Money`] and [`Unit::Tokens`] cell in `cells`,
/// or nothing.
///
/// # Errors
/// The first allowance that does not suffice.
pub fn reserve(cells: &[Arc<Cell>], ask: Ask) -> Result<Reservation, Refusal> {
    let mut locked = lock(cells, |unit| ask.of(unit));
    let mut now = check(&mut locked)?;
    let mut reserved_ms = 0;
    let mut lines = Inline::new();
    for Locked { cell, state, asked } in locked.iter_mut() {
        state.hold(*asked);
        reserved_ms = reserved_ms.max(cell.unix_ms(&mut now));
        // Only money has windows that outlive the process.
        if cell.unit() == Unit::Money {
            reserved_ms = state.taken_at(reserved_ms);
        }
        let (cell, generation) = (Arc::clone(cell), state.generation);
        lines.push(Line { cell, generation, held: *asked });
    }
    Ok(Reservation { lines, ask, streamed: 0, reserved_ms, settled: false })
}

impl Reservation {
    /// What is reserved in all.
    pub fn held(&self) -> Ask {
        self.ask
    }

    /// When it was made, milliseconds since 1970: the spend record's
    /// `reserved_ms`, which says whose window pays. Nought where no cell counts
    /// money or tokens.
    pub fn reserved_ms(&self) -> i64 {
        self.reserved_ms
    }

    /// Holds `more` money in every cell that counts money, or nothing: for an
    /// answer that goes on beyond what was reserved. A cell whose window has
    /// ended since is left alone.
    ///
    /// # Errors
    /// The first allowance that does not suffice.
    pub fn extend(&mut self, more: NanoUsd) -> Result<(), Refusal> {
        let is_money = |line: &&Line| line.cell.unit() == Unit::Money;
        let cells: Vec<_> =
            self.lines.iter().filter(is_money).map(|line| Arc::clone(&line.cell)).collect();
        let asked = more.0.max(0);
        let mut locked = lock(&cells, |_| Some(asked));
        check(&mut locked)?;
        for Locked { cell, state, .. } in locked.iter_mut() {
            let lines = self.lines.iter_mut();
            for line in lines.filter(|line| line.cell.id == cell.id) {
                if line.generation == state.generation {
                    state.hold(asked);
                    line.held = line.held.saturating_add(asked);
                }
            }
        }
        self.ask.money = self.ask.money.saturating_add(NanoUsd(asked));
        Ok(())
    }

    /// Charges to the limits per minute, now, what the answer has used so far,
    /// `tokens_so_far` in all, and holds that much less: a long answer counts
    /// in the minutes in which it streams. Without effect on money, and if
    /// `tokens_so_far` has not grown. What is charged here is not given back
    /// if [`Reservation::settle`] says less. Locks each token cell for a few
    /// nanoseconds; once a second is often enough, since that is how exactly a
    /// minute is counted.
    pub fn charge_streamed(&mut self, tokens_so_far: u64) {
        let more = count(tokens_so_far).saturating_sub(count(self.streamed));
        if more <= 0 {
            return;
        }
        self.streamed = tokens_so_far;
        let mut now = Moment::default();
        for line in self.lines.iter_mut().filter(|line| line.cell.unit() == Unit::Tokens) {
            let mut state = line.cell.lock();
            if state.generation == line.generation {
                let freed = more.min(line.held);
                line.held -= freed;
                line.cell.convert(&mut state, &mut now, freed, more);
            }
        }
    }

    /// Charges `actual` and gives the rest back. Money counts in the window
    /// that it was reserved in, also where that has ended; tokens count now, but
    /// for those that were charged while they were streamed. `Some` where the
    /// truth was above the reservation: it is charged all the same.
    pub fn settle(mut self, actual: Ask) -> Option<Overrun> {
        self.charge(actual);
        let money = actual.money.saturating_sub(self.ask.money).max(NanoUsd::ZERO);
        let tokens = actual.tokens.saturating_sub(self.ask.tokens);
        (money > NanoUsd::ZERO || tokens > 0).then_some(Overrun { money, tokens })
    }

    fn charge(&mut self, actual: Ask) {
        self.settled = true;
        let mut now = Moment::default();
        for line in self.lines.iter() {
            let mut amount = actual.of(line.cell.unit()).unwrap_or_default();
            if line.cell.unit() == Unit::Tokens {
                amount = amount.saturating_sub(count(self.streamed)).max(0);
            }
            let next = {
                let mut state = line.cell.lock();
                if state.generation != line.generation {
                    continue;
                }
                line.cell.convert(&mut state, &mut now, line.held, amount);
                state.moved_to.clone()
            };
            // Taken after the cell had moved, by a call that began before.
            if let Some(next) = next {
                next.charge(self.reserved_ms, amount);
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.charge(self.ask);
        }
    }
}

fn available(cells: &[Arc<Cell>], unit: Unit) -> Option<i64> {
    cells.iter().filter(|cell| cell.unit() == unit).map(|cell| cell.available()).min()
}

/// The least that any money cell has left; `None` where none caps money.
pub fn available_money(cells: &[Arc<Cell>]) -> Option<NanoUsd> {
    available(cells, Unit::Money).map(NanoUsd)
}

/// The least that any token cell has left; `None` where none caps tokens.
pub fn available_tokens(cells: &[Arc<Cell>]) -> Option<u64> {
    available(cells, Unit::Tokens).and_then(|tokens| u64::try_from(tokens).ok())
}
