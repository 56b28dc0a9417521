//! The open-loop generator: requests leave when they are due, not when the
//! last one has come back, so that a stall shows as the waiting it causes.
//!
//! A thread hands out due times; a request takes an idle connection, or waits
//! for one, and its latency counts from the moment it was due.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::{cpu, response};

/// What to send, where, and how often.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// Where to send: 127.0.0.1:PORT.
    #[arg(long)]
    to: SocketAddr,
    /// The request path.
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// The `model` to ask for.
    #[arg(long, default_value = "bench-openai")]
    model: String,
    /// The key to present.
    #[arg(long, default_value = "sk-none")]
    key: String,
    /// Ask for a stream.
    #[arg(long)]
    stream: bool,
    /// Requests a second.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds at the start that are not counted.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Connections to open at most.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Count the CPU time of these processes while counting requests.
    #[arg(long)]
    pid: Vec<u32>,
}

const BODY_BYTES: usize = 1_000;

fn request(settings: &Settings) -> Vec<u8> {
    let body = |filler: &str| {
        json!({
            "model": settings.model, "max_tokens": 400, "temperature": 0.5,
            "stream": settings.stream,
            "messages": [{"role": "system", "content": "Answer briefly."},
                         {"role": "user", "content": filler}],
        })
        .to_string()
    };
    let room = BODY_BYTES.saturating_sub(body("").len());
    let body = body(&"word ".repeat(room / 5));
    format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         accept: */*\r\nuser-agent: bench\r\ncontent-length: {}\r\n\r\n{body}",
        settings.path,
        settings.to,
        settings.key,
        body.len()
    )
    .into_bytes()
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

struct Sample {
    due: Instant,
    first: Duration,
    last: Duration,
    outcome: Result<response::Response, String>,
}

/// Runs the load and prints one JSON line.
pub(crate) async fn run(settings: Settings) -> io::Result<()> {
    let request: &'static [u8] = request(&settings).leak();
    let start = Instant::now() + Duration::from_millis(50);
    let counted_from = start + Duration::from_secs(settings.warm_up);
    let mut due_times = due_times(&settings, start);
    let (give_back, mut idle) = mpsc::channel(settings.connections);
    let (report, mut samples) = mpsc::channel::<Sample>(1 << 16);
    let mut opened = 0;
    let mut cpu_before = None;
    let mut kept = Vec::new();
    while let Some(due) = due_times.recv().await {
        if cpu_before.is_none() && due >= counted_from {
            cpu_before = Some(cpu::time_ns(&settings.pid)?);
        }
        let connection = match idle.try_recv() {
            Ok(connection) => connection,
            Err(_) if opened < settings.connections => {
                opened += 1;
                None
            }
            Err(_) => idle.recv().await.flatten(),
        };
        let (give_back, report, to) = (give_back.clone(), report.clone(), settings.to);
        tokio::spawn(async move {
            let (sample, connection) = exchange(to, connection, request, due).await;
            // Both receivers live as long as the loop; after it nobody needs them.
            report.send(sample).await.ok();
            give_back.send(connection).await.ok();
        });
        while let Ok(sample) = samples.try_recv() {
            kept.push(sample);
        }
    }
    drop(report);
    while let Some(sample) = samples.recv().await {
        kept.push(sample);
    }
    let cpu_ns = cpu::time_ns(&settings.pid)? - cpu_before.unwrap_or_default();
    kept.retain(|sample| sample.due >= counted_from);
    print(&settings, &kept, cpu_ns)
}

/// A thread that sends each due time when it comes: the runtime's own timer is
/// a millisecond wide, which is more than what is to be measured.
fn due_times(settings: &Settings, start: Instant) -> mpsc::Receiver<Instant> {
    let (send, receive) = mpsc::channel(1 << 16);
    let count = settings.rate * (settings.warm_up + settings.seconds);
    let rate = settings.rate;
    thread::spawn(move || {
        for number in 0..count {
            let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
            wait_until(due);
            if send.blocking_send(due).is_err() {
                return;
            }
        }
    });
    receive
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the experiment itself, on its own thread"
)]
fn wait_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the bench is the client; egress is what it measures"
)]
async fn exchange(
    to: SocketAddr,
    connection: Option<Connection>,
    request: &[u8],
    due: Instant,
) -> (Sample, Option<Connection>) {
    let mut first = Duration::ZERO;
    let attempt = async {
        let mut connection = if let Some(connection) = connection {
            connection
        } else {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            Connection { stream, buffer: Vec::with_capacity(64 << 10) }
        };
        connection.stream.write_all(request).await?;
        let Connection { stream, buffer } = &mut connection;
        let response = response::read(stream, buffer, || first = due.elapsed()).await?;
        Ok::<_, io::Error>((response, connection))
    };
    let result = attempt.await;
    let last = due.elapsed();
    match result {
        Ok((response, connection)) => {
            (Sample { due, first, last, outcome: Ok(response) }, Some(connection))
        }
        Err(cause) => (Sample { due, first, last, outcome: Err(cause.to_string()) }, None),
    }
}

/// The value at `share` (0 to 1) of the sorted `values`, in microseconds.
fn quantile_us(values: &mut [Duration], share: f64) -> f64 {
    values.sort_unstable();
    let at = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(at).map_or(0.0, |value| value.as_secs_f64() * 1e6)
}

fn print(settings: &Settings, samples: &[Sample], cpu_ns: u64) -> io::Result<()> {
    let good = samples.iter().filter(|s| matches!(&s.outcome, Ok(r) if r.status == 200));
    let good: Vec<&Sample> = good.collect();
    let events: usize = good.iter().filter_map(|s| Some(s.outcome.as_ref().ok()?.events)).sum();
    let mut first: Vec<Duration> = good.iter().map(|s| s.first).collect();
    let mut last: Vec<Duration> = good.iter().map(|s| s.last).collect();
    let failure = samples.iter().find_map(|s| match &s.outcome {
        Err(told) => Some(told.clone()),
        Ok(response) if response.status != 200 => Some(format!("status {}", response.status)),
        Ok(_) => None,
    });
    let per = |count: usize| if count == 0 { 0.0 } else { cpu_ns as f64 / 1e3 / count as f64 };
    let line = json!({
        "rate": settings.rate,
        "requests": good.len(),
        "failed": samples.len() - good.len(),
        "failure": failure,
        "events": events,
        "cpu_us_per_request": per(good.len()),
        "cpu_us_per_event": per(events),
        "first_p50_us": quantile_us(&mut first, 0.5),
        "first_p99_us": quantile_us(&mut first, 0.99),
        "last_p50_us": quantile_us(&mut last, 0.5),
        "last_p99_us": quantile_us(&mut last, 0.99),
    });
    writeln!(io::stdout(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_sorted_values() {
        let mut values: Vec<Duration> = (1..=100).rev().map(Duration::from_micros).collect();
        assert!((quantile_us(&mut values, 0.5) - 51.0).abs() < 0.01);
        assert!((quantile_us(&mut values, 0.99) - 100.0).abs() < 0.01);
        assert!(quantile_us(&mut [], 0.5).abs() < 0.01);
    }
}
