//! Takes the place of the kubelet's volume manager: the volumes of a pod as folders of the machine, and what each container has mounted where. Must not depend on namespaces.

mod atomic;
mod contents;
mod remove;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use clusterlocal_core::store::{PROVISIONED_FOLDER, Time};
use serde_json::{Value, json};

use super::environment::{expand, lookup};
use super::{ConfigError, Objects, list, text};
use crate::runtime::protocol::Mount;
use crate::runtime::sub_path;
pub(crate) use atomic::VolumeFile;
use contents::{Contents, Source};
pub(crate) use remove::remove;

/// Delay between a change of an object and that of the files that come from it: changes that come together are one.
const SYNC: Duration = Duration::from_secs(1);

/// Interval at which the renewal of a token is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Name of the volume of a pod's token, and where its containers have it (`plugin/pkg/admission/serviceaccount`).
const ACCESS: (&str, &str) = ("kube-api-access", "/var/run/secrets/kubernetes.io/serviceaccount");

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
pub(crate) fn safe(name: &str) -> &str {
    let mut components = Path::new(name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) => name,
        _ => "invalid",
    }
}

fn failed(volume: &str) -> impl Fn(String) -> ConfigError {
    let volume = volume.to_string();
    move |error| ConfigError {
        reason: "FailedMount",
        message: format!("MountVolume.SetUp failed for volume {volume:?} : {error}"),
    }
}

/// The volumes of a pod.
pub(crate) struct Volumes {
    all: Vec<Volume>,
    /// When files are compared with the objects that they come from.
    sync: Option<Time>,
}

struct Volume {
    name: String,
    /// Its folder or file.
    source: PathBuf,
    read_only: bool,
    /// As the pod has it, and its files, where those come from the API.
    contents: Option<(Value, Contents)>,
}

impl Volumes {
    /// Makes the folder or file of each volume of a pod. Files that come from the API are written.
    ///
    /// # Errors
    /// `FailedMount` where an object is missing, or the machine refuses a folder.
    pub(crate) fn prepare(
        pod: &Value,
        folders: &Folders,
        objects: &dyn Objects,
        now: Time,
    ) -> Result<Self, ConfigError> {
        let mut all = Vec::new();
        let access = access(pod, objects).then(access_volume);
        for volume in list(pod, "/spec/volumes").iter().chain(&access) {
            all.push(Volume::prepare(pod, volume, folders, objects, now)?);
        }
        Ok(Volumes { all, sync: None })
    }

    /// Whether changes of objects may change files, and are not awaited yet.
    pub(crate) fn follow(&self) -> bool {
        self.sync.is_none() && self.all.iter().any(Volume::changes)
    }

    /// Takes notice of a change of an object: files follow a little later.
    pub(crate) fn see_change(&mut self, now: Time) {
        if self.follow() {
            self.sync = Some(now.after(SYNC));
        }
    }

    /// Takes notice of a change of the pod itself: files follow at once.
    pub(crate) fn see_pod(&mut self, now: Time) {
        if self.all.iter().any(Volume::changes) {
            self.sync = Some(now);
        }
    }

    /// When files are due, if they are.
    pub(crate) fn due(&self) -> Option<Time> {
        let renew = self.all.iter().filter_map(|volume| volume.contents.as_ref()?.1.renew);
        renew.chain(self.sync).min()
    }

    /// Writes the files whose objects have changed, if that is due. The errors are of the objects that are gone: their files stay.
    pub(crate) fn sync(&mut self, pod: &Value, objects: &dyn Objects, now: Time) -> Vec<ConfigError> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.sync = None;
        self.all.iter_mut().filter_map(|volume| volume.sync(pod, objects, now).err()).collect()
    }
}

impl Volume {
    fn prepare(
        pod: &Value,
        volume: &Value,
        folders: &Folders,
        objects: &dyn Objects,
        now: Time,
    ) -> Result<Self, ConfigError> {
        let name = text(volume, "/name");
        let mut prepared =
            Volume { name: name.to_string(), source: PathBuf::new(), read_only: false, contents: None };
        if let Some(claim) = volume.get("persistentVolumeClaim") {
            prepared.source = claimed(pod, text(claim, "/claimName"), name, folders, objects)?;
            prepared.read_only = claim.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
            return Ok(prepared);
        }
        if let Some(path) = volume.get("hostPath") {
            prepared.source = host_path(path, name)?;
            return Ok(prepared);
        }
        prepared.source = folders.of_pod(pod).join("volumes").join(safe(name));
        fs::create_dir_all(&prepared.source).map_err(|error| failed(name)(error.to_string()))?;
        let source = Source { pod, objects, name, now, before: None };
        match source.contents(volume)? {
            Some(contents) => {
                prepared.read_only = true;
                atomic::write(&prepared.source, &contents.files)
                    .map_err(|error| failed(name)(error.to_string()))?;
                prepared.contents = Some((volume.clone(), contents));
            }
            None if volume.get("emptyDir").is_some() || volume.get("ephemeral").is_some() => {}
            None => {
                let kinds = volume.as_object().into_iter().flatten().map(|(kind, _)| kind.as_str());
                let kind = kinds.filter(|kind| *kind != "name").collect::<Vec<_>>().join(", ");
                return Err(failed(name)(format!(
                    "volumes of the type {kind} are not supported: emptyDir, hostPath or a claim take their place"
                )));
            }
        }
        Ok(prepared)
    }

    /// Whether a change of an object may change its files.
    fn changes(&self) -> bool {
        self.contents.as_ref().is_some_and(|(_, contents)| contents.changes)
    }

    fn sync(&mut self, pod: &Value, objects: &dyn Objects, now: Time) -> Result<(), ConfigError> {
        let Some((volume, before)) = &mut self.contents else { return Ok(()) };
        let is_due = before.renew.is_some_and(|renew| renew <= now);
        if !before.changes && !is_due {
            return Ok(());
        }
        let source = Source { pod, objects, name: &self.name, now, before: Some(before) };
        let contents = match source.contents(volume) {
            Ok(Some(contents)) => contents,
            Ok(None) => return Ok(()),
            Err(error) => {
                // A token that could not be renewed is tried again.
                before.renew = before.renew.map(|renew| renew.max(now.after(RETRY)));
                return Err(error);
            }
        };
        if contents.files != before.files {
            atomic::write(&self.source, &contents.files)
                .map_err(|error| failed(&self.name)(error.to_string()))?;
        }
        *before = contents;
        Ok(())
    }
}

/// Whether the containers of a pod have the token of its service account: unless the pod or else the account is without it.
fn access(pod: &Value, objects: &dyn Objects) -> bool {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/spec/serviceAccountName"));
    let Some(account) = objects.get("ServiceAccount", namespace, name) else { return false };
    let own = pod.pointer("/spec/automountServiceAccountToken").and_then(Value::as_bool);
    let of_account = account.get("automountServiceAccountToken").and_then(Value::as_bool);
    own.or(of_account).unwrap_or(true)
        && list(pod, "/spec/volumes").iter().all(|volume| text(volume, "/name") != ACCESS.0)
}

/// The volume of the token, as the admission plugin ServiceAccount writes it.
fn access_volume() -> Value {
    json!({ "name": ACCESS.0, "projected": { "defaultMode": 0o644, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }], "optional": true } },
        { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "fieldPath": "metadata.namespace" } }] } },
    ] } })
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
    let folder = path
        .filter(|path| !path.starts_with(PROVISIONED_FOLDER))
        .unwrap_or_else(|| folders.of_claim(namespace, claim));
    fs::create_dir_all(&folder).map_err(|error| failed(name)(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// The file or folder of a `hostPath` (`pkg/volume/hostpath/host_path.go`, checkTypeInternal).
fn host_path(source: &Value, name: &str) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(text(source, "/path"));
    let refused = |why: &str| failed(name)(format!("hostPath type check failed: {} {why}", path.display()));
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refused("must not contain '..'"));
    }
    let kind = text(source, "/type");
    let there = match fs::metadata(&path) {
        Ok(there) => Some(there.file_type()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(refused(&format!("cannot be read: {error}"))),
    };
    let made = match (kind, there) {
        ("DirectoryOrCreate", None) => fs::create_dir_all(&path),
        ("FileOrCreate", None) => fs::write(&path, ""),
        (_, None) => return Err(refused("does not exist")),
        _ => Ok(()),
    };
    made.map_err(|error| refused(&format!("cannot be created: {error}")))?;
    let Some(there) = there else { return Ok(path) };
    let (is, what) = match kind {
        "Directory" | "DirectoryOrCreate" => (there.is_dir(), "a directory"),
        "File" | "FileOrCreate" => (there.is_file(), "a file"),
        "Socket" => (there.is_socket(), "a socket file"),
        "CharDevice" => (there.is_char_device(), "a character device"),
        "BlockDevice" => (there.is_block_device(), "a block device"),
        _ => (true, ""),
    };
    if is { Ok(path) } else { Err(refused(&format!("is not {what}"))) }
}

/// The mounts of a container, by its `volumeMounts`.
///
/// # Errors
/// Where a mount names no volume, or a `subPath` leads out of it.
pub(crate) fn mounts(
    container: &Value,
    volumes: &Volumes,
    environment: &[(String, String)],
) -> Result<Vec<Mount>, ConfigError> {
    let wanted = list(container, "/volumeMounts");
    let has_access = wanted.iter().any(|mount| text(mount, "/mountPath").trim_end_matches('/') == ACCESS.1);
    let access = (!has_access && volumes.all.iter().any(|volume| volume.name == ACCESS.0))
        .then(|| json!({ "name": ACCESS.0, "mountPath": ACCESS.1, "readOnly": true }));
    wanted.iter().chain(&access).map(|mount| self::mount(mount, volumes, environment)).collect()
}

fn mount(mount: &Value, volumes: &Volumes, environment: &[(String, String)]) -> Result<Mount, ConfigError> {
    let name = text(mount, "/name");
    let found = volumes.all.iter().find(|volume| volume.name == name);
    let volume = found.ok_or_else(|| ConfigError::config(format!("volume {name:?} is not there")))?;
    let refused = |why: &str| {
        ConfigError::config(format!("failed to prepare subPath for volumeMount {name:?} of container: {why}"))
    };
    let expression = text(mount, "/subPathExpr");
    let below = if expression.is_empty() {
        PathBuf::from(text(mount, "/subPath"))
    } else {
        let expanded = expand(expression, |name| lookup(environment, name));
        // What could not be expanded is an error here, and nowhere else (`expansion`, ExpandContainerVolumeMounts).
        if expanded.contains("$(") {
            return Err(refused(&format!("missing value for {expanded}")));
        }
        PathBuf::from(expanded)
    };
    if below.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused("it leads out of the volume"));
    }
    if !below.as_os_str().is_empty() {
        sub_path::make(&volume.source, &below).map_err(|error| refused(&error.to_string()))?;
    }
    let read_only = volume.read_only || mount.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
    let target = PathBuf::from(text(mount, "/mountPath"));
    Ok(Mount { source: volume.source.clone(), below, target, read_only })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Type and path of a `hostPath`, and whether it is a volume.
    #[test]
    fn host_paths_by_type() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name).to_str().unwrap().to_string();
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("file"), "").unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let table = [
            ("", at("folder"), Ok(())),
            ("", at("file"), Ok(())),
            ("", at("none"), Err("does not exist")),
            ("Directory", at("folder"), Ok(())),
            ("Directory", at("file"), Err("is not a directory")),
            ("DirectoryOrCreate", at("new/deeper"), Ok(())),
            ("DirectoryOrCreate", at("file"), Err("is not a directory")),
            ("File", at("file"), Ok(())),
            ("File", at("folder"), Err("is not a file")),
            ("FileOrCreate", at("new/file"), Ok(())),
            ("Socket", at("socket"), Ok(())),
            ("Socket", at("file"), Err("is not a socket file")),
            ("CharDevice", "/dev/null".into(), Ok(())),
            ("BlockDevice", "/dev/null".into(), Err("is not a block device")),
            ("", at("folder/../folder"), Err("must not contain '..'")),
            ("", format!("{}\0x", at("folder")), Err("cannot be read")),
        ];
        for (kind, path, expected) in table {
            let found = host_path(&json!({"path": path, "type": kind}), "v").map(drop);
            match (&found, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(why)) => assert!(error.message.contains(why), "{error}"),
                _ => panic!("{kind} {path}: {found:?}"),
            }
        }
        assert!(Path::new(&at("new/deeper")).is_dir());
    }

    #[test]
    fn names_are_one_component_of_a_path() {
        let table = [
            ("a", "a"),
            ("..", "invalid"),
            (".", "invalid"),
            ("", "invalid"),
            ("a/b", "invalid"),
            ("/a", "invalid"),
        ];
        for (name, expected) in table {
            assert_eq!(safe(name), expected, "{name}");
        }
    }
}
