//! A headless Service `db` and a StatefulSet `db` of three, as manifests have them.

#![allow(unused_macros, reason = "not each test binary has it")]

/// The manifest, with the Service's port and what the pods' specification has.
macro_rules! ring {
    ($port:literal, $number:literal, $pod:literal) => {
        concat!(
            "apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: ",
            $port,
            ", port: ",
            $number,
            "}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {",
            $pod,
            "}
"
        )
    };
}

pub(crate) use ring;
