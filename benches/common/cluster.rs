//! Generated manifests: headless Services with a StatefulSet each, in twenty namespaces, the same in each run. Must not
//! depend on their readers.

/// A cluster of `services` Services with `pods` pods each.
#[derive(Clone, Copy, Debug)]
pub struct Cluster {
    /// Number of Services.
    pub services: usize,
    /// Number of pods of each Service.
    pub pods: usize,
}

/// Number of namespaces of the Services.
const NAMESPACES: usize = 20;

impl Cluster {
    /// The cluster of the usual comparison: 1,000 Services of 10 pods.
    pub const USUAL: Cluster = Cluster { services: 1_000, pods: 10 };

    /// The Service numbered `service` and its StatefulSet, as YAML documents.
    pub fn manifest(&self, service: usize) -> String {
        let (name, namespace, pods) = (format!("store-{service}"), namespace(service), self.pods);
        format!(
            "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: None
  selector: {{app: {name}}}
  ports: [{{name: http, port: 8080}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  serviceName: {name}
  replicas: {pods}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: store, image: store, ports: [{{containerPort: 8080}}]}}]}}
---
"
        )
    }

    /// The manifests of all Services.
    pub fn manifests(&self) -> String {
        (0..self.services).map(|service| self.manifest(service)).collect()
    }
}

/// The namespace of the Service numbered `service`.
pub fn namespace(service: usize) -> String {
    format!("ns-{}", service % NAMESPACES)
}

/// The domain name of the Service numbered `service`, with its addresses.
pub fn service_name(service: usize) -> String {
    format!("store-{service}.{}.svc.cluster.local", namespace(service))
}

/// The domain name of a pod of it, with its address.
pub fn pod_name(service: usize, pod: usize) -> String {
    format!("store-{service}-{pod}.{}", service_name(service))
}

/// The domain name of its port, with the SRV records.
pub fn port_name(service: usize) -> String {
    format!("_http._tcp.{}", service_name(service))
}
