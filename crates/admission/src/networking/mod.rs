//! Takes the place of `pkg/apis/networking`.

mod address_validation;
mod defaults;
mod ingress_validation;
mod policy_validation;
mod strategy;

use crate::strategy::Strategy;

const GROUP: &str = "networking.k8s.io";

pub(crate) const STRATEGIES: &[Strategy] = &[
    Strategy {
        default: defaults::set_defaults_network_policy,
        validate: policy_validation::validate_network_policy_create,
        validate_update: policy_validation::validate_network_policy_update,
        warnings: strategy::warnings_for_network_policy,
        ..Strategy::of(GROUP, "NetworkPolicy", true)
    },
    Strategy {
        default: defaults::set_defaults_ingress,
        prepare_for_create: strategy::prepare_ingress_for_create,
        prepare_for_update: strategy::keep_status,
        validate: ingress_validation::validate_ingress_create,
        validate_update: ingress_validation::validate_ingress_update,
        warnings: strategy::warnings_for_ingress,
        ..Strategy::of(GROUP, "Ingress", true)
    },
    Strategy {
        default: defaults::set_defaults_ingress_class,
        validate: ingress_validation::validate_ingress_class,
        validate_update: ingress_validation::validate_ingress_class_update,
        ..Strategy::of(GROUP, "IngressClass", false)
    },
    Strategy {
        prepare_for_create: strategy::drop_status,
        prepare_for_update: strategy::keep_status,
        validate: address_validation::validate_service_cidr,
        validate_update: address_validation::validate_service_cidr_update,
        warnings: strategy::warnings_for_service_cidr,
        ..Strategy::of(GROUP, "ServiceCIDR", false)
    },
    Strategy {
        validate: address_validation::validate_ip_address,
        validate_update: address_validation::validate_ip_address_update,
        ..Strategy::of(GROUP, "IPAddress", false)
    },
];
