//! The scalars of an object's manifest, including fields without a Rust type, for reviews.

use serde::Deserialize;
use serde_yaml::Value;

use super::limits;
use super::locate::Step;
use super::source::Place;

impl Place {
    /// Every scalar of the object, with its path for [`Place::locate`], in the order of the text.
    ///
    /// Empty for a document that is too large for another pass; positions are not determined in it either.
    pub fn scalars(&self) -> Vec<(String, String)> {
        let text = self.text();
        if text.len() > limits::LOCATED_BYTES {
            return Vec::new();
        }
        // It was parsed before, so its aliases do not exceed the limits.
        let read = || {
            let mut root = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).ok()?;
            if text.contains("<<") {
                root.apply_merge().ok()?;
            }
            Some(root)
        };
        let (kept, alone);
        let root = if self.within.is_empty() {
            alone = read();
            alone.as_ref()
        } else {
            // Other objects share the passage.
            kept = self.parsed();
            kept.as_ref().and_then(|kept| kept.root(read))
        };
        let Some(root) = root else { return Vec::new() };
        let object = self.within.iter().try_fold(root, |value, step| match step {
            Step::Key(key) => value.get(&**key),
            Step::Index(at) => value.get(*at),
        });
        let mut scalars = Vec::new();
        if let Some(object) = object {
            collect(object, String::new(), &mut scalars);
        }
        scalars
    }
}

fn collect(value: &Value, path: String, scalars: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => scalars.push((path, value.to_string())),
        Value::Number(value) => scalars.push((path, value.to_string())),
        Value::String(text) => scalars.push((path, text.clone())),
        Value::Sequence(items) => {
            items.iter().enumerate().for_each(|(at, item)| collect(item, format!("{path}[{at}]"), scalars));
        }
        Value::Mapping(map) => {
            for (key, value) in map {
                let Some(key) = key.as_str() else { continue };
                let path = if key.contains(['.', '[', '/']) {
                    format!("{path}[{key}]")
                } else if path.is_empty() {
                    key.to_owned()
                } else {
                    format!("{path}.{key}")
                };
                collect(value, path, scalars);
            }
        }
        Value::Tagged(tagged) => collect(&tagged.value, path, scalars),
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::read_bytes;

    #[test]
    fn scalars_have_paths_that_are_located() {
        let text = concat!(
            "apiVersion: v1\n",
            "kind: List\n",
            "items:\n",
            "- apiVersion: v1\n",
            "  kind: Pod\n",
            "  metadata: {name: db, annotations: {example.org/a: x}}\n",
            "  spec:\n",
            "    containers:\n",
            "    - name: db\n",
            "      args: [run, --join=peer]\n",
            "      env:\n",
            "      - {name: WAIT, value: 5}\n",
        );
        let manifest = read_bytes("a.yaml", text.into());
        let place = &manifest.objects[0].place;
        let found: Vec<_> = place
            .scalars()
            .into_iter()
            .map(|(path, text)| (place.locate(&path).line, path, text))
            .filter(|(line, ..)| *line > 5)
            .collect();
        let table = [
            (6, "metadata.name", "db"),
            (6, "metadata.annotations[example.org/a]", "x"),
            (9, "spec.containers[0].name", "db"),
            (10, "spec.containers[0].args[0]", "run"),
            (10, "spec.containers[0].args[1]", "--join=peer"),
            (12, "spec.containers[0].env[0].name", "WAIT"),
            (12, "spec.containers[0].env[0].value", "5"),
        ];
        assert_eq!(found, table.map(|(line, path, text)| (line, path.into(), text.into())));
    }
}
