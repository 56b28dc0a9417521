//! One allowance's living state.
//!
//! A cell never decides alone: [`crate::reserve`] locks all the cells of a call
//! in the order of their ids, looks at every one, and takes from all or none.

use crate::allowance::{Allowance, Opening, Period, Subject, Unit};
use crate::astray::Astray;
use crate::recent::Recent;
use crate::refusal::{Cause, Refusal};
use base::Clock;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One allowance with what has been spent and is held of it. Made by
/// [`crate::Book::open`].
pub struct Cell {
    pub(crate) id: u64,
    subject: Subject,
    unit: Unit,
    window: Period,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// See [`crate::Book::mark_unused`].
    pub(crate) is_marked: AtomicBool,
}

/// A cell as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellUsage {
    /// The most in one window: nano-dollars for money, else a count.
    pub limit: i64,
    /// Used in this window. Of a sliding one, also usage beyond the limit that
    /// the windows to come pay for.
    pub spent: i64,
    /// Reserved by calls in flight.
    pub held: i64,
    /// When the window ends, milliseconds since 1970; of a sliding one, when
    /// nothing used so far counts any longer.
    pub resets_at_ms: Option<i64>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    limit: i64,
    spent: i64,
    held: i64,
    /// When this window began and ends, in milliseconds on the clock that it
    /// runs on; see [`Moment::on`].
    began_ms: i64,
    ends_ms: Option<i64>,
    /// Counts windows: what was reserved in another one is not in `held`.
    pub(crate) generation: u64,
    /// Usage in a sliding window; `spent` is its total.
    recent: Option<Recent>,
    astray: Astray,
    /// Where charges go that nobody reserved; see [`Cell::move_to`].
    pub(crate) moved_to: Option<Arc<Cell>>,
}

/// One moment on both clocks; each is read once, where it is needed.
#[derive(Default)]
pub(crate) struct Moment {
    unix_ms: Option<i64>,
    monotonic_ms: Option<i64>,
}

impl Moment {
    /// Milliseconds since 1970.
    pub(crate) fn unix_ms(&mut self, clock: &dyn Clock) -> i64 {
        *self.unix_ms.get_or_insert_with(|| clock.unix_ms())
    }

    /// Milliseconds on the clock that `window` runs on.
    pub(crate) fn on(&mut self, window: Period, clock: &dyn Clock) -> i64 {
        match window {
            Period::Ever | Period::Calendar(_) => self.unix_ms(clock),
            Period::Sliding { .. } => {
                let read = || i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
                *self.monotonic_ms.get_or_insert_with(read)
            }
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Cell {
    pub(crate) fn new(
        id: u64,
        allowance: Allowance,
        opening: Opening,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Allowance { subject, unit, window, limit } = allowance;
        // A call that has begun ends in its own time, whatever the clock says.
        let window = if unit == Unit::InFlight { Period::Ever } else { window };
        let mut state = State {
            limit,
            spent: 0,
            held: 0,
            began_ms: i64::MIN,
            ends_ms: None,
            generation: 0,
            recent: match window {
                Period::Sliding { length_ms } => Some(Recent::new(length_ms)),
                Period::Ever | Period::Calendar(_) => None,
            },
            astray: Astray::default(),
            moved_to: None,
        };
        let now_ms = Moment::default().on(window, &*clock);
        state.restate(window, opening, now_ms);
        Self {
            id,
            subject,
            unit,
            window,
            clock,
            state: Mutex::new(state),
            is_marked: AtomicBool::new(false),
        }
    }

    /// What this cell counts.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Whom it binds.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The allowance, with its limit as it is now.
    pub fn allowance(&self) -> Allowance {
        self.allowance_of(&self.lock())
    }

    /// As it stands now.
    pub fn usage(&self) -> CellUsage {
        let state = self.lock_now();
        CellUsage {
            limit: state.limit,
            spent: state.spent,
            held: state.held,
            resets_at_ms: self.resets_at_ms(&state, state.limit.saturating_sub(state.held)),
        }
    }

    /// What is neither spent nor held, at least nought.
    pub fn available(&self) -> i64 {
        let state = self.lock_now();
        state.limit.saturating_sub(state.spent).saturating_sub(state.held).max(0)
    }

    /// A new limit, at once; what is spent and held stays.
    pub fn set_limit(&self, limit: i64) {
        self.lock_now().limit = limit;
    }

    /// Overwrites what is spent (an administrator sets a key's spend). What is
    /// held stays.
    pub fn restate(&self, opening: Opening) {
        self.lock().restate(self.window, opening, self.now_ms(&mut Moment::default()));
    }

    /// Charges what was not reserved here: money of a call that began, at
    /// `began_ms` (since 1970), when nothing limited it. Counts in the window
    /// of its beginning, like a reservation.
    pub fn charge(&self, began_ms: i64, amount: i64) {
        let next = {
            let mut state = self.lock_now();
            let counts = state.recent.is_some() || began_ms >= state.began_ms;
            if state.moved_to.is_none() && counts {
                self.spend(&mut state, &mut Moment::default(), amount);
            }
            state.moved_to.clone()
        };
        if let Some(next) = next {
            next.charge(began_ms, amount);
        }
    }

    /// This subject's money is counted in `next` from now on (its window
    /// changed, or the key was replaced): `next` begins with what this one has
    /// spent, and with what it holds as if that were spent: those reservations
    /// give nothing back. What is charged or reserved here later by calls that
    /// know only this one is charged to `next`, too.
    pub fn move_to(&self, next: &Arc<Self>, window_ends_ms: Option<i64>) {
        self.carry_to(next, Opening { window_ends_ms, ..Opening::default() }, 0);
    }

    /// As [`Cell::move_to`], where the store knows more of the window of
    /// `next` than this cell does: `next` begins with `opening`, which the
    /// store has of it, and with what is spent here beyond `counted`, which is
    /// what the store has of that already. Where `next` is this very cell, and
    /// still in the window of `opening`, it only learns what it did not know.
    pub fn carry_to(&self, next: &Arc<Self>, opening: Opening, counted: i64) {
        let unknown = |state: &State| state.spent.saturating_sub(counted).max(0);
        if self.id == next.id {
            let mut state = self.lock_now();
            if state.ends_ms == opening.window_ends_ms {
                state.spent = opening.spent.saturating_add(unknown(&state));
            }
            return;
        }
        // By rising id, as everywhere: two moves that cross do not wait for
        // each other.
        let (mut from, mut to);
        if self.id < next.id {
            from = self.lock_now();
            to = next.lock();
        } else {
            to = next.lock();
            from = self.lock_now();
        }
        let spent = opening.spent.saturating_add(unknown(&from)).saturating_add(from.held);
        let opening = Opening { spent, ..opening };
        to.restate(next.window, opening, next.now_ms(&mut Moment::default()));
        // A move back: what went on from there comes here.
        to.moved_to = None;
        from.spent = from.spent.saturating_add(from.held);
        from.held = 0;
        from.generation += 1;
        from.moved_to = Some(Arc::clone(next));
    }

    /// Counts `amount` as used now.
    pub(crate) fn spend(&self, state: &mut State, moment: &mut Moment, amount: i64) {
        self.convert(state, moment, 0, amount);
    }

    /// Gives `freed` back of what is held and counts `amount` as used now. The
    /// clock is read only for a sliding window: others were rolled when the
    /// amount was taken, and it belongs to that window.
    pub(crate) fn convert(&self, state: &mut State, now: &mut Moment, freed: i64, amount: i64) {
        let mut now_ms = 0;
        if state.recent.is_some() {
            now_ms = self.now_ms(now);
            state.roll(self.window, now_ms);
        }
        state.release(freed);
        state.spend(now_ms, amount);
    }

    /// Whether forgetting the cell would lose nothing: nothing is held, and
    /// nothing spent counts any longer.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock_now();
        state.held == 0 && state.spent == 0 && self.unit != Unit::Money
    }

    /// Returns true if nothing is held.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.lock().held == 0
    }

    /// On the clock that its window runs on.
    pub(crate) fn now_ms(&self, moment: &mut Moment) -> i64 {
        moment.on(self.window, &*self.clock)
    }

    /// Since 1970.
    pub(crate) fn unix_ms(&self, moment: &mut Moment) -> i64 {
        moment.unix_ms(&*self.clock)
    }

    pub(crate) fn window(&self) -> Period {
        self.window
    }

    /// A panic elsewhere leaves the numbers whole: each change is one step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.roll(self.window, self.now_ms(&mut Moment::default()));
        state
    }

    /// When the window ends, milliseconds since 1970; of a sliding one, when
    /// `asked` more would fit.
    fn resets_at_ms(&self, state: &State, asked: i64) -> Option<i64> {
        let Some(recent) = &state.recent else { return state.ends_ms };
        let mut now = Moment::default();
        let now_ms = self.now_ms(&mut now);
        let room = state.limit.saturating_sub(state.held);
        let wait_ms = recent.fits_at(now_ms, asked, room)?.saturating_sub(now_ms);
        (wait_ms > 0).then(|| self.unix_ms(&mut now).saturating_add(wait_ms))
    }

    fn allowance_of(&self, state: &State) -> Allowance {
        Allowance {
            subject: self.subject.clone(),
            unit: self.unit,
            window: self.window,
            limit: state.limit,
        }
    }

    pub(crate) fn refusal(&self, state: &State, asked: i64, cause: Cause) -> Refusal {
        // What never fits is told when the whole limit is free again.
        let fitting = asked.min(state.limit.saturating_sub(state.held));
        let resets_at_ms =
            self.resets_at_ms(state, if cause == Cause::TooLarge { fitting } else { asked });
        let now_ms = self.unix_ms(&mut Moment::default());
        Refusal {
            allowance: self.allowance_of(state),
            spent: state.spent,
            held: state.held,
            asked,
            resets_at_ms,
            retry_after_ms: resets_at_ms.map(|at_ms| at_ms.saturating_sub(now_ms).max(0)),
            cause,
        }
    }
}

impl State {
    /// Opens the window that holds `now_ms`, if that is another one. What the
    /// old one holds is charged to it when it settles, so that the new one starts
    /// from zero; where the clock was set back, see [`Astray`].
    /// A sliding window has no old one: what is held stays held.
    pub(crate) fn roll(&mut self, window: Period, now_ms: i64) {
        if let Some(recent) = &mut self.recent {
            recent.roll(now_ms, self.limit.saturating_sub(self.held));
            self.spent = recent.total();
            return;
        }
        let (Period::Calendar(window), Some(ends_ms)) = (window, self.ends_ms) else { return };
        if ends_ms <= now_ms {
            let used = self.spent.saturating_add(self.held);
            self.spent = self.astray.leave(ends_ms, used);
            self.held = 0;
            self.generation += 1;
            let next_ms = window.end_after(ends_ms, now_ms);
            self.began_ms = ends_ms.max(window.start_of(next_ms));
            self.ends_ms = Some(next_ms);
        } else if now_ms < self.began_ms && window.is_ahead(ends_ms, now_ms) {
            let ends_ms = window.end_before(ends_ms, now_ms);
            self.spent = self.astray.go_back(ends_ms, self.spent, self.held);
            self.began_ms = window.start_of(ends_ms);
            self.ends_ms = Some(ends_ms);
        }
    }

    fn restate(&mut self, window: Period, opening: Opening, now_ms: i64) {
        if let Some(recent) = &mut self.recent {
            recent.clear();
            self.spend(now_ms, opening.spent);
            return;
        }
        self.spent = opening.spent;
        self.astray = Astray::new(opening.ahead);
        self.ends_ms = match window {
            Period::Ever | Period::Sliding { .. } => None,
            Period::Calendar(window) => {
                let ends_ms = opening.window_ends_ms.unwrap_or_else(|| window.next_reset(now_ms));
                self.began_ms = window.start_of(ends_ms);
                Some(ends_ms)
            }
        };
        if self.held == 0 {
            self.roll(window, now_ms);
        }
    }

    /// Why `asked` more does not fit, if it does not.
    pub(crate) fn shortfall(&self, asked: i64) -> Option<Cause> {
        let (spent, held, asked) =
            (i128::from(self.spent), i128::from(self.held), i128::from(asked));
        let limit = i128::from(self.limit);
        if spent + held + asked <= limit {
            None
        } else if asked > limit && spent < limit {
            Some(Cause::TooLarge)
        } else if spent + asked > limit {
            Some(Cause::Spent)
        } else {
            Some(Cause::Held)
        }
    }

    /// When what is taken now is taken: never before the window began, even
    /// where the clock went back.
    pub(crate) fn taken_at(&self, now_ms: i64) -> i64 {
        now_ms.max(self.began_ms)
    }

    pub(crate) fn hold(&mut self, amount: i64) {
        self.held = self.held.saturating_add(amount);
    }

    /// `now_ms` matters to a sliding window, which is rolled up to it.
    fn spend(&mut self, now_ms: i64, amount: i64) {
        let room = self.limit.saturating_sub(self.held);
        match &mut self.recent {
            Some(recent) => {
                recent.spend(now_ms, amount, room, self.limit);
                self.spent = recent.total();
            }
            None => self.spent = self.spent.saturating_add(amount),
        }
    }

    pub(crate) fn release(&mut self, amount: i64) {
        self.held = self.held.saturating_sub(amount);
    }
}
