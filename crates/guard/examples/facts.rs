//! What Python files do: `cargo run --release -p guard --example facts [--all] PATH…`.
//!
//! Every `.py` file at or below the paths is read, never executed. Prints what
//! happens at import; with `--all`, what functions do, too. With `--audit`, the
//! findings of an audit of the paths. With
//! `--outline`, what each file calls and imports, for `scripts/syntax.py`.
#![expect(clippy::print_stdout, reason = "it prints facts")]

use guard::finding::Why;
use guard::judge::Terms;
use guard::{Advisories, Ask};
use pycode::{Role, fact::When};
use std::path::{Path, PathBuf};

fn main() {
    let reader = std::thread::Builder::new().stack_size(pycode::STACK_BYTES).spawn(run);
    drop(reader.map(std::thread::JoinHandle::join));
}

fn run() {
    let all = std::env::args().any(|arg| arg == "--all");
    if std::env::args().any(|arg| arg == "--audit") {
        return audit();
    }
    let outline = std::env::args().any(|arg| arg == "--outline");
    let (mut files, mut bytes, mut cut) = (0, 0, 0);
    let start = std::time::Instant::now();
    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        let mut found = Vec::new();
        find(Path::new(&path), &mut found);
        found.sort();
        for path in found {
            let Ok(text) = std::fs::read(&path) else { continue };
            if outline {
                let names = pycode::outline(&String::from_utf8_lossy(&text));
                println!("{}", serde_json::json!([path.to_string_lossy(), names]));
                continue;
            }
            let summary = pycode::read(Role::of(&path), &text);
            files += 1;
            bytes += text.len();
            if summary.cut_short {
                cut += 1;
                println!("{}: CUT SHORT", path.display());
            }
            for fact in summary.facts.iter().filter(|fact| all || fact.when == When::Import) {
                let path = path.display();
                println!("{path}:{} {:?} {:?} {}", fact.line, fact.when, fact.deed, fact.what);
            }
        }
    }
    if outline {
        return;
    }
    println!("{files} files, {bytes} bytes, {cut} cut short, {} ms", start.elapsed().as_millis());
}

fn audit() {
    let paths = std::env::args().skip(1).filter(|arg| arg != "--audit").map(PathBuf::from);
    let terms = Terms { now_ms: 0, advisory_age_max_ms: 0, recent_since_ms: i64::MAX };
    let start = std::time::Instant::now();
    let report = guard::audit(&Ask { paths: paths.collect(), terms }, &Advisories::built_in());
    for finding in &report.findings {
        println!("{:?} {:?} {}", finding.severity, finding.kind, finding.subject);
        for seen in &finding.evidence {
            println!(
                "    {} {}",
                seen.place.as_ref().map(ToString::to_string).unwrap_or_default(),
                seen.text
            );
        }
    }
    for gap in report.gaps.iter().filter(|gap| gap.why != Why::NotCovered) {
        println!("GAP {:?} {} {}", gap.why, gap.subject, gap.text);
    }
    println!("{} packages, {} ms", report.packages, start.elapsed().as_millis());
}

fn find(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        found.push(path.to_owned());
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "py") {
            found.push(path);
        }
    }
}
