//! Programs and manifests that do what they can: none harms the machine, the kubelet or other pods, and each shows in Events and
//! statuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::{Kubelet, script, with};

/// Maximum number of processes and threads of a container.
const MAX_PROCESSES: u64 = 8192;

pub fn programs_that_start_threads_without_end_are_bounded() {
    let kubelet = Kubelet::new();
    let server = std::env::current_exe().unwrap();
    kubelet.create("bomb", json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "none", "command": [server, "__threads"]}]}));
    let started: u64 = kubelet.until("count", |state| state.lines_of("bomb/a").first()?.parse().ok());
    assert!(started > 100 && started <= MAX_PROCESSES, "{started}");
    kubelet.create("other", json!({"containers": [script("a", "echo up; sleep 1000")]}));
    kubelet.until_line("other/a", "up");
}

pub fn long_logs_are_bounded() {
    let megabytes = std::env::var("CLUSTERLOCAL_TEST_LOG_MEGABYTES").map_or(64, |text| text.parse().unwrap());
    let kubelet = Kubelet::new();
    let write = format!("yes $(printf 'x%.0s' {{1..1023}}) | head -c {megabytes}M; echo; echo done");
    kubelet.create("web", json!({"restartPolicy": "Never", "containers": [script("a", &write)]}));
    kubelet.until("end", |state| (state.status("web", "/phase")? == "Succeeded").then_some(()));
    kubelet.until("bytes", |state| (state.bytes >= (megabytes << 20) / 1024 * 1023).then_some(()));
    let logs = size(&kubelet.folder.path().join("kubelet/pods/uid-1/logs"));
    assert!(logs > 1 << 20 && logs < 32 << 20, "{logs}");
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        kind if kind.is_dir() => size(&entry.path()),
        file => file.len(),
    });
    sizes.sum()
}

pub fn what_programs_remove_or_lock_is_cleaned_up() {
    let kubelet = Kubelet::new();
    let kept = kubelet.folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "contents").unwrap();
    let kept_path = kept.display();
    let spoil = format!(
        "rm -rf /data/* /claim/*; ln -s {kept_path} /data/link; ln -s {kept_path}/file /data/to-file; mkdir -p /data/locked/inner;
         cd /data; for i in {{1..200}}; do mkdir -m 777 d; cd d; done; chmod 0 /data/locked/inner /data/locked /data /claim; exit 0"
    );
    kubelet.put("PersistentVolumeClaim", "data", json!({}));
    let mounts = json!([{"name": "data", "mountPath": "/data"}, {"name": "claim", "mountPath": "/claim"}]);
    let spec = json!({"restartPolicy": "Never", "containers": [with(script("a", &spoil), json!({"volumeMounts": mounts}))],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}}]});
    kubelet.create("web", spec.clone());
    kubelet.until("end", |state| (state.status("web", "/phase")? == "Succeeded").then_some(()));
    kubelet.delete("web", 0);
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
    assert_eq!(fs::read_dir(kubelet.folder.path().join("kubelet/pods")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "contents");
    // The claim is as its program left it, and the next pod begins with that.
    let claim = kubelet.folder.path().join("kubelet/claims/default/data");
    assert_eq!(fs::metadata(&claim).unwrap().permissions().mode() & 0o777, 0);
    kubelet.create("again", spec);
    kubelet.until("end", |state| (state.status("again", "/phase")? == "Succeeded").then_some(()));
}

pub fn mounts_over_the_system_are_refused() {
    let kubelet = Kubelet::new();
    let table = [
        ("/", "cannot mount /: a container cannot have another root"),
        ("/proc", "cannot mount /proc: the kernel's own files cannot be replaced"),
        ("/proc/sys/kernel", "cannot mount /proc/sys/kernel: the kernel's own files cannot be replaced"),
        ("/etc/mtab", "cannot mount /etc/mtab: the kernel's own files cannot be replaced"),
        ("/sys", "cannot mount /sys: the kernel's own files cannot be replaced"),
        (
            "/a/../../etc",
            "cannot mount /a/../../etc: an absolute path without .. is expected, for instance /var/lib/store",
        ),
        ("data", "cannot mount data: an absolute path without .. is expected, for instance /var/lib/store"),
    ];
    for (number, (path, expected)) in table.into_iter().enumerate() {
        if path == "/etc/mtab" && fs::canonicalize(path).is_ok_and(|path| !path.starts_with("/proc")) {
            continue;
        }
        let container =
            with(script("a", "exit 0"), json!({"volumeMounts": [{"name": "v", "mountPath": path}]}));
        let name = format!("web-{number}");
        kubelet.create(&name, json!({"restartPolicy": "Never", "containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}));
        let ended = kubelet
            .until(path, |state| state.status(&name, "/containerStatuses/0/state/terminated").cloned());
        assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("StartError"), &json!(128)), "{path}");
        let message = ended["message"].as_str().unwrap();
        assert_eq!(message, format!("failed to start container: {expected}"));
        kubelet.until(expected, |state| {
            state
                .events
                .iter()
                .any(|event| event.reason == "Failed" && event.message.ends_with(expected))
                .then_some(())
        });
    }
}

pub fn links_in_volumes_do_not_lead_out() {
    let kubelet = Kubelet::new();
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let init = with(
        script("init", "ln -s / /v/root; ln -s ../../.. /v/up; ln -s there /v/inside; mkdir /v/there"),
        json!({"volumeMounts": mounts}),
    );
    let at = |name: &str, below: &str| {
        with(
            script(name, "echo up"),
            json!({"volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": below}]}),
        )
    };
    let spec = json!({"restartPolicy": "Never", "initContainers": [init],
        "containers": [at("root", "root/tmp"), at("up", "up"), at("inside", "inside"), at("dots", "../x")],
        "volumes": [{"name": "v", "emptyDir": {}}]});
    kubelet.create("web", spec);
    kubelet.until_line("web/inside", "up");
    let reasons = kubelet.until("statuses", |state| {
        let statuses = state.status("web", "/containerStatuses")?.as_array()?;
        let reason =
            |status: &Value| status["state"]["waiting"]["reason"].as_str().unwrap_or("none").to_string();
        Some(statuses.iter().map(reason).collect::<Vec<_>>()).filter(|reasons| reasons[2] == "none")
    });
    let refused = "CreateContainerConfigError";
    assert_eq!(reasons, [refused, refused, "none", refused]);
}

pub fn paths_that_the_caller_may_not_read_are_events() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let kubelet = Kubelet::new();
    let locked = kubelet.folder.path().join("locked");
    fs::create_dir_all(locked.join("inner")).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let container = with(script("a", "exit 0"), json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
    kubelet.create("web", json!({"containers": [container], "volumes": [{"name": "v", "hostPath": {"path": locked.join("inner")}}]}));
    let event = kubelet.until_event("FailedMount");
    assert!(event.message.contains("cannot be read: Permission denied"), "{}", event.message);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn odd_names_stay_in_their_folders() {
    let mut kubelet = Kubelet::new();
    let before = entries(kubelet.folder.path());
    for (number, name) in ["..", "../../x", "a/b", "a\nb", "\u{1b}[31m", "", "a\0b"].into_iter().enumerate() {
        let container =
            with(script(name, "exit 0"), json!({"volumeMounts": [{"name": name, "mountPath": "/v"}]}));
        let spec = json!({"restartPolicy": "Never", "hostname": "web", "containers": [container], "volumes": [{"name": name, "emptyDir": {}}]});
        kubelet.create_with(&format!("web-{number}"), json!({"uid": name}), spec);
    }
    kubelet.create("last", json!({"restartPolicy": "Never", "containers": [script("a", "exit 0")]}));
    kubelet.until("end", |state| (state.status("last", "/phase")? == "Succeeded").then_some(()));
    kubelet.stop();
    assert_eq!(entries(kubelet.folder.path()), before);
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|name| name != "kubelet");
    names.sort();
    names
}

pub fn volumes_that_are_not_supported_are_events() {
    let kubelet = Kubelet::new();
    let container = script("a", "exit 0");
    kubelet.create(
        "web",
        json!({"containers": [container], "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}),
    );
    let event = kubelet.until_event("FailedCreatePodSandBox");
    assert!(event.message.contains("spec.volumes[0].nfs is not supported"), "{}", event.message);
    kubelet.until("status", |state| {
        (state.status("web", "/containerStatuses/0/state/waiting/reason")? == "ContainerCreating")
            .then_some(())
    });
    kubelet.delete("web", 0);
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
}
