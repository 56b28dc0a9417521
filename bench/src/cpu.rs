//! CPU time of other processes, as the kernel accounts for it.

use std::{fs, io};

/// Nanoseconds on a CPU so far: all threads of all the given processes.
///
/// Reads the scheduler's own count; a kernel without it gives clock ticks,
/// which are 10 ms wide.
pub(crate) fn time_ns(pids: &[u32]) -> io::Result<u64> {
    pids.iter().map(|pid| process_ns(*pid)).sum()
}

fn process_ns(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        match text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()) {
            Some(ns) => total += ns,
            None => return ticks_ns(pid),
        }
    }
    // A kernel may have the file and count nothing in it.
    if total == 0 { ticks_ns(pid) } else { Ok(total) }
}

fn ticks_ns(pid: u32) -> io::Result<u64> {
    const TICK_NS: u64 = 10_000_000;
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces; user and system time are fields 14 and 15.
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_count() {
        let me = [std::process::id()];
        let before = (time_ns(&me).unwrap(), ticks_ns(me[0]).unwrap());
        let mut x = 1_u64;
        while ticks_ns(me[0]).unwrap() == before.1 {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        assert!(time_ns(&me).unwrap() > before.0);
    }
}
