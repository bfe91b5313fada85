//! The rules: codes, severities and summaries.

use clusterlocal_core::manifest::Severity;

/// A rule, as in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable: scripts depend on it.
    pub code: &'static str,
    /// The mistake that it finds, as a phrase.
    pub summary: &'static str,
    /// Error: never works. Warning: may be on purpose.
    pub severity: Severity,
}

const fn rule(code: &'static str, summary: &'static str) -> Rule {
    Rule { code, summary, severity: Severity::Warning }
}

const fn error(code: &'static str, summary: &'static str) -> Rule {
    Rule { code, summary, severity: Severity::Error }
}

/// All rules, by code.
pub const RULES: &[Rule] = &[
    rule(
        "annotation-without-effect",
        "an annotation without effect in Kubernetes of today (tolerate-unready-endpoints)",
    ),
    error("api-version-removed", "an apiVersion that clusters of today refuse"),
    error("cluster-ip-taken", "two Services with the same cluster IP"),
    rule("endpoints-without-service", "Endpoints or an EndpointSlice of a Service that does not exist"),
    error("external-name-address", "an ExternalName that is an IP address: no answer at all"),
    error("external-name-dangling", "an ExternalName that leads nowhere in the cluster, or back to itself"),
    rule("family-unavailable", "an IP family that the cluster has no addresses of"),
    rule("fault-without-effect", "a Fault for a pod, a name or a moment that it cannot hit"),
    rule("foreign-pods", "a governing Service that also selects pods of another workload"),
    rule("governing-service-missing", "serviceName names no Service: the pods have no names"),
    rule("governing-service-not-headless", "serviceName names a Service with an address of its own"),
    rule(
        "governing-service-selects-others",
        "serviceName names a Service that does not select the set's pods",
    ),
    rule(
        "hostname-without-subdomain",
        "a pod with a hostname, but without the subdomain that would make it a name",
    ),
    error("name-too-long", "a pod's name or domain name that is longer than the DNS allows"),
    rule("parallel-before-ready", "pods that start together and have no names before they are ready"),
    rule("partition-counts-from-start", "a partition that is counted from the first ordinal, which is not 0"),
    rule("port-protocol-differs", "a Service port over another protocol than the container's"),
    rule("port-unnamed", "a headless Service's port without a name: no _port._protocol name"),
    rule("ports-missing", "a Service without ports: addresses, but no SRV records"),
    rule(
        "second-headless-service",
        "a second headless Service like the one that governs a set: dashed-IP names",
    ),
    rule("selector-matches-nothing", "a Service whose selector matches no pod"),
    error("selector-missing", "a workload of apps/v1 without spec.selector, which the API server refuses"),
    rule("service-name-missing", "a StatefulSet without serviceName: its pods have no names"),
    rule("srv-port-unserved", "a port in SRV records that no container declares, though each declares some"),
    rule("subdomain-without-service", "a pod whose subdomain is the name of no Service"),
    error("target-port-unknown", "a targetPort that is the name of no container's port"),
    rule("unknown-code", "a code in the annotation clusterlocal.dev/allow that is none"),
    rule(
        "unknown-name",
        "a name in a container's environment or arguments that the cluster's DNS does not know",
    ),
];
