//! `env`: prints how to point a program at this server.
//!
//! The recipes are complete files for a server at its default address and pods of the namespace `default`; address, port,
//! namespace and domain are replaced when they are printed. The first line of a recipe is its description; it begins with
//! `untested` if no test runs the recipe.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::failure::Failure;
use super::output::print;
use super::resolv_conf::ResolverArgs;

#[derive(Debug, Args)]
pub struct EnvArgs {
    /// The program; without --for, list them
    #[arg(long = "for", value_name = "PROGRAM", value_parser = PossibleValuesParser::new(RECIPES.map(|(name, _)| name)))]
    #[arg(hide_possible_values = true)]
    program: Option<String>,
    #[command(flatten)]
    resolver: ResolverArgs,
}

/// Programs and their recipes.
const RECIPES: [(&str, &str); 13] = [
    ("node", include_str!("recipes/node.mjs")),
    ("go", include_str!("recipes/go.go")),
    ("java", include_str!("recipes/java.java")),
    ("python", include_str!("recipes/python.py")),
    ("rust", include_str!("recipes/rust.rs")),
    ("elixir", include_str!("recipes/elixir.erl_inetrc")),
    ("grpc", include_str!("recipes/grpc.txt")),
    ("dotnet", include_str!("recipes/dotnet.cs")),
    ("akka", include_str!("recipes/akka.conf")),
    ("docker", include_str!("recipes/docker.sh")),
    ("compose", include_str!("recipes/compose.yaml")),
    ("systemd-resolved", include_str!("recipes/systemd-resolved.sh")),
    ("macos", include_str!("recipes/macos.sh")),
];

pub fn run(args: EnvArgs) -> Result<ExitCode, Failure> {
    let Some(program) = args.program else { return Ok(print(&listed())) };
    let recipe = RECIPES.iter().find(|(name, _)| *name == program);
    let (_, recipe) = recipe.expect("clap accepts no other program");
    Ok(print(&rendered(recipe, &args.resolver)))
}

/// A line for each recipe: its name and its first line without the comment sign.
fn listed() -> String {
    let mut text = String::new();
    for (name, recipe) in RECIPES {
        let about = recipe.lines().next().unwrap_or_default();
        let about = about.trim_start_matches(|sign: char| sign.is_ascii_punctuation()).trim_start();
        writeln!(text, "{name:18}{about}").expect("writing to a string succeeds");
    }
    text
}

/// The recipe with this resolver instead of the default one. A single pass: replacements are not replaced again.
fn rendered(recipe: &str, resolver: &ResolverArgs) -> String {
    let ResolverArgs { namespace, dns, .. } = resolver;
    let erlang = match dns.ip() {
        IpAddr::V4(ip) => format!("{:?}", ip.octets()),
        IpAddr::V6(ip) => format!("{:?}", ip.segments()),
    };
    let erlang = erlang.replace('[', "{").replace(']', "}").replace(' ', "");
    // The longer ones first: an IPv6 address is in brackets only with a port.
    let places = [
        ("127.0.0.1:10053", dns.to_string()),
        ("{127,0,0,1}", erlang),
        ("127.0.0.1", dns.ip().to_string()),
        ("10053", dns.port().to_string()),
        ("default.svc", format!("{namespace}.svc")),
        ("cluster.local", resolver.domain()),
    ];
    let mut text = String::with_capacity(recipe.len());
    let mut rest = recipe;
    while let Some(next) = rest.chars().next() {
        let place = places.iter().find(|(default, _)| rest.starts_with(default));
        let taken = place.map_or(next.len_utf8(), |(default, _)| default.len());
        text.push_str(place.map_or(&rest[..taken], |(_, value)| value));
        rest = &rest[taken..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(namespace: &str, dns: &str, domain: &str) -> ResolverArgs {
        let (dns, domain) = (dns.parse().expect("an address"), domain.parse().expect("a name"));
        ResolverArgs { namespace: namespace.into(), dns, domain }
    }

    #[test]
    fn default_resolver_leaves_recipes_unchanged() {
        for (name, recipe) in RECIPES {
            assert_eq!(
                rendered(recipe, &resolver("default", "127.0.0.1:10053", "cluster.local")),
                recipe,
                "{name}"
            );
        }
    }

    #[test]
    fn every_recipe_describes_other_names() {
        for (name, recipe) in RECIPES {
            assert!(recipe.contains("Other names: "), "{name}");
        }
    }

    /// Replacements are not replaced again.
    #[test]
    fn defaults_are_replaced_once() {
        let recipe = "ask 127.0.0.1:10053, 127.0.0.1 port 10053, {127,0,0,1}: default.svc.cluster.local";
        let table = [
            (
                "a",
                "127.0.0.7:10053",
                "default.svc",
                "ask 127.0.0.7:10053, 127.0.0.7 port 10053, {127,0,0,7}: a.svc.default.svc",
            ),
            (
                "b",
                "[::1]:53",
                "cluster.local",
                "ask [::1]:53, ::1 port 53, {0,0,0,0,0,0,0,1}: b.svc.cluster.local",
            ),
        ];
        for (namespace, dns, domain, expected) in table {
            assert_eq!(rendered(recipe, &resolver(namespace, dns, domain)), expected);
        }
    }
}
