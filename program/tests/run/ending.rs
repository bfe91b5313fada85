//! The end of the server, and of its pods.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Directory, mounts_and_links, pod, processes_with, soon, users};

/// Longer than the time in which two signals count as one key.
const BETWEEN_KEYS: Duration = Duration::from_millis(400);

#[test]
fn the_first_signal_stops_pods_within_their_grace_period() {
    for user in users() {
        let polite =
            pod("polite", "trap 'echo stopping; exit 0' TERM; echo up; while :; do sleep 0.1; done", 30);
        let stubborn = pod("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done", 1);
        let directory = Directory::with(user, &[("pods.yaml", &(polite + &stubborn))]);
        let mut server = directory.run("pods.yaml");
        server.out.wait_for("polite/main | up");
        server.out.wait_for("stubborn/main | up");
        let since = Instant::now();
        server.key(Signal::SIGINT);
        assert_eq!(server.wait().code(), Some(0), "{user:?}: {:?}", server.errors.all());
        assert!(since.elapsed() >= Duration::from_secs(1), "{user:?}: it has its grace period");
        server.out.wait_for("polite/main | stopping");
    }
}

#[test]
fn a_second_signal_stops_pods_at_once() {
    for user in users() {
        let mark = format!("mark-second-{user:?}-{}", std::process::id());
        let script = format!(
            "trap '' TERM; exec -a {mark} bash -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'"
        );
        let directory = Directory::with(user, &[("pods.yaml", &pod("stubborn", &script, 600))]);
        let mut server = directory.run("pods.yaml");
        server.out.wait_for("stubborn/main | up");
        server.key(Signal::SIGINT);
        server.errors.wait_for("a second signal stops them at once");
        std::thread::sleep(BETWEEN_KEYS);
        server.key(Signal::SIGINT);
        assert_eq!(server.wait().code(), Some(130), "{user:?}");
        soon("the end of the pods", || processes_with(&mark) == 0);
    }
}

/// A server that is killed leaves no process, mount or link, with namespaces and without.
#[test]
fn a_killed_server_leaves_nothing() {
    for user in users() {
        for network in ["pods", "host"] {
            let before = mounts_and_links();
            let mark = format!("mark-killed-{user:?}-{network}-{}", std::process::id());
            let script = format!(
                "trap '' TERM; (exec -a {mark} sleep 1000) & (setsid bash -c 'exec -a {mark} sleep 1000' &); echo up; wait; wait"
            );
            let directory = Directory::with(user, &[("pods.yaml", &pod("busy", &script, 600))]);
            let mut server = directory.run(&format!("--network {network} pods.yaml"));
            server.out.wait_for("busy/main | up");
            soon("both processes", || processes_with(&mark) >= 2);
            server.signal(Signal::SIGKILL);
            server.wait();
            soon("the end of all processes", || processes_with(&mark) == 0);
            assert_eq!(mounts_and_links(), before, "{user:?} {network}");
        }
    }
}
