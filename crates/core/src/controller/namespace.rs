//! Default objects of every namespace: the ServiceAccount `default` (the ServiceAccount controller,
//! `pkg/controller/serviceaccount/serviceaccounts_controller.go`) and the ConfigMap `kube-root-ca.crt` (the root CA
//! publisher, `pkg/controller/certificates/rootcacertpublisher/publisher.go`). Both are restored when they are deleted.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use crate::reconcile::{Context, SyncResult};
use crate::store::{Given, Inert, Key, Kind, Labels, Name, Object, ObjectMeta};

/// The ServiceAccount of pods that name none.
pub(super) const SERVICE_ACCOUNT: &str = "default";

/// The ConfigMap with the certificates for verifying the API server.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";

/// The annotation that describes the ConfigMap, with the publisher's text.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal \
     service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
);

/// Both objects differ between namespaces only in their namespace: they share these parts.
static SHARED: LazyLock<Shared> = LazyLock::new(|| Shared {
    // The API is served without TLS: the bundle is empty.
    root_ca: Given::from(json!({ "data": { "ca.crt": "" } })),
    annotations: [DESCRIPTION].into_iter().collect(),
});

struct Shared {
    root_ca: Given,
    annotations: Labels,
}

/// Whether [`sync`] may have to revert a change of the object at `key`.
pub(super) fn concerns(key: &Key) -> bool {
    match key.kind {
        Kind::ServiceAccount => key.name == SERVICE_ACCOUNT,
        Kind::ConfigMap => key.name == ROOT_CA,
        _ => false,
    }
}

/// Creates the ServiceAccount and the ConfigMap of `namespace` where they are missing, and restores the ConfigMap's
/// data.
pub(super) fn sync(context: Context<'_>, namespace: &Name) -> SyncResult {
    let mut result = SyncResult::default();
    let store = context.store;
    let found = store.object(&Key::new(Kind::Namespace, "", namespace.clone()));
    if found.is_none_or(|namespace| namespace.metadata().deletion_timestamp.is_some()) {
        return result;
    }
    let named = |name: &'static str| ObjectMeta {
        name: Name::from(name),
        namespace: namespace.clone(),
        synthesized: true,
        ..ObjectMeta::default()
    };
    let account = named(SERVICE_ACCOUNT);
    if store.object(&account.key(Kind::ServiceAccount)).is_none() {
        result.put(Object::Inert(Kind::ServiceAccount, Arc::new(Inert { metadata: account })));
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
        result.put(Object::Inert(Kind::ConfigMap, Arc::new(Inert { metadata: bundle })));
    }
    result
}

/// Whether the ConfigMap with `metadata` is as the publisher writes it.
fn is_published(metadata: &ObjectMeta) -> bool {
    let data = metadata.given.as_ref().map(|given| &given.json()["data"]);
    data == Some(&SHARED.root_ca.json()["data"])
        && metadata.annotations.get(DESCRIPTION.0) == Some(DESCRIPTION.1)
}
