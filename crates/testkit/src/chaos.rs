//! Misbehaviour that follows from a seed: for runs that ask whether anything leaks.
//!
//! About half of the answers stay good, so that both kinds share connections.

use crate::random::Random;
use crate::{Script, Step};

/// What befell one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// A pause in the middle.
    Stall,
    /// A reset in the middle.
    Reset,
    /// An orderly close in the middle.
    Truncate,
    /// Bytes that are no HTTP.
    Garbage,
    /// Nonsense behind a good head.
    GarbageBody,
    /// A `content-length` that promises more than comes.
    LengthTooLong,
    /// A `content-length` that promises less than comes.
    LengthTooShort,
    /// A 500 in place of the answer.
    ServerError,
}

const FAULTS: [Fault; 8] = [
    Fault::Stall,
    Fault::Reset,
    Fault::Truncate,
    Fault::Garbage,
    Fault::GarbageBody,
    Fault::LengthTooLong,
    Fault::LengthTooShort,
    Fault::ServerError,
];

/// Spoils `steps` (a good answer) as `random` says, or leaves them.
pub fn spoil(mut steps: Vec<Step>, random: &mut Random) -> (Fault, Vec<Step>) {
    let fault = FAULTS.get(random.below(FAULTS.len() * 2)).copied().unwrap_or(Fault::None);
    let middle = 1 + random.below(steps.len());
    let json = [("content-type", "application/json")];
    let steps = match fault {
        Fault::None => steps,
        Fault::Stall => {
            let ms = 20 + random.next_u64() % 400;
            steps.insert(middle.min(steps.len()), Step::PauseMs(ms));
            steps
        }
        Fault::Reset | Fault::Truncate => {
            steps.truncate(middle - 1);
            steps.push(if fault == Fault::Reset { Step::Reset } else { Step::Close });
            steps
        }
        Fault::Garbage => Script::on("").garbage(200, random.next_u64()).close().into_steps(),
        Fault::GarbageBody => {
            Script::on("").answer(200, &json, random.bytes(300)).close().into_steps()
        }
        Fault::LengthTooLong => {
            Script::on("").answer_claiming(200, &json, 5_000, "{\"id\":").close().into_steps()
        }
        Fault::LengthTooShort => {
            let body = "{\"id\":\"x\",\"choices\":[]}";
            Script::on("").answer_claiming(200, &json, 7, body).close().into_steps()
        }
        Fault::ServerError => Script::on("").json(500, "{\"error\":{}}").into_steps(),
    };
    (fault, steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_fault_comes_up_and_half_of_the_answers_stay_good() {
        let mut random = Random::new(42);
        let good = || Script::on("").sse(["a", "b", "c"]).into_steps();
        let faults: Vec<Fault> = (0..2000).map(|_| spoil(good(), &mut random).0).collect();
        let kinds: HashSet<Fault> = faults.iter().copied().collect();
        assert_eq!(kinds.len(), FAULTS.len() + 1);
        let untouched = faults.iter().filter(|f| **f == Fault::None).count();
        assert!((800..1200).contains(&untouched), "{untouched}");
    }
}
