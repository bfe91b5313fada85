//! The processes of a pod without a PID namespace: found as the descendants of its init process, which adopts those whose parent
//! has ended (prctl(2), PR_SET_CHILD_SUBREAPER). Must not depend on containers.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// Maximum number of rounds in which processes are killed: a program that forks faster than it is found must not hold up the end.
const ROUNDS: u32 = 200;

/// Interval between two rounds, in which processes that were killed end.
const ROUND: Duration = Duration::from_millis(5);

/// A process, as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    pid: i32,
    parent: i32,
    session: i32,
}

/// Makes this process the parent of descendants that lose theirs.
pub(super) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(true)?)
}

/// Kills the descendants in the session of a process that has ended. One that has begun a session of its own ends with the pod.
pub(super) fn kill_session(leader: Pid) {
    for _ in 0..ROUNDS {
        let own: Vec<_> = descendants().into_iter().filter(|seen| seen.session == leader.as_raw()).collect();
        if own.is_empty() {
            return;
        }
        kill_each(&own);
        thread::sleep(ROUND);
    }
}

/// Kills all descendants, and waits for their ends.
pub(super) fn kill_all() {
    for _ in 0..ROUNDS {
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
            waitpid(None, Some(WaitPidFlag::WNOHANG))
        {}
        let all = descendants();
        if all.is_empty() {
            return;
        }
        kill_each(&all);
        thread::sleep(ROUND);
    }
}

fn kill_each(processes: &[Seen]) {
    for seen in processes {
        // It may have ended already.
        _ = kill(Pid::from_raw(seen.pid), Signal::SIGKILL);
    }
}

/// The descendants of this process that have not ended.
fn descendants() -> Vec<Seen> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all = numbers.filter_map(|pid| parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?));
    below(getpid().as_raw(), all.collect())
}

/// The processes of `all` that descend from `root`.
fn below(root: i32, mut all: Vec<Seen>) -> Vec<Seen> {
    let mut parents = HashSet::from([root]);
    let mut found = Vec::new();
    loop {
        let (children, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|seen| parents.contains(&seen.parent));
        if children.is_empty() {
            return found;
        }
        parents.extend(children.iter().map(|seen| seen.pid));
        found.extend(children);
        all = others;
    }
}

/// A process that has not ended, by its line in `/proc/PID/stat`: number, name in parentheses, state, parent, group, session.
fn parse(stat: &str) -> Option<Seen> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    // The name may have any character.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Seen { pid, parent, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_by_their_line() {
        let table = [
            ("7 (sh) S 1 7 6 0 -1", Some(Seen { pid: 7, parent: 1, session: 6 })),
            ("7 (a ) b) R 2 7 7 0", Some(Seen { pid: 7, parent: 2, session: 7 })),
            ("7 (sh) Z 1 7 7 0", None),
            ("7 (sh", None),
            ("", None),
        ];
        for (line, expected) in table {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn descendants_of_all_generations() {
        let seen = |pid, parent| Seen { pid, parent, session: 0 };
        let all = vec![seen(5, 4), seen(4, 3), seen(3, 1), seen(2, 1), seen(1, 0), seen(6, 3)];
        let mut found: Vec<i32> = below(3, all).into_iter().map(|seen| seen.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [4, 5, 6]);
    }
}
