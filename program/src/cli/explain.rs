//! `explain`: why a question has the answer that it has.

use std::process::ExitCode;

use clap::Args;
use clusterlocal::explain::Explainer;
use clusterlocal::store::is_label;

use super::Failure;
use super::cluster::QuestionArgs;

#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes: 0 there is such a record, 1 there is none, 2 unreadable input.")]
pub struct ExplainArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// The namespace of the pod that asks: a name without the cluster domain is completed with its search domains
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = parse_namespace)]
    namespace: String,
}

/// A namespace's name, for clap.
pub fn parse_namespace(text: &str) -> Result<String, String> {
    match is_label(text) {
        true => Ok(text.into()),
        false => Err("a namespace has lower-case letters, digits and inner hyphens".into()),
    }
}

/// Exits with 0 if the name has a record of the type, with 1 if it has none.
pub fn run(args: ExplainArgs) -> Result<ExitCode, Failure> {
    // A final dot says that the name is whole.
    let absolute = args.question.name.ends_with('.');
    let (name, record_type, cluster_args) = args.question.parse()?;
    let loaded = cluster_args.load()?;
    let cluster = cluster_args.cluster(&loaded)?;
    let published = cluster.published();
    let zone = published.load();
    let explainer = Explainer::new(&loaded.manifests, cluster.store(), &zone);
    let explanation = match absolute {
        true => explainer.explain(&name, record_type),
        false => explainer.search(&name, &args.namespace, record_type),
    };
    let printed = super::print(&explanation.to_string());
    let found = if explanation.has_answer() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    Ok(if printed == ExitCode::SUCCESS { found } else { printed })
}
