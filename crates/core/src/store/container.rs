//! Containers of a pod, and their ports.

use serde::Deserialize;

use super::lenient;
use super::names::Name;
use super::values::{self, Protocol, nullable};

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    #[serde(deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "values::list")]
    pub ports: Vec<ContainerPort>,
    pub restart_policy: Option<Name>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    #[serde(default, deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "values::port")]
    pub container_port: u16,
    #[serde(default, deserialize_with = "lenient::word")]
    pub protocol: Protocol,
    /// The host port; 0 for none.
    #[serde(default, deserialize_with = "nullable")]
    pub host_port: u16,
    #[serde(default, rename = "hostIP", deserialize_with = "nullable")]
    pub host_ip: Name,
}
