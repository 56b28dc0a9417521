//! Failures to confine.

use std::io;

/// A command that could not be confined. It was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process has more than one thread, and a fork would copy only one.
    #[error("the process already has several threads")]
    Threads,
    /// The kernel, or its configuration, refuses new user namespaces.
    #[error(
        "this system allows no user namespaces ({0}); hint: see the sysctls \
         user.max_user_namespaces, kernel.unprivileged_userns_clone and \
         kernel.apparmor_restrict_unprivileged_userns, or the container's seccomp profile"
    )]
    Namespaces(io::Error),
    /// A step of building the sandbox failed.
    #[error("{step}: {reason}")]
    Step {
        /// The step.
        step: String,
        /// The kernel's reason.
        reason: String,
    },
    /// The sandbox ended before the command did.
    #[error("the sandbox ended before its command: {0}")]
    Lost(io::Error),
}

/// Names the step that failed with `error`.
pub(crate) fn step(name: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let step = name.into();
    move |error| Error::Step { step, reason: error.to_string() }
}
