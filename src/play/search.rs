//! The stub resolver of a pod: the names that are queried in turn, and which answer takes precedence (resolv.conf(5),
//! glibc's `resolv/res_query.c`, `__res_context_search`). Must not depend on sockets or the cluster.

use super::ask::Received;
use crate::wire::ResponseCode;

/// `options ndots:5` of the resolv.conf that the kubelet writes: a name with fewer dots is completed first.
const NDOTS: usize = 5;

/// Returns the names that a resolver with the search list `domains` sends for `name`, in order, each fully qualified.
pub(super) fn candidates(name: &str, domains: &[String]) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.into()];
    }
    let as_it_is = format!("{name}.");
    let completed = domains.iter().map(|domain| format!("{name}.{domain}."));
    if name.matches('.').count() >= NDOTS {
        std::iter::once(as_it_is).chain(completed).collect()
    } else {
        completed.chain([as_it_is]).collect()
    }
}

/// How an answer influences the search, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Ends the search: records, a truncated reply, an error other than those below, no reply.
    Final,
    /// The name exists without such records.
    NoData,
    /// The search continues after SERVFAIL.
    Failed,
    /// The name does not exist.
    NoName,
}

impl Verdict {
    pub(super) fn of(received: &Received) -> Verdict {
        let Received::Reply(reply) = received else { return Verdict::Final };
        match reply.code {
            ResponseCode::NOERROR if reply.answers.is_empty() && !reply.truncated => Verdict::NoData,
            // REFUSED is the answer of an upstream that does not serve the name: the search continues.
            ResponseCode::NXDOMAIN | ResponseCode::REFUSED => Verdict::NoName,
            ResponseCode::SERVFAIL => Verdict::Failed,
            _ => Verdict::Final,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_fewer_than_five_dots_are_completed_first() {
        let domains = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(String::from);
        let table = [
            ("db.default.svc.cluster.local.", "db.default.svc.cluster.local."),
            ("db", "db.default.svc.cluster.local. db.svc.cluster.local. db.cluster.local. db."),
            (
                "db-0.db.default.svc",
                "db-0.db.default.svc.default.svc.cluster.local. db-0.db.default.svc.svc.cluster.local. \
                 db-0.db.default.svc.cluster.local. db-0.db.default.svc.",
            ),
            (
                "a.b.c.d.e.f",
                "a.b.c.d.e.f. a.b.c.d.e.f.default.svc.cluster.local. a.b.c.d.e.f.svc.cluster.local. a.b.c.d.e.f.cluster.local.",
            ),
        ];
        for (name, expected) in table {
            assert_eq!(candidates(name, &domains).join(" "), expected, "{name}");
        }
    }
}
