//! Which Services select a pod. It must not know what follows from that.

use std::sync::Arc;

use super::names::{Labels, Name};
use super::service::Service;
use super::table::Store;

/// Looks for the Services that select pods, one pod after another: the pods of a template cost little more than one of
/// them.
pub struct Selecting<'s> {
    store: &'s Store,
    /// Whose pods came last: their namespace and labels.
    template: Option<(Name, Labels)>,
    /// The Services whose selectors begin with a label of that template.
    candidates: Vec<&'s Arc<Service>>,
}

impl<'s> Selecting<'s> {
    /// Looks for them in `store`.
    pub fn new(store: &'s Store) -> Self {
        Selecting { store, template: None, candidates: Vec::new() }
    }

    /// The Services of `namespace` whose selector matches a pod with `labels`, in no particular order.
    pub fn services<'a>(
        &'a mut self,
        namespace: &'a Name,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'s Arc<Service>> + use<'a, 's> {
        let store = self.store;
        let is_same =
            |(there, template): &(Name, Labels)| there == namespace && template.are_of_one_template(labels);
        if !self.template.as_ref().is_some_and(is_same) {
            let template = labels.of_template();
            let found = template.iter().flat_map(|(key, value)| store.services_by(namespace, key, value));
            self.candidates = found.collect();
            self.template = Some((namespace.clone(), template));
        }
        let own = labels.of_name().flat_map(move |(key, value)| store.services_by(namespace, key, value));
        let candidates = self.candidates.iter().copied().chain(own);
        candidates.filter(move |service| service.spec.selector.matches(labels))
    }
}
