//! How long an audit takes: `cargo run --release -p guard --example speed [ENVIRONMENT]`.
//!
//! A lock of 2,000 packages with ten wheels each, an index of 200,000 records,
//! and the environment that is named, each timed ten times; the median counts.
#![expect(clippy::print_stdout, reason = "it prints figures")]

use guard::advisory::Set;
use guard::advisory::compile::Compile;
use guard::inventory::Place;
use guard::judge::Terms;
use guard::manifest::Format;
use guard::{Advisories, Ask};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const ROUNDS: usize = 10;

fn main() {
    let lock = lock();
    println!("uv.lock of 2,000 packages, {} KiB", lock.len() >> 10);
    let place = Place::whole("uv.lock");
    let read =
        || Format::UvLock.read(&lock, &place, &|_| Err(String::new())).map(|r| r.packages.len());
    timed("  read", || assert_eq!(read(), Ok(2_000)));

    let index = index();
    println!("index of 200,000 records, {} MiB", index.len() >> 20);
    timed("  load", || drop(Set::read(index.clone().into())));
    let Ok(set) = Set::read(index.into()) else { return };
    let mut all = Advisories::none();
    all.add(set);
    let Ok(reading) = Format::UvLock.read(&lock, &place, &|_| Err(String::new())) else { return };
    timed("  match 2,000 packages", || {
        drop(guard::judge::packages(&reading.packages, &all, &terms()));
    });

    for path in std::env::args().skip(1) {
        let ask = Ask { paths: vec![path.clone().into()], terms: terms() };
        let built_in = Advisories::built_in();
        let report = guard::audit(&ask, &built_in);
        println!("{path}: {} packages, {} findings", report.packages, report.findings.len());
        timed("  audit, every file opened", || drop(guard::audit(&ask, &built_in)));
        let folder = std::env::temp_dir().join(format!("keymoat-speed-{}", std::process::id()));
        // Long enough after the files were written for them to be remembered.
        let cache = guard::Cache { folder: folder.clone(), now_ms: i64::MAX / 2 };
        drop(guard::audit_with(&ask, &built_in, Some(&cache)));
        timed("  audit, nothing changed", || {
            drop(guard::audit_with(&ask, &built_in, Some(&cache)));
        });
        drop(std::fs::remove_dir_all(folder));
    }
}

fn terms() -> Terms {
    Terms { now_ms: 1_795_305_600_000, advisory_age_max_ms: 0, recent_since_ms: 1_795_305_600_000 }
}

fn timed(what: &str, run: impl Fn()) {
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    took.sort();
    let median = took.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("{what}: {:.1} ms", median.as_secs_f64() * 1000.0);
}

fn lock() -> String {
    let mut lock = String::from("version = 1\nrevision = 3\n");
    for n in 0..2_000 {
        write!(lock, "\n[[package]]\nname = \"package-{n}\"\nversion = \"1.{n}.0\"\nsource = {{ registry = \"https://index.example/simple\" }}\ndependencies = [\n    {{ name = \"package-{}\" }},\n]\nwheels = [\n", n / 2).unwrap_or_default();
        for wheel in 0..10 {
            writeln!(lock, "    {{ url = \"https://files.example/packages/package_{n}-1.{n}.0-cp3{wheel}-manylinux.whl\", hash = \"sha256:{n:064x}\", size = 100, upload-time = \"2025-01-01T00:00:00Z\" }},").unwrap_or_default();
        }
        lock.push_str("]\n");
    }
    lock
}

fn index() -> Vec<u8> {
    let mut compile = Compile::default();
    for n in 0..200_000 {
        let record = format!(
            r#"{{"id":"MAL-2026-{n}","modified":"2026-01-01T00:00:00Z","summary":"Malicious code in package-{n} (PyPI)","affected":[{{"package":{{"ecosystem":"PyPI","name":"package-{n}"}},"versions":["1.0.0","1.0.1"],"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"0.5"}}]}}]}}]}}"#
        );
        compile.record("made", record.as_bytes());
    }
    compile.finish("made")
}
