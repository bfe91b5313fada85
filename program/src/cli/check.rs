//! `check`: reads the manifests and tells what is wrong with them, and what is probably not meant as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clusterlocal::lint::{RULES, lint};
use clusterlocal::manifest::{self, Loaded, Problem, Severity};
use clusterlocal::review::review;
use serde_json::json;

use super::{ClusterArgs, Failure};

#[derive(Debug, Args)]
#[command(after_long_help = rules())]
pub struct CheckArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The form of the report
    #[arg(short, long, value_enum, default_value_t = Form::Text, env = "CLUSTERLOCAL_OUTPUT")]
    output: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Problems with their source lines, and a last line that counts
    Text,
    /// An array with an object a problem
    Json,
}

/// What `check --help` ends with.
fn rules() -> String {
    let mut out = String::from("Findings beside what any API server refuses:\n");
    RULES.iter().for_each(|rule| _ = writeln!(out, "  {:33}{}", rule.code, rule.summary));
    out.push_str("\nExit codes: 0 nothing to say, 1 warnings, 2 errors.");
    out
}

/// Exits with 0 if there is nothing to say, 1 after warnings, 2 after errors.
pub fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let mut loaded = manifest::load(args.cluster.inputs());
    let mut problems = std::mem::take(&mut loaded.problems);
    let mut reviewed = review(&loaded.manifests);
    let broken = problems.iter().any(|problem| problem.severity == Severity::Error);
    // What an object that could not be read would have been, nobody knows: the others are not judged without it.
    if !broken {
        let cluster = args.cluster.cluster(&loaded)?;
        let found = lint(&loaded.manifests, cluster.store(), &cluster.published().load());
        // A lint knows more of a matter than validation does, and says it once.
        reviewed.retain(|refused| !found.iter().any(|lint| is_same(lint, refused)));
        problems.extend(reviewed);
        problems.extend(found);
    } else {
        problems.extend(reviewed);
    }
    let report = match args.output {
        Form::Text => text(&problems, &loaded),
        Form::Json => json(&problems),
    };
    let found = match () {
        () if broken => ExitCode::from(2),
        () if problems.is_empty() => ExitCode::SUCCESS,
        () => ExitCode::from(1),
    };
    let printed = super::print(&report);
    Ok(if printed == ExitCode::SUCCESS { found } else { printed })
}

/// Whether both are about the same field of an object.
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
    match counts.is_empty() {
        true => "no problems".into(),
        false => format!("{} in {}", counts.join(", "), count(files.len(), "file")),
    }
}

/// `14 objects read, 2 skipped (1 ConfigMap, 1 PersistentVolume)`.
fn read(loaded: &Loaded) -> String {
    let objects = loaded.manifests.iter().map(|manifest| manifest.objects.len()).sum();
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, n) in loaded.manifests.iter().flat_map(|manifest| &manifest.skipped) {
        *skipped.entry(kind).or_default() += n;
    }
    let kinds: Vec<String> = skipped.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let read = count(objects, "object") + " read";
    match kinds.is_empty() {
        true => read,
        false => format!("{read}, {} skipped ({})", skipped.values().sum::<usize>(), kinds.join(", ")),
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
