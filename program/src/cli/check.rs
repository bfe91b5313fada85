//! `check`: reports what an API server refuses in manifests, and likely mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;

use crate::lint::{RULES, lint};
use clap::Args;
use clusterlocal::play;
use clusterlocal_api::review::review;
use clusterlocal_core::manifest::{self, Loaded, Problem, Severity};
use serde_json::json;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::help;
use super::output::{Output, print};
use super::values;

#[derive(Debug, Args)]
#[command(after_help = rules())]
pub struct CheckArgs {
    /// Text with source lines, or JSON
    #[arg(short, long, value_name = "text|json", value_enum, default_value_t = Output::Text, env = "CLUSTERLOCAL_OUTPUT")]
    output: Output,
    /// Leave out findings of this code; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = code, env = "CLUSTERLOCAL_ALLOW")]
    allow: Vec<String>,
    /// Fail on all warnings, or on this code; repeatable
    #[arg(long, value_name = "warnings|CODE", value_delimiter = ',', value_parser = denied, env = "CLUSTERLOCAL_DENY")]
    deny: Vec<String>,
    /// Print the Kubernetes release whose validation is applied
    #[arg(long)]
    kubernetes: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// All codes, in --deny.
const WARNINGS: &str = "warnings";

/// A finding's code, for clap.
fn code(text: &str) -> Result<String, String> {
    let codes = || RULES.iter().map(|rule| rule.code);
    if codes().any(|known| known == text) {
        Ok(text.into())
    } else {
        Err(format!(
            "expected the code of a finding, such as port-unnamed{}; check --help lists all",
            values::did_you_mean(text, codes())
        ))
    }
}

/// A code, or all of them, for clap.
fn denied(text: &str) -> Result<String, String> {
    match text {
        WARNINGS => Ok(text.into()),
        _ => code(text).map_err(|error| {
            format!("{error}; or warnings, for all{}", values::did_you_mean(text, [WARNINGS]))
        }),
    }
}

/// The list of findings in `check --help`.
fn rules() -> String {
    let mut out = String::from("Findings, in addition to what an API server refuses:\n");
    for rule in RULES {
        let severity = if rule.severity == Severity::Error { "error" } else { "warning" };
        out.push_str(&help::row(&format!("{:33}{severity}", rule.code), 42, rule.summary));
    }
    out
}

/// Exits with 0 if there is nothing but warnings, with 1 for findings that are errors or denied or that an API server refuses,
/// with 2 for manifests that cannot be read.
pub fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    if args.kubernetes {
        return Ok(print(&format!("Kubernetes {}\n", clusterlocal_api::KUBERNETES_VERSION)));
    }
    let mut loaded = manifest::load(args.cluster.inputs());
    let mut problems = std::mem::take(&mut loaded.problems);
    problems.extend(loaded.manifests.iter().filter_map(|manifest| play::scenarios(manifest).err()).flatten());
    let mut reviewed = review(&loaded.manifests);
    let broken = problems.iter().any(|problem| problem.severity == Severity::Error);
    // An unreadable object may be one that others refer to: without it, they are not checked.
    if !broken {
        let cluster = args.cluster.cluster(&loaded)?;
        let mut found = lint(&loaded.manifests, cluster.store(), &cluster.published().load());
        let is_allowed =
            |problem: &Problem| args.allow.iter().any(|code| Some(code.as_str()) == problem.code);
        found.retain(|problem| !is_allowed(problem));
        // A finding that is more specific than the same error of validation replaces it.
        reviewed.retain(|refused| !found.iter().any(|lint| is_same(lint, refused)));
        problems.extend(reviewed);
        problems.extend(found);
    } else {
        problems.extend(reviewed);
    }
    let report = match args.output {
        Output::Text => text(&problems, &loaded),
        Output::Json => json(&problems),
    };
    let found = if broken {
        ExitCode::from(2)
    } else if problems.iter().any(|problem| fails(problem, &args.deny)) {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    };
    let printed = print(&report);
    Ok(if printed == ExitCode::SUCCESS { found } else { printed })
}

/// Whether a problem makes `check` fail. Problems without a code are refused by an API server.
fn fails(problem: &Problem, denied: &[String]) -> bool {
    let is_denied = |code: &str| denied.iter().any(|denied| denied == WARNINGS || denied == code);
    problem.severity == Severity::Error || problem.code.is_none_or(is_denied)
}

/// Whether both report the same field of an object.
fn is_same(lint: &Problem, refused: &Problem) -> bool {
    let field = match lint.code {
        Some("selector-missing") => "spec.selector: Required",
        Some("ports-missing") => "spec.ports: Required",
        _ => return false,
    };
    lint.object == refused.object && lint.file == refused.file && refused.message.starts_with(field)
}

fn text(problems: &[Problem], loaded: &Loaded) -> String {
    let color =
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = String::new();
    for problem in problems {
        _ = writeln!(out, "{}\n", problem.render(color));
    }
    _ = writeln!(out, "{}; {}", found(problems), read(loaded));
    out
}

/// `1 error, 3 warnings in 2 files`.
fn found(problems: &[Problem]) -> String {
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let counts = [(of(Severity::Error), "error"), (of(Severity::Warning), "warning")];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
    let files: BTreeSet<_> = problems.iter().map(|problem| &problem.file).collect();
    if counts.is_empty() {
        "no problems".into()
    } else {
        format!("{} in {}", counts.join(", "), count(files.len(), "file"))
    }
}

/// Maximum number of skipped kinds that are listed.
const KINDS_SHOWN: usize = 10;

/// `14 objects read, 2 skipped (1 ConfigMap, 1 PersistentVolume)`.
fn read(loaded: &Loaded) -> String {
    let objects = loaded.manifests.iter().map(|manifest| manifest.objects.len()).sum();
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, n) in loaded.manifests.iter().flat_map(|manifest| &manifest.skipped) {
        *skipped.entry(kind).or_default() += n;
    }
    let mut kinds: Vec<String> =
        skipped.iter().take(KINDS_SHOWN).map(|(kind, n)| format!("{n} {kind}")).collect();
    if let more @ 1.. = skipped.len().saturating_sub(KINDS_SHOWN) {
        kinds.push(format!("and {more} other kinds"));
    }
    let read = count(objects, "object") + " read";
    if kinds.is_empty() {
        read
    } else {
        format!("{read}, {} skipped ({})", skipped.values().sum::<usize>(), kinds.join(", "))
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn json(problems: &[Problem]) -> String {
    let objects = problems.iter().map(|problem| {
        json!({
            "code": problem.code,
            "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
            "message": problem.message,
            "help": problem.help,
            "object": problem.object.as_ref().map(ToString::to_string),
            "file": &*problem.file,
            "line": problem.spot.as_ref().map(|spot| spot.line),
            "column": problem.spot.as_ref().map(|spot| spot.column),
        })
    });
    let lines: Vec<String> = objects.map(|object| format!("  {object}")).collect();
    if lines.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}
