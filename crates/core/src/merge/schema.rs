//! The merge strategies of the built-in kinds: the `patchStrategy`, `patchMergeKey`, `listType` and `mapType` tags of
//! Kubernetes' types. By default objects are merged field by field, and lists are replaced.

/// The fields of an object that do not merge by default.
pub(super) type Fields = &'static [(&'static str, Merge)];

/// The merge strategy of one field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Merge {
    /// An object with such fields.
    Object(Fields),
    /// A list of objects that are identified by keys.
    Keyed(Keyed),
    /// A list of unique values.
    Set,
    /// An object that an apply replaces; a strategic merge patch still merges it.
    Atomic,
}

/// A list of objects that are identified by keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    /// `patchMergeKey`: the keys for a strategic merge patch.
    pub(super) patch: &'static [MergeKey],
    /// `listMapKeys`: the keys for an apply; more exact, since they were introduced later.
    pub(super) apply: &'static [MergeKey],
    /// The fields of an item that do not merge by default.
    pub(super) item: Fields,
}

/// A key field of items, and its default.
pub(super) type MergeKey = (&'static str, Option<&'static str>);

/// The table of an object of `kind`; an unknown kind has the fields of metadata and status.
pub(super) fn of(kind: &str) -> Fields {
    match kind {
        "Pod" => POD,
        "StatefulSet" | "Deployment" | "ReplicaSet" | "ReplicationController" | "DaemonSet" | "Job" => {
            WORKLOAD
        }
        "CronJob" => CRON_JOB,
        "Service" => SERVICE,
        "Node" => NODE,
        "PersistentVolumeClaim" => CLAIM,
        _ => OTHER,
    }
}

/// The strategy of the field called `name` in `fields`.
pub(super) fn field(fields: Fields, name: &str) -> Option<Merge> {
    fields.iter().find(|(field, _)| *field == name).map(|&(_, merge)| merge)
}

impl Merge {
    /// The table of the object in a field with this strategy.
    pub(super) fn inside(merge: Option<Merge>) -> Fields {
        match merge {
            Some(Merge::Object(fields)) => fields,
            _ => &[],
        }
    }
}

/// A list of objects identified by one key, for patches and applies alike.
const fn by(key: &'static [MergeKey; 1], item: Fields) -> Merge {
    Merge::Keyed(Keyed { patch: key, apply: key, item })
}

/// A list of objects that a patch identifies by the first of `keys`, and an apply by all of them.
const fn by_all(keys: &'static [MergeKey], item: Fields) -> Merge {
    Merge::Keyed(Keyed { patch: keys.split_at(1).0, apply: keys, item })
}

const NAME: &[MergeKey; 1] = &[("name", None)];
const TYPE: &[MergeKey; 1] = &[("type", None)];
const IP: &[MergeKey; 1] = &[("ip", None)];
const PORT: &[MergeKey] = &[("port", None), ("protocol", Some("TCP"))];
const CONTAINER_PORT: &[MergeKey] = &[("containerPort", None), ("protocol", Some("TCP"))];

const METADATA: Merge =
    Merge::Object(&[("finalizers", Merge::Set), ("ownerReferences", by(&[("uid", None)], &[]))]);

const CONDITIONS: (&str, Merge) = ("conditions", by(TYPE, &[]));

const CONTAINER: Fields = &[
    ("env", by(NAME, &[])),
    ("ports", by_all(CONTAINER_PORT, &[])),
    ("volumeDevices", by(&[("devicePath", None)], &[])),
    ("volumeMounts", by(&[("mountPath", None)], &[])),
];

const POD_SPEC: Merge = Merge::Object(&[
    ("containers", by(NAME, CONTAINER)),
    ("ephemeralContainers", by(NAME, CONTAINER)),
    ("hostAliases", by(IP, &[])),
    ("imagePullSecrets", by(NAME, &[])),
    ("initContainers", by(NAME, CONTAINER)),
    ("nodeSelector", Merge::Atomic),
    ("resourceClaims", by(NAME, &[])),
    ("schedulingGates", by(NAME, &[])),
    ("topologySpreadConstraints", by_all(&[("topologyKey", None), ("whenUnsatisfiable", None)], &[])),
    ("volumes", by(NAME, &[])),
]);

const OTHER: Fields = &[("metadata", METADATA), ("status", Merge::Object(&[CONDITIONS]))];

const POD: Fields = &[
    ("metadata", METADATA),
    ("spec", POD_SPEC),
    ("status", Merge::Object(&[CONDITIONS, ("hostIPs", by(IP, &[])), ("podIPs", by(IP, &[]))])),
];

const WORKLOAD: Fields = &[
    ("metadata", METADATA),
    (
        "spec",
        Merge::Object(&[
            ("selector", Merge::Atomic),
            ("template", Merge::Object(&[("metadata", METADATA), ("spec", POD_SPEC)])),
        ]),
    ),
    ("status", Merge::Object(&[CONDITIONS])),
];

const CRON_JOB: Fields =
    &[("metadata", METADATA), ("spec", Merge::Object(&[("jobTemplate", Merge::Object(WORKLOAD))]))];

const SERVICE: Fields = &[
    ("metadata", METADATA),
    ("spec", Merge::Object(&[("ports", by_all(PORT, &[])), ("selector", Merge::Atomic)])),
    ("status", Merge::Object(&[CONDITIONS])),
];

const NODE: Fields = &[
    ("metadata", METADATA),
    ("spec", Merge::Object(&[("podCIDRs", Merge::Set)])),
    ("status", Merge::Object(&[("addresses", by(TYPE, &[])), CONDITIONS])),
];

const CLAIM: Fields = &[
    ("metadata", METADATA),
    ("spec", Merge::Object(&[("selector", Merge::Atomic)])),
    ("status", Merge::Object(&[CONDITIONS])),
];
