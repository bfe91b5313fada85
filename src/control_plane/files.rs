//! Takes the place of `kubectl apply --prune`: what the manifests asked for last time, and the changes that lead from
//! there to what they ask for now. What they do not speak of, and did not, is not theirs to change.

use crate::store::{Change, Object, Objects, PodStatus, Resource, Store};

/// The changes that lead from `last` to `wanted`, given what there is. An object that somebody else has changed since
/// keeps those changes, wherever the manifests do not say otherwise.
pub(super) fn changes(store: &Store, last: &Objects, wanted: &Objects) -> Vec<Change> {
    let gone = last.keys().filter(|key| !wanted.contains_key(key)).map(|key| Change::Delete(key.clone()));
    let put = wanted.iter().filter_map(|(key, object)| {
        let before = last.get(key);
        if before == Some(object) {
            return None;
        }
        let object = match (before, store.object(key)) {
            (Some(before), Some(live)) => applied(before, object, live),
            _ => object.clone(),
        };
        Some(Change::Put(object))
    });
    gone.chain(put).collect()
}

/// Whether a snapshot says itself what state an object is in.
pub(super) fn says_its_state(object: &Object) -> bool {
    crate::store::Pod::of(object).map(|pod| &pod.status).is_some_and(PodStatus::is_recorded)
}

/// What becomes of `live` when a manifest that said `last` says `wanted` now.
#[cfg(feature = "api")]
fn applied(last: &Object, wanted: &Object, live: &Object) -> Object {
    let given = |object: &Object| object.metadata().given.clone();
    let (Some(before), Some(now), Some(there)) = (given(last), given(wanted), given(live)) else {
        return wanted.clone();
    };
    if there == before {
        return wanted.clone();
    }
    let mut merged = there.json().clone();
    crate::merge::apply(wanted.kind().as_str(), Some(before.json()), now.json(), &mut merged);
    if wanted.kind().is_namespaced() {
        // A manifest may leave it to be understood.
        merged["metadata"]["namespace"] = wanted.metadata().namespace.as_str().into();
    }
    match crate::manifest::read_object(wanted.kind(), &merged) {
        Ok(mut object) => {
            object.keep(merged.into());
            object
        }
        // Both together make no sense: the manifest is what somebody wrote last.
        Err(_) => wanted.clone(),
    }
}

/// Without the API nobody else changes anything.
#[cfg(not(feature = "api"))]
fn applied(_: &Object, wanted: &Object, _: &Object) -> Object {
    wanted.clone()
}
