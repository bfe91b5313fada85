//! Figures of a server from /proc: a process with its descendants. Must not depend on what the server does.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// `pid` and its existing descendants.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        at += 1;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}

/// Processor time of the tree of `pid`, user and system, with the resolution of the kernel's tick (proc_pid_stat(5)).
pub fn cpu(pid: u32) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let ticks: u64 = tree(pid)
        .iter()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before it may contain any characters, including parentheses.
            let (_, fields) = stat.rsplit_once(')')?;
            let fields: Vec<u64> =
                fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
            Some(fields.iter().sum::<u64>())
        })
        .sum();
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// Memory of the tree of `pid`, in MiB, with shared pages in proportion (Pss of /proc/PID/smaps_rollup).
pub fn memory(pid: u32) -> f64 {
    tree(pid).iter().filter_map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum::<f64>() / 1024.0
}

/// Peak memory of the process `pid` alone, in MiB (VmHWM).
pub fn peak(pid: u32) -> f64 {
    kib(&format!("/proc/{pid}/status"), "VmHWM:").unwrap_or(f64::NAN) / 1024.0
}

fn kib(path: &str, field: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}
