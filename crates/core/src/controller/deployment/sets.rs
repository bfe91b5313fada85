//! The ReplicaSets of a Deployment: which it owns, which has the current template, and their revision numbers and
//! annotations (sync.go, getNewReplicaSet; deployment_util.go).

use std::sync::Arc;

use super::{COMPONENT, Rollout};
use crate::controller::ownership::{self, Claim};
use crate::reconcile::deletion;
use crate::reconcile::names::suffix;
use crate::store::{
    ConditionStatus, DEPLOYMENT_REVISION_ANNOTATION, Kind, LabelSelector, Labels, Links, Name, Object,
    ObjectMeta, PodTemplate, Workload, WorkloadSpec, WorkloadStatus,
};

/// The label that distinguishes the pods of a Deployment's ReplicaSets.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";

/// On a ReplicaSet: the Deployment's replicas when it was last scaled.
pub(super) const DESIRED_ANNOTATION: &str = "deployment.kubernetes.io/desired-replicas";
/// On a ReplicaSet: the maximum number of pods of its Deployment at that time.
pub(super) const MAX_ANNOTATION: &str = "deployment.kubernetes.io/max-replicas";
/// On a ReplicaSet: its former revision numbers.
const HISTORY_ANNOTATION: &str = "deployment.kubernetes.io/revision-history";

/// Annotations of a Deployment that are not copied to its ReplicaSets.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    DEPLOYMENT_REVISION_ANNOTATION,
    HISTORY_ANNOTATION,
    DESIRED_ANNOTATION,
    MAX_ANNOTATION,
    "deprecated.deployment.rollback.to",
];

/// Default maximum number of old ReplicaSets without pods.
const HISTORY_LIMIT: usize = 10;

/// Maximum length of the annotation with former revision numbers, in characters (sync.go, maxRevHistoryLengthInChars).
const HISTORY_CHARS: usize = 2000;

/// Maximum length of a name, in bytes (validation.DNS1123SubdomainMaxLength).
const NAME_MAX: usize = 253;

/// A number in an annotation of a ReplicaSet.
pub(super) fn number(set: &Workload, annotation: &str) -> Option<u32> {
    set.metadata.annotations.get(annotation)?.parse().ok().filter(|number| *number <= i32::MAX as u32)
}

impl Rollout<'_> {
    /// Claims its ReplicaSets: adopts orphans that match its selector, and releases its own that no longer do. Returns
    /// whether the sync has to continue.
    pub(super) fn find_sets(&mut self) -> bool {
        let (key, context) = (self.key, self.context);
        let labels = || LabelSelector::of(self.deployment.spec.template.metadata.labels.clone());
        let selector = self.deployment.spec.selector.clone().unwrap_or_else(labels);
        let deleting = self.deployment.metadata.deletion_timestamp.is_some();
        let mut sets: Vec<Arc<Workload>> = Vec::new();
        for set in context.store.replica_sets_near(key, &selector) {
            let matches = selector.matches(&set.metadata.labels);
            let owned = ownership::manages(context, key, &set.metadata);
            let orphan = set.metadata.links.is_orphan() && context.driven;
            let terminating = set.metadata.deletion_timestamp.is_some();
            match Claim::of(owned, orphan, matches, terminating, deleting) {
                Claim::Own => sets.push(set.clone()),
                Claim::Adopt => {
                    let mut set = set.clone();
                    ownership::adopt(context, key, &mut Arc::make_mut(&mut set).metadata);
                    self.result.put(Object::ReplicaSet(set.clone()));
                    sets.push(set);
                }
                Claim::Release => {
                    let mut set = set.clone();
                    ownership::release(key, &mut Arc::make_mut(&mut set).metadata);
                    self.result.put(Object::ReplicaSet(set));
                }
                Claim::None => {}
            }
        }
        // The ReplicaSets of a snapshot are not changed.
        if !context.driven && sets.iter().any(|set| !set.metadata.synthesized) {
            return false;
        }
        sets.sort_by_key(|set| self.born(set));
        let at =
            sets.iter().position(|set| is_of_template(&set.spec.template, &self.deployment.spec.template));
        self.new = at.map(|at| sets.remove(at));
        self.old = sets;
        true
    }

    /// The position of a ReplicaSet in the order of creation.
    pub(super) fn born(&self, set: &Workload) -> u64 {
        let stored = self.context.store.stored(&set.metadata.key(Kind::ReplicaSet));
        stored.map_or(u64::MAX, |stored| stored.born())
    }

    /// The minimum revision number of the current template.
    fn next_revision(&self) -> u64 {
        self.old.iter().map(|set| set.revision()).max().unwrap_or(0) + 1
    }

    /// Updates the annotations of the new ReplicaSet, if it exists, and the Deployment's revision.
    pub(super) fn number_new_set(&mut self) {
        let Some(new) = self.new.clone() else { return };
        let mut numbered = new.clone();
        let revision = self.next_revision();
        let changed = Arc::make_mut(&mut numbered);
        changed.metadata.annotations = renumbered(&self.copied_to(&changed.metadata.annotations), revision);
        changed.spec.min_ready_seconds = self.deployment.spec.min_ready_seconds;
        if numbered != new {
            self.result.put(Object::ReplicaSet(numbered.clone()));
            self.replace(&numbered);
        }
        self.number_deployment(numbered.revision());
        if self.deadline().is_some() && self.deployment.status.conditions.get("Progressing").is_none() {
            let message = format!("Found new replica set {:?}", numbered.metadata.name.as_str());
            self.set_condition("Progressing", ConditionStatus::True, "FoundNewReplicaSet", message);
        }
    }

    fn number_deployment(&mut self, revision: u64) {
        let annotations = &mut self.deployment.metadata.annotations;
        let revision = revision.to_string();
        if annotations.get(DEPLOYMENT_REVISION_ANNOTATION) != Some(&revision) {
            *annotations = annotations.with([(DEPLOYMENT_REVISION_ANNOTATION, revision)]);
        }
    }

    /// Creates the ReplicaSet of the current template if it is missing.
    pub(super) fn make_new_set(&mut self) {
        if self.new.is_some() {
            return;
        }
        let (deployment, revision) = (&self.deployment, self.next_revision());
        let namespace = &self.key.namespace;
        let collisions = deployment.status.collision_count.unwrap_or(0);
        let free = |count: &u32| {
            let hash = suffix(&self.key.name, 10, (namespace, revision, count));
            let name = replica_set_name(&self.key.name, &hash);
            self.context.store.get::<Workload>(Kind::ReplicaSet, namespace, &name).is_none()
        };
        let count = (collisions..).find(free).unwrap_or(collisions);
        let hash = Name::from(suffix(&self.key.name, 10, (namespace, revision, count)));
        let mut template = (*deployment.spec.template).clone();
        template.metadata.labels = template.metadata.labels.with([(HASH_LABEL, hash.clone())]);
        let selector = deployment.spec.selector.clone();
        let mut selector =
            selector.unwrap_or_else(|| LabelSelector::of(deployment.spec.template.metadata.labels.clone()));
        selector.match_labels = selector.match_labels.with([(HASH_LABEL, hash.clone())]);
        let replicas = self.new_replicas(0);
        let annotations = renumbered(&self.copied_to(&Labels::default()), revision);
        let metadata = ObjectMeta {
            name: replica_set_name(&self.key.name, &hash).into(),
            namespace: namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations: self.with_sizes(&annotations),
            links: Links::of_controller(ownership::controller_ref(self.context, self.key), ""),
            synthesized: true,
            ..ObjectMeta::default()
        };
        let spec = WorkloadSpec {
            replicas: Some(replicas),
            selector: Some(selector),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            template: Arc::new(template),
            ..WorkloadSpec::default()
        };
        let set = Arc::new(Workload { metadata, spec, status: WorkloadStatus::default() });
        let name = set.metadata.name.as_str();
        if replicas > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {replicas}");
            self.result.emit_event(COMPONENT, self.key.clone(), "ScalingReplicaSet", message);
        }
        self.result.put(Object::ReplicaSet(set.clone()));
        if count > collisions {
            self.deployment.status.collision_count = Some(count);
        }
        self.number_deployment(revision);
        if self.deadline().is_some() {
            let message = format!("Created new replica set {name:?}");
            self.set_condition("Progressing", ConditionStatus::True, "NewReplicaSetCreated", message);
        }
        self.new = Some(set);
    }

    /// These annotations of a ReplicaSet with those of its Deployment (copyDeploymentAnnotationsToReplicaSet).
    fn copied_to(&self, annotations: &Labels) -> Labels {
        let own = self.deployment.metadata.annotations.iter();
        let mut copied = own.filter(|(key, _)| !NOT_COPIED.contains(key)).peekable();
        match copied.peek() {
            Some(_) => annotations.with(copied),
            None => annotations.clone(),
        }
    }

    /// These annotations of a ReplicaSet with the Deployment's sizes (SetReplicasAnnotations).
    pub(super) fn with_sizes(&self, annotations: &Labels) -> Labels {
        let wanted = self.wanted();
        annotations.with([
            (DESIRED_ANNOTATION, wanted.to_string()),
            (MAX_ANNOTATION, (wanted + self.max_surge()).to_string()),
        ])
    }

    /// Deletes the oldest ReplicaSets without pods beyond the history limit (cleanupDeployment).
    pub(super) fn clean_up(&mut self) {
        let limit = self.deployment.spec.revision_history_limit.map_or(HISTORY_LIMIT, |limit| limit as usize);
        let mut old: Vec<&Arc<Workload>> =
            self.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
        old.sort_by_key(|set| (set.revision(), self.born(set)));
        let surplus = old.len().saturating_sub(limit);
        let idle = |set: &&&Arc<Workload>| {
            let key = set.metadata.key(Kind::ReplicaSet);
            let observed = self
                .context
                .store
                .stored(&key)
                .is_some_and(|stored| stored.generation <= set.status.observed_generation);
            set.replicas() == 0 && set.status.replicas == 0 && observed
        };
        let (store, now) = (self.context.store, self.context.now);
        let gone = old.iter().take(surplus).filter(idle);
        let gone = gone.filter_map(|set| {
            deletion::delete(store, &Object::ReplicaSet(Arc::clone(set)), now, deletion::Deletion::default())
        });
        let gone: Vec<_> = gone.collect();
        self.result.changes.extend(gone);
    }
}

/// `NAME-HASH`, with the name cut so that the result is valid (generateReplicaSetName).
fn replica_set_name(deployment: &str, hash: &str) -> String {
    let base = &deployment[..deployment.len().min(NAME_MAX - 1 - hash.len())];
    format!("{base}-{hash}")
}

/// These annotations of a ReplicaSet with at least this revision number; a replaced number is added to its history
/// (SetNewReplicaSetAnnotations).
fn renumbered(annotations: &Labels, revision: u64) -> Labels {
    let old = annotations.get(DEPLOYMENT_REVISION_ANNOTATION);
    if old.is_some_and(|old| old.parse::<u64>().map_or(!old.is_empty(), |old| old >= revision)) {
        return annotations.clone();
    }
    let numbered = annotations.with([(DEPLOYMENT_REVISION_ANNOTATION, revision.to_string())]);
    let Some(old) = old else { return numbered };
    let history = annotations.get(HISTORY_ANNOTATION).unwrap_or_default();
    let mut history: Vec<&str> = history.split(',').filter(|number| !number.is_empty()).collect();
    history.push(old);
    let length = |numbers: &[&str]| numbers.iter().map(|number| number.len() + 1).sum::<usize>();
    while length(&history) > HISTORY_CHARS + 1 {
        history.remove(0);
    }
    numbered.with([(HISTORY_ANNOTATION, history.join(","))])
}

/// Whether a ReplicaSet's template equals the Deployment's, except for the label that the controller adds
/// (EqualIgnoreHash).
pub(super) fn is_of_template(of_set: &PodTemplate, wanted: &PodTemplate) -> bool {
    let without_hash = |template: &PodTemplate| {
        let mut template = template.clone();
        let labels = template.metadata.labels.iter().filter(|(key, _)| *key != HASH_LABEL);
        template.metadata.labels = labels.collect();
        template
    };
    without_hash(of_set) == without_hash(wanted)
}
