//! Systems that forbid namespaces: the message, and pods on the network of the machine.

use std::process::Stdio;

use super::{Directory, Server, pod, users};

/// Runs its arguments in a user namespace that allows no further ones, without capabilities, as Debian and Ubuntu do by a setting.
const FORBIDDEN: [&str; 5] = [
    "unshare",
    "--map-root-user",
    "bash",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \"$@\"",
];

#[test]
fn the_message_names_the_setting_and_the_ways_on() {
    for user in users() {
        let directory = Directory::with(user, &[("pods.yaml", &pod("one", "exit 0", 1))]);
        let mut command = directory.command(FORBIDDEN[0]);
        command.args(&FORBIDDEN[1..]).arg(directory.path("clusterlocal"));
        command.args(["run", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "pods.yaml"]);
        let ended = command.stdout(Stdio::null()).output().expect("it runs");
        assert_eq!(ended.status.code(), Some(3), "{user:?}");
        let message = String::from_utf8_lossy(&ended.stderr);
        for part in [
            "user.max_user_namespaces=0 forbids it",
            "sudo sysctl -w user.max_user_namespaces=",
            "with sudo",
            "--network host",
        ] {
            assert!(message.contains(part), "{user:?}: {message}");
        }
    }
}

#[test]
fn pods_run_on_the_network_of_the_machine() {
    for user in users() {
        let script = "echo \"$POD_IP $CLUSTERLOCAL_DNS_HOST\"; exec sleep infinity";
        let directory = Directory::with(user, &[("pods.yaml", &pod("one", script, 1))]);
        let mut command = directory.command(FORBIDDEN[0]);
        command.args(&FORBIDDEN[1..]).arg(directory.path("clusterlocal"));
        command.args([
            "run",
            "--network",
            "host",
            "--listen",
            "127.0.0.1:0",
            "--api",
            "127.0.0.1:0",
            "pods.yaml",
        ]);
        let server = Server::start(&mut command);
        let line = server.out.wait_for("one/main | 127.244.");
        assert!(line.ends_with(" 127.0.0.1"), "{user:?}: {line}");
    }
}
