//! The book against a model that keeps every part of every reservation in a
//! list and adds them up anew each time; and the store's account against both.

use crate::{HeldClock, budget, money};
use base::{Clock, NanoUsd};
use ledger::{Account, Book, Opening, Reservation, Window, reserve};
use proptest::prelude::*;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
/// Cells of the test: no window, a day, three days.
const WINDOWS: [Option<&str>; 3] = [None, Some("1d"), Some("3d")];

#[derive(Clone, Debug)]
enum Step {
    Reserve { cells: u8, amount: i64 },
    Settle { which: usize, amount: i64 },
    Drop { which: usize },
    Wait { ms: i64 },
    Limit { cell: u8, limit: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..8, 0_i64..60).prop_map(|(cells, amount)| Step::Reserve { cells, amount }),
        4 => (any::<usize>(), 0_i64..90).prop_map(|(which, amount)| Step::Settle { which, amount }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        2 => (0..DAY_MS).prop_map(|ms| Step::Wait { ms }),
        1 => (0..4 * DAY_MS).prop_map(|ms| Step::Wait { ms }),
        1 => (0_u8..3, 0_i64..300).prop_map(|(cell, limit)| Step::Limit { cell, limit }),
    ]
}

/// One reservation: what it holds, and when it was taken.
struct Open {
    reservation: Reservation,
    cells: u8,
    at_ms: i64,
    amount: i64,
}

/// Which window of cell `cell` holds this time. The first ends as
/// `next_reset(0)` says, the others follow.
fn window_of(cell: usize, at_ms: i64) -> i64 {
    match cell {
        0 => 0,
        1 => at_ms.div_euclid(DAY_MS),
        _ => at_ms.div_euclid(3 * DAY_MS),
    }
}

#[derive(Default)]
struct Model {
    limits: [i64; 3],
    /// (cell, window, amount)
    charges: Vec<(usize, i64, i64)>,
}

impl Model {
    fn spent(&self, cell: usize, now_ms: i64) -> i64 {
        let window = window_of(cell, now_ms);
        let mine = self.charges.iter().filter(|(c, w, _)| *c == cell && *w == window);
        mine.map(|(.., amount)| amount).sum()
    }

    fn held(open: &[Open], cell: usize, now_ms: i64) -> i64 {
        let window = window_of(cell, now_ms);
        open.iter()
            .filter(|open| open.cells >> cell & 1 == 1)
            .filter(|open| window_of(cell, open.at_ms) == window)
            .map(|open| open.amount)
            .sum()
    }

    fn fits(&self, open: &[Open], cells: u8, amount: i64, now_ms: i64) -> bool {
        (0..3).filter(|cell| cells >> cell & 1 == 1).all(|cell| {
            self.spent(cell, now_ms) + Self::held(open, cell, now_ms) + amount <= self.limits[cell]
        })
    }

    fn charge(&mut self, cells: u8, at_ms: i64, actual: i64) {
        for cell in (0..3).filter(|cell| cells >> cell & 1 == 1) {
            self.charges.push((cell, window_of(cell, at_ms), actual));
        }
    }
}

/// Runs the steps; in the end the store's account must agree too.
fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let clock = HeldClock::at(0);
    let book = Book::new(clock.clone());
    let cells: Vec<_> =
        WINDOWS.iter().enumerate().map(|(n, w)| budget(&book, n as u8, 200, *w)).collect();
    let mut model = Model { limits: [200; 3], charges: Vec::new() };
    let mut open: Vec<Open> = Vec::new();
    let mut charged = Vec::new();
    for step in steps {
        let now_ms = clock.unix_ms();
        match step {
            Step::Reserve { cells: set, amount } => {
                let mine: Vec<_> = (0..3_usize)
                    .filter(|cell| set >> cell & 1 == 1)
                    .map(|cell| Arc::clone(&cells[cell]))
                    .collect();
                let fits = model.fits(&open, set, amount, now_ms);
                let taken = reserve(&mine, money(amount));
                prop_assert_eq!(taken.is_ok(), fits);
                if let Ok(reservation) = taken {
                    open.push(Open { reservation, cells: set, at_ms: now_ms, amount });
                    for cell in &mine {
                        let usage = cell.usage();
                        prop_assert!(usage.spent + usage.held <= usage.limit);
                    }
                }
            }
            Step::Settle { which, amount } if !open.is_empty() => {
                let Open { reservation, cells, at_ms, amount: held } =
                    open.swap_remove(which % open.len());
                charged.push((cells, at_ms, amount));
                model.charge(cells, at_ms, amount);
                let overrun = reservation.settle(money(amount)).map_or(0, |over| over.money.0);
                prop_assert_eq!(overrun, (amount - held).max(0));
            }
            Step::Drop { which } if !open.is_empty() => {
                let Open { reservation, cells, at_ms, amount } =
                    open.swap_remove(which % open.len());
                charged.push((cells, at_ms, amount));
                model.charge(cells, at_ms, amount);
                drop(reservation);
            }
            Step::Wait { ms } => clock.advance(ms),
            Step::Limit { cell, limit } => {
                model.limits[usize::from(cell)] = limit;
                let window = WINDOWS[usize::from(cell)];
                budget(&book, cell, limit, window);
            }
            Step::Settle { .. } | Step::Drop { .. } => {}
        }
        let now_ms = clock.unix_ms();
        for (number, cell) in cells.iter().enumerate() {
            let usage = cell.usage();
            prop_assert_eq!(usage.spent, model.spent(number, now_ms));
            prop_assert_eq!(usage.held, Model::held(&open, number, now_ms));
        }
    }
    // The account of the store, charged in the order of settlement, ends where
    // the cell does.
    for (number, cell) in cells.iter().enumerate() {
        let window = WINDOWS[number].map(|text| text.parse::<Window>().unwrap());
        let mut account = Account {
            window,
            resets_at_ms: window.map(|window| window.next_reset(0)),
            ..Account::default()
        };
        let mine = charged.iter().filter(|(cells, ..)| cells >> number & 1 == 1);
        let mut now_ms = 0;
        for (_, reserved_ms, amount) in mine {
            now_ms = now_ms.max(*reserved_ms);
            account.charge(*reserved_ms, NanoUsd(*amount), now_ms);
        }
        account.roll(clock.unix_ms());
        prop_assert_eq!(account.spend.0, cell.usage().spent);
        prop_assert_eq!(account.resets_at_ms, cell.usage().resets_at_ms);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_book_does_what_the_model_does(steps in prop::collection::vec(step(), 0..80)) {
        run(steps)?;
    }

    /// Whatever moves where and however many calls go on in cells that were
    /// left: where the count stands, nothing that was charged is missing, and
    /// all that is let through there fits.
    #[test]
    fn a_count_that_moves_loses_nothing(steps in prop::collection::vec(moving(), 0..60)) {
        let book = Book::new(HeldClock::at(0));
        let cells: Vec<_> =
            WINDOWS.iter().map(|window| budget(&book, 7, LIMIT, *window)).collect();
        let (mut now, mut open, mut charged) = (0, Vec::new(), 0);
        // Nobody knows a cell before the count stood there.
        let mut known = [true, false, false];
        for step in steps {
            match step {
                Moving::To { cell } if cell != now => {
                    cells[now].move_to(&cells[cell], None);
                    now = cell;
                    known[cell] = true;
                }
                Moving::Reserve { cell, amount } if known[cell] => {
                    let before = cells[cell].usage();
                    if let Ok(reservation) = reserve(&[Arc::clone(&cells[cell])], money(amount)) {
                        prop_assert!(before.spent + before.held + amount <= LIMIT);
                        open.push((reservation, amount));
                    }
                }
                Moving::Settle { which } if !open.is_empty() => {
                    let (reservation, amount) = open.swap_remove(which % open.len());
                    reservation.settle(money(amount));
                    charged += amount;
                }
                Moving::Charge { cell, amount } if known[cell] => {
                    cells[cell].charge(0, amount);
                    charged += amount;
                }
                _ => {}
            }
            prop_assert!(cells[now].usage().spent >= charged);
        }
        for (reservation, amount) in open {
            reservation.settle(money(amount));
            charged += amount;
        }
        let usage = cells[now].usage();
        prop_assert!(usage.spent >= charged && usage.held == 0, "{usage:?} {charged}");
    }
}

const LIMIT: i64 = 200;

#[derive(Clone, Debug)]
enum Moving {
    To { cell: usize },
    Reserve { cell: usize, amount: i64 },
    Settle { which: usize },
    Charge { cell: usize, amount: i64 },
}

fn moving() -> impl Strategy<Value = Moving> {
    prop_oneof![
        2 => (0_usize..3).prop_map(|cell| Moving::To { cell }),
        4 => (0_usize..3, 0_i64..60).prop_map(|(cell, amount)| Moving::Reserve { cell, amount }),
        3 => any::<usize>().prop_map(|which| Moving::Settle { which }),
        1 => (0_usize..3, 0_i64..9).prop_map(|(cell, amount)| Moving::Charge { cell, amount }),
    ]
}

#[test]
fn an_opening_is_where_the_cell_goes_on() {
    let book = Book::new(HeldClock::at(0));
    let allowance = ledger::Allowance::money(crate::key(9), NanoUsd(100), None);
    let cell = book.open(allowance, Opening { spent: 90, ..Opening::default() });
    assert!(reserve(&[Arc::clone(&cell)], money(11)).is_err());
    cell.restate(Opening::default());
    assert!(reserve(&[cell], money(11)).is_ok());
}
