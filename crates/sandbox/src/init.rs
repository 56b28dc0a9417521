//! First process of the namespaces: builds the sandbox, confines itself, starts
//! the command, hands signals on and reaps.

use crate::channel::Channel;
use crate::error::{Error, step};
use crate::landlock::{self, Trees};
use crate::plan::Plan;
use crate::report::{Protection, Report};
use crate::{door, files, network, privileges, sys, syscalls};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Signals that are handed on to the command.
pub(crate) const FORWARDED: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// Answer of the first process that begins with this is a failure: two texts follow,
/// with a tab between.
pub(crate) const FAILED: &str = "!";

/// Exit codes of a command that could not be executed, as shells have them.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Ends of the sandbox's side.
pub(crate) struct Channels {
    pub(crate) launcher: Channel,
    pub(crate) door: Option<Channel>,
}

/// Runs the first process. Does not return. The command gets `blocked` as its blocked
/// signals.
pub(crate) fn run(
    plan: &Plan,
    terminal: Option<&Path>,
    mut command: Command,
    blocked: &sys::Signals,
    channels: Channels,
) -> ! {
    let Channels { launcher: mut channel, door } = channels;
    // If the launcher is killed, nothing of the sandbox stays.
    drop(sys::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong));
    // The launcher has written the maps of the user namespace.
    if channel.receive().is_err() {
        sys::exit_now(1);
    }
    match confine(plan, terminal) {
        Ok((report, descriptors)) => {
            let told = channel.send(report.to_lines().as_bytes());
            let sent = told.and_then(|()| channel.send_descriptors(&descriptors));
            drop(descriptors);
            if sent.and_then(|()| channel.receive()).is_err() {
                sys::exit_now(1);
            }
        }
        Err(error) => {
            let (name, reason) = match error {
                Error::Step { step, reason } => (step, reason),
                other => (String::new(), other.to_string()),
            };
            drop(channel.send(format!("{FAILED}{name}\t{reason}").as_bytes()));
            sys::exit_now(1);
        }
    }
    if let Some(inside) = door
        && matches!(sys::fork_into(0), Ok(sys::Side::Child))
    {
        drop(channel);
        door::serve(inside);
    }
    match sys::fork_into(0) {
        Ok(sys::Side::Child) => {
            drop(blocked.set_blocked());
            let error = command.exec();
            let program = command.get_program().to_string_lossy();
            drop(writeln!(io::stderr(), "keymoat run: {program}: {error}"));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            sys::exit_now(if is_missing { NOT_FOUND } else { NOT_EXECUTABLE });
        }
        Ok(sys::Side::Parent(pid)) => {
            let status = watch(pid);
            drop(channel.send(&status.to_le_bytes()));
            sys::exit_now(0);
        }
        Err(_) => sys::exit_now(1),
    }
}

fn confine(plan: &Plan, terminal: Option<&Path>) -> Result<(Report, Vec<OwnedFd>), Error> {
    let mut report = Report::default();
    report.set(Protection::UserNamespace, Ok(()));
    report.set(Protection::OwnProcesses, Ok(()));
    let mut descriptors = network::open(&plan.ports).map_err(step("opening the loopback"))?;
    report.set(Protection::OwnNetwork, Ok(()));
    let attempts = network::watch();
    let seen = attempts.map(|socket| descriptors.push(socket));
    report.set(Protection::Attempts, seen.map_err(|error| error.to_string()));

    files::build_root(plan, terminal)?;
    report.set(Protection::OwnRoot, Ok(()));
    let closed = sys::close_on_exec_from(3);
    report.set(Protection::Descriptors, closed.map_err(|error| error.to_string()));
    privileges::become_unreadable().map_err(step("becoming unreadable"))?;
    privileges::drop_all(&mut report);
    let (visible, writable) = trees(plan);
    let trees = Trees { visible: &visible, writable: &writable };
    landlock::restrict(&trees, plan.landlock_abi_max, &mut report);
    report.set(Protection::Seccomp, syscalls::restrict());
    Ok((report, descriptors))
}

/// Trees for Landlock: what the mounts show, and the command's scratch places.
fn trees(plan: &Plan) -> (Vec<&Path>, Vec<&Path>) {
    let kernel = ["/proc", "/sys", "/dev"].map(Path::new);
    let visible = plan.visible.iter().chain([&plan.work]).map(PathBuf::as_path);
    let writable = plan.writable.iter().map(PathBuf::as_path).chain(plan.scratch());
    // A process writes to its own files of /proc, and to its terminal.
    let own = ["/proc", "/dev"].map(Path::new);
    (visible.chain(kernel).collect(), writable.chain(own).collect())
}

/// Hands signals on to the command and reaps what has ended; returns the command's
/// status.
fn watch(command: sys::Pid) -> i32 {
    let mut numbers = FORWARDED.to_vec();
    numbers.push(libc::SIGCHLD);
    let signals = sys::Signals::new(&numbers);
    loop {
        // A child may have ended before the wait began: its signal is pending then.
        match signals.wait() {
            Ok((libc::SIGCHLD, _)) => {
                while let Ok(Some((pid, status))) = sys::wait_for(-1, false) {
                    if pid == command {
                        return status;
                    }
                }
            }
            // What a terminal sends reaches the command by itself.
            Ok((_, true)) => {}
            Ok((number, false)) => drop(sys::send_signal(command, number)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return libc::SIGKILL,
        }
    }
}
