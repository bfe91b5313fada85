//! The tables of types as text, and their lines.

use std::sync::{LazyLock, OnceLock};

use super::Type;

const KUBERNETES: &str = include_str!("kubernetes.txt");
const OWN: &str = include_str!("own.txt");

/// The definition of a type.
pub(super) struct Line {
    /// The type that it stands for, if it is no struct.
    pub(super) other: Option<&'static str>,
    /// Whether an apply replaces it whole.
    pub(super) atomic: bool,
    members: &'static str,
}

impl Line {
    pub(super) fn parse(text: &'static str) -> Line {
        if let Some(other) = text.strip_prefix(" = ") {
            return Line { other: Some(other), atomic: false, members: "" };
        }
        let (marks, members) = text.split_once(':').unwrap_or((text, ""));
        Line { other: None, atomic: marks.contains("+atomic"), members }
    }

    /// The members of a struct.
    pub(super) fn members(&self) -> impl Iterator<Item = Member> + use<> {
        self.members.split(", ").filter_map(Member::parse)
    }
}

/// A member of a struct in Go: a field, or another struct whose fields stand beside the others.
pub(super) struct Member {
    pub(super) number: u32,
    /// `NAME[=NAME IN GO]`, `^` or `-`.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) go: &'static str,
    /// The marks after its type, separated by spaces.
    pub(super) marks: &'static str,
}

impl Member {
    fn parse(text: &'static str) -> Option<Member> {
        let text = text.trim();
        let (first, rest) = text.split_once(' ')?;
        let (number, name, rest) = match first.parse() {
            Ok(number) => {
                let (name, rest) = rest.split_once(' ')?;
                (number, name, rest)
            }
            Err(_) => (0, first, rest),
        };
        let (go, marks) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Member { number, name, go, marks })
    }

    pub(super) fn is_embedded(&self) -> bool {
        self.name == "^"
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.marks.split(' ')
    }
}

/// A package of types. They are parsed when one of them is first needed: the manifests of most clusters use few packages.
struct Package {
    alias: &'static str,
    name: &'static str,
    lines: &'static str,
    types: OnceLock<Box<[Type]>>,
}

impl Package {
    fn parse(text: &'static str) -> Self {
        let (head, lines) = text.split_once('\n').unwrap_or((text, ""));
        let (alias, name) = head.split_once(' ').unwrap_or((head, head));
        Package { alias, name, lines, types: OnceLock::new() }
    }

    fn types(&'static self) -> &'static [Type] {
        let read = |line: &'static str| {
            let end = line.find([':', ' ']).unwrap_or(line.len());
            let (name, line) = line.split_at(end);
            Type { name, alias: self.alias, package: self.name, line, shape: OnceLock::new() }
        };
        self.types.get_or_init(|| lines(self.lines).map(read).collect())
    }
}

/// The types by package, and those of the kinds: apiVersion, kind and `PACKAGE.TYPE`.
struct Table {
    packages: Vec<Package>,
    kinds: Vec<(&'static str, &'static str, &'static str)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { packages: Vec::new(), kinds: Vec::new() };
    for text in [KUBERNETES, OWN] {
        let mut parts = text.split("\npackage ");
        let kinds = lines(parts.next().unwrap_or_default()).filter_map(|line| {
            let mut words = line.strip_prefix("kind ")?.split(' ');
            Some((words.next()?, words.next()?, words.next()?))
        });
        table.kinds.extend(kinds);
        table.packages.extend(parts.map(Package::parse));
    }
    table
});

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The type `name` of the package `alias`.
pub fn named(alias: &str, name: &str) -> Option<&'static Type> {
    let package = TABLE.packages.iter().find(|package| package.alias == alias)?;
    package.types().iter().find(|of| of.name == name)
}

/// The type of a kind, as clients send it.
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Type> {
    let (.., of) = TABLE.kinds.iter().find(|(version, name, _)| *version == api_version && *name == kind)?;
    let (alias, name) = of.rsplit_once('.')?;
    named(alias, name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{Go, ListType, Numbered, PatchMerge};
    use super::*;

    #[test]
    fn every_type_of_the_tables_can_be_parsed() {
        for of in TABLE.packages.iter().flat_map(Package::types) {
            for field in of.fields() {
                let known =
                    !matches!(field.go, Go::Any) || of.line.contains(" any") || of.line.contains(" struct");
                assert!(known, "{}.{}: {}", of.alias, of.name, field.json);
            }
            let members = of.definition().members().count();
            let words = of.line.trim_start_matches(" +atomic").trim_start_matches(':').split(", ");
            let parts = words.filter(|part| !part.trim().is_empty()).count();
            assert!(of.definition().other.is_some() || members == parts, "{}.{}", of.alias, of.name);
            let own = of.fields().iter().filter(|field| field.within.is_empty() && field.number > 0);
            let numbers: HashSet<u32> = own.clone().map(|field| field.number).collect();
            assert_eq!(numbers.len(), own.count(), "{}.{}", of.alias, of.name);
        }
        let all = KUBERNETES.lines().chain(OWN.lines());
        assert_eq!(TABLE.kinds.len(), all.filter(|line| line.starts_with("kind ")).count());
        for (version, kind, _) in &TABLE.kinds {
            assert!(of_kind(version, kind).is_some_and(|of| !of.fields().is_empty()), "{version} {kind}");
        }
        assert!(of_kind("v1", "Pod").is_some_and(|pod| pod.fields().len() == 5));
    }

    #[test]
    fn fields_have_the_marks_of_openapi() {
        let field = |alias, name, field| named(alias, name).and_then(|of| of.field(field)).expect(name);
        let ports = field("core", "ServiceSpec", "ports");
        assert_eq!(ports.patch_merge(), Some(PatchMerge::ByKey("port")));
        assert_eq!(ports.list_type(), ListType::Map("port/protocol"));
        assert_eq!(field("core", "ServicePort", "protocol").default(), Some("\"TCP\""));
        let finalizers = field("meta", "ObjectMeta", "finalizers");
        assert_eq!(
            (finalizers.patch_merge(), finalizers.list_type()),
            (Some(PatchMerge::Set), ListType::Set)
        );
        let tolerations = field("core", "PodSpec", "tolerations");
        assert_eq!((tolerations.patch_merge(), tolerations.list_type()), (None, ListType::Atomic));
        assert_eq!(field("apps", "DeploymentSpec", "strategy").patch_strategy(), Some("retainKeys"));
        for (alias, name, json) in [
            ("core", "PodSpec", "nodeSelector"),
            ("core", "ServiceSpec", "selector"),
            ("apps", "StatefulSetSpec", "selector"),
        ] {
            assert!(field(alias, name, json).is_atomic(), "{name} {json}");
        }
        assert!(!field("meta", "ObjectMeta", "labels").is_atomic());
        assert!(named("core", "ObjectReference").is_some_and(Type::is_atomic));
        assert!(!field("core", "PersistentVolumeSpec", "claimRef").is_atomic(), "granular");
        assert!(field("apps", "StatefulSetSpec", "selector").is_required());
        assert!(!field("apps", "StatefulSetSpec", "replicas").is_required());
    }

    #[test]
    fn numbers_lead_to_fields_and_to_embedded_structs() {
        let volume = named("core", "Volume").expect("a type");
        assert!(matches!(volume.numbered(1), Some(Numbered::Field(field)) if field.json == "name"));
        assert!(matches!(volume.numbered(2), Some(Numbered::Embedded(of)) if of.name == "VolumeSource"));
        assert!(volume.numbered(3).is_none() && volume.numbered(0).is_none());
    }
}
