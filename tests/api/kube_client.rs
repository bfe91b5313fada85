//! kube-rs against the API: a client that lists and watches Services, EndpointSlices, Pods and Namespaces misses no change,
//! through a scale-up, a replacement, and a watch that falls so far behind that it has to list again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use clusterlocal_api::{Options, Server};
use clusterlocal_core::store::{Change, Key, Kind, Object, Pod as StoredPod};
use clusterlocal_core::{Clock, ControlPlane, Driver, Settings};
use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{RING, common};

/// A cluster, its API, and a client.
struct Fixture {
    driver: Driver,
    client: Client,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Fixture {
    async fn start() -> Fixture {
        let mut cluster = ControlPlane::new(Settings::default());
        cluster.apply(&common::objects("db.yaml", RING));
        let driver = Driver::new(cluster, Clock::manual());
        let listen: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(Options::at(listen)).await.expect("a free port");
        let address = server.address();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(server.serve(driver.clone(), async move { drop(stopped.await) }));
        let url = format!("http://{address}").parse().expect("a URL");
        let client = Client::try_from(Config::new(url)).expect("a client");
        Fixture { driver, client, _stop: stop }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType: Default>,
    {
        Api::all(self.client.clone())
    }

    fn in_default<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType: Default, Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }
}

/// `namespace/name` of an object, with its UID and revision.
fn identity<K: Resource>(object: &K) -> (String, (String, String)) {
    let meta = object.meta();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let key = format!("{}/{}", text(&meta.namespace), text(&meta.name));
    (key, (text(&meta.uid), text(&meta.resource_version)))
}

type Seen = BTreeMap<String, (String, String)>;

/// The state of a watcher, and the UIDs that it has received.
#[derive(Clone, Debug, Default)]
struct Known {
    objects: Seen,
    /// Number of complete lists.
    lists: usize,
    /// Every UID that it has received, by name.
    uids: BTreeMap<String, Vec<String>>,
}

/// Watches all objects of a kind for as long as the test runs.
fn follow<K>(api: Api<K>, config: watcher::Config) -> watch::Receiver<Known>
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (sender, receiver) = watch::channel(Known::default());
    tokio::spawn(async move {
        let mut events = std::pin::pin!(watcher(api, config));
        let mut listed = Seen::new();
        while let Some(event) = events.next().await {
            sender.send_modify(|known| {
                let note = |known: &mut Known, object: &K| {
                    let (key, (uid, revision)) = identity(object);
                    let uids = known.uids.entry(key.clone()).or_default();
                    if uids.last() != Some(&uid) {
                        uids.push(uid.clone());
                    }
                    (key, (uid, revision))
                };
                match &event {
                    Ok(Event::Init) => listed.clear(),
                    Ok(Event::InitApply(object)) => listed.extend([note(known, object)]),
                    Ok(Event::InitDone) => {
                        known.objects = std::mem::take(&mut listed);
                        known.lists += 1;
                    }
                    Ok(Event::Apply(object)) => {
                        let (key, is) = note(known, object);
                        known.objects.insert(key, is);
                    }
                    Ok(Event::Delete(object)) => drop(known.objects.remove(&identity(object).0)),
                    // The watcher reports a watch that ended, and lists again.
                    Err(_) => {}
                }
            });
        }
    });
    receiver
}

/// Waits until the state of a watcher equals a list.
async fn settle<K>(name: &str, api: &Api<K>, known: &mut watch::Receiver<Known>)
where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned,
{
    let list = api.list(&ListParams::default()).await.expect("a list");
    let listed: Seen = list.items.iter().map(identity).collect();
    assert!(!listed.is_empty(), "{name}");
    let known =
        tokio::time::timeout(Duration::from_secs(20), known.wait_for(|known| known.objects == listed)).await;
    assert!(known.is_ok(), "{name}: the watcher never came to know {listed:#?}");
}

/// Waits for all four watchers.
macro_rules! settle {
    ($fixture:ident, $services:ident, $slices:ident, $pods:ident, $namespaces:ident) => {
        settle("services", &$fixture.api::<Service>(), &mut $services).await;
        settle("slices", &$fixture.api::<EndpointSlice>(), &mut $slices).await;
        settle("pods", &$fixture.api::<Pod>(), &mut $pods).await;
        settle("namespaces", &$fixture.api::<Namespace>(), &mut $namespaces).await;
    };
}

async fn check(config: watcher::Config) {
    let fixture = Fixture::start().await;
    let mut services = follow(fixture.api::<Service>(), config.clone());
    let mut slices = follow(fixture.api::<EndpointSlice>(), config.clone());
    let mut pods = follow(fixture.api::<Pod>(), config.clone());
    let mut namespaces = follow(fixture.api::<Namespace>(), config.clone());
    settle!(fixture, services, slices, pods, namespaces);

    // A scale-up.
    let sets: Api<StatefulSet> = fixture.in_default();
    let five = serde_json::json!({ "spec": { "replicas": 5 } });
    sets.patch_scale("db", &PatchParams::default(), &Patch::Merge(five)).await.expect("a scale");
    settle!(fixture, services, slices, pods, namespaces);
    assert!(pods.borrow().objects.contains_key("default/db-4"));

    // A replacement: the same name, another pod.
    let in_default: Api<Pod> = fixture.in_default();
    let was = in_default.get("db-1").await.expect("the pod").metadata.uid;
    in_default.delete("db-1", &DeleteParams::default().grace_period(0)).await.expect("a deletion");
    settle!(fixture, services, slices, pods, namespaces);
    let is = in_default.get("db-1").await.expect("its successor").metadata.uid;
    assert_ne!(was, is);
    let expected: Vec<_> = [was, is].into_iter().flatten().collect();
    assert_eq!(pods.borrow().uids["default/db-1"], expected, "the watcher received both");

    // A namespace is created and deleted.
    let spaces: Api<Namespace> = fixture.api();
    let space: Namespace =
        serde_json::from_value(serde_json::json!({ "metadata": { "name": "other" } })).expect("JSON");
    spaces.create(&Default::default(), &space).await.expect("a namespace");
    settle!(fixture, services, slices, pods, namespaces);
    spaces.delete("other", &DeleteParams::default()).await.expect("a deletion");
    settle!(fixture, services, slices, pods, namespaces);
    assert!(!namespaces.borrow().objects.contains_key("/other"));

    // More changes at once than the history keeps: 410 Gone, and the watchers list again.
    let lists = pods.borrow().lists;
    let key = Key::new(Kind::Pod, "default", "db-0");
    fixture.driver.write(|cluster| {
        let Some(Object::Pod(pod)) = cluster.store().object(&key).cloned() else { panic!("no pod") };
        let turn = |number: u32| {
            let mut pod = StoredPod::clone(&pod);
            pod.metadata.annotations = pod.metadata.annotations.with([("turn", number.to_string())]);
            Change::Put(Object::Pod(pod.into()))
        };
        cluster.request((0..20_000).map(turn).collect());
    });
    let four = serde_json::json!({ "spec": { "replicas": 4 } });
    sets.patch_scale("db", &PatchParams::default(), &Patch::Merge(four)).await.expect("a scale");
    settle!(fixture, services, slices, pods, namespaces);
    assert!(!pods.borrow().objects.contains_key("default/db-4"));
    assert!(pods.borrow().lists > lists, "no watcher had to list again");
}

#[tokio::test]
async fn a_watcher_that_lists_and_watches_misses_nothing() {
    check(watcher::Config::default()).await;
}

#[tokio::test]
async fn a_watcher_that_streams_its_lists_misses_nothing() {
    check(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn objects_decode_as_their_types() {
    let fixture = Fixture::start().await;
    let pods: Api<Pod> = fixture.in_default();
    for pod in pods.list(&ListParams::default().labels("app=db")).await.expect("a list") {
        let status = pod.status.expect("a status");
        assert_eq!(status.phase.as_deref(), Some("Running"));
        let ready =
            status.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "Ready");
        assert_eq!(ready.map(|condition| condition.status).as_deref(), Some("True"));
        assert!(status.container_statuses.unwrap_or_default().iter().all(|container| container.ready));
        let owners = pod.metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["db"]);
    }
    let slices: Api<EndpointSlice> = fixture.in_default();
    let of_db = ListParams::default().labels("kubernetes.io/service-name=db");
    let slices = slices.list(&of_db).await.expect("a list").items;
    assert_eq!(slices.iter().map(|slice| slice.endpoints.len()).sum::<usize>(), 3);
    let missing = pods.get("missing").await.expect_err("no such pod");
    assert!(matches!(missing, kube::Error::Api(status) if status.code == 404 && status.reason == "NotFound"));
}
