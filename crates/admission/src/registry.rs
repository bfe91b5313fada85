//! Takes the place of `registry/generic/registry/store.go` and `registry/rest`: the strategies of all kinds, and the steps
//! of a create, an update and an update of the status.

use serde_json::Value;

use crate::allocation::{Allocator, Refusal};
use crate::field::{At, Cause, Causes};
use crate::primitives::{metadata, names};
use crate::strategy::Strategy;
use crate::{
    admissionregistration, apiregistration, apps, autoscaling, batch, certificates, coordination, core,
    discovery, flowcontrol, networking, node, policy, rbac, resource, scheduling, schema, storage,
};

/// What an object is, whatever its version: `apps`, `StatefulSet`. The group of `v1` is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupKind<'a> {
    /// The API group.
    pub group: &'a str,
    /// The kind.
    pub kind: &'a str,
}

static GROUPS: [&[Strategy]; 17] = [
    core::STRATEGIES,
    admissionregistration::STRATEGIES,
    apiregistration::STRATEGIES,
    apps::STRATEGIES,
    autoscaling::STRATEGIES,
    batch::STRATEGIES,
    certificates::STRATEGIES,
    coordination::STRATEGIES,
    discovery::STRATEGIES,
    flowcontrol::STRATEGIES,
    networking::STRATEGIES,
    node::STRATEGIES,
    policy::STRATEGIES,
    rbac::STRATEGIES,
    resource::STRATEGIES,
    scheduling::STRATEGIES,
    storage::STRATEGIES,
];

fn strategy(of: GroupKind<'_>) -> Option<&'static Strategy> {
    let mut all = GROUPS.iter().copied().flatten();
    all.find(|strategy| strategy.kind == of.kind && strategy.group == of.group)
}

/// Fills in what `object` leaves to its kind's defaults. Done twice it changes nothing.
pub fn default(of: GroupKind<'_>, object: &mut Value) {
    if let Some(strategy) = strategy(of) {
        (strategy.default)(object);
    }
}

/// `BeginCreate` of a new `object`, and `BeginUpdate` of one in the place of `before`: sets what is allocated for it.
///
/// # Errors
///
/// Why it cannot be allocated.
pub fn begin(
    of: GroupKind<'_>,
    object: &mut Value,
    before: Option<&Value>,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    strategy(of).map_or(Ok(()), |strategy| (strategy.begin)(object, before, allocator))
}

/// `rest.BeforeCreate`: sets what of a new object only the server decides, and validates it. It has its name and namespace, and
/// its defaults, and what [`begin`] sets.
///
/// # Errors
///
/// What is wrong with it: at least one cause.
pub fn before_create(of: GroupKind<'_>, object: &mut Value) -> Result<(), Vec<Cause>> {
    let Some(strategy) = strategy(of) else { return Ok(()) };
    // Only a deletion sets them.
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("deletionTimestamp");
        metadata.remove("deletionGracePeriodSeconds");
    }
    (strategy.prepare_for_create)(object);
    refuse(validate(of, object))?;
    (strategy.canonicalize)(object);
    schema::drop_empty(object);
    Ok(())
}

/// What is wrong with a new object as it is, with its defaults; nothing, if an API server takes it.
fn validate(of: GroupKind<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = Causes::default();
    if let Some(strategy) = strategy(of) {
        let root = At::root(object);
        (strategy.validate)(&root, &mut causes);
        if causes.is_empty() {
            let metadata = root.at("metadata");
            metadata::validate_object_meta(&metadata, strategy.namespaced, names::path_segment, &mut causes);
        }
    }
    causes.into_vec()
}

/// `rest.BeforeUpdate`: sets what of a changed object only the server decides, and validates the change. `before` is the object
/// as the store has it; both have their defaults.
///
/// # Errors
///
/// What is wrong with the object or the change: at least one cause.
pub fn before_update(of: GroupKind<'_>, object: &mut Value, before: &Value) -> Result<(), Vec<Cause>> {
    let Some(strategy) = strategy(of) else { return Ok(()) };
    update(strategy, strategy.prepare_for_update, strategy.validate_update, object, before)
}

/// As [`before_update`], of an update of the status: metadata and status change, all else is as before.
///
/// # Errors
///
/// What is wrong with the status or the metadata: at least one cause.
pub fn before_status_update(of: GroupKind<'_>, object: &mut Value, before: &Value) -> Result<(), Vec<Cause>> {
    let Some(strategy) = strategy(of) else { return Ok(()) };
    let (Some(new), Some(old)) = (object.as_object_mut(), before.as_object()) else { return Ok(()) };
    new.retain(|field, _| matches!(field.as_str(), "metadata" | "status"));
    for (field, value) in old {
        if !matches!(field.as_str(), "metadata" | "status") {
            new.insert(field.clone(), value.clone());
        }
    }
    update(strategy, strategy.prepare_status_for_update, strategy.validate_status_update, object, before)
}

fn update(
    strategy: &Strategy,
    prepare: fn(&mut Value, &Value),
    validate: fn(&At<'_>, &At<'_>, &mut Causes),
    object: &mut Value,
    before: &Value,
) -> Result<(), Vec<Cause>> {
    keep_system_fields(object, before);
    prepare(object, before);
    let mut causes = Causes::default();
    let (new, old) = (At::root(object), At::root(before));
    let metadata = new.at("metadata");
    metadata::validate_object_meta(&metadata, strategy.namespaced, names::path_segment, &mut causes);
    metadata::validate_object_meta_update(&metadata, &old.at("metadata"), &mut causes);
    validate(&new, &old, &mut causes);
    refuse(causes.into_vec())?;
    (strategy.canonicalize)(object);
    schema::drop_empty(object);
    Ok(())
}

/// What an update leaves out and cannot change is as before.
fn keep_system_fields(object: &mut Value, before: &Value) {
    let (Some(new), Some(old)) = (object["metadata"].as_object_mut(), before["metadata"].as_object()) else {
        return;
    };
    let mut keep = |field: &str, always: bool| match old.get(field) {
        Some(value) if always || new.get(field).is_none_or(|value| value.is_null() || value == "") => {
            new.insert(field.into(), value.clone());
        }
        None if always => drop(new.remove(field)),
        _ => {}
    };
    keep("generation", true);
    keep("uid", false);
    keep("creationTimestamp", true);
    if old.contains_key("deletionTimestamp") {
        keep("deletionTimestamp", true);
    }
    keep("deletionGracePeriodSeconds", false);
    keep("resourceVersion", false);
}

fn refuse(causes: Vec<Cause>) -> Result<(), Vec<Cause>> {
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}

/// Warnings about an accepted object: fields that are deprecated or have no effect.
pub fn warnings(of: GroupKind<'_>, object: &Value, before: Option<&Value>) -> Vec<String> {
    strategy(of).map(|strategy| (strategy.warnings)(object, before)).unwrap_or_default()
}

/// Whether objects of such a kind are validated; of others [`before_create`] takes all.
pub fn is_validated(of: GroupKind<'_>) -> bool {
    strategy(of).is_some()
}

/// Whether objects of such a kind are in namespaces.
pub fn is_namespaced(of: GroupKind<'_>) -> bool {
    strategy(of).is_some_and(|strategy| strategy.namespaced)
}

/// Whether an update of such a kind may leave out the resource version.
pub fn is_unconditional(of: GroupKind<'_>) -> bool {
    strategy(of).is_none_or(|strategy| strategy.unconditional_update)
}
