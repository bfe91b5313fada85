//! What containers have: ports, environment, and volumes in their file system or as devices.

use std::collections::{BTreeMap, BTreeSet};

use super::downward_api::{validate_container_resource_field_selector, validate_object_field_selector};
use super::paths::{validate_local_descending_path, validate_path_no_backsteps};
use super::volumes::Volumes;
use crate::field::{At, Causes};
use crate::primitives::names;

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];
const RECURSIVE_READ_ONLY: &[&str] = &["Disabled", "Enabled", "IfPossible"];
/// `validEnvDownwardAPIFieldPathExpressions`
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `validateContainerPorts`
pub(crate) fn validate_container_ports(ports: &At<'_>, causes: &mut Causes) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let (name, number, host) = (port.at("name"), port.at("containerPort"), port.at("hostPort"));
        if !name.is_empty() {
            let faults = names::port_name(name.text());
            if !faults.is_empty() {
                for fault in faults {
                    causes.invalid(&name, name.text(), &fault);
                }
            } else if !seen.insert(name.text()) {
                causes.duplicate(&name, name.text());
            }
        }
        if number.number() == 0 {
            causes.required(&number, "");
        } else {
            for fault in names::port_number(number.number()) {
                causes.invalid(&number, number.number(), &fault);
            }
        }
        if host.number() != 0 {
            for fault in names::port_number(host.number()) {
                causes.invalid(&host, host.number(), &fault);
            }
        }
        super::fields::validate_one_of(&port.at("protocol"), PROTOCOLS, causes);
    }
}

/// `ValidateEnv`
pub(crate) fn validate_env(variables: &At<'_>, causes: &mut Causes) {
    for variable in variables.items() {
        let name = variable.at("name");
        if name.is_empty() {
            causes.required(&name, "");
        } else {
            names::check(&name, names::env_var_name, causes);
        }
        validate_env_var_value_from(&variable, causes);
    }
}

/// `validateEnvVarValueFrom`
fn validate_env_var_value_from(variable: &At<'_>, causes: &mut Causes) {
    let from = variable.at("valueFrom");
    if !from.is_set() {
        return;
    }
    let mut sources = 0;
    for kind in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] {
        let source = from.at(kind);
        if !source.is_set() {
            continue;
        }
        sources += 1;
        match kind {
            "fieldRef" => validate_object_field_selector(&source, ENV_FIELDS, causes),
            "resourceFieldRef" => validate_container_resource_field_selector(&source, false, causes),
            "fileKeyRef" => validate_file_key_selector(&source, causes),
            _ => validate_key_selector(&source, causes),
        }
    }
    let why = match sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !variable.at("value").is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    causes.invalid(&from, "", why);
}

/// `validateConfigMapKeySelector` and `validateSecretKeySelector`
fn validate_key_selector(selector: &At<'_>, causes: &mut Causes) {
    names::check(&selector.at("name"), names::dns_subdomain, causes);
    let key = selector.at("key");
    if key.is_empty() {
        causes.required(&key, "");
    } else {
        names::check(&key, names::config_map_key, causes);
    }
}

/// `validateFileKeySelector`
fn validate_file_key_selector(selector: &At<'_>, causes: &mut Causes) {
    let (key, volume, path) = (selector.at("key"), selector.at("volumeName"), selector.at("path"));
    if key.is_empty() {
        causes.required(&key, "");
    } else {
        names::check(&key, names::env_var_name, causes);
    }
    if volume.is_empty() {
        causes.required(&volume, "");
    } else {
        names::check(&volume, names::dns_label, causes);
    }
    if path.is_empty() {
        causes.required(&path, "");
    } else {
        validate_path_no_backsteps(&path, causes);
    }
}

/// `ValidateEnvFrom`: errors about the number of sources have the path of the list.
pub(crate) fn validate_env_from(list: &At<'_>, causes: &mut Causes) {
    for from in list.items() {
        let prefix = from.at("prefix");
        if !prefix.is_empty() {
            names::check(&prefix, names::env_var_name, causes);
        }
        let mut sources = 0;
        for source in ["configMapRef", "secretRef"].map(|kind| from.at(kind)) {
            if !source.is_set() {
                continue;
            }
            sources += 1;
            let name = source.at("name");
            if name.is_empty() {
                causes.required(&name, "");
            } else {
                // A name that is asked for as a prefix may end with a dash.
                let masked = mask_trailing_dash(name.text());
                for fault in names::dns_subdomain(&masked) {
                    causes.invalid(&name, name.text(), &fault);
                }
            }
        }
        match sources {
            0 => causes.invalid(list, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => causes.invalid(list, "", "may not have more than one field specified at a time"),
        }
    }
}

/// `maskTrailingDash`
fn mask_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => name.into(),
    }
}

/// Paths in a container by the name of a volume (`GetVolumeMountMap`, `GetVolumeDeviceMap`).
fn paths<'o>(list: &At<'o>, path: &'static str) -> BTreeMap<&'o str, &'o str> {
    list.items().map(|one| (one.at("name").text(), one.at(path).text())).collect()
}

/// `ValidateVolumeMounts`
pub(crate) fn validate_volume_mounts(container: &At<'_>, volumes: &Volumes<'_>, causes: &mut Causes) {
    let devices = paths(&container.at("volumeDevices"), "devicePath");
    let list = container.at("volumeMounts");
    let mut seen = BTreeSet::new();
    for mount in list.items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if name.is_empty() {
            causes.required(&name, "");
        }
        if !volumes.contains_key(name.text()) {
            causes.not_found(&name, name.text());
        }
        if path.is_empty() {
            causes.required(&path, "");
        }
        if !seen.insert(path.text()) {
            causes.invalid(&path, path.text(), "must be unique");
        }
        if devices.contains_key(name.text()) {
            causes.invalid(&name, name.text(), "must not already exist in volumeDevices");
        }
        if devices.values().any(|device| *device == path.text()) {
            causes.invalid(&path, path.text(), "must not already exist as a path in volumeDevices");
        }
        // Errors below have no index in their path.
        let at_list = list.with(mount.value());
        let (sub, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
        if !sub.is_empty() {
            validate_local_descending_path(&at_list.at("subPath"), causes);
        }
        if !expression.is_empty() {
            if !sub.is_empty() {
                let why = "subPathExpr and subPath are mutually exclusive";
                causes.invalid(&expression, expression.text(), why);
            }
            validate_local_descending_path(&at_list.at("subPathExpr"), causes);
        }
        validate_mount_propagation(&at_list.at("mountPropagation"), container, causes);
        validate_mount_recursive_read_only(&at_list, causes);
    }
}

/// `validateMountPropagation`
fn validate_mount_propagation(propagation: &At<'_>, container: &At<'_>, causes: &mut Causes) {
    let Some(text) = propagation.text_if_set() else { return };
    if !PROPAGATIONS.contains(&text) {
        causes.not_supported(propagation, text, PROPAGATIONS);
    }
    if text == "Bidirectional" && !container.at("securityContext.privileged").is_true() {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        causes.forbidden(propagation, why);
    }
}

/// `validateMountRecursiveReadOnly`
fn validate_mount_recursive_read_only(mount: &At<'_>, causes: &mut Causes) {
    let field = mount.at("recursiveReadOnly");
    match field.text_if_set() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !mount.at("readOnly").is_true() {
                causes.forbidden(&field, "may only be specified when readOnly is true");
            }
            if mount.at("mountPropagation").text_if_set().is_some_and(|text| text != "None") {
                let why = "may only be specified when mountPropagation is None or not specified";
                causes.forbidden(&field, why);
            }
        }
        Some(other) => causes.not_supported(&field, other, RECURSIVE_READ_ONLY),
    }
}

/// `ValidateVolumeDevices`
pub(crate) fn validate_volume_devices(container: &At<'_>, volumes: &Volumes<'_>, causes: &mut Causes) {
    let mounts = paths(&container.at("volumeMounts"), "mountPath");
    let (mut seen_names, mut seen_paths) = (BTreeSet::new(), BTreeSet::new());
    for device in container.at("volumeDevices").items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if name.is_empty() {
            causes.required(&name, "");
        }
        if seen_names.contains(name.text()) {
            causes.invalid(&name, name.text(), "must be unique");
        }
        match volumes.get(name.text()) {
            None => causes.not_found(&name, name.text()),
            Some(volume)
                if !volume.at("persistentVolumeClaim").is_set() && !volume.at("ephemeral").is_set() =>
            {
                let why =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                causes.invalid(&name, name.text(), why);
            }
            Some(_) => {}
        }
        if path.is_empty() {
            causes.required(&path, "");
        }
        if seen_paths.contains(path.text()) {
            causes.invalid(&path, path.text(), "must be unique");
        }
        if path.text().split('/').any(|part| part == "..") {
            causes.invalid(&path, path.text(), "can not contain backsteps ('..')");
        } else {
            seen_paths.insert(path.text());
        }
        if mounts.contains_key(name.text()) {
            causes.invalid(&name, name.text(), "must not already exist in volumeMounts");
        }
        if mounts.values().any(|mount| *mount == path.text()) {
            causes.invalid(&path, path.text(), "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            seen_names.insert(name.text());
        }
    }
}
