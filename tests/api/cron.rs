//! CronJobs on the cluster's clock, as in `pkg/controller/cronjob/cronjob_controllerv2.go`. The clock begins at
//! 2023-11-14T22:13:20Z.

use serde_json::{Value, json};

use super::{Api, MERGE, names, text};

const CRONS: &str = "/apis/batch/v1/namespaces/default/cronjobs";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

impl Api {
    /// A cluster with the CronJob `c`, with these fields besides a template.
    async fn with_cron(spec: Value) -> Api {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
        let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] });
        let mut cron = json!({ "metadata": { "name": "c" }, "spec": spec });
        cron["spec"]["jobTemplate"] = json!({ "spec": { "template": { "spec": pod } } });
        api.post(CRONS, &cron).await.ok();
        api
    }

    async fn wait(&self, by: &str) {
        self.post("/apis/clusterlocal.dev/v1/clocks/cluster/advance", &json!({ "by": by })).await.ok();
    }

    /// The Events of the CronJob, as `REASON: MESSAGE`, without duplicates.
    async fn cron_events(&self) -> Vec<String> {
        let events = self.get("/api/v1/namespaces/default/events").await.ok();
        let items = events["items"].as_array().expect("items").iter();
        let of_cron = items.filter(|event| event["involvedObject"]["kind"] == "CronJob");
        of_cron.map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"]))).collect()
    }

    /// The times for which the Jobs of the CronJob were scheduled.
    async fn scheduled(&self) -> Vec<String> {
        let jobs = self.get(JOBS).await.ok();
        let items = jobs["items"].as_array().expect("items").iter();
        let scheduled = |job: &Value| {
            text(&job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"])
                .to_owned()
        };
        items.map(scheduled).collect()
    }
}

#[tokio::test]
async fn schedules_follow_their_time_zone() {
    // Schedule, time zone, time to wait; the times of the Jobs.
    let table: [(&str, Option<&str>, &str, &[&str]); 4] = [
        ("0 9 * * *", None, "24h", &["2023-11-15T09:00:00Z"]),
        ("0 9 * * *", Some("Etc/UTC"), "24h", &["2023-11-15T09:00:00Z"]),
        ("0 9 * * *", Some("Asia/Tokyo"), "24h", &["2023-11-15T09:00:00+09:00"]),
        (
            "30 6,18 * * *",
            Some("America/St_Johns"),
            "24h",
            &["2023-11-15T06:30:00-03:30", "2023-11-15T18:30:00-03:30"],
        ),
    ];
    for (schedule, zone, by, expected) in table {
        let mut spec = json!({ "schedule": schedule });
        if let Some(zone) = zone {
            spec["timeZone"] = zone.into();
        }
        let api = Api::with_cron(spec).await;
        api.wait(by).await;
        assert_eq!(api.scheduled().await, expected, "{schedule} {zone:?}");
        let last = expected.last().and_then(|time| time.parse::<clusterlocal_core::store::Time>().ok());
        let status = &api.get(&format!("{CRONS}/c")).await.ok()["status"];
        assert_eq!(text(&status["lastScheduleTime"]), last.map(|time| time.to_string()).unwrap_or_default());
    }
}

#[tokio::test]
async fn running_jobs_are_handled_by_the_concurrency_policy() {
    const FORBIDDEN: &str = "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    // Concurrency policy; the Jobs after two minutes, those in status.active, and the Events other than those of creation.
    let table: [(&str, &[&str], &[&str]); 3] = [
        ("Allow", &["c-28333334", "c-28333335"], &[]),
        ("Forbid", &["c-28333334"], &[FORBIDDEN]),
        ("Replace", &["c-28333335"], &["SuccessfulDelete: Deleted job c-28333334"]),
    ];
    for (policy, expected, events) in table {
        let api = Api::with_cron(json!({ "schedule": "* * * * *", "concurrencyPolicy": policy })).await;
        api.wait("110s").await;
        assert_eq!(names(&api.get(JOBS).await.ok()), expected, "{policy}");
        let status = &api.get(&format!("{CRONS}/c")).await.ok()["status"];
        let active: Vec<&str> =
            status["active"].as_array().expect("active").iter().map(|job| text(&job["name"])).collect();
        assert_eq!(active, expected, "{policy}");
        let mut others = api.cron_events().await;
        others.retain(|event| !event.starts_with("SuccessfulCreate"));
        assert_eq!(others, events, "{policy}");
    }
}

#[tokio::test]
async fn missed_times_are_handled_by_the_starting_deadline() {
    const MANY: &str = "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    /// Schedule, deadline, duration of the suspension; the number of Jobs afterwards, and the Events about missed times.
    type Case = (&'static str, Option<u32>, &'static str, usize, &'static [&'static str]);
    let table: [Case; 4] = [
        ("* * * * *", None, "10m", 1, &[]),
        ("* * * * *", None, "3h", 1, &[MANY]),
        ("* * * * *", Some(200), "3h", 1, &[]),
        // The last scheduled time is 22:15:00, three minutes ago.
        ("*/15 * * * *", Some(60), "5m", 0, &[]),
    ];
    for (schedule, deadline, by, jobs, events) in table {
        let case = format!("{schedule} {deadline:?} {by}");
        let spec = json!({ "schedule": schedule, "suspend": true, "startingDeadlineSeconds": deadline });
        let api = Api::with_cron(spec).await;
        api.wait(by).await;
        api.patch(&format!("{CRONS}/c"), MERGE, &json!({ "spec": { "suspend": false } })).await.ok();
        assert_eq!(api.scheduled().await.len(), jobs, "{case}");
        let mut recorded = api.cron_events().await;
        recorded.retain(|event| !event.starts_with("SuccessfulCreate"));
        assert_eq!(recorded, events, "{case}");
    }
}

#[tokio::test]
async fn the_status_of_a_cron_job_follows_its_jobs() {
    let api = Api::with_cron(json!({ "schedule": "* * * * *", "successfulJobsHistoryLimit": 1 })).await;
    api.wait("50s").await;
    for (minute, phase) in [(4, "Succeeded"), (5, "Succeeded"), (6, "Failed")] {
        let pods = api.get(super::PODS).await.ok();
        let pod = names(&pods).into_iter().find(|name| name.starts_with(&format!("c-2833333{minute}-")));
        let path = format!("{}/{}/status", super::PODS, pod.expect("a pod of the Job"));
        if phase == "Failed" {
            let job = json!({ "spec": { "backoffLimit": 0 } });
            api.patch(&format!("{JOBS}/c-2833333{minute}"), MERGE, &job).await.ok();
        }
        api.patch(&path, MERGE, &json!({ "status": { "phase": phase } })).await.ok();
        api.wait("60s").await;
    }
    let events = api.cron_events().await;
    for expected in [
        "SawCompletedJob: Saw completed job: c-28333334, condition: Complete",
        "SawCompletedJob: Saw completed job: c-28333335, condition: Complete",
        "SuccessfulDelete: Deleted job c-28333334",
        "SawCompletedJob: Saw completed job: c-28333336, condition: Failed",
    ] {
        assert!(events.iter().any(|event| event == expected), "{expected}: {events:?}");
    }
    assert_eq!(names(&api.get(JOBS).await.ok()), ["c-28333335", "c-28333336", "c-28333337"]);
    let status = &api.get(&format!("{CRONS}/c")).await.ok()["status"];
    assert_eq!(text(&status["lastScheduleTime"]), "2023-11-14T22:17:00Z");
    assert_eq!(text(&status["lastSuccessfulTime"]), "2023-11-14T22:15:10Z");
    // A Job that a client deletes while it runs.
    api.ask("DELETE", &format!("{JOBS}/c-28333337"), &[], "").await.ok();
    let missing = "MissingJob: Active job went missing: c-28333337";
    let events = api.cron_events().await;
    assert!(events.iter().any(|event| event == missing), "{events:?}");
}

#[tokio::test]
async fn a_cron_job_does_not_replace_a_job_of_another_owner() {
    let api = Api::with_cron(json!({ "schedule": "14 22 * * *" })).await;
    let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] });
    let stranger = json!({ "metadata": { "name": "c-28333334" }, "spec": { "template": { "spec": pod } } });
    api.post(JOBS, &stranger).await.ok();
    api.wait("2m").await;
    let status = &api.get(&format!("{CRONS}/c")).await.ok()["status"];
    assert_eq!((&status["active"], &status["lastScheduleTime"]), (&Value::Null, &Value::Null));
    assert_eq!(api.cron_events().await, [""; 0]);
}

#[tokio::test]
async fn a_changed_schedule_starts_at_its_next_time() {
    let api = Api::with_cron(json!({ "schedule": "0 0 1 1 *" })).await;
    api.wait("10m").await;
    api.patch(&format!("{CRONS}/c"), MERGE, &json!({ "spec": { "schedule": "* * * * *" } })).await.ok();
    assert_eq!(api.scheduled().await, [""; 0]);
    api.wait("60s").await;
    assert_eq!(api.scheduled().await, ["2023-11-14T22:24:00Z"]);
}
