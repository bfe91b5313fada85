//! The files that volumes have of objects of the API: ConfigMaps, Secrets, the downward API, tokens. Must not depend on where they are
//! written.

use std::path::PathBuf;
use std::time::Duration;

use clusterlocal_core::store::Time;
use data_encoding::BASE64;
use serde_json::Value;

use super::VolumeFile;
use super::failed;
use crate::kubelet::environment::{decoded, field_value, is_optional, resource_value};
use crate::kubelet::{ConfigError, Objects, list, text};

/// Default lifetime of a projected token, in seconds (`defaults.go`, SetDefaults_ServiceAccountTokenProjection).
const TOKEN_SECONDS: u64 = 3600;

/// The files of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) files: Vec<VolumeFile>,
    /// Whether a change of an object may change them.
    pub(super) changes: bool,
    /// When a token in it is renewed.
    pub(super) renew: Option<Time>,
}

/// What a volume is made from.
pub(super) struct Source<'a> {
    pub(super) pod: &'a Value,
    pub(super) objects: &'a dyn Objects,
    /// The name of the volume.
    pub(super) name: &'a str,
    pub(super) now: Time,
    /// The contents so far, whose tokens stay until they are renewed.
    pub(super) before: Option<&'a Contents>,
}

impl Source<'_> {
    /// The files of a volume of the pod; nothing where it has none that come from the API.
    pub(super) fn contents(&self, volume: &Value) -> Result<Option<Contents>, ConfigError> {
        let given = ["configMap", "secret", "downwardAPI", "projected"]
            .iter()
            .find_map(|kind| volume.get(kind).map(|source| (*kind, source)));
        let Some((kind, source)) = given else { return Ok(None) };
        let mode =
            source.get("defaultMode").and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok());
        let mode = mode.unwrap_or(0o644);
        let mut contents = Contents::default();
        if kind == "projected" {
            for projection in list(source, "/sources") {
                self.add(&mut contents, projection, mode)?;
            }
        } else {
            self.add(&mut contents, volume, mode)?;
        }
        Ok(Some(contents))
    }

    /// Adds the files of a ConfigMap, Secret, downward API or token.
    fn add(&self, contents: &mut Contents, source: &Value, mode: u32) -> Result<(), ConfigError> {
        if let Some(downward) = source.get("downwardAPI") {
            contents.changes = true;
            for item in list(downward, "/items") {
                let value = match item.get("resourceFieldRef") {
                    Some(resource) => resource_value(self.pod, &Value::Null, resource),
                    None => field_value(self.pod, text(item, "/fieldRef/fieldPath")).unwrap_or_default(),
                };
                contents.files.push(file(item, value.into_bytes(), mode));
            }
            return Ok(());
        }
        if let Some(token) = source.get("serviceAccountToken") {
            return self.add_token(contents, token, mode);
        }
        let references = [
            ("configMap", "ConfigMap", "/name"),
            ("secret", "Secret", "/secretName"),
            ("secret", "Secret", "/name"),
        ];
        let named = references.iter().find_map(|(field, kind, name)| {
            let reference = source.get(field)?;
            Some((reference, *kind, text(reference, name))).filter(|(.., name)| !name.is_empty())
        });
        let Some((reference, kind, object_name)) = named else { return Ok(()) };
        let optional = is_optional(reference);
        let lower = kind.to_lowercase();
        let Some(object) = self.objects.get(kind, text(self.pod, "/metadata/namespace"), object_name) else {
            contents.changes = true;
            if optional {
                return Ok(());
            }
            return Err(failed(self.name)(format!("{lower} {object_name:?} not found")));
        };
        contents.changes |= object.get("immutable") != Some(&Value::Bool(true));
        let all = entries(kind, &object);
        let items = list(reference, "/items");
        if items.is_empty() {
            let every = all.iter().map(|(key, contents)| VolumeFile {
                path: key.into(),
                contents: contents.clone(),
                mode,
            });
            contents.files.extend(every);
        }
        for item in items {
            let key = text(item, "/key");
            match all.iter().find(|(there, _)| there == key) {
                Some((_, value)) => contents.files.push(file(item, value.clone(), mode)),
                None if optional => {}
                None => return Err(failed(self.name)(format!("references non-existent {lower} key: {key}"))),
            }
        }
        Ok(())
    }

    fn add_token(&self, contents: &mut Contents, token: &Value, mode: u32) -> Result<(), ConfigError> {
        let path = PathBuf::from(text(token, "/path"));
        let seconds = token.get("expirationSeconds").and_then(Value::as_u64).unwrap_or(TOKEN_SECONDS);
        let before = self.before.filter(|before| before.renew.is_some_and(|renew| renew > self.now));
        let there = before.and_then(|before| before.files.iter().find(|file| file.path == path));
        let (file, renew) = match (there, before.and_then(|before| before.renew)) {
            (Some(file), Some(renew)) => (file.clone(), renew),
            _ => {
                let (namespace, account) =
                    (text(self.pod, "/metadata/namespace"), text(self.pod, "/spec/serviceAccountName"));
                let issued = self.objects.token(namespace, account, text(token, "/audience"), seconds);
                let missing = || failed(self.name)(format!("serviceaccounts {account:?} not found"));
                // Renewed after four fifths of its lifetime (`token_manager.go`, requiresRefresh).
                let renew = self.now.after(Duration::from_secs(seconds / 5 * 4));
                (VolumeFile { path, contents: issued.ok_or_else(missing)?.into_bytes(), mode }, renew)
            }
        };
        contents.renew = Some(contents.renew.map_or(renew, |other| other.min(renew)));
        contents.files.push(file);
        Ok(())
    }
}

/// The file of an item, which may have its own mode.
fn file(item: &Value, contents: Vec<u8>, mode: u32) -> VolumeFile {
    let own = item.get("mode").and_then(Value::as_u64).and_then(|mode| u32::try_from(mode).ok());
    VolumeFile { path: PathBuf::from(text(item, "/path")), contents, mode: own.unwrap_or(mode) }
}

/// The entries of a ConfigMap or Secret, text and binary.
fn entries(kind: &str, object: &Value) -> Vec<(String, Vec<u8>)> {
    let entries = |field: &str| object.get(field).and_then(Value::as_object).into_iter().flatten();
    let given = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let text =
        entries("data").map(|(key, value)| (key.clone(), decoded(kind, &given(value)).unwrap_or_default()));
    let binary = entries("binaryData")
        .map(|(key, value)| (key.clone(), BASE64.decode(given(value).as_bytes()).unwrap_or_default()));
    text.chain(binary).collect()
}
