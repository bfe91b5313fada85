//! Many pods at once, and many after each other: how long they take, and that nothing is left of them. `CLUSTERLOCAL_TEST_PODS` and
//! `CLUSTERLOCAL_TEST_RUNS` set the numbers; the whole is 60 and 500. The node's processes are this program.

// The other test uses the rest of it.
#[allow(dead_code)]
#[path = "../pods/api.rs"]
mod api;
#[path = "../pods/servers.rs"]
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clusterlocal_node::{VERB, process};
use libtest_mimic::{Arguments, Trial};
use serde_json::json;

use api::{Kubelet, script};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, rest @ ..] = &arguments[..]
        && verb == VERB
    {
        return process(rest);
    }
    if let Some(code) = servers::run(&arguments) {
        return code;
    }
    let trial = |name, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("many_pods_start_and_stop_at_once", many_pods_start_and_stop_at_once),
        trial("nothing_is_left_of_pods", nothing_is_left_of_pods),
    ];
    // Descriptors and processes are counted.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Maximum time until all pods are ready, and until they have stopped, beyond what their programs take.
const LIMIT: Duration = Duration::from_secs(5);

fn many_pods_start_and_stop_at_once() {
    let count = number("CLUSTERLOCAL_TEST_PODS", 15);
    let mut kubelet = Kubelet::new();
    let server = std::env::current_exe().unwrap();
    let begun = Instant::now();
    for number in 0..count {
        let container = json!({"name": "a", "image": "none", "command": [server, "__http", "8080"],
            "readinessProbe": {"httpGet": {"port": 8080, "path": "/status/200"}, "periodSeconds": 1}});
        kubelet.create(
            &format!("web-{number}"),
            json!({"terminationGracePeriodSeconds": 1, "containers": [container]}),
        );
    }
    kubelet.until("ready pods", |state| {
        let ready = |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        state.pods.iter().all(ready).then_some(())
    });
    let ready = begun.elapsed();
    let begun = Instant::now();
    kubelet.stop();
    let stopped = begun.elapsed();
    println!("{count} pods: ready after {ready:?}, stopped after {stopped:?}");
    // A server without a handler of SIGTERM ends after two seconds, the least grace period; a probe is repeated after one.
    assert!(ready < LIMIT + Duration::from_secs(1), "{ready:?}");
    assert!(stopped < LIMIT + Duration::from_secs(2), "{stopped:?}");
}

fn nothing_is_left_of_pods() {
    let runs = number("CLUSTERLOCAL_TEST_RUNS", 15);
    let kubelet = Kubelet::new();
    let mut first = None;
    let begun = Instant::now();
    for run in 0..=runs {
        let name = format!("web-{run}");
        let container = api::with(
            script("a", "trap 'exit 0' TERM; echo up; sleep 1000 & wait"),
            json!({"volumeMounts": [{"name": "v", "mountPath": "/var/no/such/place"}], "terminationMessagePath": "/dev/termination-log",
                   "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1}}),
        );
        kubelet.create(&name, json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}));
        kubelet.until_line(&format!("{name}/a"), "up");
        kubelet.delete(&name, 5);
        kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
        kubelet.forget();
        if run == 0 {
            // What is made once stays: the bridge of each node, and so on.
            for node in 0..3 {
                kubelet.create(
                    &format!("node-{node}"),
                    json!({"restartPolicy": "Never", "containers": [script("a", "exit 0")]}),
                );
            }
            kubelet.until("ends", |state| {
                state.pods.iter().all(|pod| pod["status"]["phase"] == "Succeeded").then_some(())
            });
            for node in 0..3 {
                kubelet.delete(&format!("node-{node}"), 0);
            }
            kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
            first = Some(settled(&kubelet, None));
        }
    }
    println!("{runs} pods after each other: {:?}", begun.elapsed());
    let first = first.unwrap();
    let last = settled(&kubelet, Some(&first));
    assert_eq!(last, first);
}

/// What there is, once it is as `expected`, or does not change any more: the kernel takes a moment to remove namespaces.
fn settled(
    kubelet: &Kubelet,
    expected: Option<&BTreeMap<&'static str, usize>>,
) -> BTreeMap<&'static str, usize> {
    let end = Instant::now() + Duration::from_secs(10);
    let mut before = count(kubelet);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = count(kubelet);
        if expected.map_or(now == before, |expected| now == *expected) || Instant::now() > end {
            return now;
        }
        before = now;
    }
}

/// Processes of this one, their namespaces, the links and mounts of the node, descriptors of this process, folders of pods.
fn count(kubelet: &Kubelet) -> BTreeMap<&'static str, usize> {
    let mut own = vec![std::process::id()];
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
            Some((number, parent))
        })
        .collect();
    let mut index = 0;
    while let Some(parent) = own.get(index).copied() {
        own.extend(all.iter().filter(|(_, of)| *of == parent).map(|(number, _)| *number));
        index += 1;
    }
    let agent = own.iter().find(|process| {
        fs::read(format!("/proc/{process}/cmdline"))
            .is_ok_and(|arguments| arguments.windows(6).any(|bytes| bytes == b"\0agent"))
    });
    let agent = agent.map_or(String::new(), |agent| format!("/proc/{agent}"));
    let lines =
        |file: &str| fs::read_to_string(format!("{agent}/{file}")).unwrap_or_default().lines().count();
    let mut namespaces: Vec<_> = own
        .iter()
        .flat_map(|process| fs::read_dir(format!("/proc/{process}/ns")).into_iter().flatten().flatten())
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect();
    namespaces.sort();
    namespaces.dedup();
    let entries = |path: &Path| fs::read_dir(path).map_or(0, |entries| entries.count());
    BTreeMap::from([
        ("processes", own.len()),
        ("namespaces", namespaces.len()),
        ("links", lines("net/dev")),
        ("mounts", lines("mountinfo")),
        ("descriptors", entries(Path::new("/proc/self/fd"))),
        ("descriptors of the agent", entries(Path::new(&format!("{agent}/fd")))),
        ("folders", entries(&kubelet.folder.path().join("kubelet/pods"))),
    ])
}
