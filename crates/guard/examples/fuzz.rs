//! Spoils honest files and feeds them to every parser:
//! `cargo run -p guard --example fuzz -- [--seconds N] [--seed N] [--only NAME]
//! [--threads N]`.
//!
//! N seconds a parser, all of them at once or so many at a time. Deterministic
//! by its seed. It fails on a panic, on an
//! input that takes more than ten seconds (all parsers share the cores), on an error without a line that the
//! input has, and when the process grows beyond half a GiB; the input is kept
//! beside the message.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells what it does")]

use guard::archive::{self, Limits};
use guard::inventory::{Ecosystem, Place};
use guard::manifest::Format;
use guard::python::{Requirement, Specifiers, marker};
use guard::version::Version;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const INPUT_MAX_MS: u128 = 10_000;
const MEMORY_MAX_KIB: u64 = 512 << 10;
const INPUT_MAX_BYTES: usize = 1 << 20;

type Parser = fn(&[u8]) -> Result<(), String>;

struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    run: Parser,
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../testdata/formats/", $name)).to_vec()
    };
}

fn targets() -> Vec<Target> {
    let format = |name, seeds, run| Target { name, seeds, run };
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        format("requirements", vec![fixture!("requirements.txt")], |b| {
            manifest(Format::Requirements, b)
        }),
        format("uv.lock", vec![fixture!("uv.lock")], |b| manifest(Format::UvLock, b)),
        format("poetry.lock", vec![fixture!("poetry.lock"), fixture!("poetry-1.lock")], |b| {
            manifest(Format::PoetryLock, b)
        }),
        format("pdm.lock", vec![fixture!("pdm.lock")], |b| manifest(Format::PdmLock, b)),
        format("Pipfile.lock", vec![fixture!("Pipfile.lock")], |b| {
            manifest(Format::PipfileLock, b)
        }),
        format("pylock", vec![fixture!("pylock.toml")], |b| manifest(Format::Pylock, b)),
        format(
            "pyproject",
            vec![fixture!("pyproject.toml"), fixture!("pyproject-poetry.toml")],
            |b| manifest(Format::Pyproject, b),
        ),
        format(
            "package-lock",
            vec![fixture!("package-lock.json"), fixture!("package-lock-1.json")],
            |b| manifest(Format::PackageLock, b),
        ),
        format("pnpm-lock", vec![fixture!("pnpm-lock.yaml"), fixture!("pnpm-lock-6.yaml")], |b| {
            manifest(Format::PnpmLock, b)
        }),
        format("Cargo.lock", vec![fixture!("Cargo.lock")], |b| manifest(Format::CargoLock, b)),
        format("sbom", vec![text(CYCLONEDX), text(SPDX)], |b| manifest(Format::Sbom, b)),
        format("conda-meta", vec![text(CONDA_META)], |b| manifest(Format::CondaMeta, b)),
        format("conda-lock", vec![text(CONDA_LOCK)], |b| manifest(Format::CondaLock, b)),
        format("conda-environment", vec![text(CONDA_ENVIRONMENT)], |b| {
            manifest(Format::CondaEnvironment, b)
        }),
        format("conda-explicit", vec![text(CONDA_EXPLICIT)], |b| {
            manifest(Format::CondaExplicit, b)
        }),
        format("dockerfile", vec![text(DOCKERFILE)], |b| manifest(Format::Dockerfile, b)),
        format("pipeline", vec![text(PIPELINE)], |b| manifest(Format::Pipeline, b)),
        format("agent", vec![text(AGENT)], |b| manifest(Format::Agent, b)),
        format("zip", vec![zip()], |b| unpack(b, true)),
        format("tar", vec![tar()], |b| unpack(b, false)),
        format("advisory", vec![text(RECORD), text(RUSTSEC)], advisory),
        format("index", vec![index()], |b| {
            drop(guard::advisory::Set::read(b.to_vec().into()));
            Ok(())
        }),
        format(
            "version",
            vec![text("1!2.0rc1.post2.dev3+local.1"), text("1.2.3-beta.1+b")],
            version,
        ),
        format("specifier", vec![text(">=1.0,!=1.5.*,~=1.0; extra"), text("===x")], |b| {
            drop(Specifiers::read(&String::from_utf8_lossy(b)));
            Ok(())
        }),
        format(
            "requirement",
            vec![text("name[a,b] >= 1.0 ; python_version < '3' and os_name == 'x'")],
            |b| {
                drop(Requirement::read(&String::from_utf8_lossy(b)));
                Ok(())
            },
        ),
        format(
            "marker",
            vec![text("(os_name == 'a' or extra == \"b\") and python_version in '3'")],
            |b| {
                marker::is_valid(&String::from_utf8_lossy(b));
                Ok(())
            },
        ),
        format("python", vec![text(PYTHON)], |b| {
            drop(pycode::read(pycode::Role::Module, b));
            Ok(())
        }),
    ]
}

fn manifest(format: Format, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let place = Place::whole(if format == Format::Agent { "x.json" } else { "the/file" });
    match format.read(&text, &place, &|_| Err("no other file".to_owned())) {
        Err(error) if error.what.is_empty() => Err("an error without words".to_owned()),
        Err(error) if error.line as usize > lines(&text) + 1 => {
            Err(format!("an error on line {} of {}", error.line, lines(&text)))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A carriage return alone ends a line too: in YAML, and in most editors.
fn lines(text: &str) -> usize {
    let bare =
        |(at, _): &(usize, &str)| text.get(at + 1..).is_some_and(|rest| !rest.starts_with('\n'));
    text.lines().count() + text.match_indices('\r').filter(bare).count()
}

fn unpack(bytes: &[u8], is_zip: bool) -> Result<(), String> {
    let mut taken = 0_u64;
    let mut visit = |_: &archive::Member<'_>, content: &mut dyn std::io::Read| {
        taken += std::io::copy(content, &mut std::io::sink())?;
        Ok(())
    };
    let limits = Limits { expanded_max_bytes: 96 << 20, ..Limits::ARTEFACT };
    let size = bytes.len() as u64;
    drop(if is_zip {
        archive::each_in_bytes(bytes, &limits, &mut visit)
    } else {
        archive::each_in_stream(Box::new(bytes), size, &limits, &mut visit)
    });
    if taken > 97 << 20 { Err(format!("{taken} bytes from {size}")) } else { Ok(()) }
}

fn advisory(bytes: &[u8]) -> Result<(), String> {
    let mut compile = guard::advisory::compile::Compile::default();
    for name in ["x.json", "x.md", "x.yaml"] {
        compile.record(name, bytes);
    }
    let text = compile.finish("fuzz");
    guard::advisory::Set::read(text.into()).map(drop).map_err(|error| error.to_string())
}

fn version(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    for ecosystem in Ecosystem::ALL {
        let read = Version::read(ecosystem, &text);
        if !read.is(&read) {
            return Err("a version that is not itself".to_owned());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut seconds = 1_u64;
    let mut seed = 1_u64;
    let mut only = None;
    let mut threads = usize::MAX;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--seconds" => seconds = value.parse().unwrap_or(1),
            "--seed" => seed = value.parse().unwrap_or(1),
            "--only" => only = Some(value),
            "--threads" => threads = value.parse().unwrap_or(1),
            _ => {
                eprintln!("fuzz: `{word}` is not an option");
                return ExitCode::from(2);
            }
        }
    }
    // Panics are told below, with what caused them.
    std::panic::set_hook(Box::new(|_| {}));
    let chosen: Vec<Target> =
        targets().into_iter().filter(|t| only.as_ref().is_none_or(|name| t.name == name)).collect();
    let limit = Duration::from_secs(seconds);
    let failed = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            match fuzz(target, limit, seed) {
                Ok(runs) => println!("{}: {runs} inputs", target.name),
                Err(why) => {
                    failed.store(true, Ordering::Relaxed);
                    eprintln!("{}: {why}", target.name);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(chosen.len()) {
            // Code is read on a stack of its own size; the others need less.
            let thread = std::thread::Builder::new().stack_size(pycode::STACK_BYTES);
            if thread.spawn_scoped(scope, work).is_err() {
                failed.store(true, Ordering::Relaxed);
            }
        }
    });
    let mut failed = failed.into_inner();
    let peak = peak_kib();
    println!("{} parsers, seed {seed}, peak memory {} MiB", chosen.len(), peak >> 10);
    if peak > MEMORY_MAX_KIB {
        eprintln!("fuzz: more than {} MiB were needed", MEMORY_MAX_KIB >> 10);
        failed = true;
    }
    ExitCode::from(u8::from(failed))
}

fn fuzz(target: &Target, limit: Duration, seed: u64) -> Result<u64, String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let started = Instant::now();
    let mut runs = 0;
    while started.elapsed() < limit {
        let input = spoilt(&target.seeds, &mut random);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let took = begun.elapsed().as_millis();
        runs += 1;
        let why = match outcome {
            Err(_) => "it panicked".to_owned(),
            Ok(Err(why)) => why,
            Ok(Ok(())) if took > INPUT_MAX_MS => format!("it took {took} ms"),
            Ok(Ok(())) => continue,
        };
        let path = std::env::temp_dir().join(format!("guard-fuzz-{}", target.name));
        drop(std::fs::write(&path, &input));
        return Err(format!("{why}, input {runs} of seed {seed}, kept in {}", path.display()));
    }
    Ok(runs)
}

/// A seed with some of it replaced, doubled, gone or repeated.
fn spoilt(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(seeds).cloned().unwrap_or_default();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(24)).min(input.len());
        match random.below(9) {
            0 => drop(input.drain(at..end)),
            1 => {
                let part = input.get(at..end).unwrap_or_default().to_vec();
                input.splice(at..at, part);
            }
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
            3 => input.truncate(at),
            4 | 5 => {
                let token = random.pick(TOKENS).copied().unwrap_or_default();
                input.splice(at..end, token.bytes());
            }
            6 => {
                let token = random.pick(TOKENS).copied().unwrap_or_default();
                let many = token.repeat(1 + random.below(3_000));
                input.splice(at..at, many.bytes());
            }
            7 => {
                let other = random.pick(seeds).cloned().unwrap_or_default();
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    input.truncate(INPUT_MAX_BYTES);
    input
}

/// Marsaglia's xorshift: good enough to spoil files with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

/// The most memory that this process ever had, in KiB; 0 where nobody says.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn zip() -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for name in ["thing/__init__.py", "thing-1.0.dist-info/METADATA", "thing-1.0.dist-info/RECORD"]
    {
        let Ok((mut entry, config)) =
            archive.new_file(name).compression_method(rawzip::CompressionMethod::DEFLATE).start()
        else {
            return Vec::new();
        };
        let packed = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
        let mut writer = config.wrap(packed);
        drop(writer.write_all(&name.repeat(20).into_bytes()));
        let Ok((packed, descriptor)) = writer.finish() else { return Vec::new() };
        drop(packed.finish());
        drop(entry.finish(descriptor));
    }
    drop(archive.finish());
    out
}

fn tar() -> Vec<u8> {
    let mut out = Vec::new();
    for (name, flag, content) in [
        ("././@LongLink", b'L', "a/long/name\0".to_owned()),
        ("short", b'0', "content".repeat(90)),
        ("PaxHeaders", b'x', "16 path=a/b/c\n\n".replace("\n\n", "\n")),
        ("pax", b'0', "x".to_owned()),
        ("link", b'2', String::new()),
    ] {
        let mut block = vec![0_u8; 512];
        let mut put = |at: usize, text: &[u8]| {
            for (slot, byte) in block.iter_mut().skip(at).zip(text) {
                *slot = *byte;
            }
        };
        put(0, name.as_bytes());
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(156, &[flag]);
        put(257, b"ustar\x0000");
        put(148, b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        for (slot, byte) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
            *slot = byte;
        }
        out.extend(block);
        out.extend(content.bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    out
}

fn index() -> Vec<u8> {
    let mut compile = guard::advisory::compile::Compile::default();
    compile.record("x.json", RECORD.as_bytes());
    compile.finish("fuzz")
}

const TOKENS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "\t",
    " ",
    ",",
    ":",
    ";",
    "=",
    "==",
    "@",
    "#",
    "&",
    "*",
    "!",
    "|",
    ">",
    "<",
    "-",
    "--",
    "%",
    "$",
    "${X}",
    "`",
    "~",
    "/",
    "../",
    "\0",
    "\u{feff}",
    "é",
    "\u{202e}",
    "0",
    "1",
    "-1",
    "18446744073709551616",
    "1e999",
    "null",
    "true",
    "[[package]]\n",
    "[package]\n",
    "name = \"x\"\n",
    "- ",
    "? ",
    "<<: ",
    "&a ",
    "*a",
    "!!binary ",
    "--hash=sha256:",
    "-r x\n",
    "-e ",
    "https://u:p@h/x",
    "git+",
    "PK\x01\x02",
    "PK\x03\x04",
    "PK\x05\x06",
    "ustar",
    "import os\n",
    "exec(",
    "lambda: ",
    "f\"{x}\"",
    "def f():\n",
    "if x:\n ",
];

const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","components":[{"purl":"pkg:pypi/a@1.0","components":[{"purl":"pkg:npm/%40s/b@2"}],"hashes":[{"alg":"SHA-256","content":"aa"}]}]}"#;
const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","packages":[{"versionInfo":"1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:cargo/a@1"}],"checksums":[{"algorithm":"SHA256","checksumValue":"aa"}]}]}"#;
const CONDA_META: &str = r#"{"name":"a","version":"1.0","sha256":"aa","url":"https://h/a.conda"}"#;
const CONDA_LOCK: &str =
    "version: 1\npackage:\n- name: a\n  version: 1.0\n  manager: pip\n  hash: {sha256: aa}\n";
const CONDA_ENVIRONMENT: &str =
    "dependencies:\n- c::a=1.0=py\n- b>=1\n- pip:\n  - d==1.0\n  - e[x]>=1; os_name == 'a'\n";
const CONDA_EXPLICIT: &str =
    "@EXPLICIT\nhttps://h/a-1.0-py_0.conda#00000000000000000000000000000000\n";
const DOCKERFILE: &str = "ARG B=x:1\nFROM ${B} AS b\nRUN --mount=type=cache pip install \\\n  # c\n  'a==1.0' b && uvx c@1\nRUN [\"npx\", \"-y\", \"d\"]\nRUN <<EOF\nsh -c \"pipx run e\"\nEOF\nCOPY --from=b /x /x\n";
const PIPELINE: &str = "a: &a\n  image: x:1\n  script:\n  - pip install a==1.0\n  - |\n    uvx b\n    npx c\nb:\n  <<: *a\n  steps:\n  - uses: o/n@v1\n  - run: >\n      pip install d\n  command: [\"npx\", \"e\"]\n";
const AGENT: &str = "{ // c\n \"mcpServers\": { \"a\": { \"command\": \"uvx\", \"args\": [\"--from\", \"a==1\", \"b\"] }, /* d */\n \"b\": { \"command\": [\"npx\", \"c@1\"] }, } }\n";
const RECORD: &str = r#"{"id":"X-1","modified":"2026-01-01T00:00:00Z","aliases":["MAL-1"],"summary":"s","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"PyPI","name":"a"},"versions":["1.0"],"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.5"}]}]}]}"#;
const RUSTSEC: &str = "```toml\n[advisory]\nid = \"R-1\"\npackage = \"p\"\ndate = \"2026-01-02\"\n[versions]\npatched = [\">= 1.5.1, < 1.6.0\", \"^2.0\"]\nunaffected = [\"< 1\"]\n```\n# Title\n";
const PYTHON: &str = "import os, base64 as b\nfrom subprocess import Popen as P\ndef f(x, *a, **k):\n    return [y for y in x if (lambda z: z)(y)]\nclass C(dict):\n    async def g(self):\n        async with x as y: await y\ntry:\n    exec(b.b64decode('cGFzcw=='))\nexcept* E as e:\n    print(f\"{e!r:>{10}}\")\nmatch f:\n    case {'a': [1, *r]} if r: pass\n";
