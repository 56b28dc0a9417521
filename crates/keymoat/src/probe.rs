//! A hook for tests: confines itself as `serve` does, then tries what is forbidden.

use crate::{say, serve};
use config::{Config, Sandbox};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Tries each act and prints whether it was refused.
pub(crate) fn run(data_dir: &Path) -> ExitCode {
    let Some(mut config): Option<Config> = config::defaults(&config::ProcessEnv).config else {
        return ExitCode::FAILURE;
    };
    data_dir.clone_into(&mut config.settings.data_dir);
    config.settings.sandbox = Sandbox::BestEffort;
    drop(fs::create_dir(data_dir));
    match serve::confine(&config) {
        Ok(confined) => say::out(&format!("{confined}\n")),
        Err(problem) => say::out(&format!("{problem}\n")),
    }
    let outside = data_dir.with_extension("outside");
    let acts: [(&str, bool); 7] = [
        ("write in the data directory", fs::write(data_dir.join("inside"), "x").is_ok()),
        ("read elsewhere", fs::read("/etc/passwd").is_ok()),
        ("write elsewhere", fs::write(&outside, "x").is_ok()),
        ("make a directory elsewhere", fs::create_dir(&outside).is_ok()),
        ("remove elsewhere", fs::remove_file(data_dir.with_extension("kept")).is_ok()),
        ("move out", fs::rename(data_dir.join("inside"), &outside).is_ok()),
        ("execute a program", Command::new("/bin/true").status().is_ok()),
    ];
    for (act, is_done) in acts {
        say::out(&format!("{act}: {}\n", if is_done { "done" } else { "refused" }));
    }
    ExitCode::SUCCESS
}
