//! From a process of this program to the program of a container: mounts, user, terminal, working folder, `exec`. Must not depend
//! on how it is started.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, setns, unshare};

use super::channel::Channel;
use super::namespaces::map_user;
use super::protocol::Process;
use super::{limits, root};
use crate::Isolation;

/// Exit code of a container whose program could not be started, as containerd reports it.
const NOT_STARTED: u8 = 128;

/// Becomes the process that the channel at standard input describes by four or five descriptors: a file with the [`Process`];
/// its standard input, output and error; a process whose container it joins. The channel takes the reason if that fails.
pub(crate) fn run(isolation: Isolation) -> ExitCode {
    let Ok(channel) = Channel::from_stdin() else { return ExitCode::from(NOT_STARTED) };
    match launch(&channel, isolation) {
        Ok(never) => match never {},
        Err(reason) => _ = channel.send(&reason, &[]),
    }
    ExitCode::from(NOT_STARTED)
}

fn launch(channel: &Channel, isolation: Isolation) -> Result<std::convert::Infallible, String> {
    let received = channel.receive::<()>().map_err(|error| error.to_string())?;
    let (_, mut descriptors) = received.ok_or("the pod has ended")?;
    let container = (descriptors.len() == 5).then(|| descriptors.pop()).flatten();
    let [process, stdin, stdout, stderr]: [OwnedFd; 4] =
        descriptors.try_into().map_err(|_| "four or five descriptors are expected")?;
    let process = read(process).map_err(|error| format!("cannot read the process: {error}"))?;
    limits::bound_user().map_err(|error| format!("cannot bound processes: {error}"))?;
    match container {
        // The pod's init process cannot end it where there is no PID namespace.
        _ if isolation == Isolation::None => {
            _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        }
        Some(container) => {
            join(&container, &process).map_err(|error| format!("cannot join the container: {error}"))?;
        }
        None => {
            root::enter(&process).map_err(|error| error.to_string())?;
            // Where /proc is that of the machine, it may be read-only: the user is bounded all the same.
            _ = limits::bound_namespace();
            if let Some((user, group)) = process.user {
                unshare(CloneFlags::CLONE_NEWUSER)
                    .map_err(|error| format!("cannot create a user namespace: {error}"))?;
                map_user((user, 0), (group, 0))
                    .map_err(|error| format!("cannot become user {user}: {error}"))?;
            }
        }
    }
    rustix::stdio::dup2_stdin(stdin).map_err(|error| error.to_string())?;
    rustix::stdio::dup2_stdout(stdout).map_err(|error| error.to_string())?;
    rustix::stdio::dup2_stderr(stderr).map_err(|error| error.to_string())?;
    // Signals of the server's terminal are for the server.
    rustix::process::setsid().map_err(|error| error.to_string())?;
    if process.terminal {
        rustix::process::ioctl_tiocsctty(io::stdin().as_fd()).map_err(|error| error.to_string())?;
    }
    let folder = &process.working_dir;
    std::env::set_current_dir(folder)
        .map_err(|error| format!("working folder {}: {error}", folder.display()))?;
    let (program, arguments) = process.argv.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(process.env.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    Err(match error.kind() {
        // A folder of PATH that cannot be read has no program either.
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied if !is_found(program, &process.env) => {
            format!("exec: {program:?}: executable file not found in $PATH")
        }
        io::ErrorKind::NotFound => format!("exec: {program:?}: no such file or directory"),
        io::ErrorKind::PermissionDenied => format!("exec: {program:?}: permission denied"),
        _ => format!("exec: {program:?}: {error}"),
    })
}

/// Whether a program without a path is on the `PATH` of the environment. One with a path is.
fn is_found(program: &str, env: &[(String, String)]) -> bool {
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    program.contains('/') || std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

fn read(process: OwnedFd) -> io::Result<Process> {
    let mut file = File::from(process);
    file.rewind()?;
    let mut json = String::new();
    file.read_to_string(&mut json)?;
    Ok(serde_json::from_str(&json)?)
}

/// Enters the mounts of the container, and then its user namespace, which has fewer rights.
fn join(container: &OwnedFd, process: &Process) -> io::Result<()> {
    setns(container, CloneFlags::CLONE_NEWNS)?;
    if process.user.is_some() {
        setns(container, CloneFlags::CLONE_NEWUSER)?;
    }
    Ok(())
}
