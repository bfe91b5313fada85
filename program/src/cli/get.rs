//! `get changes`: what became visible in the DNS, when and why. Everything else is `kubectl get`.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::Failure;
use super::running::ServerArgs;

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Each change of the DNS: when, which names came and went, and what happened in the cluster
    Changes {
        /// The form of the output
        #[arg(short, long, value_enum, default_value_t = Form::Text)]
        output: Form,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// A line for each change, and one for each name
    Text,
    /// An object a line
    Json,
}

pub fn run(args: GetArgs) -> Result<ExitCode, Failure> {
    let What::Changes { output, server } = args.what;
    let list = server.get("/apis/clusterlocal.dev/v1/changes")?;
    let changes = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for change in changes {
        match output {
            Form::Json => writeln!(text, "{change}"),
            Form::Text => write!(text, "{}", told(change)),
        }
        .expect("a string takes everything");
    }
    Ok(super::print(&text))
}

/// `TIME serial N: CAUSE`, and the names below it.
fn told(change: &Value) -> String {
    let field = |name: &str| change[name].as_str().unwrap_or_default();
    let mut text = format!("{} serial {}: {}\n", field("at"), change["serial"], field("cause"));
    for name in change["names"].as_array().map_or(&[][..], Vec::as_slice) {
        let sign = if name["added"] == true { '+' } else { '-' };
        let part = |of: &str| name[of].as_str().unwrap_or_default();
        writeln!(text, "    {sign} {}  {}", part("name"), part("target")).expect("a string takes everything");
    }
    text
}
