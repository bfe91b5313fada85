//! Takes the place of `pkg/apis/rbac`.

mod defaults;
mod validation;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: defaults::write_rules,
        validate: validation::validate_role,
        validate_update: validation::validate_role_update,
        ..Strategy::of(GROUP, "Role", true)
    },
    Strategy {
        default: defaults::write_rules,
        validate: validation::validate_cluster_role,
        validate_update: validation::validate_cluster_role_update,
        ..Strategy::of(GROUP, "ClusterRole", false)
    },
    Strategy {
        default: defaults::set_defaults_role_binding,
        validate: validation::validate_role_binding,
        validate_update: validation::validate_role_binding_update,
        ..Strategy::of(GROUP, "RoleBinding", true)
    },
    Strategy {
        default: defaults::set_defaults_role_binding,
        validate: validation::validate_cluster_role_binding,
        validate_update: validation::validate_cluster_role_binding_update,
        ..Strategy::of(GROUP, "ClusterRoleBinding", false)
    },
];

/// The API group, which references to roles and to most subjects name as well.
const GROUP: &str = "rbac.authorization.k8s.io";
