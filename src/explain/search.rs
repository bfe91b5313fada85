//! Names as a pod looks them up: through the search path of its resolv.conf.

use super::{Explainer, Explanation};
use crate::answer::{ask, rcode_name, zone_of};
use crate::store::{Kind, Namespace, nearest};
use crate::zone::{DomainName, labels};

/// `ndots:5` of a pod's resolv.conf: a name with fewer dots is tried with the search domains first.
const NDOTS: usize = 5;

impl Explainer<'_> {
    /// Explains the answer for `name` as a pod of `namespace` looks it up: a name outside this cluster's zones with
    /// fewer than five dots is tried with NAMESPACE.svc.DOMAIN, svc.DOMAIN and DOMAIN behind it, then as it stands.
    ///
    /// The name that is explained is the first that has an answer. If none has, it is the one that was most probably
    /// meant.
    pub fn search(&self, name: &DomainName, namespace: &str, record_type: u16) -> Explanation {
        let known = zone_of(self.zone, &name.as_wire().to_ascii_lowercase()).is_some();
        let dots = name.label_count().saturating_sub(1);
        if known || dots >= NDOTS || name.label_count() == 0 {
            return self.explain(name, record_type);
        }
        let domain = &self.zone.settings().domain;
        let suffixes = domain.search_domains(namespace).into_iter().chain([".".into()]);
        let mut candidates = Vec::new();
        let mut tried = Vec::new();
        let mut answered = false;
        for suffix in suffixes {
            // Too long a name is left out, as resolvers do.
            let Ok(candidate) = join(name, &suffix) else { continue };
            let reply = ask(self.zone, &candidate, record_type);
            let has_answer = reply[6..8] != [0, 0];
            let outcome = match (reply[3] & 0xf, has_answer) {
                (0, false) => "NOERROR without data".into(),
                (rcode, _) => rcode_name(rcode.into()),
            };
            tried.push(format!("{candidate} {outcome}"));
            candidates.push(candidate);
            answered = has_answer;
            if answered {
                break;
            }
        }
        let meant = match answered {
            true => candidates.len() - 1,
            false => self.meant(name, namespace).min(candidates.len() - 1),
        };
        let mut explanation = self.explain(&candidates[meant], record_type);
        let tried = tried.join(", then ");
        explanation
            .steps
            .insert(0, format!("a pod of namespace {namespace} tries its search domains (ndots:5): {tried}"));
        explanation
    }

    /// Which search domain the name was probably written for, when none of them completes it.
    fn meant(&self, name: &DomainName, namespace: &str) -> usize {
        let all: Vec<String> =
            labels(name.as_wire()).map(|l| String::from_utf8_lossy(l).to_ascii_lowercase()).collect();
        let namespaces = || self.store.list::<Namespace>(Kind::Namespace).map(|n| n.metadata.name.as_str());
        match &*all.iter().map(String::as_str).collect::<Vec<_>>() {
            [.., "svc" | "pod"] => 2,
            [_] => 0,
            [.., last] if self.service(namespace, last).is_some() => 0,
            [.., last] if self.has_namespace(last) => 1,
            [.., last] if nearest(last, self.service_names(namespace)).is_some() => 0,
            [.., last] if nearest(last, namespaces()).is_some() => 1,
            _ => 3,
        }
    }
}

fn join(name: &DomainName, suffix: &str) -> Result<DomainName, crate::zone::NameError> {
    if suffix == "." { name.to_string().parse() } else { format!("{name}{suffix}").parse() }
}
