//! What every namespace has beside what is created in it: the ServiceAccount `default` (the ServiceAccount controller,
//! `pkg/controller/serviceaccount/serviceaccounts_controller.go`) and the ConfigMap `kube-root-ca.crt` (the root CA
//! publisher, `pkg/controller/certificates/rootcacertpublisher/publisher.go`). Both are put back when they are deleted.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use crate::reconcile::{Context, Outcome};
use crate::store::{Given, Inert, Key, Kind, Labels, Name, Object, ObjectMeta};

/// The ServiceAccount that pods run as unless they name one.
pub(super) const SERVICE_ACCOUNT: &str = "default";

/// The ConfigMap with the certificates that clients verify the API server by.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";

/// The annotation that says what the ConfigMap is for, and the publisher's text.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal \
     service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
);

/// Both objects are the same in each namespace but for its name: they share these parts.
static SHARED: LazyLock<Shared> = LazyLock::new(|| Shared {
    // The API is served without TLS: the bundle is empty.
    root_ca: Given::from(json!({ "data": { "ca.crt": "" } })),
    annotations: [DESCRIPTION].into_iter().collect(),
});

struct Shared {
    root_ca: Given,
    annotations: Labels,
}

/// Whether a change of the object at `key` is one that [`sync`] of its namespace may have to undo.
pub(super) fn concerns(key: &Key) -> bool {
    match key.kind {
        Kind::ServiceAccount => key.name == SERVICE_ACCOUNT,
        Kind::ConfigMap => key.name == ROOT_CA,
        _ => false,
    }
}

/// Creates the ServiceAccount and the ConfigMap of `namespace` where they are missing, and restores the ConfigMap's data.
pub(super) fn sync(context: Context<'_>, namespace: &Name) -> Outcome {
    let mut outcome = Outcome::default();
    let store = context.store;
    let found = store.object(&Key::new(Kind::Namespace, "", namespace.clone()));
    if found.is_none_or(|namespace| namespace.metadata().deletion_timestamp.is_some()) {
        return outcome;
    }
    let named = |name: &'static str| ObjectMeta {
        name: Name::from(name),
        namespace: namespace.clone(),
        synthesized: true,
        ..ObjectMeta::default()
    };
    let account = named(SERVICE_ACCOUNT);
    if store.object(&account.key(Kind::ServiceAccount)).is_none() {
        outcome.put(Object::Inert(Kind::ServiceAccount, Arc::new(Inert { metadata: account })));
    }
    let shared = &*SHARED;
    let mut bundle = named(ROOT_CA);
    let stored = store.object(&bundle.key(Kind::ConfigMap)).map(Object::metadata);
    if stored.is_none_or(|stored| !is_published(stored)) {
        bundle.annotations = shared.annotations.clone();
        bundle.given = Some(shared.root_ca.clone());
        if let Some(stored) = stored {
            bundle.labels = stored.labels.clone();
            bundle.annotations = stored.annotations.with([DESCRIPTION]);
        }
        outcome.put(Object::Inert(Kind::ConfigMap, Arc::new(Inert { metadata: bundle })));
    }
    outcome
}

/// Whether the ConfigMap with `metadata` is as the publisher wants it.
fn is_published(metadata: &ObjectMeta) -> bool {
    let data = metadata.given.as_ref().map(|given| &given.json()["data"]);
    data == Some(&SHARED.root_ca.json()["data"])
        && metadata.annotations.get(DESCRIPTION.0) == Some(DESCRIPTION.1)
}
