//! Takes the place of kube-apiserver's registry: which resources there are, under which names and versions, and which
//! verbs each has. The table is `resources.txt`, and what CustomResourceDefinitions add. It must not know requests.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::crd;
use super::resource::{Held, OWN_GROUP, Resource, Subresource, verbs};
use clusterlocal_core::store::{Extra, Kind, Store};

/// Resources that are served, in the order in which discovery lists them.
#[derive(Clone, Debug)]
pub(crate) struct Registry(Vec<&'static Resource>);

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
    let (name, properties) = word.split_once(':')?;
    let (letters, of) = properties.split_once('=').unwrap_or((properties, "//"));
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
        known.as_str() == kind && known.api_version().rsplit_once('/').map_or("", |(g, _)| g) == group
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
    pub(crate) fn built_in() -> &'static Registry {
        &BUILT_IN
    }

    /// Those, and what the CustomResourceDefinitions of `store` define.
    pub(crate) fn of(store: &Store) -> Registry {
        let mut all = BUILT_IN.0.clone();
        all.extend(crd::resources(store).into_iter().filter_map(shared));
        Registry(all)
    }

    /// The resource at `group`, `version` and `plural`.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.of_version(group, version).find(|resource| resource.plural == plural)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Resource> {
        self.0.iter().copied()
    }

    /// Those of `group` in `version`.
    pub(crate) fn of_version(&self, group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
        self.all().filter(move |resource| resource.group == group && resource.version == version)
    }

    /// The groups, the core first.
    pub(crate) fn groups(&self) -> Vec<&'static str> {
        let mut seen = HashSet::new();
        self.all().map(|resource| resource.group).filter(|group| seen.insert(*group)).collect()
    }

    /// The versions of `group`, the preferred one first.
    pub(crate) fn versions(&self, group: &str) -> Vec<&'static str> {
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
    pub(crate) fn of_kind(kind: Kind) -> &'static Resource {
        let found = BUILT_IN.all().find(|resource| resource.held == Held::Store(kind));
        found.expect("every kind of the store has its resource")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_has_its_type() {
        for resource in Registry::built_in().all() {
            if matches!(resource.held, Held::Store(_) | Held::Answered) {
                let of = clusterlocal_core::types::of_kind(&resource.api_version(), resource.kind);
                assert!(of.is_some(), "{resource:?}");
            }
        }
    }

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
