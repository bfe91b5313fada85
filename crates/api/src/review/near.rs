//! Proposals for unknown fields. Must not depend on where a field is in a file.

use clusterlocal_core::types::{Go, Type};

/// The known field that an unknown one, at `pointer` (RFC 6901) in an object of the type `kind`, probably stands for: one beside it
/// whose name is nearly the same, or one of the same name further out or further in, because the line is indented wrongly.
pub(super) fn known_field(kind: &'static Type, pointer: &str) -> Option<String> {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let (name, steps) = steps.split_last()?;
    let mut outside = kind.field(name).map(|_| name.clone());
    // The innermost struct around the place, and the list or map in that.
    let (mut of, mut within): (&'static Type, Option<&'static Go>) = (kind, None);
    let mut path = String::new();
    for step in steps {
        let go: &'static Go = match within.map(Go::resolved) {
            Some(Go::List(item)) => {
                path += &format!("[{step}]");
                item
            }
            inner => {
                if !path.is_empty() {
                    path.push('.');
                }
                path += step;
                match inner {
                    Some(Go::Map(_, entry)) => entry,
                    _ => &of.field(step)?.go,
                }
            }
        };
        within = Some(go);
        if let Some(inner) = go.structure() {
            (of, within) = (inner, None);
            if of.field(name).is_some() {
                outside = Some(format!("{path}.{name}"));
            }
        }
    }
    let beside = of.fields().iter().map(|field| field.json);
    let inside = || {
        let has = |of: &'static Type| of.field(name).is_some();
        let field = of.fields().iter().find(|field| field.go.structure().is_some_and(has))?;
        Some(format!("{}.{name}", field.json))
    };
    clusterlocal_core::store::nearest(name, beside).map(str::to_owned).or(outside).or_else(inside)
}

#[cfg(test)]
mod tests {
    use clusterlocal_core::types;
    use serde_json::json;

    #[test]
    fn misspelt_and_misplaced_fields_have_a_proposal() {
        let table = [
            ("Service", json!({"spec": {"clusterIp": "None"}}), "spec.clusterIp", Some("clusterIP")),
            ("StatefulSet", json!({"spec": {"replcas": 3}}), "spec.replcas", Some("replicas")),
            (
                "Service",
                json!({"spec": {"publishNotReadyAdresses": true}}),
                "spec.publishNotReadyAdresses",
                Some("publishNotReadyAddresses"),
            ),
            // Indented too little, and too much.
            ("Service", json!({"clusterIP": "None"}), "clusterIP", Some("spec.clusterIP")),
            (
                "StatefulSet",
                json!({"spec": {"template": {"spec": {"serviceName": "a"}}}}),
                "spec.template.spec.serviceName",
                Some("spec.serviceName"),
            ),
            (
                "StatefulSet",
                json!({"spec": {"template": {"spec": {"containers": [{"volumes": []}]}}}}),
                "spec.template.spec.containers[0].volumes",
                Some("spec.template.spec.volumes"),
            ),
            (
                "Pod",
                json!({"spec": {"containers": [{"image": "a", "ports": [{"targetPort": 1}]}]}}),
                "spec.containers[0].ports[0].targetPort",
                None,
            ),
            ("Pod", json!({"metadata": {"labels": {"anything": "x"}}, "bogus": 1}), "bogus", None),
        ];
        for (kind, object, name, proposal) in table {
            let version = if kind == "StatefulSet" { "apps/v1" } else { "v1" };
            let found = clusterlocal_admission::problems(version, kind, &object);
            let [problem] = &found[..] else { panic!("{object}: {found:?}") };
            assert_eq!(problem.message, format!("unknown field {name:?}"), "{object}");
            let of = types::of_kind(version, kind).expect("a type");
            assert_eq!(super::known_field(of, &problem.pointer).as_deref(), proposal, "{object}");
        }
    }
}
