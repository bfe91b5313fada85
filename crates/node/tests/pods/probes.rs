//! Probes of containers, by a clock that the test moves: when they ask, how, and what their results change.

use std::fs;

use clusterlocal_core::store::Time;
use serde_json::{Value, json};

use crate::api::{Kubelet, script, start, with};
use crate::kubelet::{STAYS, after};

pub fn a_readiness_probe_asks_from_its_delay_on() {
    let kubelet = Kubelet::by_hand();
    let probe = json!({"exec": {"command": ["bash", "-c", "test -e /tmp/none && exit 0; echo not there >&2; exit 1"]},
                       "initialDelaySeconds": 5, "periodSeconds": 3, "timeoutSeconds": 1});
    kubelet
        .create("web", json!({"containers": [with(script("a", STAYS), json!({"readinessProbe": probe}))]}));
    for seconds in [5, 8, 11] {
        let time = after(start(), seconds);
        kubelet.until_it_waits_for(time);
        kubelet.move_to(time);
        kubelet.until(("event", seconds), |state| {
            let event = state.events.iter().rev().find(|event| event.reason == "Unhealthy")?;
            (event.at == time).then(|| assert_eq!(event.message, "Readiness probe failed: not there\n"))
        });
    }
    let ready = kubelet.until("condition", |state| {
        let conditions = state.status("web", "/conditions")?.as_array()?;
        conditions.iter().find(|condition| condition["type"] == "ContainersReady").cloned()
    });
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("ContainersNotReady")));
}

pub fn other_probes_wait_for_the_startup_probe() {
    let kubelet = Kubelet::by_hand();
    let container = with(
        script("a", STAYS),
        json!({"startupProbe": {"exec": {"command": ["test", "-e", "/shared/started"]}, "periodSeconds": 2, "failureThreshold": 9},
               "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 50, "initialDelaySeconds": 3},
               "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 60, "initialDelaySeconds": 7},
               "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}),
    );
    let shared = kubelet.folder.path().join("shared");
    kubelet.create("web", json!({"containers": [container], "volumes": [{"name": "shared", "hostPath": {"path": shared, "type": "DirectoryOrCreate"}}]}));
    // The startup probe alone: at once, and after two seconds.
    kubelet.until_event("Unhealthy");
    kubelet.until_it_waits_for(after(start(), 2));
    kubelet.until("alone", |state| (state.waits() == [after(start(), 2)]).then_some(()));
    fs::write(shared.join("started"), "").unwrap();
    kubelet.move_to(after(start(), 2));
    // The delays of the others count from the start of the container.
    kubelet.until("others", |state| (state.waits() == [after(start(), 3), after(start(), 7)]).then_some(()));
    let status = kubelet.until("started", |state| {
        let status = state.status("web", "/containerStatuses/0")?;
        (status["started"] == true).then(|| status.clone())
    });
    assert_eq!(status["ready"], false);
    kubelet.move_to(after(start(), 3));
    kubelet
        .until("ready", |state| (state.status("web", "/containerStatuses/0/ready")? == true).then_some(()));
}

pub fn a_liveness_probe_restarts_its_container() {
    let kubelet = Kubelet::by_hand();
    let probe = json!({"exec": {"command": ["sleep", "1000"]}, "periodSeconds": 10, "timeoutSeconds": 2, "failureThreshold": 2,
                       "terminationGracePeriodSeconds": 4});
    let container = with(
        script("a", "trap '' TERM; echo up; while :; do sleep 1000; done"),
        json!({"livenessProbe": probe}),
    );
    kubelet.create("web", json!({"terminationGracePeriodSeconds": 60, "containers": [container]}));
    kubelet.until_line("web/a", "up");
    // Each probe times out after two seconds; the second failure ends the container, within the grace period of the probe.
    for (seconds, failures) in [(2, 1), (10, 1), (12, 2), (16, 2)] {
        kubelet.until_it_waits_for(after(start(), seconds));
        kubelet.move_to(after(start(), seconds));
        kubelet.until(("failures", failures), |state| {
            let unhealthy = state.events.iter().filter(|event| event.reason == "Unhealthy");
            (unhealthy.count() == failures).then_some(())
        });
    }
    kubelet.until("restart", |state| {
        let status = state.status("web", "/containerStatuses/0")?;
        (status["restartCount"] == 1 && status["state"]["running"].is_object()).then_some(())
    });
    let events = kubelet.until("events", |state| Some(state.events.clone()));
    let of = |reason: &str| -> Vec<(Time, String)> {
        events
            .iter()
            .filter(|event| event.reason == reason)
            .map(|event| (event.at, event.message.clone()))
            .collect()
    };
    let timed_out = "Liveness probe failed: command timed out: \"sleep 1000\" timed out after 2s".to_string();
    assert_eq!(of("Unhealthy"), [(after(start(), 2), timed_out.clone()), (after(start(), 12), timed_out)]);
    assert_eq!(
        of("Killing"),
        [(after(start(), 12), "Container a failed liveness probe, will be restarted".to_string())]
    );
}

pub fn http_probes_send_headers_and_follow_redirects() {
    let kubelet = Kubelet::by_hand();
    let server = std::env::current_exe().unwrap();
    let probe = |path: &str, more: Value| json!({"periodSeconds": 1000, "httpGet": with(json!({"port": "web", "path": path}), more)});
    let headers = json!({"httpHeaders": [{"name": "X-Probe", "value": "yes"}, {"name": "Host", "value": "web.example"}]});
    // Path and fields of a probe, and the message of its Event; an empty one is success.
    let table = [
        ("/agent/kube-probe/1.36", json!({}), ""),
        ("/header/x-probe/yes", headers.clone(), ""),
        ("/header/host/web.example", headers, ""),
        ("/header/accept/*/*", json!({}), ""),
        ("/status/404", json!({}), "Readiness probe failed: HTTP probe failed with statuscode: 404"),
        ("/redirect/status/200", json!({}), ""),
        ("/redirect/status/500", json!({}), "Readiness probe failed: HTTP probe failed with statuscode: 500"),
        (
            "/loop",
            json!({}),
            "Readiness probe failed: Get \"http://IP:8080/loop\": stopped after 10 redirects",
        ),
        ("/away", json!({}), "Readiness probe warning: Probe terminated redirects, Response body: away"),
        ("/status/200", json!({"host": "IP"}), ""),
        ("/status/200", json!({"scheme": "HTTPS"}), ""),
        (
            "/redirect/status/404",
            json!({"scheme": "HTTPS"}),
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
        ),
        (
            "/status/200",
            json!({"port": 1}),
            "Readiness probe failed: Get \"http://IP:1/status/200\": dial tcp IP:1: connect: connection refused",
        ),
        (
            "/status/200",
            json!({"port": "none"}),
            "Readiness probe errored and resulted in unknown state: the port has a name that the container does not have",
        ),
    ];
    for (number, (path, mut more, expected)) in table.into_iter().enumerate() {
        let (pod, ip) = (format!("web-{number}"), format!("10.244.0.{}", number + 2));
        let verb = if more["scheme"] == "HTTPS" { "__https" } else { "__http" };
        if more.get("host").is_some() {
            more["host"] = json!(ip);
        }
        // It listens before it is asked: the first container's hook waits for it.
        let container = json!({"name": "a", "image": "none", "command": [server, verb, "8080"],
            "ports": [{"name": "web", "containerPort": 8080}], "readinessProbe": probe(path, more),
            "lifecycle": {"postStart": {"exec": {"command": ["bash", "-c", "until (echo > /dev/tcp/127.0.0.1/8080) 2>/dev/null; do :; done"]}}}});
        kubelet.create(&pod, json!({"containers": [container]}));
        let message = kubelet.until((path, expected), |state| {
            let ready = state.status(&pod, "/containerStatuses/0/ready")? == true;
            let event = state.events.iter().find(|event| event.message.starts_with("Readiness probe"));
            match event {
                Some(event) => Some(event.message.clone()),
                None => ready.then(String::new),
            }
        });
        assert_eq!(message, expected.replace("IP", &ip), "{path}");
        kubelet.kill(&pod);
    }
}

pub fn probes_ask_by_tcp_and_grpc() {
    let kubelet = Kubelet::by_hand();
    let server = std::env::current_exe().unwrap();
    let table = [
        (json!({"tcpSocket": {"port": 9090}}), ""),
        (
            json!({"tcpSocket": {"port": 9}}),
            "Readiness probe failed: dial tcp IP:9: connect: connection refused",
        ),
        (
            json!({"tcpSocket": {"port": 9090, "host": "127.0.0.1"}}),
            "Readiness probe failed: dial tcp 127.0.0.1:9090: connect: connection refused",
        ),
        (json!({"grpc": {"port": 9090, "service": "up"}}), ""),
        (json!({"grpc": {"port": 9090}}), ""),
        (
            json!({"grpc": {"port": 9090, "service": "down"}}),
            "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")",
        ),
        (
            json!({"grpc": {"port": 9090, "service": "none"}}),
            "Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
        ),
        (
            json!({"grpc": {"port": 9}}),
            "Readiness probe failed: error: failed to connect service at \"IP:9\": dial tcp IP:9: connect: connection refused",
        ),
    ];
    for (number, (probe, expected)) in table.into_iter().enumerate() {
        let (pod, ip) = (format!("web-{number}"), format!("10.244.0.{}", number + 2));
        let container = json!({"name": "a", "image": "none", "command": [server, "__grpc", "9090"],
            "readinessProbe": with(probe.clone(), json!({"periodSeconds": 1000})),
            "lifecycle": {"postStart": {"exec": {"command": ["bash", "-c", "until (echo > /dev/tcp/127.0.0.1/9090) 2>/dev/null; do :; done"]}}}});
        kubelet.create(&pod, json!({"containers": [container]}));
        let message = kubelet.until((&probe, expected), |state| {
            let ready = state.status(&pod, "/containerStatuses/0/ready")? == true;
            let event = state.events.iter().find(|event| event.message.starts_with("Readiness probe"));
            match event {
                Some(event) => Some(event.message.clone()),
                None => ready.then(String::new),
            }
        });
        assert_eq!(message, expected.replace("IP", &ip), "{probe}");
        kubelet.kill(&pod);
    }
}
