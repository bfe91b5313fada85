//! The grammar of names below the cluster's zone: the shapes in CoreDNS's `parse.go` (parseRequest), without lookups.

/// A name below the cluster's zone, by its shape. Parts in wire form are in lower case, without a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QName<'n> {
    /// The zone itself, `svc`, `pod`, `NAMESPACE.svc` or `NAMESPACE.pod`: a name with others below it.
    Container(Tree, Option<Namespace<'n>>),
    /// `SERVICE.NAMESPACE.svc`
    Service(ServiceName<'n>),
    /// `HOST.SERVICE.NAMESPACE.svc`; the host without its length.
    Endpoint(&'n [u8], ServiceName<'n>),
    /// `_PORT._PROTOCOL.SERVICE.NAMESPACE.svc`; port and protocol without length and underscore.
    Port(&'n [u8], &'n [u8], ServiceName<'n>),
    /// `ADDRESS.NAMESPACE.pod`, the address without its length. Up to two labels left of it are ignored.
    Pod(&'n [u8], Namespace<'n>),
}

/// The part of the zone that a name is in. The zone itself counts as `svc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Svc,
    Pod,
}

/// A namespace's label in wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Namespace<'n>(pub(super) &'n [u8]);

/// The name of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServiceName<'n> {
    /// `SERVICE.NAMESPACE` in wire form.
    pub(super) key: &'n [u8],
    pub(super) namespace: Namespace<'n>,
}

/// Maximum number of labels that are parsed: of a longer name the rightmost, and whether there are more. A port's name
/// has five.
const LABELS: usize = 6;

impl<'n> QName<'n> {
    /// Parses `name`, the part of a question's name left of the zone; `None` if it has none of the shapes.
    #[inline]
    pub(super) fn parse(name: &'n [u8]) -> Option<Self> {
        let (mut starts, mut count, mut at) = ([0; LABELS], 0, 0);
        while let Some(&length) = name.get(at) {
            if count == LABELS {
                starts.copy_within(1.., 0);
                count -= 1;
            }
            starts[count] = at;
            (count, at) = (count + 1, at + 1 + usize::from(length));
        }
        let Some((&tree_at, left)) = starts[..count].split_last() else {
            return Some(QName::Container(Tree::Svc, None));
        };
        let (within, tree) = match name.split_at(tree_at) {
            (within, b"\x03svc") => (within, Tree::Svc),
            (within, b"\x03pod") => (within, Tree::Pod),
            _ => return None,
        };
        let Some((&namespace_at, left)) = left.split_last() else {
            return Some(QName::Container(tree, None));
        };
        let namespace = Namespace(&within[namespace_at..]);
        let label = |at: usize| &name[at + 1..at + 1 + usize::from(name[at])];
        let service = |at: usize| ServiceName { key: &within[at..], namespace };
        match (tree, left) {
            (_, []) => Some(QName::Container(tree, Some(namespace))),
            (_, [_, _, _, _, ..]) => None,
            (Tree::Pod, [.., address]) => Some(QName::Pod(label(*address), namespace)),
            (Tree::Svc, &[name]) => Some(QName::Service(service(name))),
            (Tree::Svc, &[host, name]) => Some(QName::Endpoint(label(host), service(name))),
            (Tree::Svc, &[port, protocol, name]) => {
                Some(QName::Port(bare(label(port)), bare(label(protocol)), service(name)))
            }
        }
    }
}

/// A port or protocol label without its optional underscore (`parse.go`, stripUnderscore).
fn bare(label: &[u8]) -> &[u8] {
    label.strip_prefix(b"_").unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DomainName;

    #[test]
    fn names_are_parsed_by_their_shape() {
        let namespace = Namespace(b"\x01n");
        let db = ServiceName { key: b"\x02db\x01n", namespace };
        let table = [
            (".", Some(QName::Container(Tree::Svc, None))),
            ("svc", Some(QName::Container(Tree::Svc, None))),
            ("pod", Some(QName::Container(Tree::Pod, None))),
            ("n.svc", Some(QName::Container(Tree::Svc, Some(namespace)))),
            ("n.pod", Some(QName::Container(Tree::Pod, Some(namespace)))),
            ("db.n.svc", Some(QName::Service(db))),
            ("db-0.db.n.svc", Some(QName::Endpoint(b"db-0", db))),
            ("_cql._tcp.db.n.svc", Some(QName::Port(b"cql", b"tcp", db))),
            ("cql.tcp.db.n.svc", Some(QName::Port(b"cql", b"tcp", db))),
            ("a.b.c.db.n.svc", None),
            ("a.b.c.d.e.f.db.n.svc", None),
            ("1-2-3-4.n.pod", Some(QName::Pod(b"1-2-3-4", namespace))),
            ("x.y.1-2-3-4.n.pod", Some(QName::Pod(b"1-2-3-4", namespace))),
            ("x.y.z.1-2-3-4.n.pod", None),
            ("db.n", None),
            ("svc.n", None),
        ];
        for (text, expected) in table {
            let name: DomainName = text.parse().unwrap();
            let wire = name.as_wire();
            assert_eq!(QName::parse(&wire[..wire.len() - 1]), expected, "{text}");
        }
    }
}
