//! StatefulSets, Deployments and their revisions.

use super::*;

#[test]
fn stateful_sets_are_rendered() {
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
fn an_unset_optional_block_is_left_out() {
    let only_type =
        SET.replace("  serviceName: db", "  serviceName: db\n  updateStrategy: {type: RollingUpdate}");
    let set = shown(&store(&only_type), Kind::StatefulSet, "default", "db");
    check(&set, &[("/spec/updateStrategy", "{type: RollingUpdate}")]);
}

#[test]
fn deployments_have_the_fields_that_rollout_status_reads() {
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
    let annotations = || [("deployment.kubernetes.io/revision", "1")].into_iter().collect();
    let mut spec = spec;
    let selected = [("app", "web"), ("pod-template-hash", "abc")];
    spec.selector = Some(LabelSelector::of(selected.into_iter().collect()));
    let set = Workload {
        metadata: ObjectMeta {
            annotations: annotations(),
            ..named("web-abc", Some((Kind::Deployment, "web")))
        },
        spec,
        status: WorkloadStatus {
            replicas: 4,
            fully_labeled_replicas: 4,
            terminating_replicas: Some(0),
            ..WorkloadStatus::default()
        },
    };
    put(&mut store, Object::ReplicaSet(Arc::new(set)));
    check(
        &shown(&store, Kind::ReplicaSet, "default", "web-abc"),
        &[
            ("/metadata/annotations", "{deployment.kubernetes.io/revision: '1'}"),
            ("/spec/selector/matchLabels", "{app: web, pod-template-hash: abc}"),
            ("/spec/template/metadata/labels/pod-template-hash", "abc"),
            ("/spec/template/spec/containers/0/image", "i"),
            ("/status", "{replicas: 4, fullyLabeledReplicas: 4, terminatingReplicas: 0}"),
        ],
    );
    let condition = |kind: &str, reason: &str| {
        WorkloadCondition::new(
            kind,
            ConditionStatus::True,
            reason,
            "m".into(),
            Time::default().after_secs(60),
        )
    };
    let status = WorkloadStatus {
        observed_generation: 1,
        replicas: 4,
        ready_replicas: 3,
        available_replicas: 3,
        updated_replicas: 4,
        unavailable_replicas: 1,
        terminating_replicas: Some(0),
        conditions: [
            condition("Available", "MinimumReplicasAvailable"),
            condition("Progressing", "ReplicaSetUpdated"),
        ]
        .into_iter()
        .collect(),
        ..WorkloadStatus::default()
    };
    let mut changed = Workload { status, ..(*deployment).clone() };
    changed.metadata.annotations = annotations();
    put(&mut store, Object::Deployment(Arc::new(changed)));
    check(
        &shown(&store, Kind::Deployment, "default", "web"),
        &[
            (
                "/status/conditions/0",
                "{type: Available, status: 'True', lastUpdateTime: '1970-01-01T00:01:00Z', lastTransitionTime: '1970-01-01T00:01:00Z', reason: MinimumReplicasAvailable, message: m}",
            ),
            ("/status/conditions/1/reason", "ReplicaSetUpdated"),
            ("/status/unavailableReplicas", "1"),
            ("/status/terminatingReplicas", "0"),
            ("/spec/strategy", "{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}"),
            ("/metadata/annotations", "{deployment.kubernetes.io/revision: '1'}"),
        ],
    );
}

#[test]
fn revisions_are_patches_that_restore_the_template() {
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
    clusterlocal_core::merge::strategic("apps/v1", "StatefulSet", &mut patched, &patch).expect("a patch");
    assert_eq!(patched, whole);
}
