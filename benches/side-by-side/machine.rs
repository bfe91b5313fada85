//! The conditions of the measurements: machine, date, versions, and the assignment of processors.

use std::fmt;
use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::{Result, Run};

/// The conditions that are printed with every figure.
pub struct Machine {
    /// Model and number of the processors.
    pub processor: String,
    /// Release of Linux.
    pub kernel: String,
    /// Date, in UTC.
    pub date: String,
    /// Each contender with its version.
    pub versions: Vec<String>,
    /// The settings of the measurements.
    pub how: String,
}

impl Machine {
    /// The current machine.
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

/// The processors of the server and the loader, one each.
pub struct Cpus {
    all: CpuSet,
    server: CpuSet,
    loader: CpuSet,
}

impl Cpus {
    /// The first two processors that this process may use.
    ///
    /// # Errors
    /// If there is only one: server and loader would measure each other.
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

    /// Runs `start` on the server's processor, where its processes stay. This thread continues on the loader's.
    pub fn as_server<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        self.stay_on(&self.server, start)
    }

    /// Runs `start` on all processors. This thread continues on the loader's.
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
