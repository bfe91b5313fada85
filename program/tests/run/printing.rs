//! What the server prints and writes: the lines of containers, and what happens to pods.

use std::fs;

use nix::sys::signal::Signal;

use super::{Directory, pod, users};

#[test]
fn lines_of_containers_are_printed_and_kept() {
    for user in users() {
        let pods = pod("talking", "echo first; echo second >&2; exec sleep infinity", 1);
        let directory = Directory::with(user, &[("pods.yaml", &pods)]);
        let server = directory.run("--logs logs pods.yaml");
        // Standard output is no terminal here: no colors.
        server.out.wait_for("talking/main | first");
        server.out.wait_for("talking/main | second");
        let kept = fs::read_to_string(directory.path("logs/talking_default_main.log")).expect("a file");
        let mut lines: Vec<&str> = kept.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["first", "second"], "{user:?}");
        drop(server);
        let server = directory.run("--logs quiet --quiet pods.yaml");
        server.errors.wait_for("talking is ready at 10.244.");
        super::soon("the file", || {
            fs::read_to_string(directory.path("quiet/talking_default_main.log"))
                .is_ok_and(|kept| kept.contains("first"))
        });
        assert_eq!(server.out.all().len(), 1, "the ready line alone");
    }
}

/// Each thing that happens to a pod is a line of the log.
#[test]
fn what_happens_to_pods_is_logged() {
    for user in users() {
        let crashing = pod("crashing", "exit 3", 1);
        let lasting = pod("lasting", "exec sleep infinity", 1);
        let directory = Directory::with(user, &[("pods.yaml", &(crashing + &lasting))]);
        let mut server = directory.run("pods.yaml");
        let expected = [
            "lasting is on node-",
            "lasting: Started: Container started: main",
            "lasting is ready at 10.244.",
            "crashing: container main ended with exit code 3 (Error)",
            "crashing: BackOff: Back-off restarting failed container main",
        ];
        for line in expected {
            server.errors.wait_for(line);
        }
        fs::write(directory.path("pods.yaml"), lasting).expect("a file");
        server.errors.wait_for("crashing is gone");
        server.signal(Signal::SIGTERM);
        server.errors.wait_for("lasting: Killing: Stopping container main");
        assert_eq!(server.wait().code(), Some(0), "{user:?}");
    }
}

/// The files of claims are beside the first path, and not where manifests are watched.
#[test]
fn claims_are_kept_beside_the_manifests() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n\
                 spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n---\n\
                 apiVersion: v1\nkind: Pod\nmetadata: {name: writing}\n\
                 spec: {terminationGracePeriodSeconds: 1, volumes: [{name: data, persistentVolumeClaim: {claimName: data}}], \
                 containers: [{name: main, image: none, command: [sh, -c, 'echo kept > /data/file; echo up; exec sleep infinity'], \
                 volumeMounts: [{name: data, mountPath: /data}]}]}\n";
    for user in users() {
        let directory = Directory::with(user, &[]);
        fs::create_dir(directory.path("zones")).expect("a folder");
        fs::write(directory.path("zones/pod.yaml"), claim).expect("a file");
        let server = directory.run("zones");
        server.out.wait_for("writing/main | up");
        let kept = fs::read_to_string(directory.path(".clusterlocal/claims/default/data/file"));
        assert_eq!(kept.expect("a file of the claim"), "kept\n", "{user:?}");
        assert!(!directory.path("zones/.clusterlocal").exists());
    }
}
