//! `explain`: the objects and rules that an answer follows from.

use std::process::ExitCode;

use clap::Args;
use clusterlocal_core::explain::Explainer;

use super::client::with_parameters;
use super::cluster::QuestionArgs;
use super::failure::Failure;
use super::output::print;
use super::source;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    question: QuestionArgs,
}

/// Exits with 0 if the name has a record of the type, with 1 if it has none.
pub fn run(args: ExplainArgs) -> Result<ExitCode, Failure> {
    let question = args.question.parse()?;
    let path = with_parameters("/dns/explain", args.question.parameters());
    let (text, found) = match source::ask(&args.question.server, &path)? {
        Some(reply) => {
            source::report_faults(&reply);
            (reply["text"].as_str().unwrap_or_default().to_owned(), reply["hasAnswer"] == true)
        }
        None => {
            let namespace = args.question.namespace.clone();
            let cluster_args = args.question.into_cluster();
            let loaded = cluster_args.load()?;
            let cluster = cluster_args.cluster(&loaded)?;
            let published = cluster.published();
            let zone = published.load();
            let explainer = Explainer::new(&loaded.manifests, cluster.store(), &zone);
            let explanation = explainer.search(&question, &namespace);
            (explanation.to_string(), explanation.has_answer())
        }
    };
    let printed = print(&text);
    let found = if found { ExitCode::SUCCESS } else { ExitCode::from(1) };
    Ok(if printed == ExitCode::SUCCESS { found } else { printed })
}
