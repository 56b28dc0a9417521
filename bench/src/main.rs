//! The load bench: a scripted upstream and an open-loop generator.
//!
//! Two halves of one experiment, `bench upstream` and `bench load`; the script
//! `bench/run` puts the gateway and nginx between them by turns. Both speak
//! HTTP/1.1 in their own bytes on one thread, so that they cost little of the
//! core that they share. What is measured is the process in between, by the
//! kernel's account of its CPU time; nothing here looks inside.

mod answers;
mod cpu;
mod load;
mod response;
mod upstream;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A scripted upstream and an open-loop load generator; see bench/README.md.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve fixed OpenAI and Anthropic answers on loopback.
    Upstream(upstream::Settings),
    /// Send requests at a fixed rate and print what came of it as one JSON line.
    Load(load::Settings),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| match arguments.command {
        Command::Upstream(settings) => runtime.block_on(upstream::serve(settings)),
        Command::Load(settings) => runtime.block_on(load::run(settings)),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            say_error(&cause);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command-line tool tells its user here")]
fn say_error(cause: &std::io::Error) {
    eprintln!("bench: {cause}");
}
