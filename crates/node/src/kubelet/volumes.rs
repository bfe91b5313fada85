//! The volumes of a pod as folders of the machine, and what each container has mounted where. Must not depend on namespaces.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use clusterlocal_core::store::PROVISIONED_FOLDER;
use data_encoding::BASE64;
use serde_json::Value;

use super::environment::{decoded, expand, field_value, is_optional, lookup, resource_value};
use super::{ConfigError, Objects, list, text};
use crate::runtime::protocol::Mount;

/// Where the volumes of a cluster are.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// What claims hold: `NAMESPACE/CLAIM`.
    pub(crate) claims: PathBuf,
    /// What belongs to a pod: `UID`.
    pub(crate) pods: PathBuf,
}

impl Folders {
    /// What a claim holds.
    pub(crate) fn of_claim(&self, namespace: &str, claim: &str) -> PathBuf {
        self.claims.join(safe(namespace)).join(safe(claim))
    }

    /// What belongs to a pod and goes with it.
    pub(crate) fn of_pod(&self, pod: &Value) -> PathBuf {
        self.pods.join(safe(text(pod, "/metadata/uid")))
    }
}

/// A name as one component of a path: what is none becomes an empty one, which no folder has.
fn safe(name: &str) -> &str {
    let mut components = Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) => name,
        _ => "invalid",
    }
}

fn failed(what: &str) -> impl Fn(io::Error) -> ConfigError {
    let what = what.to_string();
    move |error| ConfigError {
        reason: "FailedMount",
        message: format!("MountVolume.SetUp failed for volume {what:?} : {error}"),
    }
}

/// The folder or file of each volume of a pod, by name. Files that come from the API are written.
///
/// # Errors
/// `FailedMount` where an object is missing, or the machine refuses a folder.
pub(crate) fn prepare(
    pod: &Value,
    folders: &Folders,
    objects: &dyn Objects,
) -> Result<Vec<(String, PathBuf)>, ConfigError> {
    let mut prepared = Vec::new();
    for volume in list(pod, "/spec/volumes") {
        let name = text(volume, "/name");
        let source = source(pod, volume, name, folders, objects)?;
        prepared.push((name.to_string(), source));
    }
    Ok(prepared)
}

fn source(
    pod: &Value,
    volume: &Value,
    name: &str,
    folders: &Folders,
    objects: &dyn Objects,
) -> Result<PathBuf, ConfigError> {
    let own = folders.of_pod(pod).join("volumes").join(safe(name));
    if let Some(claim) = volume.get("persistentVolumeClaim") {
        return claimed(pod, text(claim, "/claimName"), name, folders, objects);
    }
    if let Some(path) = volume.get("hostPath") {
        return host_path(path, name);
    }
    fs::create_dir_all(&own).map_err(failed(name))?;
    let files = if volume.get("emptyDir").is_some() || volume.get("ephemeral").is_some() {
        return Ok(own);
    } else if let Some(projected) = volume.get("projected") {
        let mut files = Vec::new();
        for source in list(projected, "/sources") {
            files.extend(files_of(pod, source, name, objects)?);
        }
        files
    } else {
        files_of(pod, volume, name, objects)?
    };
    write_files(&own, &files, default_mode(volume)).map_err(failed(name))?;
    Ok(own)
}

/// The folder of a claim: that of its volume's `hostPath` or `local` path, or one below the folder for claims.
fn claimed(
    pod: &Value,
    claim: &str,
    name: &str,
    folders: &Folders,
    objects: &dyn Objects,
) -> Result<PathBuf, ConfigError> {
    let namespace = text(pod, "/metadata/namespace");
    let missing = || ConfigError {
        reason: "FailedMount",
        message: format!("persistentvolumeclaim {claim:?} not found"),
    };
    let object = objects.get("PersistentVolumeClaim", namespace, claim).ok_or_else(missing)?;
    let volume = objects.get("PersistentVolume", "", text(&object, "/spec/volumeName"));
    let path =
        volume.as_ref().and_then(|volume| volume.pointer("/spec/hostPath").or(volume.pointer("/spec/local")));
    let path = path.map(|path| PathBuf::from(text(path, "/path")));
    // What was provisioned for the claim is in the folder of claims; other volumes are used as they are.
    if let Some(path) = path.filter(|path| !path.starts_with(PROVISIONED_FOLDER)) {
        fs::create_dir_all(&path).map_err(failed(name))?;
        return Ok(path);
    }
    let folder = folders.of_claim(namespace, claim);
    fs::create_dir_all(&folder).map_err(failed(name))?;
    Ok(folder)
}

fn host_path(source: &Value, name: &str) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(text(source, "/path"));
    let refused =
        |why: &str| Err(failed(name)(io::Error::other(format!("hostPath {}: {why}", path.display()))));
    match text(source, "/type") {
        "DirectoryOrCreate" => fs::create_dir_all(&path).map_err(failed(name))?,
        "FileOrCreate" if !path.exists() => fs::write(&path, "").map_err(failed(name))?,
        "Directory" if !path.is_dir() => return refused("is not a directory"),
        "File" if !path.is_file() => return refused("is not a file"),
        _ if !path.exists() => return refused("does not exist"),
        _ => {}
    }
    Ok(path)
}

/// A file of a volume: its path there, contents, and mode.
type VolumeFile = (PathBuf, Vec<u8>, Option<u32>);

/// The files of a ConfigMap, Secret or downward API source.
fn files_of(
    pod: &Value,
    source: &Value,
    name: &str,
    objects: &dyn Objects,
) -> Result<Vec<VolumeFile>, ConfigError> {
    if let Some(downward) = source.get("downwardAPI") {
        let items = list(downward, "/items").iter().map(|item| {
            let contents = match item.get("resourceFieldRef") {
                Some(resource) => resource_value(pod, &Value::Null, resource),
                None => field_value(pod, text(item, "/fieldRef/fieldPath")).unwrap_or_default(),
            };
            (PathBuf::from(text(item, "/path")), contents.into_bytes(), mode(item))
        });
        return Ok(items.collect());
    }
    let namespace = text(pod, "/metadata/namespace");
    let of_kinds = [
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("secret", "Secret", "name"),
    ];
    for (field, kind, called) in of_kinds {
        let Some(reference) = source.get(field) else { continue };
        let Some(object_name) = reference.get(called).and_then(Value::as_str) else { continue };
        let optional = is_optional(reference);
        let Some(object) = objects.get(kind, namespace, object_name) else {
            if optional {
                return Ok(Vec::new());
            }
            let message = format!(
                "MountVolume.SetUp failed for volume {name:?} : {} {object_name:?} not found",
                kind.to_lowercase()
            );
            return Err(ConfigError { reason: "FailedMount", message });
        };
        return selected(reference, contents(kind, &object), optional).map_err(|key| ConfigError {
            reason: "FailedMount",
            message: format!(
                "MountVolume.SetUp failed for volume {name:?} : references non-existent {} key: {key}",
                kind.to_lowercase()
            ),
        });
    }
    Ok(Vec::new())
}

/// The items that a source names, or all of them. The error is the key that is missing.
fn selected(
    reference: &Value,
    all: Vec<(String, Vec<u8>)>,
    optional: bool,
) -> Result<Vec<VolumeFile>, String> {
    let items = list(reference, "/items");
    if items.is_empty() {
        return Ok(all.into_iter().map(|(key, contents)| (PathBuf::from(key), contents, None)).collect());
    }
    let mut files = Vec::new();
    for item in items {
        let key = text(item, "/key");
        match all.iter().find(|(there, _)| there == key) {
            Some((_, contents)) => {
                files.push((PathBuf::from(text(item, "/path")), contents.clone(), mode(item)))
            }
            None if optional => {}
            None => return Err(key.to_string()),
        }
    }
    Ok(files)
}

/// The entries of a ConfigMap or Secret, text and binary.
fn contents(kind: &str, object: &Value) -> Vec<(String, Vec<u8>)> {
    let entries = |field: &str| object.get(field).and_then(Value::as_object).into_iter().flatten();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for (key, value) in entries("data") {
        let value = value.as_str().unwrap_or_default();
        all.push((key.clone(), decoded(kind, value).unwrap_or_default()));
    }
    for (key, value) in entries("binaryData") {
        all.push((
            key.clone(),
            BASE64.decode(value.as_str().unwrap_or_default().as_bytes()).unwrap_or_default(),
        ));
    }
    all
}

fn mode(item: &Value) -> Option<u32> {
    item.get("mode").and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok())
}

fn default_mode(volume: &Value) -> u32 {
    let sources = ["configMap", "secret", "downwardAPI", "projected"];
    let given =
        sources.iter().filter_map(|source| volume.get(source)).find_map(|source| source.get("defaultMode"));
    given.and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

/// Writes the files of a volume so that a reader sees all of one version: into a folder of their own, to which the link `..data`
/// leads, to which the links of the files lead (`pkg/volume/util/atomic_writer.go`).
fn write_files(folder: &Path, files: &[VolumeFile], default_mode: u32) -> io::Result<()> {
    let before = fs::read_link(folder.join("..data")).ok();
    if before.as_ref().is_some_and(|before| holds(&folder.join(before), files)) {
        return Ok(());
    }
    let version = (1..).map(|number| format!("..{number}")).find(|name| !folder.join(name).exists());
    let version = version.ok_or_else(|| io::Error::other("no name is left"))?;
    for (path, contents, mode) in files {
        if path.is_absolute() || path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(io::Error::other(format!(
                "{}: a relative path without .. is expected",
                path.display()
            )));
        }
        let file = folder.join(&version).join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, contents)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode.unwrap_or(default_mode)))?;
    }
    fs::create_dir_all(folder.join(&version))?;
    symlink(&version, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    for (path, ..) in files {
        let Some(Component::Normal(first)) = path.components().next() else { continue };
        let link = folder.join(first);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(first), link)?;
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(folder.join(before))?;
    }
    Ok(())
}

fn holds(version: &Path, files: &[VolumeFile]) -> bool {
    files.iter().all(|(path, contents, _)| fs::read(version.join(path)).is_ok_and(|there| there == *contents))
}

/// The mounts of a container, by its `volumeMounts`.
///
/// # Errors
/// Where a mount names no volume, or a `subPath` leads out of it.
pub(crate) fn mounts(
    container: &Value,
    prepared: &[(String, PathBuf)],
    environment: &[(String, String)],
) -> Result<Vec<Mount>, ConfigError> {
    let mut mounts = Vec::new();
    for mount in list(container, "/volumeMounts") {
        let name = text(mount, "/name");
        let found = prepared.iter().find(|(there, _)| there == name);
        let (_, folder) =
            found.ok_or_else(|| ConfigError::config(format!("volume {name:?} is not there")))?;
        let expression = text(mount, "/subPathExpr");
        let below = if expression.is_empty() {
            text(mount, "/subPath").to_string()
        } else {
            expand(expression, |name| lookup(environment, name))
        };
        let below = Path::new(&below);
        if below.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            let message =
                format!("failed to prepare subPath for volumeMount {name:?}: it leads out of the volume");
            return Err(ConfigError::config(message));
        }
        let source = folder.join(below);
        if !source.exists() {
            fs::create_dir_all(&source).map_err(failed(name))?;
        }
        let read_only = mount.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
        mounts.push(Mount { source, target: PathBuf::from(text(mount, "/mountPath")), read_only });
    }
    Ok(mounts)
}
