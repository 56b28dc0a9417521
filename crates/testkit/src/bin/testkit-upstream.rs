//! The scripted upstream as a process, for suites that are not written in Rust.
//!
//! Prints `listening on http://127.0.0.1:PORT`, then serves until it is killed
//! or its standard input ends (so that it never outlives the suite). Without
//! options it is the pretend provider; see `--help`. It answers two paths of its
//! own: `GET /_testkit/received` (what came, bodies in hex) and
//! `POST /_testkit/forget`.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use testkit::random::Random;
use testkit::replay::{Recording, Split};
use testkit::{Request, Script, Step, Upstream, chaos, provider};

const HELP: &str = "\
testkit-upstream: a pretend LLM provider on loopback, for tests

  --port PORT       where to listen; 0 (the default) takes a free port
  --replay FILE     answer with this recording; may be repeated. A path that begins
                    with /r/N/ gets recording N (from 0), every other the next in turn
  --split HOW       cut streams as: original (default), bytes, random:SEED
  --chaos SEED      spoil about half of the answers, as SEED says
  --detach          keep running when standard input ends
";

#[derive(Default)]
struct Options {
    port: u16,
    replay: Vec<PathBuf>,
    split: Option<Split>,
    chaos: Option<u64>,
    detach: bool,
    help: bool,
}

fn main() -> ExitCode {
    let outcome = parse(std::env::args().skip(1)).and_then(|options| {
        if options.help {
            return say(HELP);
        }
        let runtime = tokio::runtime::Runtime::new().map_err(|cause| cause.to_string())?;
        runtime.block_on(run(options))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(told) => {
            writeln!(std::io::stderr(), "testkit-upstream: {told}\nhint: see --help").ok();
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: String| text.parse().map_err(|_| format!("`{text}` is no number"));
        match word.as_str() {
            "--port" => {
                let text = value()?;
                options.port = text.parse().map_err(|_| format!("`{text}` is no port"))?;
            }
            "--replay" => options.replay.push(value()?.into()),
            "--chaos" => options.chaos = Some(number(value()?)?),
            "--split" => {
                let how = value()?;
                options.split = Some(match how.as_str() {
                    "original" => Split::Original,
                    "bytes" => Split::Bytes,
                    other => match other.strip_prefix("random:") {
                        Some(seed) => Split::Random(number(seed.to_owned())?),
                        None => return Err(format!("`{other}` is no way to split")),
                    },
                });
            }
            "--detach" => options.detach = true,
            "--help" | "-h" => options.help = true,
            other => return Err(format!("`{other}` is not an option")),
        }
    }
    Ok(options)
}

async fn run(options: Options) -> Result<(), String> {
    let recordings: Result<Vec<_>, _> =
        options.replay.iter().map(|path| Recording::read(path)).collect();
    let recordings = recordings.map_err(|cause| cause.to_string())?;
    let split = options.split.unwrap_or(Split::Original);
    let turn = AtomicUsize::new(0);
    let chaos = options.chaos.map(|seed| Mutex::new(Random::new(seed)));
    let log = Arc::new(Mutex::new(Vec::<Request>::new()));

    let answer = move |request: &Request| -> Option<Vec<Step>> {
        let mut seen = log.lock().unwrap_or_else(PoisonError::into_inner);
        match request.route() {
            "/_testkit/received" => {
                let body = received(&seen);
                return Some(Script::on("").json(200, body).into_steps());
            }
            "/_testkit/forget" => {
                seen.clear();
                turn.store(0, Ordering::Relaxed);
                return Some(Script::on("").json(200, "{}").into_steps());
            }
            _ => seen.push(request.clone()),
        }
        drop(seen);
        let steps = if recordings.is_empty() {
            provider::answer(request)?
        } else {
            let index = chosen(request.route())
                .unwrap_or_else(|| turn.fetch_add(1, Ordering::Relaxed) % recordings.len());
            recordings.get(index)?.steps(split)
        };
        let Some(random) = &chaos else { return Some(steps) };
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        Some(chaos::spoil(steps, &mut random).1)
    };
    let upstream = Upstream::bind(options.port, Some(Arc::new(answer)))
        .await
        .map_err(|cause| format!("port {}: {cause}", options.port))?;
    say(&format!("listening on {}\n", upstream.url()))?;
    if options.detach {
        std::future::pending::<()>().await;
    }
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.map(|_| ()).map_err(|cause| cause.to_string())
}

fn chosen(route: &str) -> Option<usize> {
    route.strip_prefix("/r/")?.split('/').next()?.parse().ok()
}

fn received(seen: &[Request]) -> String {
    let all: Vec<_> = seen
        .iter()
        .map(|request| {
            let hex = request.body.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").ok();
                hex
            });
            json!({"method": request.method, "path": request.path, "headers": request.headers,
                   "body_hex": hex, "connection": request.connection})
        })
        .collect();
    json!(all).to_string()
}

fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|cause| cause.to_string())
}
