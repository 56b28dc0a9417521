//! The launcher's side: forks, waits, and ends as the command ended.

use crate::channel::Channel;
use crate::door::Door;
use crate::error::{Error, step};
use crate::plan::Plan;
use crate::report::{Protection, Report};
use crate::{init, sys};
use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

/// A command in its sandbox. It starts with [`Confined::release`].
pub struct Confined {
    pid: sys::Pid,
    channel: Channel,
    report: Report,
    listeners: Vec<TcpListener>,
    packets: Option<UdpSocket>,
    door: Option<Door>,
}

/// End of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Exited(u8),
    /// A signal ended it.
    Signalled(i32),
}

impl Ending {
    fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signalled(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status) as u8)
        }
    }

    /// Ends this process in the same way: by the same signal, which does not return,
    /// or else with the code that is returned.
    pub fn repeat(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signalled(number) => {
                drop(sys::forbid_core_dumps());
                sys::die_by(number);
                128_u8.wrapping_add(number as u8)
            }
        }
    }
}

impl Confined {
    /// Builds the sandbox; `command` waits in it for [`Confined::release`].
    ///
    /// # Errors
    /// The process has threads already, or the kernel refuses a step. Nothing runs
    /// then.
    pub fn start(plan: &Plan, command: Command) -> Result<Self, Error> {
        if sys::threads().map_err(step("counting threads"))? != 1 {
            return Err(Error::Threads);
        }
        let mut numbers = init::FORWARDED.to_vec();
        numbers.push(libc::SIGCHLD);
        let blocked = sys::Signals::new(&numbers).block().map_err(step("blocking signals"))?;
        let terminal = terminal();
        let (mut channel, other) = Channel::pair().map_err(step("opening a channel"))?;
        let door = plan.has_door.then(Door::pair).transpose();
        let (door, inside) = door.map_err(step("opening a channel"))?.unzip();
        let namespaces = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWNET;
        let pid = match sys::fork_into(namespaces).map_err(Error::Namespaces)? {
            sys::Side::Child => {
                drop((channel, door));
                let channels = init::Channels { launcher: other, door: inside };
                init::run(plan, terminal.as_deref(), command, &blocked, channels)
            }
            sys::Side::Parent(pid) => pid,
        };
        drop((other, inside));
        let built = map_ids(pid).map_err(Error::Namespaces).and_then(|()| receive(&mut channel));
        match built {
            Ok((report, descriptors)) => {
                let mut descriptors = descriptors.into_iter();
                let listeners =
                    descriptors.by_ref().take(plan.ports.len()).map(TcpListener::from).collect();
                let packets = descriptors.next().map(UdpSocket::from);
                if packets.is_some() {
                    // Without it, the end takes longer.
                    drop(keep());
                }
                Ok(Self { pid, channel, report, listeners, packets, door })
            }
            Err(error) => {
                drop(channel);
                drop(sys::wait_for(pid, true));
                Err(error)
            }
        }
    }

    /// Protections that are in force.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Takes the sockets that listen on the plan's ports, in its order.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// Takes the socket whose packets are attempts to go around the proxy, for
    /// [`crate::Attempt::from_packet`]. It is a packet socket, not one for UDP, and
    /// does not block; the type is that of sockets from which datagrams are received.
    pub fn take_packets(&mut self) -> Option<UdpSocket> {
        self.packets.take()
    }

    /// Takes the way to the command's own ports, if the plan has one.
    pub fn take_door(&mut self) -> Option<Door> {
        self.door.take()
    }

    /// Starts the command.
    ///
    /// # Errors
    /// The sandbox has ended.
    pub fn release(&mut self) -> Result<(), Error> {
        self.channel.send(b"go").map_err(Error::Lost)
    }

    /// Waits until the command has ended, and hands signals on to it.
    ///
    /// # Errors
    /// The sandbox ended without the command's status.
    pub fn wait(mut self) -> Result<Ending, Error> {
        let mut numbers = init::FORWARDED.to_vec();
        numbers.push(libc::SIGCHLD);
        let signals = sys::Signals::new(&numbers);
        loop {
            match signals.wait() {
                Ok((libc::SIGCHLD, _)) => {
                    if let Ok(Some((_, status))) = sys::wait_for(self.pid, false) {
                        sys::take_terminal_back();
                        return self.ending(status);
                    }
                }
                // What a terminal sends reaches the command by itself.
                Ok((_, true)) => {}
                Ok((number, false)) => drop(sys::send_signal(self.pid, number)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Lost(error)),
            }
        }
    }

    fn ending(&mut self, status_of_first: i32) -> Result<Ending, Error> {
        match self.channel.receive() {
            Ok(status) => {
                let status: Result<[u8; 4], _> = status.as_slice().try_into();
                let status = status.map_err(|error| Error::Lost(io::Error::other(error)))?;
                Ok(Ending::from_status(i32::from_le_bytes(status)))
            }
            // The whole sandbox was killed.
            Err(_) if libc::WIFSIGNALED(status_of_first) => {
                Ok(Ending::from_status(status_of_first))
            }
            Err(error) => Err(Error::Lost(error)),
        }
    }
}

fn receive(channel: &mut Channel) -> Result<(Report, Vec<OwnedFd>), Error> {
    channel.send(b"mapped").map_err(Error::Lost)?;
    let answer = channel.receive().map_err(Error::Lost)?;
    let answer = String::from_utf8_lossy(&answer);
    if let Some(failure) = answer.strip_prefix(init::FAILED) {
        let (step, reason) = failure.split_once('\t').unwrap_or(("", failure));
        return Err(Error::Step { step: step.to_owned(), reason: reason.to_owned() });
    }
    let report = Report::from_lines(&answer);
    let descriptors = channel.receive_descriptors().map_err(Error::Lost)?;
    debug_assert!(report.active.contains(&Protection::OwnRoot));
    Ok((report, descriptors))
}

/// Starts a process that holds the descriptors of this one a moment longer than this
/// one lives. Whoever closes a packet socket last waits about 10 ms for other cores,
/// and the caller of the command would wait with it.
fn keep() -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    if sys::fork_into(0)? == sys::Side::Child {
        drop(writer);
        sys::close_standard();
        // Nothing is written: this returns when the other side has ended.
        drop(io::Read::read(&mut reader, &mut [0]));
        sys::exit_now(0);
    }
    // Open for as long as this process lives.
    std::mem::forget(writer);
    Ok(())
}

/// Maps users and groups into the namespace as they are: all that this process may
/// map if it has the privilege, else its own.
fn map_ids(pid: sys::Pid) -> io::Result<()> {
    let all = |kind: &str| -> io::Result<()> {
        let own = fs::read_to_string(format!("/proc/self/{kind}_map"))?;
        let identity = own.lines().filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
            Some(format!("{first} {first} {count}\n"))
        });
        fs::write(format!("/proc/{pid}/{kind}_map"), identity.collect::<String>())
    };
    if sys::user_id() == 0 && all("uid").is_ok() {
        return all("gid");
    }
    let one = |kind: &str, id: u32| {
        fs::write(format!("/proc/{pid}/{kind}_map"), format!("{id} {id} 1\n"))
    };
    fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    one("uid", sys::user_id())?;
    one("gid", sys::group_id())
}

/// Terminal on one of the standard descriptors.
fn terminal() -> Option<PathBuf> {
    (0..3).find_map(|number| {
        let target = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        target.starts_with("/dev/pts/").then_some(target)
    })
}
