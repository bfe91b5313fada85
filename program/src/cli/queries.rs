//! `log`: what a running server was asked and what it said; shown, followed, or waited for.

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
#[command(after_long_help = "\
Examples:
  clusterlocal log                                            what was asked so far
  clusterlocal log -f --type SRV --rcode NXDOMAIN             what is not found, as it comes
  clusterlocal log --name 'db-1.*' --since-serial 1795374910 --at-least 1 --within 10s
                                                              has anybody looked db-1 up again?

Exit codes: 0 ok, 1 not as many as expected, 2 wrong usage, 3 no server.")]
pub struct LogArgs {
    /// Go on with what comes, until interrupted
    #[arg(short, long, conflicts_with_all = ["at_least", "at_most", "within"])]
    follow: bool,
    /// The form of the output: text has a line for each, as CoreDNS logs them, json an object a line, with the records of the reply
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    which: Which,
    /// Fail if there are fewer
    #[arg(long, value_name = "COUNT", value_parser = values::whole::<u64>("a count", 0..=u64::MAX, 1))]
    at_least: Option<u64>,
    /// Fail if there are more
    #[arg(long, value_name = "COUNT", value_parser = values::whole::<u64>("a count", 0..=u64::MAX, 0))]
    at_most: Option<u64>,
    /// Wait so long for as many as there should be; with --at-most, all of that time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    within: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Which queries are meant: all that is said has to be so.
#[derive(Debug, Args)]
struct Which {
    /// For names like this: * is any characters, ? is one
    #[arg(long, visible_alias = "match", value_name = "GLOB")]
    name: Option<String>,
    /// For records of this type
    #[arg(long = "type", value_name = "TYPE")]
    record_type: Option<RecordType>,
    /// From this address, or pod
    #[arg(long, value_name = "CLIENT", value_parser = client)]
    client: Option<Client>,
    /// From this pod, NAME or NAMESPACE/NAME
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    /// With this outcome: NOERROR, NXDOMAIN, SERVFAIL …, or none where nothing was said
    #[arg(long, value_name = "RCODE", value_parser = rcode)]
    rcode: Option<String>,
    /// Over udp or tcp
    #[arg(long, value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// That this fault hit
    #[arg(long, value_name = "FAULT")]
    fault: Option<String>,
    /// Answered from the zone of this SOA serial, or a later one
    #[arg(long, value_name = "SERIAL", value_parser = values::whole::<u32>("an SOA serial", 0..=u64::from(u32::MAX), 1_795_374_910))]
    since_serial: Option<u32>,
}

/// A pod or an address, for clap; the log knows no networks.
fn client(text: &str) -> Result<Client, String> {
    match values::client(text) {
        Ok(Client::Network(network)) if network.prefix_len() < network.max_prefix_len() => {
            Err("expected one address or pod, such as 127.0.0.1 or db-1, not a network".into())
        }
        Ok(client) => Ok(client),
        Err(_) => Err("expected an address or a pod, such as 127.0.0.1, db-1 or NAMESPACE/db-1".into()),
    }
}

/// `NAMESPACE/NAME`, as the API has it.
fn pod_path(client: &Client) -> String {
    let text = client.to_string();
    if text.contains('/') { text } else { format!("default/{text}") }
}

/// A response code's name, or none for silence; for clap.
fn rcode(text: &str) -> Result<String, String> {
    if text.eq_ignore_ascii_case("none") || text.parse::<ResponseCode>().is_ok() {
        return Ok(text.into());
    }
    let known = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "none"];
    Err(format!(
        "expected a response code such as NXDOMAIN, or none where nothing was answered{}",
        values::did_you_mean(text, known)
    ))
}

/// Where the API has them.
const PATH: &str = "/apis/clusterlocal.dev/v1/queries";

/// Exits with 0 if what is expected is so, with 1 if it is not.
pub fn run(args: &LogArgs) -> Result<ExitCode, Failure> {
    let text = |query: &Value| match args.output {
        Output::Text => format!("{}\n", query["line"].as_str().unwrap_or_default()),
        Output::Json => format!("{query}\n"),
    };
    if args.follow {
        let watch = with_parameters(PATH, args.parameters().chain([("watch", "true".into())]));
        let mut out = std::io::stdout().lock();
        // A reader who has seen enough closes the pipe.
        let mut print = |text: String| out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
        args.server.follow(&watch, |event| print(text(&event["object"])))?;
        return Ok(ExitCode::SUCCESS);
    }
    let list =
        args.server.wait(&with_parameters(PATH, args.parameters()), args.within.unwrap_or_default())?;
    let dropped = list["metadata"]["dropped"].as_u64().unwrap_or(0);
    if dropped > 0 {
        complain(format_args!("note: {dropped} older queries are not kept any more; see serve --query-log"));
    }
    let queries = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(print(&queries.iter().map(text).collect::<String>()))
}

impl LogArgs {
    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let number = |name, value: Option<u64>| value.map(|value| (name, value.to_string()));
        let selector = self.which.selector();
        [
            (!selector.is_empty()).then_some(("fieldSelector", selector)),
            number("sinceSerial", self.which.since_serial.map(u64::from)),
            number("atLeast", self.at_least),
            number("atMost", self.at_most),
            self.within.map(|within| ("within", format!("{}ms", within.as_millis()))),
        ]
        .into_iter()
        .flatten()
    }
}

impl Which {
    /// As a field selector.
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
