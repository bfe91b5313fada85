//! Tests suggestions before they are made, on a copy of the object that is reviewed again. Must not depend on a rule.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Reviewed, governing, ports, services, workloads};
use clusterlocal_core::manifest::{self, Problem};
use clusterlocal_core::store::{Object, Service, StatefulSet};

impl Reviewed<'_, Service> {
    /// Whether `edit` fixes the Service: an API server accepts it, there is no finding `code`, and no new one.
    pub(super) fn is_cured(&self, code: &str, edit: impl FnOnce(&mut Service)) -> bool {
        let review = |service: &Reviewed<'_, Service>| {
            let mut findings = Vec::new();
            services::review(service, &mut findings);
            ports::review(service, &mut findings);
            governing::review_service(service, &mut findings);
            findings
        };
        let mut copy = self.object.clone();
        edit(&mut copy);
        self.is_fixed(code, &copy, |copy| Object::Service(Arc::new(copy)), review)
    }
}

impl Reviewed<'_, StatefulSet> {
    /// Whether `edit` fixes the set, as [`Reviewed::is_cured`] of a Service.
    pub(super) fn is_cured(&self, code: &str, edit: impl FnOnce(&mut StatefulSet)) -> bool {
        let review = |set: &Reviewed<'_, StatefulSet>| {
            let mut findings = Vec::new();
            governing::review_set(set, &mut findings);
            workloads::review_set(set, &mut findings);
            findings
        };
        let mut copy = self.object.clone();
        edit(&mut copy);
        self.is_fixed(code, &copy, |copy| Object::StatefulSet(Arc::new(copy)), review)
    }
}

impl<T: Clone> Reviewed<'_, T> {
    fn is_fixed(
        &self,
        code: &str,
        copy: &T,
        object: impl Fn(T) -> Object,
        review: impl Fn(&Reviewed<'_, T>) -> Vec<Problem>,
    ) -> bool {
        let codes = |object: &T| -> BTreeSet<&'static str> {
            let Reviewed { key, place, cluster, .. } = self;
            let reviewed = Reviewed { object, key: key.clone(), place, cluster, is_trial: true };
            review(&reviewed).into_iter().filter_map(|finding| finding.code).collect()
        };
        if manifest::refused(&object(copy.clone())).is_some() {
            return false;
        }
        let after = codes(copy);
        !after.contains(code) && after.is_subset(&codes(self.object))
    }
}
