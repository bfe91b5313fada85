//! Takes the place of kube-apiserver's registry: which resources there are, under which names and versions, and which
//! verbs each has. The table is `resources.txt`, and what CustomResourceDefinitions add. It must not know requests.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::crd;
use super::render;
use crate::store::{Extra, Kind, Store};

/// A resource: a kind as it is reached by paths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    /// The API group; empty for the core.
    pub(super) group: &'static str,
    /// `v1`.
    pub(super) version: &'static str,
    /// In paths: `pods`.
    pub(super) plural: &'static str,
    /// kubectl's other names: `pod`, `po`.
    pub(super) singular: &'static str,
    pub(super) short: Vec<&'static str>,
    /// `all`, for those that `kubectl get all` lists.
    pub(super) categories: Vec<&'static str>,
    /// In objects: `Pod`.
    pub(super) kind: &'static str,
    /// Of lists: `PodList`.
    pub(super) list_kind: &'static str,
    pub(super) namespaced: bool,
    /// Where its objects are.
    pub(super) held: Held,
    pub(super) verbs: Vec<&'static str>,
    pub(super) subresources: Vec<Subresource>,
}

/// Where the objects of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// In the store.
    Store(Kind),
    /// Nowhere: what is sent is answered at once.
    Answered,
    /// The trace of changes that showed in the DNS.
    Changes,
    /// The one clock.
    Clock,
    /// The log of DNS queries.
    Queries,
}

/// A path below an object's: `pods/NAME/eviction`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subresource {
    pub(super) name: &'static str,
    /// Group, version and kind of what is sent and answered; the parent's where empty.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) verbs: Vec<&'static str>,
}

impl Subresource {
    /// Whether what is sent and answered is of another kind than the parent.
    pub(super) fn has_own_type(&self) -> bool {
        !self.kind.is_empty()
    }
}

/// Our own group.
pub(super) const OWN_GROUP: &str = "clusterlocal.dev";

/// The verbs by their letters in the table, in the order of discovery.
const VERBS: [(char, &str); 8] = [
    ('c', "create"),
    ('d', "delete"),
    ('D', "deletecollection"),
    ('g', "get"),
    ('l', "list"),
    ('p', "patch"),
    ('u', "update"),
    ('w', "watch"),
];

/// All verbs of an object, and those of a part of one.
pub(super) const ALL_VERBS: &str = "cdDglpuw";
pub(super) const PART_VERBS: &str = "gpu";

/// The verbs that `letters` stand for.
pub(super) fn verbs(letters: &str) -> Vec<&'static str> {
    let meant = VERBS.iter().filter(|(letter, _)| letters.contains(*letter));
    meant.map(|(_, verb)| *verb).collect()
}

/// Resources that are served, in the order in which discovery lists them.
#[derive(Clone, Debug)]
pub(super) struct Registry(Vec<&'static Resource>);

static BUILT_IN: LazyLock<Registry> = LazyLock::new(|| {
    let lines = include_str!("resources.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    let all: &'static [Resource] = lines.filter_map(parse).collect::<Vec<_>>().leak();
    Registry(all.iter().collect())
});

/// A line of the table.
fn parse(line: &'static str) -> Option<Resource> {
    let mut words = line.split_whitespace();
    let mut next = || words.next();
    let (api_version, plural, singular, kind) = (next()?, next()?, next()?, next()?);
    let (namespaced, letters) = (next()? == "namespaced", next()?);
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let mut resource = Resource {
        group,
        version,
        plural,
        singular,
        short: Vec::new(),
        categories: Vec::new(),
        kind,
        list_kind: format!("{kind}List").leak(),
        namespaced,
        held: held(group, kind, letters),
        verbs: verbs(letters),
        subresources: Vec::new(),
    };
    for word in words {
        match word.split_once('=').filter(|(key, _)| !key.contains(':')) {
            Some(("short", names)) => resource.short = names.split(',').collect(),
            Some(("categories", names)) => resource.categories = names.split(',').collect(),
            _ => resource.subresources.extend(part(word)),
        }
    }
    Some(resource)
}

/// `scale:gpu=autoscaling/v1/Scale`
fn part(word: &'static str) -> Option<Subresource> {
    let (name, told) = word.split_once(':')?;
    let (letters, of) = told.split_once('=').unwrap_or((told, "//"));
    let mut of = of.split('/');
    Some(Subresource {
        name,
        group: of.next()?,
        version: of.next()?,
        kind: of.next()?,
        verbs: verbs(letters),
    })
}

fn held(group: &str, kind: &str, letters: &str) -> Held {
    let is = |known: &Kind| {
        known.as_str() == kind && render::api_version(*known).rsplit_once('/').map_or("", |(g, _)| g) == group
    };
    match (group, kind) {
        (OWN_GROUP, "Change") => Held::Changes,
        (OWN_GROUP, "Clock") => Held::Clock,
        (OWN_GROUP, "Query") => Held::Queries,
        // The same objects as the core's, in other words.
        ("events.k8s.io", "Event") => Held::Store(Kind::Event),
        _ if !letters.contains('d') => Held::Answered,
        _ => match Kind::ALL.into_iter().find(is) {
            Some(kind) => Held::Store(kind),
            None => {
                Extra::built_in(group, kind).map_or(Held::Answered, |extra| Held::Store(Kind::Extra(extra)))
            }
        },
    }
}

impl Registry {
    /// Those of Kubernetes, and our own.
    pub(super) fn built_in() -> &'static Registry {
        &BUILT_IN
    }

    /// Those, and what the CustomResourceDefinitions of `store` define.
    pub(super) fn of(store: &Store) -> Registry {
        let mut all = BUILT_IN.0.clone();
        all.extend(crd::resources(store).into_iter().filter_map(shared));
        Registry(all)
    }

    /// The resource at `group`, `version` and `plural`.
    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.of_version(group, version).find(|resource| resource.plural == plural)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Resource> {
        self.0.iter().copied()
    }

    /// Those of `group` in `version`.
    pub(super) fn of_version(&self, group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
        self.all().filter(move |resource| resource.group == group && resource.version == version)
    }

    /// The groups, the core first.
    pub(super) fn groups(&self) -> Vec<&'static str> {
        let mut seen = HashSet::new();
        self.all().map(|resource| resource.group).filter(|group| seen.insert(*group)).collect()
    }

    /// The versions of `group`, the preferred one first.
    pub(super) fn versions(&self, group: &str) -> Vec<&'static str> {
        let mut versions = Vec::new();
        for resource in self.all().filter(|resource| resource.group == group) {
            if !versions.contains(&resource.version) {
                versions.push(resource.version);
            }
        }
        if group.is_empty() || versions.len() < 2 || BUILT_IN.0.iter().any(|known| known.group == group) {
            return versions;
        }
        versions.sort_by_key(|version| std::cmp::Reverse(crd::priority(version)));
        versions
    }
}

impl Resource {
    /// The preferred one of those whose objects are of `kind`, if it is not defined by a client.
    pub(super) fn of_kind(kind: Kind) -> &'static Resource {
        let found = BUILT_IN.all().find(|resource| resource.held == Held::Store(kind));
        found.expect("every kind of the store has its resource")
    }

    /// `apps/v1`, or `v1` for the core.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.into(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `statefulsets.apps`, or `pods` for the core.
    pub(super) fn qualified(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// `StatefulSet.apps`, or `Pod` for the core.
    pub(super) fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    /// The subresource called `name`.
    pub(super) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Whether a CustomResourceDefinition defines it.
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.held, Held::Store(Kind::Extra(extra)) if extra.is_defined())
    }
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.into(),
        group => format!("{name}.{group}"),
    }
}

/// What clients defined, each once for as long as the process lives: a request holds on to its resource.
static CUSTOM: Mutex<Vec<&'static Resource>> = Mutex::new(Vec::new());

/// So many can be defined, counting changes of their names and verbs.
const MOST: usize = 4096;

/// The one that is kept of those that are as `resource`; `None` once there are too many.
fn shared(resource: Resource) -> Option<&'static Resource> {
    let mut all = CUSTOM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| ***known == resource) {
        return Some(known);
    }
    if all.len() == MOST {
        return None;
    }
    let resource: &'static Resource = Box::leak(Box::new(resource));
    all.push(resource);
    Some(resource)
}

/// `text` for as long as the process lives.
pub(super) fn interned(text: &str) -> &'static str {
    static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_default();
    match texts.get(text) {
        Some(known) => known,
        None => {
            let text: &'static str = String::from(text).leak();
            texts.insert(text);
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_store_has_its_resource() {
        for kind in Kind::ALL {
            assert_eq!(Resource::of_kind(kind).kind, kind.as_str());
        }
        let table = include_str!("resources.txt").lines();
        let lines = table.filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(lines.count(), Registry::built_in().all().count(), "a line cannot be read");
        for resource in Registry::built_in().all().filter(|resource| resource.verbs.contains(&"delete")) {
            assert!(matches!(resource.held, Held::Store(_)), "{resource:?}");
        }
    }
}
