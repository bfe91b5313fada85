//! StatefulSets and Deployments, and what remembers their templates.

use super::*;

#[test]
fn stateful_sets() {
    let mut store = store(SET);
    let Some(Object::StatefulSet(set)) = store.object(&Key::new(Kind::StatefulSet, "default", "db")).cloned()
    else {
        panic!("no set");
    };
    let status = StatefulSetStatus {
        observed_generation: 1,
        replicas: 3,
        ready_replicas: 2,
        current_revision: "db-1".into(),
        update_revision: "db-2".into(),
        ..StatefulSetStatus::default()
    };
    put(&mut store, Object::StatefulSet(Arc::new(StatefulSet { status, ..(*set).clone() })));
    let set = shown(&store, Kind::StatefulSet, "default", "db");
    let uid = store.stored(&Key::new(Kind::StatefulSet, "default", "db")).expect("the set").uid();
    assert_eq!(set["metadata"]["uid"], uid.to_string());
    check(
        &set,
        &[
            ("/apiVersion", "apps/v1"),
            ("/kind", "StatefulSet"),
            ("/metadata/resourceVersion", "'2'"),
            ("/metadata/generation", "1"),
            ("/metadata/creationTimestamp", "'2026-11-22T12:00:00Z'"),
            ("/metadata/labels", "{team: a}"),
            ("/metadata/annotations", "{note: x}"),
            ("/metadata/managedFields", "~"),
            ("/spec/podManagementPolicy", "OrderedReady"),
            ("/spec/updateStrategy", "{type: RollingUpdate, rollingUpdate: {partition: 0}}"),
            ("/spec/revisionHistoryLimit", "10"),
            ("/spec/persistentVolumeClaimRetentionPolicy", "{whenDeleted: Retain, whenScaled: Retain}"),
            ("/spec/template/spec/terminationGracePeriodSeconds", "30"),
            ("/spec/volumeClaimTemplates/0/spec/volumeMode", "Filesystem"),
            (
                "/status",
                "{observedGeneration: 1, replicas: 3, readyReplicas: 2, availableReplicas: 0, currentRevision: db-1, updateRevision: db-2, collisionCount: 0}",
            ),
        ],
    );
}

#[test]
fn the_block_that_nobody_writes_stays_away() {
    let only_type =
        SET.replace("  serviceName: db", "  serviceName: db\n  updateStrategy: {type: RollingUpdate}");
    let set = shown(&store(&only_type), Kind::StatefulSet, "default", "db");
    check(&set, &[("/spec/updateStrategy", "{type: RollingUpdate}")]);
}

#[test]
fn deployments_as_rollout_status_reads_them() {
    let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 4, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}}}";
    let mut store = store(text);
    let key = Key::new(Kind::Deployment, "default", "web");
    let Some(Object::Deployment(deployment)) = store.object(&key).cloned() else { panic!("no Deployment") };
    let template = PodTemplate {
        metadata: ObjectMeta {
            labels: [("app", "web"), ("pod-template-hash", "abc")].into_iter().collect(),
            ..ObjectMeta::default()
        },
        ..(*deployment.spec.template).clone()
    };
    let spec = WorkloadSpec { replicas: Some(4), template: Arc::new(template), ..deployment.spec.clone() };
    let set = Workload {
        metadata: named("web-abc", Some((Kind::Deployment, "web"))),
        spec,
        status: WorkloadStatus { replicas: 4, ..WorkloadStatus::default() },
    };
    put(&mut store, Object::ReplicaSet(Arc::new(set)));
    check(
        &shown(&store, Kind::ReplicaSet, "default", "web-abc"),
        &[
            ("/spec/selector/matchLabels", "{app: web}"),
            ("/spec/template/metadata/labels/pod-template-hash", "abc"),
            ("/spec/template/spec/containers/0/image", "i"),
            ("/status/replicas", "4"),
        ],
    );
    check(
        &shown(&store, Kind::Deployment, "default", "web"),
        &[("/spec/strategy", "{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}")],
    );
}

#[test]
fn revisions_are_patches_that_bring_the_template_back() {
    let mut store = store(SET);
    let Some(Object::StatefulSet(set)) = store.object(&Key::new(Kind::StatefulSet, "default", "db")).cloned()
    else {
        panic!("no set");
    };
    let metadata = named("db-1", Some((Kind::StatefulSet, "db")));
    let revision = ControllerRevision { metadata, revision: 1, template: set.spec.template.clone() };
    put(&mut store, Object::ControllerRevision(Arc::new(revision)));
    let patch = shown(&store, Kind::ControllerRevision, "default", "db-1")["data"].take();
    assert_eq!(patch["spec"]["template"]["$patch"], "replace");
    let whole = shown(&store, Kind::StatefulSet, "default", "db");
    let mut patched = whole.clone();
    patched["spec"]["template"]["spec"]["containers"][0]["image"] = "db:2".into();
    crate::merge::strategic("StatefulSet", &mut patched, &patch).expect("a patch");
    assert_eq!(patched, whole);
}
