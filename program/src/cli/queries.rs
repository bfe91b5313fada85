//! `log`: shows, follows and awaits the queries of a running server and their answers.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clusterlocal_core::fault::{Client, Transport};
use clusterlocal_core::{RecordType, ResponseCode};
use serde_json::Value;

use super::client::with_parameters;
use super::failure::{Failure, complain};
use super::output::{Output, print};
use super::running::ServerArgs;
use super::values;

#[derive(Debug, Args)]
pub struct LogArgs {
    /// Print queries as they come, until interrupted
    #[arg(short, long, conflicts_with_all = ["at_least", "at_most", "within"])]
    follow: bool,
    /// Lines like CoreDNS's, or an object a line, with records
    #[arg(short, long, value_name = "text|json", value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Fail if there are fewer
    #[arg(help_heading = EXPECTATION, long, value_name = "COUNT", value_parser = values::whole::<u64>("a count", 0..=u64::MAX, 1))]
    at_least: Option<u64>,
    /// Fail if there are more
    #[arg(help_heading = EXPECTATION, long, value_name = "COUNT", value_parser = values::whole::<u64>("a count", 0..=u64::MAX, 0))]
    at_most: Option<u64>,
    /// Maximum time to wait for --at-least; with --at-most, all of it
    #[arg(help_heading = EXPECTATION, long, value_name = "TIME", value_parser = values::time)]
    within: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    queries: Queries,
}

/// Heading of the flags that set the exit code.
const EXPECTATION: &str = "Expectation";

/// A selection of queries: those that match all flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which queries [default: all]")]
struct Queries {
    /// Names; * is any characters, ? is one
    #[arg(long, visible_alias = "match", value_name = "GLOB")]
    name: Option<String>,
    /// Record type
    #[arg(long = "type", value_name = "TYPE")]
    record_type: Option<RecordType>,
    /// Client: address or pod
    #[arg(long, value_name = "CLIENT", value_parser = client)]
    client: Option<Client>,
    /// Pod, NAME or NAMESPACE/NAME
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    /// Response code: NOERROR, NXDOMAIN, SERVFAIL …, or none for no reply
    #[arg(long, value_name = "RCODE", value_parser = rcode)]
    rcode: Option<String>,
    /// Transport
    #[arg(long, value_name = "udp|tcp")]
    transport: Option<Transport>,
    /// Fault that hit the query
    #[arg(long, value_name = "FAULT")]
    fault: Option<String>,
    /// Answered from the zone of this SOA serial or a later one
    #[arg(long, value_name = "SERIAL", value_parser = values::whole::<u32>("an SOA serial", 0..=u64::from(u32::MAX), 1_795_374_910))]
    since_serial: Option<u32>,
}

/// A pod or an address, for clap; the log has no filter for networks.
fn client(text: &str) -> Result<Client, String> {
    match values::client(text) {
        Ok(Client::Network(network)) if network.prefix_len() < network.max_prefix_len() => {
            Err("expected one address or pod, such as 127.0.0.1 or db-1, not a network".into())
        }
        Ok(client) => Ok(client),
        Err(_) => Err("expected an address or a pod, such as 127.0.0.1, db-1 or NAMESPACE/db-1".into()),
    }
}

/// `NAMESPACE/NAME`, as in the API.
fn pod_path(client: &Client) -> String {
    let text = client.to_string();
    if text.contains('/') { text } else { format!("default/{text}") }
}

/// The name of a response code, or none for no reply; for clap.
fn rcode(text: &str) -> Result<String, String> {
    if text.eq_ignore_ascii_case("none") || text.parse::<ResponseCode>().is_ok() {
        return Ok(text.into());
    }
    let known = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "none"];
    Err(format!(
        "expected a response code such as NXDOMAIN, or none for no reply{}",
        values::did_you_mean(text, known)
    ))
}

/// Path of queries in the API.
const PATH: &str = "/apis/clusterlocal.dev/v1/queries";

/// Exits with 1 if there are fewer queries than --at-least or more than --at-most.
pub fn run(args: &LogArgs) -> Result<ExitCode, Failure> {
    let text = |query: &Value| match args.output {
        Output::Text => format!("{}\n", query["line"].as_str().unwrap_or_default()),
        Output::Json => format!("{query}\n"),
    };
    if args.follow {
        let watch = with_parameters(PATH, args.parameters().chain([("watch", "true".into())]));
        let mut out = std::io::stdout().lock();
        // A reader may close the pipe at any time.
        let mut print = |text: String| out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
        args.server.follow(&watch, |event| print(text(&event["object"])))?;
        return Ok(ExitCode::SUCCESS);
    }
    let list =
        args.server.wait(&with_parameters(PATH, args.parameters()), args.within.unwrap_or_default())?;
    let dropped = list["metadata"]["dropped"].as_u64().unwrap_or(0);
    if dropped > 0 {
        complain(format_args!("note: {dropped} older queries were dropped; serve --query-log keeps more"));
    }
    let queries = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(print(&queries.iter().map(text).collect::<String>()))
}

impl LogArgs {
    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let number = |name, value: Option<u64>| value.map(|value| (name, value.to_string()));
        let selector = self.queries.selector();
        [
            (!selector.is_empty()).then_some(("fieldSelector", selector)),
            number("sinceSerial", self.queries.since_serial.map(u64::from)),
            number("atLeast", self.at_least),
            number("atMost", self.at_most),
            self.within.map(|within| ("within", format!("{}ms", within.as_millis()))),
        ]
        .into_iter()
        .flatten()
    }
}

impl Queries {
    /// The selection as a field selector.
    fn selector(&self) -> String {
        let of_pod = |client: &&Client| matches!(client, Client::Pod { .. });
        let (pod, network) =
            (self.client.as_ref().filter(of_pod), self.client.as_ref().filter(|client| !of_pod(client)));
        let terms = [
            ("name", self.name.clone()),
            ("type", self.record_type.map(|of| of.to_string())),
            ("client", network.map(ToString::to_string)),
            ("pod", self.pod.clone().or(pod.map(pod_path))),
            ("rcode", self.rcode.clone()),
            ("transport", self.transport.map(|transport| transport.to_string())),
            ("fault", self.fault.clone()),
        ];
        let term = |(field, value): (&str, Option<String>)| {
            let value = value?.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            Some(format!("{field}={value}"))
        };
        terms.into_iter().filter_map(term).collect::<Vec<_>>().join(",")
    }
}
