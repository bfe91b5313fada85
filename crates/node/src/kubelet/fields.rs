//! What becomes of each field of a pod's spec, so that nothing is left out in silence: fields without an effect are Events when the
//! pod starts, and a pod that cannot run without one is not started. Must not depend on how pods run.

use std::collections::HashSet;

use serde_json::Value;

use super::text;
use clusterlocal_core::types::{self, Type};

/// The table, whose first lines describe its format.
const TABLE: &str = include_str!("fields.txt");

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect<'a> {
    /// It has its effect, which the test of this name shows.
    Full { test: &'a str, whole: bool },
    /// It has none, unless it has the value.
    Ignored { why: &'a str, unless: Option<&'a str> },
    /// A pod that has it is not started.
    Refused { why: &'a str },
    /// It needs none on a node.
    Nothing { why: &'a str },
}

/// The row of a field.
fn effect(kind: &str, field: &str) -> Option<Effect<'static>> {
    let (_, rows) = sections().find(|(name, _)| *name == kind)?;
    rows.lines().find_map(|row| {
        let (name, effect) = row.split_once(' ')?;
        (name == field).then(|| parse(effect))?
    })
}

/// The types of the table, and their rows.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.split("\n\n").skip(1).filter_map(|section| section.split_once('\n'))
}

fn parse(effect: &str) -> Option<Effect<'_>> {
    let (mark, rest) = effect.split_once(' ').unwrap_or((effect, ""));
    let (why, unless) = match rest.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((why, unless)) => (why.trim_end(), Some(unless)),
        None => (rest, None),
    };
    Some(match mark {
        "+" => Effect::Full { test: why, whole: false },
        "+*" => Effect::Full { test: why, whole: true },
        "-" => Effect::Ignored { why, unless },
        "!" => Effect::Refused { why },
        "." => Effect::Nothing { why },
        _ => return None,
    })
}

/// The fields of `pod` without an effect, each with the reason; what several containers have is reported once.
pub(crate) fn ignored(pod: &Value) -> Vec<String> {
    let (mut found, mut reported) = (Vec::new(), HashSet::new());
    walk(pod, &mut |at, effect, value| {
        let name = at.rsplit('.').next().unwrap_or(at);
        if let Effect::Ignored { why, unless } = effect
            && is_asked(value, unless)
            && reported.insert((name.to_string(), why.to_string()))
        {
            found.push(format!("{at} has no effect: {why}"));
        }
    });
    found
}

/// Why `pod` is not started, if it has a field that it could not run without.
pub(crate) fn refused(pod: &Value) -> Option<String> {
    let system = text(pod, "/spec/os/name");
    if !matches!(system, "" | "linux") {
        return Some(format!("spec.os.name: programs for {system} do not run on Linux"));
    }
    let mut found = None;
    walk(pod, &mut |at, effect, _| {
        if let Effect::Refused { why } = effect {
            found.get_or_insert_with(|| format!("{at} is not supported: {why}"));
        }
    });
    found
}

/// Calls `each` with each field of a pod's spec that is in the table: its path, its row, its value.
fn walk(pod: &Value, each: &mut dyn FnMut(&str, Effect<'_>, &Value)) {
    if let (Some(spec), Some(kind)) = (pod.get("spec"), types::named("core", "PodSpec")) {
        walk_struct(kind, "spec", spec, each);
    }
}

fn walk_struct(kind: &'static Type, at: &str, json: &Value, each: &mut dyn FnMut(&str, Effect<'_>, &Value)) {
    for (name, value) in json.as_object().into_iter().flatten() {
        let (Some(field), Some(effect)) = (kind.field(name), effect(of(kind), name)) else { continue };
        let at = format!("{at}.{name}");
        each(&at, effect, value);
        let (Some(inner), Effect::Full { whole: false, .. }) = (field.go.inner_structure(), effect) else {
            continue;
        };
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk_struct(inner, &format!("{at}[{index}]"), item, each);
                }
            }
            value => walk_struct(inner, &at, value, each),
        }
    }
}

/// The type whose rows are those of `kind`.
fn of(kind: &Type) -> &'static str {
    match kind.name {
        "EphemeralContainer" => "Container",
        name => sections().map(|(section, _)| section).find(|section| *section == name).unwrap_or_default(),
    }
}

/// Whether a value asks for more than the default of its field.
fn is_asked(value: &Value, unless: Option<&str>) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(value) => !value.is_empty() && Some(value.as_str()) != unless,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::fs;
    use std::path::Path;

    use clusterlocal_core::types::Go;
    use serde_json::json;

    use super::*;

    /// The types of fields that are not described whole by their row, from `PodSpec` on.
    fn described() -> Vec<&'static Type> {
        let mut found: Vec<&'static Type> = Vec::new();
        let mut waiting = vec![types::named("core", "PodSpec").unwrap()];
        while let Some(kind) = waiting.pop() {
            if found.iter().any(|there| there.name == kind.name) {
                continue;
            }
            found.push(kind);
            for field in kind.fields() {
                if let (Some(Effect::Full { whole: false, .. }), Some(inner)) =
                    (effect(of(kind), field.json), field.go.inner_structure())
                {
                    waiting.push(inner);
                }
            }
        }
        found
    }

    #[test]
    fn each_field_of_a_pod_has_a_row() {
        let (mut wanted, mut missing) = (BTreeSet::new(), Vec::new());
        for kind in described() {
            for field in kind.fields() {
                wanted.insert((of(kind), field.json));
                if effect(of(kind), field.json).is_none() {
                    missing.push(format!("{}.{}", kind.name, field.json));
                }
            }
        }
        assert_eq!(missing, [""; 0], "fields of the API without a row in fields.txt");
        let rows = sections().flat_map(|(kind, rows)| {
            rows.lines().map(move |row| (kind, row.split(' ').next().unwrap_or_default()))
        });
        let surplus: Vec<_> = rows.filter(|row| !wanted.contains(row)).collect();
        assert_eq!(surplus, [("", ""); 0], "rows of fields.txt that no field of the API has");
    }

    #[test]
    fn each_effect_has_a_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (mut sources, mut folders) =
            (String::new(), vec![root.join("crates"), root.join("tests"), root.join("program/tests")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources += &fs::read_to_string(path).unwrap();
                }
            }
        }
        for (kind, rows) in sections() {
            for row in rows.lines() {
                let (name, rest) = row.split_once(' ').unwrap();
                if let Effect::Full { test, .. } = parse(rest).unwrap_or_else(|| panic!("{kind}: {row}")) {
                    assert!(sources.contains(&format!("fn {test}(")), "{kind}.{name}: no test {test}");
                }
            }
        }
    }

    /// A value of a type that is not its default.
    fn value(go: &Go) -> Value {
        match go {
            Go::Pointer(inner) => value(inner),
            Go::List(inner) => json!([value(inner)]),
            Go::Map(_, inner) => json!({"a": value(inner)}),
            Go::Boolean => json!(true),
            Go::Integer(..) | Go::Float => json!(7),
            Go::Named(kind) if !kind.fields().is_empty() => {
                let field = &kind.fields()[0];
                json!({field.json: value(&field.go)})
            }
            _ => json!("seven"),
        }
    }

    /// A pod with one field set, at each place of its type.
    fn pods_with(kind: &Type, field: &str, value: &Value) -> Vec<(String, Value)> {
        let set = |path: &str| {
            let mut json = json!({field: value});
            for part in path.rsplit('.') {
                json = match part.strip_suffix("[0]") {
                    Some(list) => json!({list: [json]}),
                    None => json!({part: json}),
                };
            }
            (format!("{path}.{field}"), json)
        };
        let container = "spec.containers[0]";
        let path = match kind.name {
            "PodSpec" => "spec".to_string(),
            "PodSecurityContext" => "spec.securityContext".to_string(),
            "Container" => container.to_string(),
            "SecurityContext" => format!("{container}.securityContext"),
            "ResourceRequirements" => format!("{container}.resources"),
            "VolumeMount" => format!("{container}.volumeMounts[0]"),
            "EnvVarSource" => format!("{container}.env[0].valueFrom"),
            "Volume" => "spec.volumes[0]".to_string(),
            "EmptyDirVolumeSource" => "spec.volumes[0].emptyDir".to_string(),
            "VolumeProjection" => "spec.volumes[0].projected.sources[0]".to_string(),
            name => panic!("where a pod has a {name} is not known to this test"),
        };
        let init = path.starts_with(container).then(|| path.replace(container, "spec.initContainers[0]"));
        std::iter::once(path).chain(init).map(|path| set(&path)).collect()
    }

    #[test]
    fn fields_without_an_effect_are_events() {
        let mut tried = 0;
        for kind in described() {
            for field in kind.fields() {
                let row = effect(of(kind), field.json).unwrap();
                if !matches!(row, Effect::Ignored { .. } | Effect::Refused { .. }) {
                    continue;
                }
                if kind.name == "EphemeralContainer" {
                    continue;
                }
                for (path, pod) in pods_with(kind, field.json, &value(&field.go)) {
                    tried += 1;
                    match row {
                        Effect::Ignored { why, unless } => {
                            assert_eq!(ignored(&pod), [format!("{path} has no effect: {why}")]);
                            assert_eq!(refused(&pod), None, "{path}");
                            let (_, defaulted) = &pods_with(kind, field.json, &json!(unless))[0];
                            assert_eq!(ignored(defaulted), [""; 0], "{path}");
                        }
                        Effect::Refused { why } => {
                            assert_eq!(refused(&pod), Some(format!("{path} is not supported: {why}")));
                        }
                        _ => unreachable!(),
                    }
                }
            }
        }
        assert!(tried > 60, "{tried}");
    }

    #[test]
    fn what_all_containers_have_is_reported_once() {
        let container =
            json!({"resources": {"limits": {"cpu": "1"}}, "terminationMessagePath": "/dev/termination-log"});
        let pod = json!({"spec": {"containers": vec![container; 30]}});
        assert_eq!(
            ignored(&pod),
            ["spec.containers[0].resources.limits has no effect: limits are not enforced"]
        );
    }

    #[test]
    fn other_systems_are_refused() {
        let of = |name: &str| refused(&json!({"spec": {"os": {"name": name}}}));
        assert_eq!(of("linux"), None);
        assert_eq!(of("windows").unwrap(), "spec.os.name: programs for windows do not run on Linux");
    }

    /// The page is the table in words. `CLUSTERLOCAL_DOCS=write` writes it.
    #[test]
    fn the_page_is_the_table() {
        let mut page = String::from(
            "# Fields of pods\n\nWhat [`clusterlocal run`](running.md) makes of each field of a pod's spec. A field without an effect is an Event of \
             the pod with the reason\n`Unsupported`; a pod with a field that it could not run without is not started, and an Event names the field.\n",
        );
        for (kind, rows) in sections() {
            let mut lists: [Vec<String>; 4] = Default::default();
            for row in rows.lines() {
                let (name, rest) = row.split_once(' ').unwrap();
                let because = |why: &str| if why.is_empty() { String::new() } else { format!(" ({why})") };
                let (list, why) = match parse(rest).unwrap() {
                    Effect::Full { .. } => (0, ""),
                    Effect::Ignored { why, .. } => (1, why),
                    Effect::Refused { why } => (2, why),
                    Effect::Nothing { why } => (3, why),
                };
                lists[list].push(format!("`{name}`{}", because(why)));
            }
            writeln!(page, "\n## {kind}\n\n| effect | fields |\n|---|---|").unwrap();
            for (title, list) in
                ["as in a cluster", "none", "not started", "none is needed"].iter().zip(lists)
            {
                if !list.is_empty() {
                    writeln!(page, "| {title} | {} |", list.join(", ")).unwrap();
                }
            }
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pod-fields.md");
        if std::env::var("CLUSTERLOCAL_DOCS").is_ok_and(|value| value == "write") {
            fs::write(&file, &page).unwrap();
        }
        assert_eq!(fs::read_to_string(file).unwrap_or_default(), page);
    }
}
