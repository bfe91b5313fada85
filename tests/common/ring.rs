//! A headless Service `db` and a StatefulSet `db` with three replicas, as manifests.

#![allow(unused_macros, reason = "not every test binary uses it")]

/// The manifest, with the Service's port and fields of the pod spec.
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
