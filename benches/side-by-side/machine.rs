//! What the figures hold for: the machine, the day, the versions. And who runs on which of its processors.

use std::fmt;
use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::{Result, Run};

/// What is to be said beside every figure.
pub struct Machine {
    /// The processor's model and number.
    pub processor: String,
    /// Linux's release.
    pub kernel: String,
    /// The day, in UTC.
    pub date: String,
    /// Each contender with its version.
    pub versions: Vec<String>,
    /// How the measurements were made.
    pub how: String,
}

impl Machine {
    /// The one that this runs on.
    pub fn seen(run: &Run) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("unknown processor", |model| model.trim_start_matches(['\t', ' ', ':']));
        let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let edns = match run.edns {
            0 => "no EDNS".into(),
            size => format!("EDNS {size}"),
        };
        Ok(Machine {
            processor: format!("{model}, {count} CPUs"),
            kernel: format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()),
            date: jiff::Timestamp::now().to_string().chars().take(10).collect(),
            versions: run.contenders.iter().map(|one| format!("{} {}", one.name, one.version)).collect(),
            how: format!(
                "{} rounds of {:.1} s, medians; 4 sockets, 200 queries in flight, {edns}",
                run.rounds,
                run.time.as_secs_f64()
            ),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}, {}", self.processor, self.kernel, self.date)?;
        writeln!(f, "{}", self.versions.join("; "))?;
        writeln!(f, "{}", self.how)
    }
}

/// The processors that the server and the loader have, each its own.
pub struct Cpus {
    all: CpuSet,
    server: CpuSet,
    loader: CpuSet,
}

impl Cpus {
    /// The first two that this process may use.
    ///
    /// # Errors
    /// When there is only one: server and loader would measure each other.
    pub fn of_this_machine() -> Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0))?;
        let mut usable = (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu).unwrap_or(false));
        let mut next = || -> Result<CpuSet> {
            let cpu = usable.next().ok_or("two CPUs are needed, one for the server and one for the load")?;
            let mut one = CpuSet::new();
            one.set(cpu)?;
            Ok(one)
        };
        let (server, loader) = (next()?, next()?);
        Ok(Cpus { all, server, loader })
    }

    /// Does `start` where the server is to run: what it starts stays there. This thread goes on where the loader runs.
    pub fn as_server<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        self.stay_on(&self.server, start)
    }

    /// Does `start` on all processors; this thread goes on where the loader runs.
    pub fn as_all<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        self.stay_on(&self.all, start)
    }

    fn stay_on<T>(&self, cpus: &CpuSet, start: impl FnOnce() -> T) -> Result<T> {
        let this_thread = Pid::from_raw(0);
        sched_setaffinity(this_thread, cpus)?;
        let started = start();
        sched_setaffinity(this_thread, &self.loader)?;
        Ok(started)
    }
}
