//! `kubectl get … -o yaml` prints a manifest: objects of the API, read again, make a cluster with the same names and
//! addresses.

use std::path::{Path, PathBuf};

use clusterlocal_api::render;
use clusterlocal_core::answer::{forward_records, reverse_records};
use clusterlocal_core::store::{Kind, Objects};
use clusterlocal_core::wire::{Presentation, RecordView};
use clusterlocal_core::zone::Zone;
use clusterlocal_core::{ControlPlane, Settings};
use serde_json::{Value, json};

use crate::common;

/// The kinds that are saved.
const KINDS: [Kind; 12] = [
    Kind::Namespace,
    Kind::Node,
    Kind::Service,
    Kind::Endpoints,
    Kind::EndpointSlice,
    Kind::Pod,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::PersistentVolumeClaim,
];

fn cluster(objects: &Objects) -> ControlPlane {
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.apply(objects);
    cluster
}

/// Renders the cluster as the List that kubectl prints.
fn saved(cluster: &ControlPlane) -> Value {
    let context = &render::Context::now(cluster.store());
    let mut items = Vec::new();
    for kind in KINDS {
        items.extend(cluster.store().all_stored(kind, None).map(|stored| render::object(stored, context)));
    }
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items })
}

/// All records, by owner.
fn records(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |record: RecordView<'_>| {
        let owner = Presentation(record.owner);
        lines.push(format!("{owner} {} {}", record.record_type, record.data()));
    };
    forward_records(zone, &mut add);
    reverse_records(zone, &mut add);
    lines.sort();
    lines
}

#[test]
fn objects_of_the_api_read_again_make_the_same_cluster() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_folder = |folder: &str| {
        std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "json")
        })
    };
    let files: Vec<PathBuf> = in_folder("zones").chain(in_folder("tests/golden")).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let before = cluster(&common::objects(&file.to_string_lossy(), std::fs::read(&file).unwrap()));
        let list = serde_yaml::to_string(&saved(&before)).unwrap();
        let after = cluster(&common::objects("saved.yaml", list));
        assert_eq!(
            records(&after.published().load()),
            records(&before.published().load()),
            "{}",
            file.display()
        );
        let count = |cluster: &ControlPlane| saved(cluster)["items"].as_array().map(Vec::len);
        assert_eq!(count(&after), count(&before), "{}: objects", file.display());
    }
}
