//! Containers as a kubelet runs them. What is about time is by a clock that the test moves: it reads what the kubelet waits for.

use std::fs;
use std::time::Duration;

use clusterlocal_core::store::Time;
use serde_json::{Value, json};

use crate::api::{Kubelet, script, start, with};

pub fn after(time: Time, seconds: u64) -> Time {
    time.after(Duration::from_secs(seconds))
}

/// A script that runs until it is stopped, and writes a line then.
pub const STAYS: &str = "trap 'echo term; exit 0' TERM; echo up; sleep 1000 & wait";

pub fn a_container_has_its_volumes() {
    let kubelet = Kubelet::new();
    kubelet.put("ConfigMap", "settings", json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "aGk="}}));
    kubelet.put("Secret", "login", json!({"data": {"password": "c2VjcmV0"}}));
    kubelet.put("PersistentVolumeClaim", "data", json!({"spec": {"volumeName": "pv"}}));
    let print = "cat /settings/one /settings/deep/c /login/password; stat -Lc %a /settings/one /login/password; ls /none; cat /info/labels;
        echo kept > /data/file; echo x > /scratch/of-web/x; ls /scratch; pwd; (echo x > /settings/x) 2>/dev/null || echo locked";
    let mounts = json!([
        {"name": "settings", "mountPath": "/settings"}, {"name": "login", "mountPath": "/login"}, {"name": "none", "mountPath": "/none"},
        {"name": "info", "mountPath": "/info"}, {"name": "data", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/scratch"},
        {"name": "scratch", "mountPath": "/scratch/of-web", "subPathExpr": "of-$(NAME)"},
    ]);
    let env = json!([{"name": "NAME", "value": "web"}]);
    let container =
        with(script("a", print), json!({"volumeMounts": mounts, "env": env, "workingDir": "/settings"}));
    let items = json!([{"key": "a", "path": "one", "mode": 0o400}, {"key": "c", "path": "deep/c"}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": [
        {"name": "settings", "configMap": {"name": "settings", "items": items}},
        {"name": "login", "secret": {"secretName": "login", "defaultMode": 0o440}},
        {"name": "none", "configMap": {"name": "none", "optional": true}},
        {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "scratch", "emptyDir": {}},
    ]});
    kubelet.create_with("web", json!({"labels": {"app": "web"}}), spec);
    kubelet.until("end", |state| (state.status("web", "/phase")? == "Succeeded").then_some(()));
    let expected = "1hisecret400\n440\napp=\"web\"of-web\n/settings\nlocked";
    kubelet.until("lines", |state| (state.lines_of("web/a").join("\n") == expected).then_some(()));
    let kept = kubelet.folder.path().join("kubelet/claims/default/data/file");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept\n");
    kubelet.delete("web", 0);
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept\n");
    assert_eq!(fs::read_dir(kubelet.folder.path().join("kubelet/pods")).unwrap().count(), 0);
}

pub fn files_follow_their_objects() {
    let kubelet = Kubelet::by_hand();
    kubelet.put("ConfigMap", "settings", json!({"data": {"a": "1"}}));
    kubelet.put("ConfigMap", "fixed", json!({"immutable": true, "data": {"a": "1"}}));
    let show = "trap 'echo $(cat /settings/a /fixed/a /part /labels/l)' USR1; trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait; done";
    let container = with(
        script("a", show),
        json!({"volumeMounts": [
            {"name": "settings", "mountPath": "/settings"}, {"name": "fixed", "mountPath": "/fixed"},
            {"name": "settings", "mountPath": "/part", "subPath": "a"}, {"name": "labels", "mountPath": "/labels"},
        ],
        "readinessProbe": {"exec": {"command": ["kill", "-USR1", "1"]}, "initialDelaySeconds": 1, "periodSeconds": 100}}),
    );
    let spec = json!({"containers": [container], "volumes": [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "fixed", "configMap": {"name": "fixed"}},
        {"name": "labels", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels['l']"}}]}},
    ]});
    kubelet.create_with("web", json!({"labels": {"l": "1"}}), spec);
    kubelet.until_line("web/a", "up");
    kubelet.until("running", |state| {
        state.status("web", "/containerStatuses/0/state")?["running"].is_object().then_some(())
    });
    kubelet.until_it_waits_for(after(start(), 1));
    kubelet.move_to(after(start(), 1));
    kubelet.until_line("web/a", "1111");
    for (kind, name, object) in [
        ("ConfigMap", "settings", json!({"data": {"a": "2"}})),
        ("ConfigMap", "fixed", json!({"immutable": true, "data": {"a": "2"}})),
    ] {
        kubelet.put(kind, name, object);
    }
    let sync = after(start(), 2);
    kubelet.until(("sync", sync), |state| state.waits().contains(&sync).then_some(()));
    kubelet.move_to(sync);
    let volumes = kubelet.folder.path().join("kubelet/pods/uid-1/volumes");
    let follows = |name: &str| {
        let is_new = || fs::read_to_string(volumes.join(name)).is_ok_and(|contents| contents == "2");
        kubelet.until(name, |_| is_new().then_some(()));
    };
    follows("settings/a");
    // A change of the pod itself is there at once.
    kubelet.edit("web", |pod| pod["metadata"]["labels"]["l"] = json!("2"));
    follows("labels/l");
    kubelet.move_to(after(start(), 101));
    kubelet.until_line("web/a", "2112");
}

pub fn a_pod_has_the_token_of_its_service_account() {
    let kubelet = Kubelet::new();
    kubelet.put("ConfigMap", "kube-root-ca.crt", json!({"data": {"ca.crt": "bundle"}}));
    kubelet.put("ServiceAccount", "robot", json!({}));
    kubelet.put("ServiceAccount", "closed", json!({"automountServiceAccountToken": false}));
    let folder = "/var/run/secrets/kubernetes.io/serviceaccount";
    let print = format!(
        "cd {folder} 2>/dev/null || {{ echo nothing; exit; }}; cat token; echo; cat ca.crt namespace; echo"
    );
    kubelet.create(
        "with",
        json!({"serviceAccountName": "robot", "restartPolicy": "Never", "containers": [script("a", &print)]}),
    );
    kubelet.create(
        "without",
        json!({"serviceAccountName": "robot", "automountServiceAccountToken": false, "restartPolicy": "Never",
               "containers": [script("a", &print)]}),
    );
    let lines = kubelet.until("lines", |state| {
        let lines = state.lines_of("with/a");
        (lines.len() == 2).then(|| lines.join("|"))
    });
    assert!(lines.starts_with("token of robot.default for \"\", 3607 s, at 20"), "{lines}");
    assert!(lines.ends_with("|bundledefault"), "{lines}");
    kubelet.until_line("without/a", "nothing");
    for account in ["closed", "none"] {
        kubelet.create(
            account,
            json!({"serviceAccountName": account, "restartPolicy": "Never", "containers": [script("a", &print)]}),
        );
        kubelet.until_line(&format!("{account}/a"), "nothing");
    }
}

pub fn init_containers_and_sidecars_start_in_order() {
    let kubelet = Kubelet::new();
    let side = |name: &str| {
        with(
            script(
                name,
                &format!(
                    "trap 'echo {name} ends >> /shared/order; exit 0' TERM; echo {name} >> /shared/order; sleep 1000 & wait"
                ),
            ),
            json!({"restartPolicy": "Always", "startupProbe": {"exec": {"command": ["grep", "-q", name, "/shared/order"]}, "periodSeconds": 1},
                   "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}),
        )
    };
    let of = |name: &str, text: &str| {
        with(script(name, text), json!({"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}))
    };
    let spec = json!({
        "initContainers": [of("first", "echo first >> /shared/order"), side("one"), side("two"), of("last", "echo last >> /shared/order")],
        "containers": [of("main", "trap 'echo main ends >> /shared/order; exit 0' TERM; echo main >> /shared/order; sleep 1000 & wait")],
        "volumes": [{"name": "shared", "hostPath": {"path": kubelet.folder.path().join("shared"), "type": "DirectoryOrCreate"}}],
    });
    kubelet.create("web", spec);
    kubelet.until("Running", |state| (state.status("web", "/phase")? == "Running").then_some(()));
    let order = || fs::read_to_string(kubelet.folder.path().join("shared/order")).unwrap_or_default();
    kubelet.until("main", |state| {
        (state.status("web", "/containerStatuses/0/ready")? == true && order().ends_with("main\n"))
            .then_some(())
    });
    let init = kubelet.until("init", |state| state.status("web", "/initContainerStatuses").cloned());
    let states: Vec<(bool, bool)> = init
        .as_array()
        .unwrap()
        .iter()
        .map(|status| (status["ready"] == true, status["started"] == true))
        .collect();
    assert_eq!(states, [(true, false), (true, true), (true, true), (true, false)]);
    kubelet.delete("web", 30);
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
    assert_eq!(order(), "first\none\ntwo\nlast\nmain\nmain ends\ntwo ends\none ends\n");
}

pub fn hooks_run_after_the_start_and_before_the_end() {
    let kubelet = Kubelet::by_hand();
    let lifecycle = json!({
        "postStart": {"exec": {"command": ["bash", "-c", "echo post >> /shared/order; mkfifo /shared/go; read < /shared/go"]}},
        "preStop": {"sleep": {"seconds": 3}},
    });
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}]);
    let first = with(script("a", STAYS), json!({"lifecycle": lifecycle, "volumeMounts": mounts}));
    let second = with(script("b", STAYS), json!({"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}));
    let shared = kubelet.folder.path().join("shared");
    let spec = json!({"containers": [first, second],
                      "volumes": [{"name": "shared", "hostPath": {"path": shared, "type": "DirectoryOrCreate"}}]});
    kubelet.create("web", spec);
    // The container's program runs, its hook does not end: it counts as waiting, and the next one has not been started.
    kubelet.until_line("web/a", "up");
    kubelet.until("hook", |_| fs::metadata(shared.join("go")).ok());
    kubelet.until("waiting", |state| {
        let statuses = state.status("web", "/containerStatuses")?;
        let reason =
            |index: usize| statuses[index]["state"]["waiting"]["reason"].as_str().unwrap_or_default();
        (reason(0) == "ContainerCreating" && reason(1) == "ContainerCreating").then_some(())
    });
    kubelet.until("no start of b", |state| {
        state.events.iter().all(|event| event.message != "Container started: b").then_some(())
    });
    fs::write(shared.join("go"), "\n").unwrap();
    kubelet.until("running", |state| {
        let statuses = state.status("web", "/containerStatuses")?.as_array()?;
        statuses.iter().all(|status| status["state"]["running"].is_object()).then_some(())
    });
    kubelet.until_line("web/b", "up");
    kubelet.delete("web", 30);
    // The second hook fails at once, and SIGTERM follows; the first one sleeps for three seconds.
    kubelet.until_event("FailedPreStopHook");
    kubelet.until_line("web/b", "term");
    kubelet.until_it_waits_for(after(start(), 3));
    kubelet.until("no term", |state| (!state.lines_of("web/a").contains(&"term")).then_some(()));
    kubelet.move_to(after(start(), 3));
    kubelet.until_line("web/a", "term");
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
    let killing = kubelet.until("events", |state| {
        let killing = state.events.iter().filter(|event| event.reason == "Killing");
        Some(killing.map(|event| event.message.clone()).collect::<Vec<_>>())
    });
    assert_eq!(killing, ["Stopping container a", "Stopping container b"]);
}

pub fn hooks_that_fail_are_events() {
    for hook in
        [json!({"exec": {"command": ["bash", "-c", "echo why; exit 3"]}}), json!({"tcpSocket": {"port": 1}})]
    {
        let kubelet = Kubelet::by_hand();
        let ignores = script("a", "trap '' TERM; while :; do sleep 1000; done");
        let container = with(ignores, json!({"lifecycle": {"postStart": hook}}));
        kubelet.create("web", json!({"terminationGracePeriodSeconds": 4, "containers": [container]}));
        // The container is stopped, within its grace period, and started again: first at once, then after ten seconds.
        for end in [4, 8] {
            kubelet.until_it_waits_for(after(start(), end));
            kubelet.move_to(after(start(), end));
        }
        let waiting = kubelet.until("back-off", |state| {
            let waiting = state.status("web", "/containerStatuses/0/state/waiting")?;
            (waiting["reason"] == "CrashLoopBackOff").then(|| waiting.clone())
        });
        assert!(
            waiting["message"].as_str().unwrap().starts_with("back-off 10s restarting failed"),
            "{waiting}"
        );
        assert_eq!(kubelet.until_event("FailedPostStartHook").message, "PostStartHook failed");
        assert_eq!(kubelet.until_event("Killing").message, "FailedPostStartHook");
        kubelet.until_it_waits_for(after(start(), 18));
    }
}

pub fn a_program_without_a_handler_ends_after_its_grace_period() {
    let kubelet = Kubelet::by_hand();
    kubelet.create("web", json!({"terminationGracePeriodSeconds": 30, "containers": [script("a", "trap '' TERM; echo up; while :; do sleep 1000; done")]}));
    kubelet.until_line("web/a", "up");
    kubelet.delete("web", 30);
    kubelet.until_it_waits_for(after(start(), 30));
    // Asked again, it has less time.
    kubelet.move_to(after(start(), 4));
    kubelet.delete("web", 5);
    kubelet.until_it_waits_for(after(start(), 9));
    kubelet.move_to(after(start(), 9));
    kubelet.until("removal", |state| state.pods.is_empty().then_some(()));
}

pub fn waits_before_restarts_double() {
    let kubelet = Kubelet::by_hand();
    kubelet.create("web", json!({"restartPolicy": "Always", "containers": [script("a", "exit 7")]}));
    let mut now = start();
    for (restarts, wait) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300)] {
        let status = kubelet.until(("restart", restarts), |state| {
            let status = state.status("web", "/containerStatuses/0")?;
            (status["restartCount"] == restarts && status["state"]["waiting"]["reason"] == "CrashLoopBackOff")
                .then(|| status.clone())
        });
        assert_eq!(status["lastState"]["terminated"]["exitCode"], 7);
        assert_eq!(status["lastState"]["terminated"]["reason"], "Error");
        now = after(now, wait);
        kubelet.until_it_waits_for(now);
        kubelet.move_to(now);
    }
    let backed_off = kubelet.until("events", |state| {
        Some(
            state
                .events
                .iter()
                .filter(|event| event.reason == "BackOff")
                .map(|event| event.at)
                .collect::<Vec<_>>(),
        )
    });
    // Each is recorded when the container has ended: the first restart is at once.
    assert_eq!(backed_off[..3], [start(), after(start(), 10), after(start(), 30)]);
}

pub fn a_deadline_ends_a_pod() {
    let kubelet = Kubelet::by_hand();
    kubelet.create("web", json!({"activeDeadlineSeconds": 60, "containers": [script("a", STAYS)]}));
    kubelet.until_line("web/a", "up");
    kubelet.until_it_waits_for(after(start(), 60));
    kubelet.move_to(after(start(), 60));
    let status = kubelet.until("failure", |state| {
        (state.status("web", "/phase")? == "Failed").then(|| state.pod("web").unwrap()["status"].clone())
    });
    assert_eq!(status["reason"], "DeadlineExceeded");
    assert_eq!(status["message"], "Pod was active on the node longer than the specified deadline");
    assert_eq!(kubelet.until_event("DeadlineExceeded").at, after(start(), 60));
}

pub fn a_container_leaves_a_message() {
    let kubelet = Kubelet::new();
    let fails = |name: &str, text: &str, fields: Value| {
        with(script(name, text), with(json!({"terminationMessagePath": "/dev/termination-log"}), fields))
    };
    let spec = json!({"restartPolicy": "Never", "containers": [
        fails("written", "echo -n why > /dev/termination-log; exit 1", json!({})),
        fails("elsewhere", "echo -n else > /var/why; exit 0", json!({"terminationMessagePath": "/var/why"})),
        fails("long", "head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log; exit 1", json!({})),
        fails("silent", "echo line; exit 1", json!({})),
        // A file among the devices does not change those.
        fails("devices", "echo x > /dev/null && echo -n open > /dev/termination-log; exit 1", json!({})),
    ]});
    kubelet.create("web", spec);
    kubelet.until("end", |state| (state.status("web", "/phase")? == "Failed").then_some(()));
    let messages = kubelet.until("statuses", |state| {
        let statuses = state.status("web", "/containerStatuses")?.as_array()?;
        let message = |status: &Value| {
            status["state"]["terminated"]["message"].as_str().unwrap_or_default().to_string()
        };
        Some(statuses.iter().map(message).collect::<Vec<_>>())
    });
    assert_eq!(messages, ["why", "else", &"x".repeat(4096), "", "open"]);
}

pub fn statuses_are_complete() {
    let kubelet = Kubelet::by_hand();
    let container = with(
        script("a", STAYS),
        json!({"resources": {"requests": {"cpu": "1"}}, "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true}]}),
    );
    kubelet.create_with(
        "web",
        json!({"generation": 3}),
        json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}),
    );
    let status = kubelet.until("running", |state| {
        (state.status("web", "/phase")? == "Running").then(|| state.pod("web").unwrap()["status"].clone())
    });
    let since = start().to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": since, "observedGeneration": 3});
    let expected = json!({
        "phase": "Running", "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}], "hostIP": "172.18.0.2", "qosClass": "BestEffort",
        "startTime": since, "observedGeneration": 3,
        "conditions": [condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"), condition("ContainersReady")],
        "containerStatuses": [{
            "name": "a", "image": "none", "imageID": "bash", "containerID": "process://uid-1-1", "ready": true, "started": true,
            "restartCount": 0, "state": {"running": {"startedAt": since}}, "lastState": {},
            "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "1"},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": "Disabled"}],
        }],
    });
    assert_eq!(status, expected);
}
