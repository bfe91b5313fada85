//! `clusterlocal explain`: its output and exit codes.

use super::one_run::{Output, run, run_with_input};

const CLUSTER: &str = "\
apiVersion: clusterlocal.dev/v1
kind: Topology
namespace: db
sets:
  cass: {replicas: 2, ports: {cql: 9042}}
";

fn explain(arguments: &[&str]) -> Output {
    let all: Vec<&str> = ["explain", "-f", "-"].iter().chain(arguments).copied().collect();
    run_with_input(&all, CLUSTER)
}

#[test]
fn exit_codes_state_whether_there_is_a_record() {
    let table: &[(&[&str], i32, &str)] = &[
        (&["cass.db"], 0, "NOERROR with 2 records"),
        (&["cass.db", "SRV"], 0, "NOERROR with 2 records"),
        (&["cass.db", "MX"], 1, "NOERROR without data: "),
        (&["cass-2.cass.db"], 1, "NXDOMAIN: Service db/cass has no endpoint cass-2"),
        (&["cass"], 1, "NXDOMAIN: Service cass exists in namespace db, not in default"),
        (&["cass", "-n", "db"], 0, "NOERROR with 2 records"),
        // A name with a trailing dot is not completed.
        (&["cass.db."], 1, "NXDOMAIN: "),
        (&["example.org"], 1, "NXDOMAIN: "),
        (&["127.244.0.99"], 1, "NXDOMAIN: 127.244.0.99 is neither a cluster IP nor"),
        (&["cass.db.svc.example.test", "--domain", "example.test"], 0, "NOERROR with 2 records"),
    ];
    for &(arguments, code, beginning) in table {
        let output = explain(arguments);
        assert_eq!((output.code, &*output.stderr), (code, ""), "{arguments:?}");
        assert!(output.stdout.starts_with(beginning), "{arguments:?}: {}", output.stdout);
    }
}

#[test]
fn an_explanation_leads_from_the_answer_to_the_reason() {
    let output = explain(&["cass-2.cass.db.svc.cluster.local"]);
    let expected = "\
NXDOMAIN: Service db/cass has no endpoint cass-2

cass-2.cass.db.svc.cluster.local. A
  cass-2         an endpoint: a pod's hostname, or an address with dashes
  cass           a Service
  db             its namespace
  svc            the tree of Services
  cluster.local  the cluster domain

- Service db/cass (<stdin>:5) is headless (clusterIP: None): its name points to its ready endpoints, the pods that its \
selector app=cass matches
- StatefulSet db/cass (<stdin>:5) has 2 replicas: cass-0 to cass-1
";
    assert_eq!(output.stdout, expected);
}

#[test]
fn malformed_manifests_are_reported() {
    let output = run_with_input(&["explain", "cass.db", "-f", "-"], "kind: [");
    assert_eq!((output.code, &*output.stdout), (2, ""));
    assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    assert_eq!(run(&["explain", "a..b"]).code, 2);
    assert_eq!(run(&["explain", "cass", "-n", "a.b"]).code, 2);
    assert_eq!(run(&["explain", "cass.db", "NONSENSE"]).code, 2);
}
