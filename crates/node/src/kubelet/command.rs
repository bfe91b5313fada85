//! What runs in place of an image: no image is pulled. Must not depend on how it is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::environment::{expand, lookup};
use super::{ConfigError, list, text};

/// Annotation of a pod, or of the template it is made from, with the command of one of its containers: `PREFIX` + the container's
/// name.
pub const COMMAND_PREFIX: &str = "run.clusterlocal.dev/";

/// The entrypoints of images, by image as manifests name it, with or without its tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images(BTreeMap<String, Vec<String>>);

impl Images {
    /// Adds `IMAGE=COMMAND`, the command in words as a shell has them: quotes hold words together.
    ///
    /// # Errors
    /// Where there is no `=` or no command, or a quote is not closed.
    pub fn add(&mut self, given: &str) -> Result<(), String> {
        let expected = || {
            format!(
                "{given:?}: IMAGE=COMMAND is expected, for instance postgres:17=/usr/lib/postgresql/17/bin/postgres"
            )
        };
        let (image, command) = given.split_once('=').ok_or_else(expected)?;
        let words = words(command)?;
        if image.is_empty() || words.is_empty() {
            return Err(expected());
        }
        self.0.insert(image.to_string(), words);
        Ok(())
    }

    /// The entrypoint of an image: that of the name as it stands, else that of the name without tag and digest.
    fn of(&self, image: &str) -> Option<&Vec<String>> {
        self.0.get(image).or_else(|| self.0.get(without_tag(image)))
    }
}

fn without_tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// The command line in words, as a shell has them.
fn words(line: &str) -> Result<Vec<String>, String> {
    shlex::split(line).ok_or_else(|| format!("{line:?}: a quote is not closed"))
}

/// The program and arguments of a container: the annotation's command, else the image's entrypoint, each followed by `args`; else
/// the container's own `command`, or without one its `args`, as for an image without entrypoint, where that program is on this
/// machine.
///
/// # Errors
/// `ErrImageNeverPull` where nothing runs for the image.
pub(crate) fn command(
    pod: &Value,
    container: &Value,
    environment: &[(String, String)],
    images: &Images,
    folder: &Path,
) -> Result<Vec<String>, ConfigError> {
    let (name, image) = (text(container, "/name"), text(container, "/image"));
    let known = |name: &str| lookup(environment, name);
    let expanded = |pointer| -> Vec<String> {
        list(container, pointer).iter().filter_map(Value::as_str).map(|word| expand(word, known)).collect()
    };
    let (own, arguments) = (expanded("/command"), expanded("/args"));
    let annotation =
        pod.pointer("/metadata/annotations").and_then(|all| all.get(format!("{COMMAND_PREFIX}{name}")));
    if let Some(line) = annotation.and_then(Value::as_str) {
        let words =
            words(line).map_err(|reason| ConfigError { reason: "InvalidImageName", message: reason })?;
        // The annotation is the whole command, unless it names a program only.
        return Ok(if words.len() == 1 { [words, arguments].concat() } else { words });
    }
    if let Some(entrypoint) = images.of(image) {
        return Ok(if own.is_empty() {
            [entrypoint.clone(), arguments].concat()
        } else {
            [own, arguments].concat()
        });
    }
    match (own.first(), arguments.first()) {
        (Some(program), _) | (None, Some(program)) if finds(program, environment, folder) => {
            Ok([own, arguments].concat())
        }
        (Some(program), _) => {
            Err(never_pulled(image, &format!("its command {program:?} is not on this machine"), name))
        }
        (None, _) => Err(never_pulled(image, "the container has no command of its own", name)),
    }
}

fn never_pulled(image: &str, why: &str, name: &str) -> ConfigError {
    ConfigError {
        reason: "ErrImageNeverPull",
        message: format!(
            "Container image {image:?} is not pulled, and {why}: give its program with --image '{image}=COMMAND', or with the \
             annotation {COMMAND_PREFIX}{name}"
        ),
    }
}

/// Whether there is such a program, on the `PATH` of the environment or at that path.
fn finds(program: &str, environment: &[(String, String)], folder: &Path) -> bool {
    if program.contains('/') {
        return folder.join(program).is_file();
    }
    let path = lookup(environment, "PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder: PathBuf| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_of_a_command() {
        let table: [(&str, &[&str]); 5] = [
            ("a  b", &["a", "b"]),
            ("sh -c 'a \"b\"'", &["sh", "-c", "a \"b\""]),
            (r#"a "b\" c" ''"#, &["a", "b\" c", ""]),
            (r"a\ b", &["a b"]),
            ("", &[]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert!(words("'a").is_err());
    }

    #[test]
    fn what_runs_for_an_image() {
        let mut images = Images::default();
        images.add("registry:5000/store=/bin/echo store").unwrap();
        images.add("store:2=/bin/echo two").unwrap();
        let environment = [("PATH".to_string(), "/bin".to_string()), ("N".to_string(), "1".to_string())];
        let annotated = json!({"metadata": {"annotations": {"run.clusterlocal.dev/a": "/bin/cat"}}});
        let table = [
            (
                json!({}),
                json!({"name": "a", "image": "registry:5000/store:1", "args": ["$(N)"]}),
                Some("/bin/echo store 1"),
            ),
            (json!({}), json!({"name": "a", "image": "store:2"}), Some("/bin/echo two")),
            (json!({}), json!({"name": "a", "image": "store:3"}), None),
            (
                json!({}),
                json!({"name": "a", "image": "x", "command": ["sh", "-c"], "args": ["$(N) $(M)"]}),
                Some("sh -c 1 $(M)"),
            ),
            (json!({}), json!({"name": "a", "image": "x", "command": ["/no/such"]}), None),
            (json!({}), json!({"name": "a", "image": "x", "args": ["sh", "-c", "$(N)"]}), Some("sh -c 1")),
            (json!({}), json!({"name": "a", "image": "x", "args": ["--sh"]}), None),
            (json!({}), json!({"name": "a", "image": "x"}), None),
            (annotated, json!({"name": "a", "image": "store:2", "args": ["x"]}), Some("/bin/cat x")),
        ];
        for (pod, container, expected) in table {
            let command = command(&pod, &container, &environment, &images, Path::new("/"));
            assert_eq!(
                command.as_ref().ok().map(|words| words.join(" ")).as_deref(),
                expected,
                "{container}"
            );
            if let Err(error) = command {
                assert_eq!(error.reason, "ErrImageNeverPull");
            }
        }
    }
}
