//! `partition` and `heal`: separate groups of pods and nodes, and connect them again. Must not depend on how packets are dropped.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::print;
use super::running::ServerArgs;
use super::values;

#[derive(Debug, Args)]
pub struct PartitionArgs {
    /// Pods and nodes, with commas; one group is separated from all others
    #[arg(value_name = "POD,POD|node/NODE…", required = true)]
    groups: Vec<String>,
    /// Name, for heal
    #[arg(long, value_name = "NAME", value_parser = values::partition_name)]
    name: Option<String>,
    /// Namespace of pods that are given without one
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct HealArgs {
    /// Names [default: all]
    #[arg(value_name = "NAME", value_parser = values::partition_name)]
    names: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Path of Partitions in the API.
const PATH: &str = "/apis/clusterlocal.dev/v1/partitions";

pub fn run(args: PartitionArgs) -> Result<ExitCode, Failure> {
    let groups = groups(&args.groups, &args.namespace);
    let metadata = match &args.name {
        Some(name) => json!({ "name": name }),
        None => json!({ "generateName": "partition-" }),
    };
    let partition = json!({
        "apiVersion": "clusterlocal.dev/v1", "kind": "Partition", "metadata": metadata,
        "spec": { "groups": groups.iter().map(|group| members(group)).collect::<Vec<_>>() },
    });
    let made = args.server.create(PATH, &partition)?;
    let name = made["metadata"]["name"].as_str().unwrap_or_default();
    let shown: Vec<String> = groups.iter().map(|group| group.join(", ")).collect();
    let shown = if shown.len() == 1 { format!("{} | all others", shown[0]) } else { shown.join(" | ") };
    Ok(print(&format!("partition/{name} added: {shown}\n")))
}

pub fn heal(args: &HealArgs) -> Result<ExitCode, Failure> {
    let server = args.server;
    if args.names.is_empty() {
        let deleted = server.delete(PATH)?;
        let count = deleted["items"].as_array().map_or(0, Vec::len);
        return Ok(print(&format!("{count} partitions healed\n")));
    }
    let mut healed = String::new();
    for name in &args.names {
        server.or_near(server.delete(&format!("{PATH}/{name}")), "partition", name, PATH)?;
        writeln!(healed, "partition/{name} healed").expect("writing to a string succeeds");
    }
    Ok(print(&healed))
}

/// The groups of arguments: each argument is one, or several with `|` between them. Members are separated by commas or spaces.
fn groups(arguments: &[String], namespace: &str) -> Vec<Vec<String>> {
    let parts = arguments.iter().flat_map(|argument| argument.split('|'));
    let split = |part: &str| {
        let members = part.split([',', ' ']).filter(|member| !member.is_empty());
        members.map(|member| member_in(member, namespace)).collect()
    };
    // `a | b` as three arguments of a shell that does not take `|` for itself.
    parts.map(split).filter(|group: &Vec<String>| !group.is_empty()).collect()
}

/// A member with its namespace.
fn member_in(member: &str, namespace: &str) -> String {
    let bare = ["pod/", "pods/", "po/"].iter().find_map(|kind| member.strip_prefix(kind)).unwrap_or(member);
    if bare.contains('/') || namespace == "default" { bare.into() } else { format!("{namespace}/{bare}") }
}

/// A group in the form of the API.
fn members(group: &[String]) -> Value {
    let nodes: Vec<&str> = group.iter().filter_map(|member| node(member)).collect();
    let pods: Vec<&String> = group.iter().filter(|member| node(member).is_none()).collect();
    let mut members = json!({});
    for (field, names) in [("pods", json!(pods)), ("nodes", json!(nodes))] {
        if names.as_array().is_some_and(|names| !names.is_empty()) {
            members[field] = names;
        }
    }
    members
}

/// The name of a node, if the member is one.
fn node(member: &str) -> Option<&str> {
    ["node/", "nodes/", "no/"].iter().find_map(|kind| member.strip_prefix(*kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments, namespace, groups in the form of the API.
    #[test]
    fn groups_are_arguments_or_parts_of_one() {
        let split = json!([{"pods": ["db-0", "db-1"]}, {"pods": ["db-2"]}]);
        let table = [
            ("db-0,db-1 db-2", "default", split.clone()),
            ("db-0,pod/db-1|db-2", "default", split.clone()),
            ("db-0,db-1 | db-2", "default", split),
            (
                "node/node-1 db-2,node/node-2",
                "default",
                json!([{"nodes": ["node-1"]}, {"pods": ["db-2"], "nodes": ["node-2"]}]),
            ),
            ("db-* web/app-0", "ring", json!([{"pods": ["ring/db-*"]}, {"pods": ["web/app-0"]}])),
            ("node/node-1", "ring", json!([{"nodes": ["node-1"]}])),
        ];
        for (arguments, namespace, expected) in table {
            let arguments: Vec<String> = arguments.split(' ').map(String::from).collect();
            let groups: Vec<Value> =
                groups(&arguments, namespace).iter().map(|group| members(group)).collect();
            assert_eq!(Value::from(groups), expected, "{arguments:?}");
        }
    }
}
