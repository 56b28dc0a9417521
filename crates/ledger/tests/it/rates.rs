//! Limits per minute hold in every interval of 60 seconds.

use crate::{HeldClock, key};
use base::{Clock as _, NanoUsd};
use ledger::{
    Allowance, Ask, Book, Cause, Cell, Opening, Reservation, admit, available_tokens, count_retry,
    reserve,
};
use proptest::prelude::*;
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
const LIMIT: i64 = 100;

fn tokens(tokens: i64) -> Ask {
    Ask { money: NanoUsd::ZERO, tokens: tokens.unsigned_abs() }
}

fn requests_cell(book: &Book) -> Arc<Cell> {
    book.open(Allowance::requests_per_minute(key(1), LIMIT.unsigned_abs()), Opening::default())
}

fn tokens_cell(book: &Book) -> Arc<Cell> {
    book.open(Allowance::tokens_per_minute(key(1), LIMIT.unsigned_abs()), Opening::default())
}

#[test]
fn no_more_than_the_limit_passes_around_the_boundary_of_a_minute() {
    let clock = HeldClock::at(0);
    let cells = [requests_cell(&Book::new(clock.clone()))];
    drop(admit(&cells).unwrap());
    clock.advance(MINUTE_MS - 1_500);
    let before = (0..LIMIT * 2).filter(|_| admit(&cells).is_ok()).count();
    clock.advance(3_000);
    let after = (0..LIMIT * 2).filter(|_| admit(&cells).is_ok()).count();
    assert_eq!((before, after), (99, 1), "in three seconds");
}

#[test]
fn the_whole_limit_may_be_used_at_once() {
    let clock = HeldClock::at(7);
    let cells = [requests_cell(&Book::new(clock.clone()))];
    for _ in 0..3 {
        assert!((0..LIMIT).all(|_| admit(&cells).is_ok()));
        let refusal = admit(&cells).err().unwrap();
        assert_eq!((refusal.cause, refusal.retry_after_ms), (Cause::Spent, Some(MINUTE_MS)));
        assert_eq!(refusal.resets_at_ms, Some(clock.unix_ms() + MINUTE_MS));
        clock.advance(MINUTE_MS);
    }
}

#[test]
fn a_retry_counts_as_a_request_and_takes_no_place_in_flight() {
    let book = Book::new(HeldClock::at(0));
    let places = book.open(Allowance::in_flight(key(1), 1), Opening::default());
    let cells = [book.open(Allowance::requests_per_minute(key(1), 3), Opening::default()), places];
    let _hold = admit(&cells).unwrap();
    count_retry(&cells).unwrap();
    count_retry(&cells).unwrap();
    assert_eq!(count_retry(&cells).err().unwrap().cause, Cause::Spent);
    assert_eq!((cells[0].usage().spent, cells[1].usage().held), (3, 1));
}

#[test]
fn an_answer_that_lasts_longer_than_a_minute_is_held_and_then_charged() {
    let clock = HeldClock::at(0);
    let cells = [tokens_cell(&Book::new(clock.clone()))];
    let long = reserve(&cells, tokens(80)).unwrap();
    clock.advance(MINUTE_MS + 5_000);
    assert_eq!(available_tokens(&cells), Some(20), "it still holds");
    long.settle(tokens(90));
    assert_eq!(available_tokens(&cells), Some(10));
    clock.advance(MINUTE_MS - 1);
    assert_eq!(available_tokens(&cells), Some(10));
    clock.advance(1);
    assert_eq!(available_tokens(&cells), Some(100));
}

#[test]
fn a_long_answer_counts_in_the_minutes_in_which_it_streams() {
    let clock = HeldClock::at(0);
    let cells = [tokens_cell(&Book::new(clock.clone()))];
    let mut long = reserve(&cells, tokens(90)).unwrap();
    let mut left = Vec::new();
    // 30 tokens a minute for three minutes.
    for tokens_so_far in (1..=9).map(|tenth| tenth * 10) {
        long.charge_streamed(tokens_so_far);
        long.charge_streamed(tokens_so_far);
        left.push(available_tokens(&cells).unwrap());
        clock.advance(MINUTE_MS / 3);
    }
    assert_eq!(left, [10, 10, 10, 20, 30, 40, 50, 60, 70]);
    assert_eq!(long.settle(tokens(95)).map(|over| over.tokens), Some(5));
    assert_eq!(available_tokens(&cells), Some(75), "two parts of ten, and five at the end");
}

#[test]
fn a_dropped_reservation_charges_what_was_not_charged_while_it_streamed() {
    let cells = [tokens_cell(&Book::new(HeldClock::at(0)))];
    let mut dropped = reserve(&cells, tokens(60)).unwrap();
    dropped.charge_streamed(50);
    drop(dropped);
    assert_eq!((cells[0].usage().spent, cells[0].usage().held), (60, 0));
}

#[test]
fn an_overrun_is_paid_back_before_anything_else_passes() {
    let clock = HeldClock::at(0);
    let cells = [tokens_cell(&Book::new(clock.clone()))];
    reserve(&cells, tokens(25)).unwrap().settle(tokens(640));
    let refusal = reserve(&cells, tokens(25)).err().unwrap();
    assert_eq!((refusal.cause, refusal.spent), (Cause::Spent, 640));
    // Six whole minutes, and 40 in the seventh.
    assert_eq!(refusal.retry_after_ms, Some(6 * MINUTE_MS));
    clock.advance(6 * MINUTE_MS - 1);
    assert!(reserve(&cells, tokens(1)).is_err());
    clock.advance(1);
    assert!(reserve(&cells, tokens(61)).is_err());
    assert!(reserve(&cells, tokens(60)).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    Reserve { amount: i64 },
    Stream { which: usize, more: i64 },
    Settle { which: usize, more: i64 },
    Drop { which: usize },
    Wait { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Admit),
        6 => (0_i64..60).prop_map(|amount| Step::Reserve { amount }),
        6 => (any::<usize>(), 0_i64..30).prop_map(|(which, more)| Step::Stream { which, more }),
        4 => (any::<usize>(), -20_i64..60).prop_map(|(which, more)| Step::Settle { which, more }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        6 => (0_i64..3_000).prop_map(|ms| Step::Wait { ms }),
        2 => (0_i64..70_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

struct Open {
    reservation: Reservation,
    held: i64,
    streamed: i64,
}

/// Uses with their times; those within 60 seconds before `now_ms`.
fn recent(uses: &[(i64, i64)], now_ms: i64) -> i64 {
    uses.iter().filter(|(at, _)| *at > now_ms - MINUTE_MS).map(|(_, amount)| amount).sum()
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let clock = HeldClock::at(0);
    let book = Book::new(clock.clone());
    let (requests, cell) = ([requests_cell(&book)], [tokens_cell(&book)]);
    let (mut admitted, mut covered, mut all) = (Vec::new(), Vec::new(), 0);
    let mut open: Vec<Open> = Vec::new();
    // What the reservation covers of a charge, and the whole charge.
    let mut charge = |now_ms: i64, held: &mut i64, amount: i64, all: &mut i64| {
        let from_held = amount.min(*held);
        *held -= from_held;
        covered.push((now_ms, from_held));
        *all += amount;
        recent(&covered, now_ms)
    };
    for step in steps {
        let now_ms = clock.unix_ms();
        match step {
            Step::Admit => {
                let before = recent(&admitted, now_ms);
                match admit(&requests) {
                    Ok(_) => admitted.push((now_ms, 1)),
                    // A use counts for less than a second too long.
                    Err(_) => prop_assert!(recent(&admitted, now_ms - 1_000) >= LIMIT, "{before}"),
                }
                prop_assert!(recent(&admitted, now_ms) <= LIMIT);
            }
            Step::Reserve { amount } => match reserve(&cell, tokens(amount)) {
                Ok(reservation) => {
                    open.push(Open { reservation, held: amount, streamed: 0 });
                    let held: i64 = open.iter().map(|open| open.held).sum();
                    // All that was ever used has found room in some minute.
                    prop_assert!(all + held <= LIMIT * (now_ms / MINUTE_MS + 1));
                }
                Err(refusal) => {
                    if let Some(wait_ms) = refusal.retry_after_ms {
                        clock.advance(wait_ms - 1);
                        prop_assert!(reserve(&cell, tokens(amount)).is_err());
                        clock.advance(1);
                        let taken = reserve(&cell, tokens(amount));
                        prop_assert!(taken.is_ok(), "{refusal} {wait_ms}");
                        open.extend(taken.ok().map(|reservation| Open {
                            reservation,
                            held: amount,
                            streamed: 0,
                        }));
                    } else {
                        let held: i64 = open.iter().map(|open| open.held).sum();
                        prop_assert!(held + amount > LIMIT, "calls in flight stand in the way");
                    }
                }
            },
            Step::Stream { which, more } if !open.is_empty() => {
                let at = which % open.len();
                let open = &mut open[at];
                open.streamed += more;
                open.reservation.charge_streamed(open.streamed.unsigned_abs());
                charge(now_ms, &mut open.held, more, &mut all);
            }
            Step::Settle { which, more } if !open.is_empty() => {
                let Open { reservation, mut held, streamed } = open.swap_remove(which % open.len());
                reservation.settle(tokens((streamed + more).max(0)));
                charge(now_ms, &mut held, more.max(0), &mut all);
            }
            Step::Drop { which } if !open.is_empty() => {
                let Open { reservation, mut held, .. } = open.swap_remove(which % open.len());
                let rest = held;
                drop(reservation);
                charge(now_ms, &mut held, rest, &mut all);
            }
            Step::Wait { ms } => clock.advance(ms),
            _ => {}
        }
        let held: i64 = open.iter().map(|open| open.held).sum();
        let mut none = 0;
        let used = charge(clock.unix_ms(), &mut none, 0, &mut all);
        prop_assert!(used + held <= LIMIT, "{used} used in 60 s, {held} held");
        prop_assert_eq!(cell[0].usage().held, held);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sixty_seconds_hold_more_than_the_limit(
        steps in prop::collection::vec(step(), 0..160),
    ) {
        run(steps)?;
    }
}
