//! What an API server does to the objects of one kind on their way to the store (`pkg/registry/*/strategy.go`). Must not
//! depend on the kinds.

use serde_json::Value;

use crate::allocation::{Allocator, Refusal};
use crate::field::{At, Causes};

/// What an API server does with the objects of one kind. Each reads what the ones before it left.
pub(crate) struct Strategy {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    /// Whether objects of the kind are in namespaces.
    pub(crate) namespaced: bool,
    /// `AllowUnconditionalUpdate`: whether an update may leave out the resource version.
    pub(crate) unconditional_update: bool,
    /// `SetObjectDefaults_KIND` of the served version.
    pub(crate) default: fn(&mut Value),
    /// `BeginCreate`, and `BeginUpdate` with the object before: allocates what of an object is unique in the cluster.
    pub(crate) begin: fn(&mut Value, Option<&Value>, &Allocator<'_>) -> Result<(), Refusal>,
    /// `PrepareForCreate`: what of a new object the server decides.
    pub(crate) prepare_for_create: fn(&mut Value),
    /// `PrepareForUpdate`, of the new object and the one before.
    pub(crate) prepare_for_update: fn(&mut Value, &Value),
    /// `Validate`, of a new object. Its metadata is validated once more with the rules that hold for all kinds.
    pub(crate) validate: fn(&At<'_>, &mut Causes),
    /// `ValidateUpdate`, of the new object and the one before, after the metadata of both.
    pub(crate) validate_update: fn(&At<'_>, &At<'_>, &mut Causes),
    /// `PrepareForUpdate` of the strategy of the status. That all but metadata and status is as before has been seen to.
    pub(crate) prepare_status_for_update: fn(&mut Value, &Value),
    /// `ValidateUpdate` of the strategy of the status, after the metadata of both.
    pub(crate) validate_status_update: fn(&At<'_>, &At<'_>, &mut Causes),
    /// What the way through the store makes of an object that has been validated.
    pub(crate) canonicalize: fn(&mut Value),
    /// `WarningsOnCreate`, and `WarningsOnUpdate` with the object before.
    pub(crate) warnings: fn(&Value, Option<&Value>) -> Vec<String>,
}

impl Strategy {
    /// That of a kind of which only the metadata is looked at.
    pub(crate) const fn of(group: &'static str, kind: &'static str, namespaced: bool) -> Self {
        Strategy {
            group,
            kind,
            namespaced,
            unconditional_update: true,
            default: |_| {},
            begin: |_, _, _| Ok(()),
            prepare_for_create: |_| {},
            prepare_for_update: |_, _| {},
            validate: |_, _| {},
            validate_update: |_, _, _| {},
            prepare_status_for_update: |_, _| {},
            validate_status_update: |_, _, _| {},
            canonicalize: |_| {},
            warnings: |_, _| Vec::new(),
        }
    }
}
