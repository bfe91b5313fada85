//! Explanations of names that exist, and of names that do not.

use super::{Explainer, Explanation, Question};
use crate::answer::ask;
use crate::manifest::{self, Manifest};
use crate::wire::{DomainName, RecordType, ResponseCode};
use crate::zone::{PodNames, Zone};
use crate::{ControlPlane, Settings};

const CLUSTER: &str = "\
apiVersion: v1
kind: Service
metadata: {name: cass, namespace: db}
spec: {clusterIP: None, selector: {app: cass}, ports: [{name: cql, port: 9042}]}
---
apiVersion: v1
kind: Service
metadata: {name: client, namespace: db}
spec: {selector: {app: cass}, ports: [{name: cql, port: 9042}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cass, namespace: db}
spec:
  serviceName: cass
  replicas: 3
  selector: {matchLabels: {app: cass}}
  template: {metadata: {labels: {app: cass}}}
---
apiVersion: v1
kind: Service
metadata: {name: portless}
spec: {clusterIP: None, selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: unnamed}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {clusterIP: None, selector: {app: wab}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: handmade}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {hostname: web-0, subdomain: unnamed, containers: [{name: w}]}
status: {phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec: {hostname: web-1, subdomain: unnamed, containers: [{name: w}]}
status: {phase: Running, podIP: 10.1.0.2, conditions: [{type: Ready, status: 'False'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {containers: [{name: a}]}
status: {phase: Running, podIP: 10.1.0.3, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {clusterIP: None, selector: {app: late}, ports: [{port: 1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: late-0, labels: {app: late}}
spec: {hostname: late-0, subdomain: late, containers: [{name: w}]}
status: {phase: Pending}
---
apiVersion: v1
kind: Service
metadata: {name: away}
spec: {type: ExternalName, externalName: db.example.org}
---
apiVersion: v1
kind: Service
metadata: {name: dangling}
spec: {type: ExternalName, externalName: cas.db.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: address}
spec: {type: ExternalName, externalName: 192.0.2.1}
---
apiVersion: v1
kind: Service
metadata: {name: ring}
spec: {type: ExternalName, externalName: ring-2.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: ring-2}
spec: {type: ExternalName, externalName: ring.default.svc.cluster.local}
";

struct Fixture {
    manifests: [Manifest; 1],
    cluster: ControlPlane,
}

impl Fixture {
    fn new(text: &str, settings: Settings) -> Self {
        let manifest = manifest::read_bytes("a.yaml", text.into());
        assert_eq!(manifest.problems, []);
        let objects = manifest.objects.iter().map(|read| (read.object.key(), read.object.clone())).collect();
        let mut cluster = ControlPlane::new(settings);
        cluster.apply(&objects);
        Fixture { manifests: [manifest], cluster }
    }

    fn zone(&self) -> Zone {
        Zone::clone(&self.cluster.published().load())
    }

    fn explain(&self, name: &str, record_type: &str) -> Explanation {
        let record_type = record_type.parse::<RecordType>().expect("a type");
        let (zone, question) = (self.zone(), Question::parse(name, Some(record_type)).expect("a name"));
        let explainer = Explainer::new(&self.manifests, self.cluster.store(), &zone);
        explainer.search(&question, "default")
    }
}

/// A question, followed by the start of its explanation and further parts.
const REASONS: &str = "\
cass.db A
    NOERROR with 3 records
    … Service db/cass (a.yaml:3) is headless
    … cass.db.default.svc.cluster.local.  NXDOMAIN
    … cass.db.svc.cluster.local.          NOERROR
client.db A
    NOERROR with 1 record
    … is not headless: its name points to its cluster IP
client.db SRV
    NOERROR with 1 record
    … point to the Service itself, not to its pods
cass-1.cass.db A
    NOERROR with 1 record
    … Pod db/cass-1 (a.yaml:13) is selected by
    … called by its hostname
unnamed A
    NOERROR with 1 record
    … because they are not ready: web-1
away A
    NOERROR with 1 record
    … an alias for db.example.org
    … CNAME db.example.org.
    … without --upstream
# Names that are right in another namespace.
cass A
    NXDOMAIN: Service cass exists in namespace db, not in default
    … cass.                            NXDOMAIN
    … from namespace default, ask for cass.db.svc.cluster.local or cass.db; in namespace db (-n db) the name is right
cass-1.cass A
    NXDOMAIN: Service cass exists in namespace db, not in default
    … ask for cass-1.cass.db.svc.cluster.local or cass-1.cass.db;
_cql._tcp.cass SRV
    NXDOMAIN: Service cass exists in namespace db, not in default
cass.default A
    NXDOMAIN: there is no Service default/cass
    … Service cass exists in namespace db: did you mean cass.db.svc.cluster.local?
# Names that lack a part, or have one too many.
cas.db A
    NXDOMAIN: there is no Service db/cas
    … did you mean cass.db.svc.cluster.local?
cass.bd A
    NXDOMAIN: there is no namespace bd
    … did you mean namespace db?
cass.db.cluster.local A
    NXDOMAIN: below the cluster domain there are only svc and pod, not db
    … ask for cass.db.svc.cluster.local
_cql._tcp.cass-0.cass.db SRV
    NXDOMAIN: names below a Service have one more label
    … ask for SRV of cass-0.cass.db.svc.cluster.local
_tcp.cass.db.svc SRV
    NXDOMAIN: one label more than the Service is an endpoint
    … _PORT._tcp.cass.db.svc
# Endpoints.
cass-7.cass.db A
    NXDOMAIN: Service db/cass has no endpoint cass-7
    … StatefulSet db/cass (a.yaml:13) has 3 replicas: cass-0 to cass-2
cass-0.client.db A
    NXDOMAIN: pod db/cass-0 is selected by Service client, which does not govern it
    … cass-0 is called cass-0.cass.db.svc.cluster.local
web-1.unnamed A
    NXDOMAIN: pod default/web-1 is selected by Service unnamed but is not ready
    … publishNotReadyAddresses
late-0.late A
    NXDOMAIN: pod default/late-0 is selected by Service late but has no address yet
alone.unnamed A
    NXDOMAIN: pod default/alone is not selected by Service unnamed
    … has no name at all
web-2.unnamed A
    NXDOMAIN: Service default/unnamed has no endpoint web-2
    … did you mean web-0.unnamed.default.svc.cluster.local?
10-1-0-1.unnamed A
    NXDOMAIN: Service default/unnamed has no endpoint 10-1-0-1
    … web-0 is called
cass-0.db.svc A
    NXDOMAIN: there is no Service db/cass-0
    … which only has a name below a Service
x.away A
    NXDOMAIN: Service default/away is an alias, which has no names below it
# Services without endpoints.
empty A
    NXDOMAIN: Service default/empty is headless, and its selector app=wab matches no pod
    … has labels app=web
late A
    NXDOMAIN: Service default/late is headless and has no ready endpoint
    … late-0 (a.yaml:65) has no address yet
handmade A
    NXDOMAIN: Service default/handmade has neither a selector nor EndpointSlices
address A
    NXDOMAIN: Service default/address is an alias for the address 192.0.2.1
# Ports.
_cq._tcp.cass.db SRV
    NXDOMAIN: Service db/cass has no port called cq
    … did you mean _cql._tcp.cass.db.svc.cluster.local?
_cql._udp.cass.db SRV
    NXDOMAIN: port cql of Service db/cass is tcp, not udp
    … ask for _cql._tcp
_http._tcp.unnamed SRV
    NXDOMAIN: Service default/unnamed has no port called http
    … it has no name
    … write name: http
_http._tcp.portless SRV
    NXDOMAIN: Service default/portless has no port called http
    … has no ports
_x._tcp.away SRV
    NXDOMAIN: Service default/away is an alias, which has no ports
# Nothing of the type.
portless SRV
    NOERROR without data: Service default/portless has no ports
    … write ports:
cass.db AAAA
    NOERROR without data: no endpoint of Service db/cass has an IPv6 address
    … PreferDualStack
cass.db MX
    NOERROR without data: a cluster's DNS has no MX records for Services
cass.db CNAME
    NOERROR without data: Service db/cass is not an alias
cass.db SOA
    NOERROR without data: the SOA record stands at the zone's own name
away SRV
    NOERROR without data: Service default/away is an alias
dangling A
    NOERROR without data: Service default/dangling is an alias for cas.db.svc.cluster.local
    … NXDOMAIN: there is no Service db/cas
ring A
    NOERROR without data: Service default/ring is an alias for ring-2
    … or there is a loop
db.svc A
    NOERROR without data: the name exists, because there are names below it
db.svc TXT
    NXDOMAIN: there are only names below it
cluster.local AXFR
    REFUSED: zones are not transferred
# Addresses.
10-244-0-7.db.pod A
    NOERROR with 1 record
    … it is answered whether or not a pod has it
cass-0.db.pod A
    NXDOMAIN: below pod there are addresses with dashes
    … cass-0.cass.db.svc.cluster.local
1.0.1.10.in-addr.arpa PTR
    NOERROR with 2 records
    … is a ready endpoint
2.0.1.10.in-addr.arpa PTR
    NXDOMAIN: 10.1.0.2 is neither a cluster IP nor a ready endpoint's address
    … web-1 (a.yaml:48) is not ready
3.0.1.10.in-addr.arpa PTR
    NXDOMAIN: 10.1.0.3 is neither
    … no Service selects that pod
1.0.1.10.in-addr.arpa A
    NXDOMAIN: reverse names have PTR records only
1.10.in-addr.arpa PTR
    NXDOMAIN: the name is not a complete address
example.org A
    NXDOMAIN: the name is neither in cluster.local nor in a reverse zone
    … --upstream
";

#[test]
fn reasons() {
    let fixture = Fixture::new(CLUSTER, Settings::default());
    let mut questions = REASONS.lines().filter(|line| !line.starts_with('#')).peekable();
    while let Some(question) = questions.next() {
        let (name, record_type) = question.split_once(' ').expect("a name and a type");
        let text = fixture.explain(name, record_type).to_string();
        let mut count = 0;
        while let Some(expected) = questions.next_if(|line| line.starts_with(' ')) {
            match expected.trim().strip_prefix("… ") {
                None => assert!(
                    text.starts_with(expected.trim()),
                    "{question} does not start with {expected:?}:\n{text}"
                ),
                Some(part) => assert!(text.contains(part), "{question} does not contain {part:?}:\n{text}"),
            }
            count += 1;
        }
        assert!(count > 0, "{question}: no expectation");
    }
}

#[test]
fn names_outside_the_cluster_are_forwarded() {
    let fixture = Fixture::new(CLUSTER, Settings::default());
    let zone = fixture.zone();
    let at = |texts: &[&str]| -> Vec<std::net::SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    };
    // The upstreams, the question; the start of the explanation, and whether the upstreams are named.
    let table: [(&[&str], &str, &str, bool); 4] = [
        (
            &["192.0.2.1:53"],
            "example.org.",
            "forwarded to 192.0.2.1:53: the name is neither in cluster.local",
            true,
        ),
        (
            &["192.0.2.1:53", "192.0.2.2:53"],
            "example.org.",
            "forwarded to 192.0.2.1:53, or 192.0.2.2:53 if that does not reply: the name is",
            true,
        ),
        (&["192.0.2.1:53"], "cass.db.svc.cluster.local.", "NOERROR with 3 records", false),
        (&[], "example.org.", "NXDOMAIN: the name is neither", false),
    ];
    for (upstream, name, begins, asks) in table {
        let upstream = at(upstream);
        let explainer = Explainer::new(&fixture.manifests, fixture.cluster.store(), &zone);
        let explainer = explainer.with_upstream(&upstream);
        let question = Question::parse(name, None).expect("a name");
        let text = explainer.search(&question, "default").to_string();
        assert!(text.starts_with(begins), "{name}: {text}");
        assert_eq!(text.contains("with --upstream"), upstream.is_empty(), "{name}: {text}");
        let expected = if asks { &upstream[..] } else { &[] };
        assert_eq!(explainer.forwards(&question.name), expected, "{name}");
    }
}

#[test]
fn each_label_is_described() {
    let explanation =
        Fixture::new(CLUSTER, Settings::default()).explain("_cql._tcp.cass.db.svc.cluster.local", "SRV");
    let labels: Vec<_> =
        explanation.labels.iter().map(|(label, meaning)| (label.as_str(), *meaning)).collect();
    let expected = [
        ("_cql", "a port's name"),
        ("_tcp", "its protocol"),
        ("cass", "a Service"),
        ("db", "its namespace"),
        ("svc", "the tree of Services"),
        ("cluster.local", "the cluster domain"),
    ];
    assert_eq!(labels, expected);
}

#[test]
fn control_characters_of_a_manifest_reach_no_terminal() {
    let text = CLUSTER.replace("{app: wab}", "{app: \"\\e[2J\"}");
    let explanation = Fixture::new(&text, Settings::default()).explain("empty", "A").to_string();
    assert!(explanation.contains("selector app=\u{fffd}[2J"), "{explanation}");
}

/// Every name of the zone, and similar ones.
fn names(zone: &Zone) -> Vec<DomainName> {
    let mut names = zone.names();
    names.extend(zone.reverse_names());
    let texts = ["", "x.", "_x._tcp.", "a.b.c.", "x\\.y.", "\\000."];
    let near: Vec<_> = names.iter().flat_map(|name| texts.map(|text| format!("{text}{name}"))).collect();
    let odd = [
        "svc",
        "pod",
        "db.svc",
        "db.pod",
        "no.svc",
        "a.b.c.d.svc",
        "1-2-3-4.db.pod",
        "1-2-3.db.pod",
        "x",
        "ns.dns",
    ];
    let odd = odd.map(|relative| format!("{relative}.{}", zone.settings().domain));
    let elsewhere =
        [".", "example.org", "arpa", "in-addr.arpa", "10.in-addr.arpa", "CASS.DB.SVC.Cluster.Local"];
    let texts = near.into_iter().chain(odd).chain(elsewhere.map(String::from));
    texts.filter_map(|text| text.parse().ok()).collect()
}

#[test]
fn explanations_never_contradict_answers() {
    let verified = || {
        let mut settings = Settings::default();
        settings.zone.pods = PodNames::Verified;
        settings.zone.endpoint_pod_names = true;
        settings.zone.domain = "example.test".parse().unwrap();
        settings
    };
    let hidden = || {
        let mut settings = Settings::default();
        settings.zone.pods = PodNames::Disabled;
        settings.zone.namespaces = vec!["default".into()];
        settings
    };
    for settings in [Settings::default(), verified(), hidden()] {
        let fixture = Fixture::new(CLUSTER, settings);
        let zone = fixture.zone();
        let explainer = Explainer::new(&fixture.manifests, fixture.cluster.store(), &zone);
        for name in names(&zone) {
            for record_type in ["A", "AAAA", "SRV", "TXT", "CNAME", "PTR", "SOA", "NS", "MX", "ANY", "AXFR"] {
                let record_type = record_type.parse::<RecordType>().unwrap();
                let reply = ask(&zone, &name, record_type);
                let explanation = explainer.explain(&name, record_type);
                let text = explanation.to_string();
                let first: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
                assert_eq!(first, ResponseCode((reply[3] & 0xf).into()).to_string(), "{text}");
                assert_eq!(explanation.has_answer(), reply[6..8] != [0, 0], "{text}");
                assert!(explanation.has_answer() || !explanation.reason.is_empty(), "{text}");
            }
        }
    }
}
