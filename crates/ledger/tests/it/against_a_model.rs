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
    Extend { which: usize, amount: i64 },
    Settle { which: usize, amount: i64 },
    Drop { which: usize },
    Wait { ms: i64 },
    Limit { cell: u8, limit: i64 },
}

fn step(extend: bool) -> impl Strategy<Value = Step> {
    let extend_weight = u32::from(extend) * 3;
    prop_oneof![
        6 => (0_u8..8, 0_i64..60).prop_map(|(cells, amount)| Step::Reserve { cells, amount }),
        extend_weight =>
            (any::<usize>(), 0_i64..40).prop_map(|(which, amount)| Step::Extend { which, amount }),
        4 => (any::<usize>(), 0_i64..90).prop_map(|(which, amount)| Step::Settle { which, amount }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        2 => (0..DAY_MS).prop_map(|ms| Step::Wait { ms }),
        1 => (0..4 * DAY_MS).prop_map(|ms| Step::Wait { ms }),
        1 => (0_u8..3, 0_i64..300).prop_map(|(cell, limit)| Step::Limit { cell, limit }),
    ]
}

/// One reservation: what it holds by the time it was taken.
struct Open {
    reservation: Reservation,
    cells: u8,
    parts: Vec<(i64, i64)>,
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
            .flat_map(|open| &open.parts)
            .filter(|(at_ms, _)| window_of(cell, *at_ms) == window)
            .map(|(_, amount)| amount)
            .sum()
    }

    fn fits(&self, open: &[Open], cells: u8, amount: i64, now_ms: i64) -> bool {
        (0..3).filter(|cell| cells >> cell & 1 == 1).all(|cell| {
            self.spent(cell, now_ms) + Self::held(open, cell, now_ms) + amount <= self.limits[cell]
        })
    }

    /// Earlier windows keep what they hold, the last one pays the rest.
    fn charge(&mut self, cells: u8, parts: &[(i64, i64)], actual: i64) {
        for cell in (0..3).filter(|cell| cells >> cell & 1 == 1) {
            let last = window_of(cell, parts.last().unwrap().0);
            let earlier: i64 = parts
                .iter()
                .filter(|(at_ms, _)| window_of(cell, *at_ms) != last)
                .map(|(_, amount)| amount)
                .sum();
            self.charges.push((cell, last, (actual - earlier).max(0)));
        }
    }
}

/// Runs the steps. Without extensions (which the account puts in one window)
/// the store's account must agree too.
fn run(steps: Vec<Step>, extensions: bool) -> Result<(), TestCaseError> {
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
                    open.push(Open { reservation, cells: set, parts: vec![(now_ms, amount)] });
                    for cell in &mine {
                        let usage = cell.usage();
                        prop_assert!(usage.spent + usage.held <= usage.limit);
                    }
                }
            }
            Step::Extend { which, amount } if !open.is_empty() => {
                let which = which % open.len();
                let fits = model.fits(&open, open[which].cells, amount, now_ms);
                prop_assert_eq!(open[which].reservation.extend(money(amount)).is_ok(), fits);
                if fits {
                    open[which].parts.push((now_ms, amount));
                }
            }
            Step::Settle { which, amount } if !open.is_empty() => {
                let Open { reservation, cells, parts } = open.swap_remove(which % open.len());
                charged.push((cells, parts[0].0, amount));
                model.charge(cells, &parts, amount);
                let held: i64 = parts.iter().map(|(_, amount)| amount).sum();
                let overrun = reservation.settle(money(amount)).map_or(0, |over| over.money.0);
                prop_assert_eq!(overrun, (amount - held).max(0));
            }
            Step::Drop { which } if !open.is_empty() => {
                let Open { reservation, cells, parts } = open.swap_remove(which % open.len());
                let held = parts.iter().map(|(_, amount)| amount).sum();
                charged.push((cells, parts[0].0, held));
                model.charge(cells, &parts, held);
                drop(reservation);
            }
            Step::Wait { ms } => clock.advance(ms),
            Step::Limit { cell, limit } => {
                model.limits[usize::from(cell)] = limit;
                let window = WINDOWS[usize::from(cell)];
                budget(&book, cell, limit, window);
            }
            Step::Extend { .. } | Step::Settle { .. } | Step::Drop { .. } => {}
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
    for (number, cell) in cells.iter().enumerate().filter(|_| !extensions) {
        let window = WINDOWS[number].map(|text| text.parse::<Window>().unwrap());
        let mut account = Account {
            window,
            resets_at_ms: window.map(|window| window.next_reset(0)),
            ..Account::default()
        };
        let mine = charged.iter().filter(|(cells, ..)| cells >> number & 1 == 1);
        for (_, reserved_ms, amount) in mine {
            account.charge(*reserved_ms, NanoUsd(*amount));
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
    fn the_book_does_what_the_model_does(steps in prop::collection::vec(step(false), 0..80)) {
        run(steps, false)?;
    }

    #[test]
    fn the_book_does_what_the_model_does_with_extensions(
        steps in prop::collection::vec(step(true), 0..80),
    ) {
        run(steps, true)?;
    }
}

#[test]
fn an_opening_is_where_the_cell_goes_on() {
    let book = Book::new(HeldClock::at(0));
    let allowance = ledger::Allowance::money(crate::key(9), NanoUsd(100), None);
    let cell = book.open(allowance, Opening { spent: 90, window_ends_ms: None });
    assert!(reserve(&[Arc::clone(&cell)], money(11)).is_err());
    cell.restate(Opening::default());
    assert!(reserve(&[cell], money(11)).is_ok());
}
