//! Scaling of a Deployment: at once if a single ReplicaSet is active, otherwise in proportion, so that the rollout
//! keeps its state (sync.go, scale).

use std::cmp::Reverse;
use std::sync::Arc;

use super::sets::{DESIRED_ANNOTATION, MAX_ANNOTATION, number};
use super::{COMPONENT, Rollout};
use crate::store::{Object, Workload};

impl Rollout<'_> {
    /// Whether `replicas` has changed since the ReplicaSets were last scaled (isScalingEvent).
    pub(super) fn is_scaled(&self) -> bool {
        let active = self.all().filter(|set| set.replicas() > 0);
        active.filter_map(|set| number(set, DESIRED_ANNOTATION)).any(|desired| desired != self.wanted())
    }

    /// Scales the ReplicaSets to `replicas`.
    pub(super) fn scale(&mut self) {
        let wanted = self.wanted();
        let mut active: Vec<Arc<Workload>> = self.all().filter(|set| set.replicas() > 0).cloned().collect();
        // FindActiveOrLatest
        let only = match active.as_slice() {
            [] => self.new.clone().or(self.old.last().cloned()),
            [only] => Some(only.clone()),
            _ => None,
        };
        if let Some(only) = only {
            self.scale_set(&only, wanted);
            return;
        }
        if active.is_empty() {
            return;
        }
        let saturated = self.new.as_ref().is_some_and(|new| {
            let numbers = [new.replicas(), new.status.available_replicas];
            numbers == [wanted; 2] && number(new, DESIRED_ANNOTATION) == Some(wanted)
        });
        if saturated {
            let old: Vec<Arc<Workload>> = self.old.iter().filter(|set| set.replicas() > 0).cloned().collect();
            old.iter().for_each(|set| drop(self.scale_set(set, 0)));
            return;
        }
        if self.recreates() {
            return;
        }
        let allowed = if wanted > 0 { wanted + self.max_surge() } else { 0 };
        let to_add = i64::from(allowed) - active.iter().map(|set| i64::from(set.replicas())).sum::<i64>();
        let born = |set: &Workload| self.born(set);
        match to_add {
            1.. => active.sort_by_key(|set| (Reverse(set.replicas()), Reverse(born(set)))),
            _ => active.sort_by_key(|set| (Reverse(set.replicas()), born(set))),
        }
        let mut added = 0;
        let mut sizes: Vec<i64> = Vec::with_capacity(active.len());
        for set in &active {
            let proportion = self.proportion(set, to_add, added);
            sizes.push(i64::from(set.replicas()) + proportion);
            added += proportion;
        }
        // The remainder goes to the largest.
        sizes[0] = (sizes[0] + to_add - added).max(0);
        for (set, size) in active.iter().zip(sizes) {
            self.force_scale(set, size as u32);
        }
    }

    /// The number of pods that a ReplicaSet gets or loses of `to_add` (GetReplicaSetProportion).
    fn proportion(&self, set: &Workload, to_add: i64, added: i64) -> i64 {
        if set.replicas() == 0 || to_add == added {
            return 0;
        }
        let (fraction, allowed) = (self.fraction(set), to_add - added);
        if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
    }

    /// Its share of the new size, minus its current size (getReplicaSetFraction).
    fn fraction(&self, set: &Workload) -> i64 {
        let has = i64::from(set.replicas());
        if self.wanted() == 0 {
            return -has;
        }
        let before = number(set, MAX_ANNOTATION).filter(|max| *max > 0);
        let before = i64::from(before.unwrap_or(self.deployment.status.replicas));
        if before == 0 {
            return 0;
        }
        let after = i64::from(self.wanted() + self.max_surge());
        // Rounded to the nearest, halves away from zero.
        (2 * has * after + before) / (2 * before) - has
    }

    /// Scales a ReplicaSet to `count` pods. Returns the result.
    pub(super) fn scale_set(&mut self, set: &Arc<Workload>, count: u32) -> Arc<Workload> {
        if set.replicas() == count {
            return set.clone();
        }
        self.force_scale(set, count)
    }

    /// Like [`Self::scale_set`], but updates its annotations even if the number is unchanged (scaleReplicaSet).
    fn force_scale(&mut self, set: &Arc<Workload>, count: u32) -> Arc<Workload> {
        let had = set.replicas();
        let mut scaled = set.clone();
        let changed = Arc::make_mut(&mut scaled);
        changed.spec.replicas = Some(count);
        changed.metadata.annotations = self.with_sizes(&changed.metadata.annotations);
        if scaled == *set {
            return scaled;
        }
        if count != had {
            let way = if count > had { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} from {had} to {count}", set.metadata.name);
            self.result.emit_event(COMPONENT, self.key.clone(), "ScalingReplicaSet", message);
        }
        self.replace(&scaled);
        self.result.put(Object::ReplicaSet(scaled.clone()));
        scaled
    }

    /// Replaces a ReplicaSet by its new version.
    pub(super) fn replace(&mut self, set: &Arc<Workload>) {
        let there = self.old.iter_mut().chain(&mut self.new);
        for there in there.filter(|there| there.metadata.name == set.metadata.name) {
            *there = set.clone();
        }
    }
}
