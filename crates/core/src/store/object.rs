//! An object of any kind: the part of the API's object model on which a cluster's DNS depends.
//!
//! Each struct is a part of the Kubernetes type of the same name, with the same field names. Unknown fields are skipped
//! (real manifests have many), values are validated when they are read: an invalid address, a port out of range or a
//! misspelt protocol is an error with its position. Must not depend on files or the DNS.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::cronjob::CronJob;
use super::event::EventRecord;
use super::fault::{Fault, ReadAt};
use super::given::{Given, Part};
use super::kind::{Key, Kind};
use super::meta::ObjectMeta;
use super::namespace::Namespace;
use super::node::Node;
use super::pod::Pod;
use super::service::{EndpointSlice, Endpoints, Service};
use super::volume::{PersistentVolume, PersistentVolumeClaim};
use super::workload::{ControllerRevision, StatefulSet, Workload};

/// An object that no room depends on: a ConfigMap, a Secret, a Role. All of it is in `metadata.given`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Inert {
    pub metadata: ObjectMeta,
}

/// An object of any kind. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    Namespace(Arc<Namespace>),
    Node(Arc<Node>),
    Service(Arc<Service>),
    StatefulSet(Arc<StatefulSet>),
    Deployment(Arc<Workload>),
    ReplicaSet(Arc<Workload>),
    ReplicationController(Arc<Workload>),
    DaemonSet(Arc<Workload>),
    Job(Arc<Workload>),
    CronJob(Arc<CronJob>),
    Pod(Arc<Pod>),
    EndpointSlice(Arc<EndpointSlice>),
    Endpoints(Arc<Endpoints>),
    PersistentVolumeClaim(Arc<PersistentVolumeClaim>),
    PersistentVolume(Arc<PersistentVolume>),
    ControllerRevision(Arc<ControllerRevision>),
    Event(Arc<EventRecord>),
    Fault(Arc<Fault>),
    /// Of a kind that is only stored.
    Inert(Kind, Arc<Inert>),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Namespace(_) => Kind::Namespace,
            Object::Node(_) => Kind::Node,
            Object::Service(_) => Kind::Service,
            Object::StatefulSet(_) => Kind::StatefulSet,
            Object::Deployment(_) => Kind::Deployment,
            Object::ReplicaSet(_) => Kind::ReplicaSet,
            Object::ReplicationController(_) => Kind::ReplicationController,
            Object::DaemonSet(_) => Kind::DaemonSet,
            Object::Job(_) => Kind::Job,
            Object::CronJob(_) => Kind::CronJob,
            Object::Pod(_) => Kind::Pod,
            Object::EndpointSlice(_) => Kind::EndpointSlice,
            Object::Endpoints(_) => Kind::Endpoints,
            Object::PersistentVolumeClaim(_) => Kind::PersistentVolumeClaim,
            Object::PersistentVolume(_) => Kind::PersistentVolume,
            Object::ControllerRevision(_) => Kind::ControllerRevision,
            Object::Event(_) => Kind::Event,
            Object::Fault(_) => Kind::Fault,
            Object::Inert(kind, _) => *kind,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Object::Namespace(o) => &o.metadata,
            Object::Node(o) => &o.metadata,
            Object::Service(o) => &o.metadata,
            Object::StatefulSet(o) => &o.metadata,
            Object::Deployment(o)
            | Object::ReplicaSet(o)
            | Object::ReplicationController(o)
            | Object::DaemonSet(o)
            | Object::Job(o) => &o.metadata,
            Object::CronJob(o) => &o.metadata,
            Object::Pod(o) => &o.metadata,
            Object::EndpointSlice(o) => &o.metadata,
            Object::Endpoints(o) => &o.metadata,
            Object::PersistentVolumeClaim(o) => &o.metadata,
            Object::PersistentVolume(o) => &o.metadata,
            Object::ControllerRevision(o) => &o.metadata,
            Object::Event(o) => &o.metadata,
            Object::Fault(o) => &o.metadata,
            Object::Inert(_, o) => &o.metadata,
        }
    }

    /// Its metadata, for modification; copies the object if it is shared.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Object::Namespace(o) => &mut Arc::make_mut(o).metadata,
            Object::Node(o) => &mut Arc::make_mut(o).metadata,
            Object::Service(o) => &mut Arc::make_mut(o).metadata,
            Object::StatefulSet(o) => &mut Arc::make_mut(o).metadata,
            Object::Deployment(o)
            | Object::ReplicaSet(o)
            | Object::ReplicationController(o)
            | Object::DaemonSet(o)
            | Object::Job(o) => &mut Arc::make_mut(o).metadata,
            Object::CronJob(o) => &mut Arc::make_mut(o).metadata,
            Object::Pod(o) => &mut Arc::make_mut(o).metadata,
            Object::EndpointSlice(o) => &mut Arc::make_mut(o).metadata,
            Object::Endpoints(o) => &mut Arc::make_mut(o).metadata,
            Object::PersistentVolumeClaim(o) => &mut Arc::make_mut(o).metadata,
            Object::PersistentVolume(o) => &mut Arc::make_mut(o).metadata,
            Object::ControllerRevision(o) => &mut Arc::make_mut(o).metadata,
            Object::Event(o) => &mut Arc::make_mut(o).metadata,
            Object::Fault(o) => &mut Arc::make_mut(o).metadata,
            Object::Inert(_, o) => &mut Arc::make_mut(o).metadata,
        }
    }

    /// The Deployment, ReplicaSet, ReplicationController, DaemonSet or Job `workload`, according to `kind`.
    pub fn workload(kind: Kind, workload: Arc<Workload>) -> Object {
        match kind {
            Kind::Deployment => Object::Deployment(workload),
            Kind::ReplicationController => Object::ReplicationController(workload),
            Kind::DaemonSet => Object::DaemonSet(workload),
            Kind::Job => Object::Job(workload),
            _ => Object::ReplicaSet(workload),
        }
    }

    /// Sets the source from which it was read.
    pub fn keep(&mut self, given: Given) {
        let template = Part::new(&given, arcstr::literal!("/spec/template"));
        match self {
            Object::StatefulSet(set) => {
                let spec = &mut Arc::make_mut(set).spec;
                Arc::make_mut(&mut spec.template).given = Some(template);
                for (at, claim) in spec.volume_claim_templates.iter_mut().enumerate() {
                    claim.given = Some(Part::new(&given, arcstr::format!("/spec/volumeClaimTemplates/{at}")));
                }
            }
            Object::Deployment(o)
            | Object::ReplicaSet(o)
            | Object::ReplicationController(o)
            | Object::DaemonSet(o)
            | Object::Job(o) => {
                Arc::make_mut(&mut Arc::make_mut(o).spec.template).given = Some(template);
            }
            Object::CronJob(o) => {
                let template = Part::new(&given, arcstr::literal!("/spec/jobTemplate/spec/template"));
                let job = &mut Arc::make_mut(&mut Arc::make_mut(o).spec.job_template).spec;
                Arc::make_mut(&mut job.template).given = Some(template);
            }
            _ => {}
        }
        self.metadata_mut().given = Some(given);
    }

    /// Sets the position of a fault: `line` of `file`.
    pub(crate) fn read_at(&mut self, file: &Arc<str>, line: u32) {
        if let Object::Fault(fault) = self {
            Arc::make_mut(fault).read_at = ReadAt::new(file, line);
        }
    }

    /// Whether its spec equals that of `other`: generations count changes of workloads and Pods only.
    pub(super) fn has_spec_of(&self, other: &Object) -> bool {
        let spec =
            |object: &Object| Some(Part::new(object.metadata().given.as_ref()?, arcstr::literal!("/spec")));
        // An object that was never written as JSON has no fields besides those compared above.
        let same_given = || spec(self).zip(spec(other)).is_none_or(|(a, b)| a == b);
        match (self, other) {
            (Object::StatefulSet(a), Object::StatefulSet(b)) => a.spec == b.spec && same_given(),
            // A Pod that a client changes; the node that it gets is no change.
            (Object::Pod(_), Object::Pod(_)) => same_given(),
            (Object::Inert(..), Object::Inert(..)) => has_written_spec_of(self, other),
            (Object::Deployment(a), Object::Deployment(b))
            | (Object::ReplicaSet(a), Object::ReplicaSet(b))
            | (Object::ReplicationController(a), Object::ReplicationController(b))
            | (Object::DaemonSet(a), Object::DaemonSet(b)) => a.spec == b.spec && same_given(),
            // The selector of a Job is generated after its creation: that does not count as a change.
            (Object::Job(a), Object::Job(b)) => {
                (a.spec == b.spec || (a.spec.selector.is_some() && b.spec.selector.is_none())) && same_given()
            }
            (Object::CronJob(a), Object::CronJob(b)) => a.spec == b.spec && same_given(),
            _ => true,
        }
    }

    /// Its key.
    pub fn key(&self) -> Key {
        self.metadata().key(self.kind())
    }
}

/// Whether both sources are equal except for metadata and status: for kinds without a Rust type everything else counts
/// as the spec (a webhook configuration has no `spec`).
fn has_written_spec_of(one: &Object, other: &Object) -> bool {
    let given = |object: &Object| object.metadata().given.clone();
    match (given(one), given(other)) {
        (Some(one), Some(other)) => {
            let spec = |given: &Given| {
                let fields = given.json().as_object().into_iter().flatten();
                let spec = |key: &str| !matches!(key, "apiVersion" | "kind" | "metadata" | "status");
                fields
                    .filter(|(key, _)| spec(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            spec(&one) == spec(&other)
        }
        _ => true,
    }
}

/// The Rust type of a kind, for typed access to the store.
pub trait Resource: Sized {
    /// The content of `object`, if it is of this type and of kind `kind`.
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

macro_rules! resources {
    ($($type:ident: $($variant:ident)|+;)*) => {$(
        impl Resource for $type {
            fn of(object: &Object) -> Option<&Arc<Self>> {
                match object {
                    $(Object::$variant(o))|+ => Some(o),
                    _ => None,
                }
            }
        }
    )*};
}

resources! {
    Namespace: Namespace;
    Node: Node;
    Service: Service;
    StatefulSet: StatefulSet;
    Workload: Deployment | ReplicaSet | ReplicationController | DaemonSet | Job;
    CronJob: CronJob;
    Pod: Pod;
    EndpointSlice: EndpointSlice;
    Endpoints: Endpoints;
    PersistentVolumeClaim: PersistentVolumeClaim;
    PersistentVolume: PersistentVolume;
    ControllerRevision: ControllerRevision;
    EventRecord: Event;
    Fault: Fault;
}

/// Objects by key: the content of a set of manifests.
pub type Objects = BTreeMap<Key, Object>;
