//! What reserve and settle with six allowances cost, in nanoseconds.
#![expect(clippy::print_stdout, reason = "a measurement that people run")]

use base::{KeyHash, NanoUsd, SystemClock};
use ledger::{Allowance, Ask, Book, Opening, Refusal, Subject, reserve};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: u32 = 1_000_000;

fn main() -> Result<(), Refusal> {
    let book = Book::new(Arc::new(SystemClock::new()));
    let plenty = NanoUsd(i64::MAX / 2);
    let day = "1d".parse().ok();
    let cells = [
        book.open(
            Allowance::money(Subject::Key(KeyHash([1; 32])), plenty, day),
            Opening::default(),
        ),
        book.open(Allowance::money(Subject::User("u".into()), plenty, day), Opening::default()),
        book.open(Allowance::money(Subject::Team("t".into()), plenty, None), Opening::default()),
        book.open(Allowance::money(Subject::Proxy, plenty, day), Opening::default()),
        book.open(
            Allowance::tokens_per_minute(Subject::Key(KeyHash([1; 32])), 1 << 60),
            Opening::default(),
        ),
        book.open(
            Allowance::tokens_per_minute(Subject::Team("t".into()), 1 << 60),
            Opening::default(),
        ),
    ];
    for threads in [1, 2] {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..ROUNDS {
                            let ask = Ask { money: NanoUsd(1000), tokens: 100 };
                            let reservation = reserve(black_box(&cells), ask)?;
                            black_box(reservation.settle(Ask { money: NanoUsd(900), tokens: 90 }));
                        }
                        Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
        })?;
        let each = began.elapsed().as_nanos() / u128::from(ROUNDS);
        println!("{threads} thread(s), 6 shared allowances: {each} ns per reserve and settle");
    }
    Ok(())
}
