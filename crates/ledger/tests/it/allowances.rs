//! What each kind of allowance does, one case at a time.

use crate::{HeldClock, budget, key, money};
use base::{Clock as _, NanoUsd};
use ledger::{
    Allowance, Ask, Book, Cause, Opening, Subject, VirtualKey, admit, available_money,
    available_tokens, reserve,
};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

#[test]
fn nothing_is_taken_where_one_of_several_does_not_suffice() {
    let book = Book::new(HeldClock::at(0));
    let cells = [budget(&book, 1, 100, None), budget(&book, 2, 50, None)];
    let refusal = reserve(&cells, money(60)).err().unwrap();
    assert_eq!((refusal.allowance.subject, refusal.cause), (key(2), Cause::TooLarge));
    assert_eq!((cells[0].usage().held, cells[1].usage().held), (0, 0));
    let _reservation = reserve(&cells, money(50)).unwrap();
    assert_eq!((cells[0].usage().held, cells[1].usage().held), (50, 50));
}

#[test]
fn a_refusal_says_what_is_missing_why_and_until_when() {
    let book = Book::new(HeldClock::at(1_774_348_740_123));
    let cells = [budget(&book, 1, 10_000_000_000, Some("1d"))];
    reserve(&cells, money(0)).unwrap().settle(money(9_980_000_000));
    let refusal = reserve(&cells, money(50_000_000)).err().unwrap();
    assert_eq!(refusal.cause, Cause::Spent);
    assert_eq!(
        refusal.to_string(),
        format!(
            "key {} has used its allowance of money: limit $10 per 1d, spent $9.98, held $0, \
             asked $0.05; resets at 2026-03-25T00:00:00.000Z",
            "01".repeat(32)
        )
    );
    let _held = reserve(&cells, money(15_000_000)).unwrap();
    assert_eq!(reserve(&cells, money(15_000_000)).err().unwrap().cause, Cause::Held);
    assert_eq!(reserve(&cells, money(11_000_000_000)).err().unwrap().cause, Cause::TooLarge);
    let one = [book.open(Allowance::in_flight(Subject::Proxy, 1), Opening::default())];
    let _hold = admit(&one).unwrap();
    let message = admit(&one).err().unwrap().to_string();
    assert_eq!(message, "this gateway has 1 of 1 requests in flight");
}

#[test]
fn a_final_refusal_is_named_before_one_that_may_pass() {
    let book = Book::new(HeldClock::at(0));
    let cells = [budget(&book, 1, 100, None), budget(&book, 2, 5, None)];
    let held = [Arc::clone(&cells[0])];
    let _held = reserve(&held, money(95)).unwrap();
    let refusal = reserve(&cells, money(10)).err().unwrap();
    assert_eq!((refusal.allowance.subject, refusal.cause), (key(2), Cause::TooLarge));
}

#[test]
fn a_reservation_that_is_dropped_is_charged_in_full() {
    let book = Book::new(HeldClock::at(0));
    let cells = [budget(&book, 1, 100, None)];
    drop(reserve(&cells, money(30)).unwrap());
    assert_eq!((cells[0].usage().spent, cells[0].usage().held), (30, 0));
}

#[test]
fn a_reservation_grows_in_all_of_its_cells_or_in_none() {
    let book = Book::new(HeldClock::at(0));
    let cells = [budget(&book, 1, 100, None), budget(&book, 2, 50, None)];
    let mut reservation = reserve(&cells, money(30)).unwrap();
    reservation.extend(NanoUsd(20)).unwrap();
    assert_eq!(reservation.held(), money(50));
    let refusal = reservation.extend(NanoUsd(1)).err().unwrap();
    assert_eq!((refusal.allowance.subject, refusal.cause), (key(2), Cause::Held));
    assert_eq!((cells[0].usage().held, cells[1].usage().held), (50, 50));
    assert!(reservation.settle(money(45)).is_none());
    assert_eq!((cells[0].usage().spent, cells[0].usage().held), (45, 0));
}

#[test]
fn a_reservation_does_not_grow_in_a_window_that_has_ended() {
    let clock = HeldClock::at(0);
    let book = Book::new(Arc::clone(&clock) as _);
    let cells = [budget(&book, 1, 100, Some("1d"))];
    let mut reservation = reserve(&cells, money(30)).unwrap();
    clock.advance(DAY_MS);
    reservation.extend(NanoUsd(20)).unwrap();
    assert_eq!(cells[0].usage().held, 0);
    drop(reservation);
    assert_eq!((cells[0].usage().spent, cells[0].usage().held), (0, 0));
}

#[test]
fn the_truth_above_the_reservation_is_charged_and_said() {
    let book = Book::new(HeldClock::at(0));
    let cells = [budget(&book, 1, 100, None)];
    let overrun = reserve(&cells, money(90)).unwrap().settle(money(120)).unwrap();
    assert_eq!((overrun.money, overrun.tokens), (NanoUsd(30), 0));
    assert_eq!(cells[0].usage().spent, 120);
    assert_eq!(reserve(&cells, money(0)).err().unwrap().cause, Cause::Spent);
    assert_eq!(available_money(&cells), Some(NanoUsd::ZERO));
}

#[test]
fn what_was_reserved_in_one_window_is_not_charged_to_the_next() {
    let clock = HeldClock::at(10);
    let book = Book::new(clock.clone());
    let cells = [budget(&book, 1, 100, Some("1d"))];
    let old = reserve(&cells, money(100)).unwrap();
    clock.advance(DAY_MS);
    let new = reserve(&cells, money(80)).unwrap();
    assert_eq!((old.reserved_ms(), new.reserved_ms()), (10, DAY_MS + 10));
    old.settle(money(90));
    let usage = cells[0].usage();
    assert_eq!((usage.spent, usage.held, usage.resets_at_ms), (0, 80, Some(2 * DAY_MS)));
    new.settle(money(70));
    assert_eq!(cells[0].usage().spent, 70);
}

#[test]
fn requests_stay_counted_and_places_in_flight_come_back() {
    let clock = HeldClock::at(0);
    let book = Book::new(clock.clone());
    let cells = [
        book.open(Allowance::requests_per_minute(key(1), 3), Opening::default()),
        book.open(Allowance::in_flight(key(1), 2), Opening::default()),
    ];
    clock.advance(25_000);
    let (one, two) = (admit(&cells).unwrap(), admit(&cells).unwrap());
    assert_eq!(admit(&cells).err().unwrap().cause, Cause::Held);
    drop((one, two));
    drop(admit(&cells).unwrap());
    let refusal = admit(&cells).err().unwrap();
    assert_eq!((refusal.cause, refusal.resets_at_ms), (Cause::Spent, Some(85_000)));
    assert_eq!(cells[1].usage().held, 0);
    clock.advance(60_000);
    drop(admit(&cells).unwrap());
    assert_eq!(cells[0].usage().spent, 1);
}

#[test]
fn tokens_are_held_then_counted() {
    let book = Book::new(HeldClock::at(0));
    let cells = [book.open(Allowance::tokens_per_minute(key(1), 1000), Opening::default())];
    let reservation = reserve(&cells, Ask { money: NanoUsd(5), tokens: 600 }).unwrap();
    assert_eq!((available_tokens(&cells), available_money(&cells)), (Some(400), None));
    reservation.settle(Ask { money: NanoUsd(5), tokens: 100 });
    assert_eq!(available_tokens(&cells), Some(900));
}

#[test]
fn a_changed_limit_applies_to_the_living_cell() {
    let book = Book::new(HeldClock::at(0));
    let cell = budget(&book, 1, 100, None);
    drop(reserve(&[Arc::clone(&cell)], money(80)).unwrap());
    let again = budget(&book, 1, 70, None);
    assert!(Arc::ptr_eq(&cell, &again));
    assert_eq!((cell.usage().limit, cell.usage().spent), (70, 80));
    assert!(reserve(&[again], money(0)).is_err());
}

#[test]
fn one_cell_given_twice_is_taken_from_once() {
    let book = Book::new(HeldClock::at(0));
    let cell = budget(&book, 1, 100, None);
    let _reservation = reserve(&[Arc::clone(&cell), Arc::clone(&cell)], money(60)).unwrap();
    assert_eq!(cell.usage().held, 60);
}

#[test]
fn more_than_eight_cells_are_all_taken_from() {
    let book = Book::new(HeldClock::at(0));
    let cells: Vec<_> = (0..20).map(|number| budget(&book, number, 100, None)).collect();
    let reservation = reserve(&cells, money(60)).unwrap();
    assert!(cells.iter().all(|cell| cell.usage().held == 60));
    reservation.settle(money(10));
    assert!(cells.iter().all(|cell| cell.usage().spent == 10 && cell.usage().held == 0));
}

#[test]
fn a_stored_window_that_has_ended_opens_fresh() {
    let book = Book::new(HeldClock::at(3 * DAY_MS + 5));
    let mut key = VirtualKey::new(base::KeyHash([1; 32]), "sk-...abcd".into(), 0);
    key.max_budget = Some(NanoUsd(100));
    key.rpm_limit = Some(5);
    key.set_budget_duration(Some("1d".parse().unwrap()), 0);
    key.spend = NanoUsd(99);
    let cells: Vec<_> = key
        .allowances()
        .into_iter()
        .map(|(allowance, opening)| book.open(allowance, opening))
        .collect();
    let usage = cells[0].usage();
    assert_eq!((cells.len(), usage.spent, usage.resets_at_ms), (2, 0, Some(4 * DAY_MS)));
    key.roll(3 * DAY_MS + 5);
    assert_eq!((key.spend, key.budget_reset_at_ms), (NanoUsd::ZERO, Some(4 * DAY_MS)));
}

#[test]
fn sweeping_forgets_what_cannot_matter_and_nothing_else() {
    let clock = HeldClock::at(0);
    let book = Book::new(clock.clone());
    let in_use = book.open(Allowance::in_flight(key(1), 1), Opening::default());
    budget(&book, 2, 100, None);
    let counted = book.open(Allowance::requests_per_minute(key(3), 9), Opening::default());
    drop(admit(&[counted]).unwrap());
    book.open(Allowance::requests_per_minute(key(4), 9), Opening::default());
    assert_eq!(book.sweep(), 3);
    clock.advance(60_000);
    assert_eq!(book.sweep(), 2);
    book.forget(&key(2));
    drop(in_use);
    assert_eq!(book.sweep(), 0);
}

#[test]
fn a_wall_clock_that_is_set_neither_stretches_nor_shortens_a_minute() {
    for set_by_ms in [-3_600_000, 3_600_000] {
        let clock = HeldClock::at(7_200_000);
        let book = Book::new(clock.clone());
        let cells = [book.open(Allowance::requests_per_minute(key(1), 1), Opening::default())];
        clock.advance(25_000);
        drop(admit(&cells).unwrap());
        clock.set_by(set_by_ms);
        let refusal = admit(&cells).err().unwrap();
        // Told in the wall clock's time as it is now.
        assert_eq!(refusal.resets_at_ms, Some(clock.unix_ms() + 60_000));
        assert_eq!(cells[0].usage().resets_at_ms, refusal.resets_at_ms);
        clock.advance(59_999);
        assert!(admit(&cells).is_err());
        clock.advance(1);
        assert!(admit(&cells).is_ok(), "set by {set_by_ms}");
    }
}

#[test]
fn tokens_that_are_held_do_not_change_whose_window_pays() {
    let clock = HeldClock::at(500);
    clock.set_by(DAY_MS);
    let book = Book::new(clock.clone());
    let tokens = book.open(Allowance::tokens_per_minute(key(1), 1000), Opening::default());
    let both = [tokens, budget(&book, 1, 100, Some("1d"))];
    let reservation = reserve(&both, Ask { money: NanoUsd(5), tokens: 6 }).unwrap();
    assert_eq!(reservation.reserved_ms(), DAY_MS + 500);
    let tokens = reserve(&both[..1], Ask { money: NanoUsd(5), tokens: 6 }).unwrap();
    assert_eq!(tokens.reserved_ms(), DAY_MS + 500);
}

#[test]
fn what_goes_on_in_a_cell_that_has_moved_is_counted_where_it_moved_to() {
    let book = Book::new(HeldClock::at(10));
    let (was, is) = (budget(&book, 1, 100, None), budget(&book, 1, 100, Some("1d")));
    let before = reserve(&[Arc::clone(&was)], money(30)).unwrap();
    was.charge(10, 7);
    was.move_to(&is, Some(DAY_MS));
    assert_eq!((is.usage().spent, was.usage().held), (37, 0));
    // It was let through with what was held; the rest of that is not given back.
    before.settle(money(5));
    assert_eq!(is.usage().spent, 37);
    // A call that began before the move tries again after it.
    reserve(&[Arc::clone(&was)], money(40)).unwrap().settle(money(20));
    was.charge(10, 3);
    assert_eq!(is.usage().spent, 60);
    assert!(reserve(&[was], money(60)).is_err(), "nor may it take what is not there");
}

#[test]
fn a_cell_begins_with_what_the_store_knows_and_what_it_does_not_know_yet() {
    let book = Book::new(HeldClock::at(10));
    let (was, is) = (budget(&book, 1, 100, None), budget(&book, 1, 100, Some("1d")));
    was.charge(10, 30);
    let _held = reserve(&[Arc::clone(&was)], money(5)).unwrap();
    let known =
        |spent, ends_ms| Opening { spent, window_ends_ms: Some(ends_ms), ..Opening::default() };
    // Of those 30 the store has 20; of the new window it has 50.
    let opening = known(50, DAY_MS);
    was.carry_to(&is, opening, 20);
    assert_eq!((is.usage().spent, is.usage().resets_at_ms), (65, Some(DAY_MS)));
    // Of these 65 it has 60 by now, and 90 in all.
    is.carry_to(&is, known(90, DAY_MS), 60);
    assert_eq!(is.usage().spent, 95);
    is.carry_to(&is, known(40, 2 * DAY_MS), 0);
    assert_eq!(is.usage().spent, 95, "that was said of another window");
    is.carry_to(&is, known(40, DAY_MS), 200);
    assert_eq!(is.usage().spent, 40, "never less than the store knows");
}

#[test]
fn a_clock_that_was_ahead_locks_no_budget_and_gives_none_twice() {
    for days in [1, 3650] {
        let clock = HeldClock::at(10);
        let book = Book::new(clock.clone());
        let cells = [budget(&book, 1, 100, Some("1d"))];
        reserve(&cells, money(60)).unwrap().settle(money(60));
        let held = reserve(&cells, money(10)).unwrap();
        clock.set_by(days * DAY_MS);
        reserve(&cells, money(80)).unwrap().settle(money(80));
        let ahead = reserve(&cells, money(20)).unwrap();
        assert_eq!(reserve(&cells, money(1)).err().unwrap().cause, Cause::Held);

        clock.set_by(-days * DAY_MS);
        let refusal = reserve(&cells, money(1)).err().unwrap();
        // Today's 60 and what was held of it, and all that was taken ahead.
        assert_eq!((refusal.spent, refusal.held), (150, 20));
        assert_eq!(refusal.resets_at_ms, Some(DAY_MS), "not in ten years");
        held.settle(money(5));
        ahead.settle(money(15));
        assert_eq!(cells[0].usage().spent, 165);

        // The window that follows begins with what was spent before its time.
        clock.advance(DAY_MS);
        assert_eq!((cells[0].usage().spent, cells[0].usage().held), (100, 0));
        assert!(reserve(&cells, money(1)).is_err());
        clock.advance(DAY_MS);
        assert!(reserve(&cells, money(100)).is_ok());
    }
}

#[test]
fn a_clock_that_is_ahead_through_several_windows_counts_all_of_them() {
    let clock = HeldClock::at(10);
    let book = Book::new(clock.clone());
    let cells = [budget(&book, 1, 100, Some("1d"))];
    for _ in 0..3 {
        reserve(&cells, money(30)).unwrap().settle(money(30));
        clock.set_by(DAY_MS);
    }
    clock.set_by(-3 * DAY_MS);
    assert_eq!(cells[0].usage().spent, 90);
    // Ahead and back again counts nothing twice.
    clock.set_by(DAY_MS);
    assert_eq!(cells[0].usage().spent, 60);
    clock.set_by(-DAY_MS);
    assert_eq!(cells[0].usage().spent, 90);
}

#[test]
fn a_clock_that_is_set_back_by_seconds_opens_no_window_again() {
    let clock = HeldClock::at(DAY_MS);
    let book = Book::new(clock.clone());
    let cells = [budget(&book, 1, 100, Some("1d"))];
    let reservation = reserve(&cells, money(100)).unwrap();
    clock.set_by(-2_000);
    assert_eq!(cells[0].usage().resets_at_ms, Some(2 * DAY_MS));
    reservation.settle(money(30));
    assert_eq!(reserve(&cells, money(70)).unwrap().reserved_ms(), DAY_MS);
}
