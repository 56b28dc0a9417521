//! Many threads at once: no cap is passed, nothing deadlocks, all comes back.

use crate::{HeldClock, budget, key, money};
use ledger::{Allowance, Book, Opening, admit, reserve};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[test]
fn spent_and_held_never_pass_the_limit_with_any_threads() {
    let book = Book::new(HeldClock::at(0));
    let cells: Vec<_> = (0..6).map(|n| budget(&book, n, 10_000 + i64::from(n), None)).collect();
    let charged: Vec<AtomicI64> = (0..6).map(|_| AtomicI64::new(0)).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0_u64..4)
            .map(|worker| {
                let (cells, charged) = (&cells, &charged);
                scope.spawn(move || {
                    let mut random = worker * 7919 + 1;
                    for _ in 0..20_000 {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        // A changing set, in a changing order.
                        let mut mine: Vec<usize> =
                            (0..6).filter(|n| random >> (40 + n) & 1 == 1).collect();
                        let turn = (random >> 50) as usize % mine.len().max(1);
                        mine.rotate_left(turn);
                        let asked = (random >> 20) as i64 % 40;
                        let taken: Vec<_> = mine.iter().map(|n| Arc::clone(&cells[*n])).collect();
                        if let Ok(reservation) = reserve(&taken, money(asked)) {
                            let actual = asked / 2;
                            for n in &mine {
                                charged[*n].fetch_add(actual, Ordering::SeqCst);
                            }
                            reservation.settle(money(actual));
                        }
                    }
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            let mut looks = 0_u64;
            while !done.load(Ordering::SeqCst) || looks == 0 {
                for cell in &cells {
                    let usage = cell.usage();
                    assert!(usage.spent + usage.held <= usage.limit, "{usage:?}");
                }
                looks += 1;
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
    });
    for (cell, charged) in cells.iter().zip(charged) {
        let usage = cell.usage();
        assert_eq!((usage.held, usage.spent), (0, charged.into_inner()));
        assert!(usage.spent > usage.limit / 2, "the limit was never near: {usage:?}");
    }
}

#[test]
fn exactly_as_many_requests_pass_as_the_limit_says() {
    let book = Book::new(HeldClock::at(0));
    let cells = [
        book.open(Allowance::requests_per_minute(key(1), 1000), Opening::default()),
        book.open(Allowance::in_flight(key(1), 3), Opening::default()),
    ];
    let passed = AtomicI64::new(0);
    let at_once = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    if let Ok(hold) = admit(&cells) {
                        assert!(at_once.fetch_add(1, Ordering::SeqCst) < 3);
                        passed.fetch_add(1, Ordering::SeqCst);
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        drop(hold);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1000);
    assert_eq!(cells[1].usage().held, 0);
}
