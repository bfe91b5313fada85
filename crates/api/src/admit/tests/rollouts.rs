//! How Deployments and DaemonSets may not roll out: kube-apiserver's answers.

use super::*;

/// Kind, spec, causes; none if it is accepted.
#[test]
fn strategies_and_deadlines_that_cannot_work_are_refused() {
    let table: &[(Kind, &str, &[&str])] = &[
        (
            Kind::Deployment,
            "progressDeadlineSeconds: 6, minReadySeconds: 6",
            &["spec.progressDeadlineSeconds: Invalid value: 6: must be greater than minReadySeconds"],
        ),
        (
            Kind::Deployment,
            "minReadySeconds: 600",
            &["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
        ),
        (Kind::Deployment, "minReadySeconds: 599", &[]),
        (Kind::Deployment, "progressDeadlineSeconds: 601, minReadySeconds: 600", &[]),
        (
            Kind::Deployment,
            "progressDeadlineSeconds: 0",
            &["spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"],
        ),
        (
            Kind::Deployment,
            "strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}",
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ],
        ),
        (
            Kind::Deployment,
            "strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 0%}}",
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
            ],
        ),
        (Kind::Deployment, "strategy: {rollingUpdate: {maxSurge: 0}}", &[]),
        (
            Kind::Deployment,
            "strategy: {rollingUpdate: {maxSurge: -1, maxUnavailable: -2}}",
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: -2: must be greater than or equal to 0",
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            Kind::Deployment,
            "strategy: {rollingUpdate: {maxSurge: 101%, maxUnavailable: 101%}}",
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ],
        ),
        (
            Kind::Deployment,
            "strategy: {rollingUpdate: {maxSurge: x}}",
            &["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be"],
        ),
        (
            Kind::Deployment,
            "strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}",
            &[
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        ),
        (Kind::Deployment, "strategy: {type: Recreate}", &[]),
        (
            Kind::Deployment,
            "strategy: {type: Other}",
            &[
                "spec.strategy: Unsupported value: {\"Type\":\"Other\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\"",
            ],
        ),
        (
            Kind::DaemonSet,
            "updateStrategy: {rollingUpdate: {maxSurge: 1}}",
            &[
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ],
        ),
        (Kind::DaemonSet, "updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", &[]),
        (
            Kind::DaemonSet,
            "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}",
            &[
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ],
        ),
        (
            Kind::DaemonSet,
            "updateStrategy: {rollingUpdate: {maxUnavailable: 200%}}",
            &[
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"200%\": must not be greater than 100%",
            ],
        ),
        (
            Kind::DaemonSet,
            "updateStrategy: {type: Other}",
            &[
                "spec.updateStrategy: Unsupported value: {\"Type\":\"Other\",\"RollingUpdate\":null}: supported values: \"RollingUpdate\", \"OnDelete\"",
            ],
        ),
        (Kind::DaemonSet, "updateStrategy: {type: OnDelete, rollingUpdate: {maxUnavailable: 0}}", &[]),
    ];
    for (kind, spec, causes) in table {
        let rest = format!(
            "{{spec: {{selector: {{matchLabels: {{app: a}}}}, template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: \
             [{{name: c, image: i}}]}}}}, {spec}}}}}"
        );
        let messages =
            create(*kind, object_of(*kind, &rest)).map_or_else(|invalid| messages(&invalid), |_| Vec::new());
        let same = messages.len() == causes.len()
            && messages.iter().zip(*causes).all(|(message, cause)| message.starts_with(cause));
        assert!(same, "{kind} {spec}: {messages:?}");
    }
}
