//! `get changes`: the changes of the DNS, with time and cause. Objects are listed by `kubectl get`.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::failure::Failure;
use super::output::{Output, print};
use super::running::ServerArgs;

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Each change of the DNS: time, serial, cause, names added and removed
    Changes {
        /// Text with a line for each name, or an object a line
        #[arg(short, long, value_name = "text|json", value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub fn run(args: GetArgs) -> Result<ExitCode, Failure> {
    let What::Changes { output, server } = args.what;
    let list = server.get("/apis/clusterlocal.dev/v1/changes")?;
    let changes = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for change in changes {
        match output {
            Output::Json => writeln!(text, "{change}"),
            Output::Text => write!(text, "{}", rendered(change)),
        }
        .expect("writing to a string succeeds");
    }
    Ok(print(&text))
}

/// `TIME serial N: CAUSE`, and the names below it.
fn rendered(change: &Value) -> String {
    let field = |name: &str| change[name].as_str().unwrap_or_default();
    let mut text = format!("{} serial {}: {}\n", field("at"), change["serial"], field("cause"));
    for name in change["names"].as_array().map_or(&[][..], Vec::as_slice) {
        let sign = if name["added"] == true { '+' } else { '-' };
        let part = |of: &str| name[of].as_str().unwrap_or_default();
        writeln!(text, "    {sign} {}  {}", part("name"), part("target"))
            .expect("writing to a string succeeds");
    }
    text
}
