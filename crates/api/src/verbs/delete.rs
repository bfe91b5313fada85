//! Takes the place of kube-apiserver's delete handlers: the deletion of objects and of their
//! dependents, and evictions. Must not depend on how pods stop.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::list;
use super::show::{self, Scope};
use crate::http::reply::Reply;
use crate::http::status::{self, Status};
use crate::http::{body, query};
use crate::schema::crd;
use crate::schema::resource::Resource;
use clusterlocal_core::controller::{budget_selects, budgets};
use clusterlocal_core::reconcile::{Deletion, Propagation, deletion};
use clusterlocal_core::store::{Change, Condition, Key, Kind, Object, PodPhase, Store, Stored, View};
use clusterlocal_core::{ControlPlane, Driver};

/// The options of a deletion: `DeleteOptions`.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// In seconds; none for the grace period of the object.
    grace: Option<u32>,
    policy: Option<Propagation>,
    /// The UID of the object: another object of the same name is not deleted.
    uid: Option<String>,
    /// The required version of the object.
    resource_version: Option<String>,
    dry_run: bool,
}

impl Options {
    /// Reads the query and the body, which overrides it.
    fn of(call: &Call) -> Result<Options, Status> {
        let body = if call.body.is_empty() { json!({}) } else { body::object(&call.headers, &call.body)? };
        Options::read(call, &body)
    }

    fn read(call: &Call, body: &Value) -> Result<Options, Status> {
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).map(String::from);
        let grace = match &body["gracePeriodSeconds"] {
            Value::Null => call.query.grace_period_seconds,
            // kube-apiserver treats a negative number as one second.
            seconds => match seconds.as_i64() {
                Some(seconds @ ..0) => Some(seconds.unsigned_abs().min(1) as u32),
                Some(seconds) => Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
                None => return Err(Status::bad_request("gracePeriodSeconds must be an integer")),
            },
        };
        let policy = query::propagation(&text("/propagationPolicy").unwrap_or_default())?;
        let orphan = body["orphanDependents"].as_bool().unwrap_or(false).then_some(Propagation::Orphan);
        let mut dry_run = call.query.dry_run;
        for value in body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            dry_run |= query::dry_run(value)?;
        }
        Ok(Options {
            grace,
            policy: policy.or(orphan).or(call.query.propagation_policy),
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }
}

/// `DELETE` of one object.
pub(crate) fn one(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let options = Options::of(call)?;
    driver.write(|cluster| {
        let stored = show::stored(cluster.store(), kind, &call.place)?.clone();
        remove(cluster, call.place.resource, &stored, &options)
    })
}

/// `POST` of an eviction: a deletion that a PodDisruptionBudget can refuse.
pub(crate) fn evict(driver: &Driver, call: &Call) -> Result<Reply, Status> {
    let eviction = body::object(&call.headers, &call.body)?;
    let options = Options::read(call, &eviction["deleteOptions"])?;
    driver.write(move |cluster| {
        let stored = show::stored(cluster.store(), Kind::Pod, &call.place)?.clone();
        check(call.place.resource, &stored, &stored.uid().to_string(), &options)?;
        check_budget(cluster.store(), &stored)?;
        if !options.dry_run {
            mark_evicted(cluster, &stored);
        }
        // The required version was that before the condition was set.
        let options = Options { resource_version: None, ..options };
        let stored = show::stored(cluster.store(), Kind::Pod, &call.place)?.clone();
        remove(cluster, call.place.resource, &stored, &options)?;
        let done =
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        Ok(Reply::json(StatusCode::CREATED, &done))
    })
}

/// Sets the condition with the reason of the eviction on a pod (addConditionAndDeletePod).
fn mark_evicted(cluster: &mut ControlPlane, stored: &Stored) {
    let mut object = stored.object.clone();
    if let Object::Pod(pod) = &mut object {
        let condition =
            Condition::disruption("EvictionByEvictionAPI", "Eviction API: evicting", cluster.now());
        Arc::make_mut(pod).status.set_condition(condition);
    }
    cluster.request_status(&object);
}

/// Whether the budget of a pod allows its eviction (`pkg/registry/core/pod/storage/eviction.go`).
fn check_budget(store: &Store, stored: &Stored) -> Result<(), Status> {
    let Object::Pod(pod) = &stored.object else { return Ok(()) };
    // `canIgnorePDB`: pods that have ended, not started, or are terminating are not counted.
    if pod.is_terminal() || pod.is_terminating() || matches!(pod.status.phase, None | Some(PodPhase::Pending))
    {
        return Ok(());
    }
    let meta = &pod.metadata;
    let mut budgets = budgets(store, &meta.namespace).filter(|(_, json)| budget_selects(json, &meta.labels));
    let Some((budget, json)) = budgets.next() else { return Ok(()) };
    if budgets.next().is_some() {
        return Err(Status::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let number = |name: &str| json["status"][name].as_i64().unwrap_or(0);
    let (allowed, current, desired) =
        (number("disruptionsAllowed"), number("currentHealthy"), number("desiredHealthy"));
    if !pod.is_running_and_ready() {
        let always = json["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || (current >= desired && desired > 0) {
            return Ok(());
        }
    }
    if allowed > 0 {
        return Ok(());
    }
    Err(Status::disruption_budget(format!(
        "The disruption budget {} needs {desired} healthy pods and has {current} currently",
        budget.name
    )))
}

/// `DELETE` of a collection: each object that the selectors match.
pub(crate) fn collection(driver: &Driver, kind: Kind, call: &Call) -> Result<Reply, Status> {
    let options = Options::of(call)?;
    let scope = Scope::of(kind, &call.place, &call.query)?;
    let resource = call.place.resource;
    // By key, so that deleted objects are not held in memory until the last is deleted.
    let selected: Vec<(Key, u64, usize)> = driver.read(|cluster| {
        let selected = list::as_of(cluster, &scope, cluster.store().revision())?;
        let selected = selected
            .into_iter()
            .filter(|stored| scope.admits(stored, cluster, View::now(cluster.store())))
            .map(|stored| (stored.object.key(), stored.born(), stored.object.weight()));
        Ok::<_, Status>(selected.collect())
    })?;
    let bytes: usize = selected.iter().map(|(.., weight)| weight).sum();
    let mut items = (bytes <= SHOWN_BYTES).then(Vec::new);
    let mut rest = selected.as_slice();
    while !rest.is_empty() {
        let piece;
        (piece, rest) = rest.split_at(piece_of(rest));
        driver.write(|cluster| {
            let found = |(key, born, _): &(Key, u64, usize)| {
                cluster.store().stored(key).filter(|now| now.born() == *born).cloned()
            };
            // An object may have been deleted as a dependent of another one.
            let piece: Vec<Stored> = piece.iter().filter_map(found).collect();
            if let Some(items) = &mut items {
                items.extend(piece.iter().map(|stored| show::rendered_as(resource, stored, cluster)));
            }
            for stored in piece {
                let now = cluster.store().stored(&stored.object.key());
                if let Some(now) = now.filter(|now| now.is_same_object(&stored)).cloned() {
                    remove(cluster, resource, &now, &options)?;
                }
            }
            Ok::<_, Status>(())
        })?;
    }
    Ok(Reply::ok(&match items {
        Some(items) => json!({
            "kind": resource.list_kind,
            "apiVersion": resource.api_version(),
            "metadata": { "resourceVersion": driver.read(|cluster| cluster.store().revision()).to_string() },
            "items": items,
        }),
        // As the API reference documents this operation.
        None => json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "message": format!("{} {} were deleted", selected.len(), resource.plural),
        }),
    }))
}

/// Maximum memory of a deleted collection whose objects are in the answer, in bytes.
const SHOWN_BYTES: usize = 16 << 20;

/// Maximum number, and memory in bytes, of the objects that are deleted at a time, while other requests wait.
const PIECE_OBJECTS: usize = 64;
const PIECE_BYTES: usize = 16 << 20;

/// The number of `objects`, from the first on, that are deleted at a time.
fn piece_of(objects: &[(Key, u64, usize)]) -> usize {
    let mut bytes = 0;
    let within = |(.., weight): &&(Key, u64, usize)| {
        bytes += weight;
        bytes <= PIECE_BYTES
    };
    objects.iter().take(PIECE_OBJECTS).take_while(within).count().max(1)
}

/// Deletes `stored`, unless the request is a dry run.
fn remove(
    cluster: &mut ControlPlane,
    resource: &Resource,
    stored: &Stored,
    options: &Options,
) -> Result<Reply, Status> {
    let (key, uid) = (stored.object.key(), stored.uid().to_string());
    check(resource, stored, &uid, options)?;
    let propagation = options.policy.or_else(|| default_policy(key.kind));
    let deletion = Deletion { grace: options.grace, propagation };
    let change = deletion::delete(cluster.store(), &stored.object, cluster.now(), deletion);
    if !options.dry_run {
        let defined = change.as_ref().map(|change| defined_by(cluster, change, stored));
        cluster.request(defined.unwrap_or_default());
        cluster.request_deletion(&key, deletion);
    }
    // The answer has an object that is not deleted at once, in its current state.
    let mut shown = stored.clone();
    match change {
        Some(Change::Delete(_)) if !is_shown_last(key.kind) => {
            return Ok(Reply::ok(&status::deleted(resource, &key.name, &uid)));
        }
        Some(Change::Put(object)) => shown.object = object,
        Some(Change::Delete(_)) | None => {}
    }
    let now = cluster.store().stored(&key).filter(|now| !options.dry_run && now.is_same_object(stored));
    Ok(Reply::ok(&show::rendered_as(resource, now.unwrap_or(&shown), cluster)))
}

/// The deletions of the objects of a custom resource, where `change` deletes its definition, `stored`
/// (`pkg/controller/finalizer/crd_finalizer.go`).
fn defined_by(cluster: &ControlPlane, change: &Change, stored: &Stored) -> Vec<Change> {
    let is_definition = matches!(change, Change::Delete(key) if key.kind == crd::DEFINITION);
    let given = stored.object.metadata().given.as_ref().filter(|_| is_definition);
    let Some(kind) = given.and_then(|given| crd::kind(given.json())) else { return Vec::new() };
    cluster.store().all_stored(kind, None).map(|stored| Change::Delete(stored.object.key())).collect()
}

/// The default policy for dependents (the registries' DefaultGarbageCollectionPolicy).
fn default_policy(kind: Kind) -> Option<Propagation> {
    (kind == Kind::Job).then_some(Propagation::Orphan)
}

/// Whether the answer to a deletion has the last state of the object, even if it is deleted at once: the registry's
/// `ReturnDeletedObject`. Typed clients rely on it.
fn is_shown_last(kind: Kind) -> bool {
    matches!(kind, Kind::Pod | Kind::Service | Kind::PersistentVolumeClaim | Kind::PersistentVolume)
}

/// Checks the preconditions, and whether the object may be deleted.
fn check(resource: &Resource, stored: &Stored, uid: &str, options: &Options) -> Result<(), Status> {
    let name = &stored.object.metadata().name;
    if let Some(required) = options.uid.as_deref().filter(|required| *required != uid) {
        let why = format!("Precondition failed: UID in precondition: {required}, UID in object meta: {uid}");
        return Err(Status::conflict(resource, name, &why));
    }
    let version = stored.revision.to_string();
    if let Some(required) = options.resource_version.as_deref().filter(|required| *required != version) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {required}, ResourceVersion in object meta: {version}"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    let kept = ["default", "kube-node-lease", "kube-public", "kube-system"];
    if stored.object.kind() == Kind::Namespace && kept.contains(&name.as_str()) {
        return Err(Status::forbidden(resource, name, "this namespace may not be deleted"));
    }
    Ok(())
}
