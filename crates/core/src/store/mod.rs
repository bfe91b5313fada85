//! Takes the place of etcd and of the API's object model: objects by kind, namespace and name, a resourceVersion for
//! every change, and a stream of changes to watch. The only mutable state of the emulated cluster. Must not depend on
//! files or the DNS.

#[allow(
    missing_docs,
    reason = "fields and variants are Kubernetes' own, under their own names; its API reference describes them"
)]
mod addresses;
#[allow(missing_docs, reason = "as above")]
mod conditions;
#[allow(missing_docs, reason = "as above")]
mod container;
#[allow(missing_docs, reason = "as above")]
mod cronjob;
#[allow(missing_docs, reason = "as above")]
mod event;
mod extra;
mod fault;
mod given;
mod index;
#[allow(missing_docs, reason = "as above")]
mod job_policy;
#[allow(missing_docs, reason = "as above")]
mod job_status;
mod json;
#[allow(missing_docs, reason = "as above")]
mod kind;
mod lenient;
mod links;
#[allow(missing_docs, reason = "as above")]
mod meta;
mod names;
#[allow(missing_docs, reason = "as above")]
mod namespace;
#[allow(missing_docs, reason = "as above")]
mod node;
#[allow(missing_docs, reason = "as above")]
mod object;
mod objects;
mod partition;
#[allow(missing_docs, reason = "as above")]
mod pod;
mod pod_identity;
#[allow(missing_docs, reason = "as above")]
mod pod_status;
mod schedule;
#[allow(missing_docs, reason = "as above")]
mod scheduling;
mod selecting;
#[allow(missing_docs, reason = "as above")]
mod selector;
#[allow(missing_docs, reason = "as above")]
mod service;
mod state;
mod stored;
mod subsets;
mod table;
mod template;
mod time;
mod time_zone;
#[allow(missing_docs, reason = "TCP is TCP")]
mod values;
mod view;
#[allow(missing_docs, reason = "as above")]
mod volume;
mod weight;
#[allow(missing_docs, reason = "as above")]
mod workload;
mod written_status;

pub use crate::text::duration;
pub use addresses::{EndpointAddresses, IpList, SliceAddress};
pub use conditions::{ConditionStatus, Conditions, WorkloadCondition};
pub use container::*;
pub use cronjob::*;
pub use event::{EventRecord, EventSource};
pub use extra::{Extra, Names};
pub use fault::{Fault, ReadAt};
pub use given::{Given, Part, Text};
pub use index::REVISION_LABEL;
pub use job_policy::*;
pub(crate) use job_status::index_intervals;
pub use job_status::{CompletionIndexes, JobStatus};
pub use json::{fill, object};
pub use json::{objects, put_labels, without_nulls};
pub use kind::{Key, Kind};
pub use links::{FOREGROUND_FINALIZER, Links, ORPHAN_FINALIZER, Owner, Uid, UidError};
pub use meta::ObjectMeta;
pub use names::{
    LABEL_MAX, Labels, Name, POD_INDEX_LABEL, POD_NAME_LABEL, SUBDOMAIN_MAX, is_label, is_subdomain, nearest,
};
pub use namespace::{NAMESPACE_FINALIZER, NAMESPACE_NAME_LABEL, Namespace};
pub use node::*;
pub use object::*;
pub use partition::{PARTITION, PartitionSpec};
pub use pod::*;
pub use pod_identity::{is_out_of_reach, key_of, ordinal, owner_of, set_named_by, set_of};
pub use pod_status::*;
pub use schedule::Schedule;
pub use scheduling::*;
pub use selecting::Selecting;
pub use selector::{LabelSelector, Operator, Requirement};
pub use service::*;
pub use stored::{Change, Event, Stored};
pub use subsets::{of_slices, repack};
pub use table::{Compacted, Store};
pub(crate) use template::pod_spec;
pub use template::{fill_pod_spec, spec_json};
pub use time::{Time, shown_duration};
pub use time_zone::TimeZone;
pub use values::{IntOrName, IntOrPercent, PortNumber, Protocol, parse_ip};
pub use view::{Undone, View};
pub use volume::*;
pub use weight::OBJECT_BYTES;
pub use workload::*;
