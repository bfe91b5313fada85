//! Jobs and CronJobs: policies, schedules, and what a client may write into a Job's status.

use super::*;

/// A Job with this in its spec beside a template.
fn job(spec: &str) -> Value {
    let mut json = object_of(
        Kind::Job,
        "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
    );
    let more = yaml(spec);
    for (field, value) in more.as_object().expect("a map") {
        json["spec"][field] = value.clone();
    }
    json
}

#[test]
fn policies_of_jobs() {
    const INDEXED: &str = "completionMode: Indexed, completions: 4";
    let rule = "spec.podFailurePolicy.rules[0]";
    let failing = |rule: &str| format!("{{podFailurePolicy: {{rules: [{rule}]}}}}");
    let succeeding = |rule: &str| format!("{{{INDEXED}, successPolicy: {{rules: [{rule}]}}}}");
    let table: Vec<(String, Vec<String>)> = vec![
        (failing("{action: FailJob, onExitCodes: {containerName: c, operator: In, values: [1, 42]}}"), vec![]),
        (failing("{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: 'True'}]}"), vec![]),
        (
            failing("{action: FailIndex, onExitCodes: {operator: In, values: [1]}}"),
            vec![format!("{rule}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set")],
        ),
        (
            failing("{action: Retry, onExitCodes: {operator: Is, values: [1]}}"),
            vec![
                format!("{rule}.action: Unsupported value: \"Retry\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\""),
                format!("{rule}.onExitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\""),
            ],
        ),
        (
            failing("{action: Count, onExitCodes: {containerName: x, operator: In, values: [3, 0, 3]}}"),
            vec![
                format!("{rule}.onExitCodes.containerName: Invalid value: \"x\": must be one of the container or initContainer names in the pod template"),
                format!("{rule}.onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator"),
                format!("{rule}.onExitCodes.values[2]: Duplicate value: 3"),
                format!("{rule}.onExitCodes.values: Invalid value: [3,0,3]: must be ordered"),
            ],
        ),
        (
            failing("{action: Count, onExitCodes: {operator: In, values: []}}"),
            vec![format!("{rule}.onExitCodes.values: Invalid value: []: at least one value is required")],
        ),
        (
            failing("{action: Count}"),
            vec![format!("{rule}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required")],
        ),
        (
            failing("{action: Count, onExitCodes: {operator: In, values: [1]}, onPodConditions: [{type: A, status: Maybe}]}"),
            vec![
                format!("{rule}.onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\""),
                format!("{rule}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"),
            ],
        ),
        (succeeding("{succeededIndexes: '0,2-3', succeededCount: 2}"), vec![]),
        (
            "{successPolicy: {rules: [{succeededIndexes: '0'}]}}".into(),
            vec!["spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":\"0\",\"SucceededCount\":null}]}: requires indexed completion mode".into()],
        ),
        (
            format!("{{{INDEXED}, successPolicy: {{rules: []}}}}"),
            vec!["spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified".into()],
        ),
        (
            succeeding("{}"),
            vec!["spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified".into()],
        ),
        (
            succeeding("{succeededIndexes: '1-0'}, {succeededIndexes: '4'}, {succeededIndexes: '0,0'}, {succeededIndexes: '1-2-3'}, {succeededIndexes: a}"),
            vec![
                "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1-0\": error parsing succeededIndexes: non-increasing order, previous: 1, current: 0".into(),
                "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"4\": error parsing succeededIndexes: too large index: \"4\"".into(),
                "spec.successPolicy.rules[2].succeededIndexes: Invalid value: \"0,0\": error parsing succeededIndexes: non-increasing order, previous: 0, current: 0".into(),
                "spec.successPolicy.rules[3].succeededIndexes: Invalid value: \"1-2-3\": error parsing succeededIndexes: the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'".into(),
                "spec.successPolicy.rules[4].succeededIndexes: Invalid value: \"a\": error parsing succeededIndexes: cannot convert string to integer for index: \"a\"".into(),
            ],
        ),
        (
            succeeding("{succeededIndexes: '0-1', succeededCount: 5}"),
            vec![
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of specified completions)".into(),
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)".into(),
            ],
        ),
        (format!("{{{INDEXED}, backoffLimitPerIndex: 1, maxFailedIndexes: 2}}"), vec![]),
        (
            "{backoffLimitPerIndex: 1, maxFailedIndexes: 2}".into(),
            vec![
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode".into(),
                "spec.maxFailedIndexes: Invalid value: 2: requires indexed completion mode".into(),
            ],
        ),
        (
            format!("{{{INDEXED}, maxFailedIndexes: 5}}"),
            vec![
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified".into(),
                "spec.maxFailedIndexes: Invalid value: 5: must be less than or equal to completions".into(),
            ],
        ),
        ("{completionMode: Indexed}".into(), vec![]),
        (
            "{completionMode: Indexed, parallelism: 2}".into(),
            vec!["spec.completions: Required value: when completion mode is Indexed".into()],
        ),
        (
            "{completionMode: Listed}".into(),
            vec!["spec.completionMode: Unsupported value: \"Listed\": supported values: \"NonIndexed\", \"Indexed\"".into()],
        ),
        (
            "{completionMode: Indexed, completions: 100001, parallelism: 10001, backoffLimitPerIndex: 1}".into(),
            vec![
                "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000".into(),
                "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index".into(),
            ],
        ),
        (
            "{podReplacementPolicy: Never}".into(),
            vec!["spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"".into()],
        ),
        (
            "{podReplacementPolicy: TerminatingOrFailed, podFailurePolicy: {rules: []}}".into(),
            vec!["spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"".into()],
        ),
        ("{managedBy: example.com/controller}".into(), vec![]),
        (
            "{managedBy: controller}".into(),
            vec!["spec.managedBy: Invalid value: \"controller\": must be a domain-prefixed path (such as \"acme.io/foo\")".into()],
        ),
        ("{managedBy: ''}".into(), vec!["spec.managedBy: Required value".into()]),
        (
            format!("{{managedBy: example.com/{}}}", "a".repeat(52)),
            vec!["spec.managedBy: Too long: may not be more than 63 bytes".into()],
        ),
        (
            "{managedBy: 'example.com/a b'}".into(),
            vec!["spec.managedBy: Invalid value: \"a b\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')".into()],
        ),
        (
            "{activeDeadlineSeconds: -1, backoffLimit: -1, ttlSecondsAfterFinished: -1}".into(),
            ["activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"]
                .map(|name| format!("spec.{name}: Invalid value: -1: must be greater than or equal to 0"))
                .to_vec(),
        ),
        (
            "{podFailurePolicy: {rules: []}, template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}}".into(),
            vec!["spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified".into()],
        ),
    ];
    for (spec, expected) in table {
        let causes =
            create(Kind::Job, job(&spec)).err().map(|invalid| messages(&invalid)).unwrap_or_default();
        assert_eq!(causes, expected, "{spec}");
    }
}

#[test]
fn schedules_and_time_zones_of_cron_jobs() {
    const TEMPLATE: &str =
        "jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}";
    let table: [(&str, &[&str]); 12] = [
        ("schedule: '0 9 * * 1-5', timeZone: Europe/Berlin", &[]),
        ("timeZone: Etc/UTC", &["spec.schedule: Required value"]),
        (
            "schedule: '60 * * * *'",
            &["spec.schedule: Invalid value: \"60 * * * *\": end of range (60) above maximum (59): 60"],
        ),
        (
            "schedule: 'TZ=UTC 0 * * * *'",
            &[
                "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            "schedule: '@hourly', timeZone: ''",
            &["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"],
        ),
        (
            "schedule: '@hourly', timeZone: Mars/Base",
            &["spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"],
        ),
        (
            "schedule: '@hourly', timeZone: ../etc",
            &["spec.timeZone: Invalid value: \"../etc\": unknown time zone ../etc"],
        ),
        (
            "schedule: '@hourly', timeZone: Local",
            &[
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ],
        ),
        (
            "schedule: '@hourly', startingDeadlineSeconds: -1",
            &["spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            "schedule: '@hourly', concurrencyPolicy: Skip",
            &[
                "spec.concurrencyPolicy: Unsupported value: \"Skip\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ],
        ),
        (
            "schedule: '@hourly', successfulJobsHistoryLimit: -1, failedJobsHistoryLimit: -1",
            &[
                "spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        ("schedule: '@every 5m'", &[]),
    ];
    for (spec, expected) in table {
        let json = object_of(Kind::CronJob, &format!("{{spec: {{{spec}, {TEMPLATE}}}}}"));
        let causes = create(Kind::CronJob, json).err().map(|invalid| messages(&invalid)).unwrap_or_default();
        assert_eq!(causes, expected, "{spec}");
    }
    // What was taken once may stay.
    let mut before = object_of(Kind::CronJob, &format!("{{spec: {{schedule: '@hourly', {TEMPLATE}}}}}"));
    let old = create(Kind::CronJob, before.clone()).expect("a CronJob");
    before["spec"]["timeZone"] = "Mars/Base".into();
    let mut after = before.clone();
    after["spec"]["suspend"] = true.into();
    assert!(update(&old, &before, after, Written::Part).is_ok());
}

#[test]
fn statuses_of_jobs() {
    const STARTED: &str = "startTime: '2026-01-01T00:00:00Z'";
    const ENDED: &str = "completionTime: '2026-01-01T01:00:00Z'";
    let conditions = |all: &[&str]| {
        let all = all.iter().map(|kind| format!("{{type: {kind}, status: 'True'}}"));
        format!("conditions: [{}]", all.collect::<Vec<_>>().join(", "))
    };
    let complete = conditions(&["SuccessCriteriaMet", "Complete"]);
    // What is in the spec beside the template, the status before and after; what is refused.
    let table: Vec<(&str, String, String, Vec<&str>)> = vec![
        (
            "",
            format!("{STARTED}, active: 1"),
            format!("{STARTED}, {ENDED}, succeeded: 1, {complete}"),
            vec![],
        ),
        (
            "",
            "active: 1".into(),
            "active: -1, failed: -1".into(),
            vec![
                "status.active: Invalid value: -1: must be greater than or equal to 0",
                "status.failed: Invalid value: -1: must be greater than or equal to 0",
                "status.failed: Invalid value: -1: cannot decrease the failed counter",
            ],
        ),
        (
            "",
            STARTED.into(),
            format!("{STARTED}, active: 1, {}", conditions(&["Complete"])),
            vec![
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
            ],
        ),
        (
            "",
            STARTED.into(),
            conditions(&["Failed"]),
            vec![
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
                "status.startTime: Required value: startTime is required for finished job",
                "status.startTime: Invalid value: null: field is immutable for unsuspended job once set",
            ],
        ),
        (
            "",
            STARTED.into(),
            format!("{STARTED}, {ENDED}"),
            vec![
                "status.completionTime: Invalid value: \"2026-01-01T01:00:00Z\": cannot set completionTime when there is no Complete=True condition",
            ],
        ),
        (
            "",
            format!("{STARTED}, {ENDED}, succeeded: 2, {complete}"),
            format!("{STARTED}, succeeded: 1"),
            vec![
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ],
        ),
        (
            "",
            STARTED.into(),
            format!("{STARTED}, active: 1, ready: 2, completedIndexes: '0', failedIndexes: '1'"),
            vec![
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
                "status.failedIndexes: Invalid value: \"1\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ],
        ),
        (
            "completionMode: Indexed, completions: 4, backoffLimitPerIndex: 1",
            STARTED.into(),
            format!("{STARTED}, completedIndexes: '0-2', failedIndexes: '2,4'"),
            vec![
                "status.failedIndexes: Invalid value: \"2,4\": error parsing failedIndexes: too large index: \"4\"",
                "status.failedIndexes: Invalid value: \"2,4\": failedIndexes and completedIndexes overlap at index: 2",
            ],
        ),
        (
            "",
            STARTED.into(),
            format!("{STARTED}, uncountedTerminatedPods: {{succeeded: [a, ''], failed: [a]}}"),
            vec![
                "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
            ],
        ),
    ];
    for (spec, status_before, status_after, expected) in table {
        let job = job(&format!("{{{spec}}}"));
        let (mut before, mut after) = (job.clone(), job);
        before["status"] = yaml(&format!("{{{status_before}}}"));
        after["status"] = yaml(&format!("{{{status_after}}}"));
        let causes = crate::admit::accept_status(Kind::Job, &before, &mut after)
            .err()
            .map(|invalid| messages(&invalid))
            .unwrap_or_default();
        assert_eq!(causes, expected, "{spec}; {status_before}; {status_after}");
    }
}

#[test]
fn fields_of_jobs_that_do_not_change() {
    const INDEXED: &str = "completionMode: Indexed, completions: 4, parallelism: 4";
    // What is in the spec beside a template, before and after; what is refused.
    let table: [(String, String, &[&str]); 7] = [
        (format!("{{{INDEXED}}}"), "{completionMode: Indexed, completions: 5, parallelism: 5}".into(), &[]),
        (
            format!("{{{INDEXED}}}"),
            "{completionMode: Indexed, completions: 5, parallelism: 4}".into(),
            &["spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"],
        ),
        (
            "{completions: 4}".into(),
            "{completions: 5}".into(),
            &["spec.completions: Invalid value: 5: field is immutable"],
        ),
        (
            format!("{{{INDEXED}, backoffLimitPerIndex: 1}}"),
            format!("{{{INDEXED}, backoffLimitPerIndex: 2}}"),
            &["spec.backoffLimitPerIndex: Invalid value: 2: field is immutable"],
        ),
        (
            "{managedBy: example.com/a}".into(),
            "{}".into(),
            &["spec.managedBy: Invalid value: null: field is immutable"],
        ),
        (
            "{}".into(),
            "{podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: In, values: [1]}}]}, podReplacementPolicy: Failed}".into(),
            &["spec.podFailurePolicy: Invalid value: {\"Rules\":[{\"Action\":\"Ignore\",\"OnExitCodes\":{\"ContainerName\":null,\"Operator\":\"In\",\"Values\":[1]},\"OnPodConditions\":null}]}: field is immutable"],
        ),
        (
            format!("{{{INDEXED}}}"),
            format!("{{{INDEXED}, successPolicy: {{rules: [{{succeededCount: 1}}]}}}}"),
            &["spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":null,\"SucceededCount\":1}]}: field is immutable"],
        ),
    ];
    for (before, after, expected) in table {
        let case = format!("{before} {after}");
        let (before, after) = (job(&before), job(&after));
        let old = create(Kind::Job, before).expect("a Job");
        let shown = crate::admit::whole(&old);
        let mut wanted = shown.clone();
        for name in [
            "completions",
            "parallelism",
            "backoffLimitPerIndex",
            "managedBy",
            "podFailurePolicy",
            "successPolicy",
            "podReplacementPolicy",
        ] {
            match after["spec"].get(name) {
                Some(value) => wanted["spec"][name] = value.clone(),
                None => drop(wanted["spec"].as_object_mut().map(|spec| spec.remove(name))),
            }
        }
        if wanted["spec"].get("parallelism").is_none() {
            wanted["spec"]["parallelism"] = shown["spec"]["parallelism"].clone();
        }
        if wanted["spec"].get("completions").is_none() {
            wanted["spec"]["completions"] = shown["spec"]["completions"].clone();
        }
        let causes = update(&old, &shown, wanted, Written::Whole)
            .err()
            .map(|invalid| messages(&invalid))
            .unwrap_or_default();
        assert_eq!(causes, expected, "{case}");
    }
}
