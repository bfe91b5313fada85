//! `query`: one answer, in dig's layout.

use std::fmt::Write;
use std::process::ExitCode;

use clusterlocal_core::answer::ask;
use clusterlocal_core::explain::Explainer;
use clusterlocal_core::wire::{Presentation, RecordType, ResponseCode, sections};
use serde_json::Value;

use super::client::with_parameters;
use super::cluster::QuestionArgs;
use super::failure::Failure;
use super::output::print;
use super::source;

pub type QueryArgs = QuestionArgs;

/// A reply, and the names of the search list before it.
struct Answer {
    name: String,
    record_type: RecordType,
    /// Each name of the search list, with its outcome.
    tried: Vec<(String, String)>,
    /// A complete message.
    reply: Vec<u8>,
    /// The upstream servers that the query is forwarded to, if the name is outside the cluster.
    upstream: Vec<String>,
}

pub fn run(args: QueryArgs) -> Result<ExitCode, Failure> {
    let question = args.parse()?;
    let answer = match source::ask(&args.server, &with_parameters("/dns/query", args.parameters()))? {
        Some(reply) => {
            source::report_faults(&reply);
            Answer::of_server(&reply)
                .ok_or_else(|| Failure::Network("the server sent an answer that cannot be parsed: do program and server have the same version?".into()))?
        }
        None => {
            let namespace = args.namespace.clone();
            let cluster_args = args.into_cluster();
            let cluster = cluster_args.cluster(&cluster_args.load()?)?;
            let zone = cluster.published().load().clone();
            let lookup = Explainer::new(&[], cluster.store(), &zone).look_up(&question, &namespace);
            Answer {
                name: lookup.name.to_string(),
                record_type: question.record_type,
                reply: ask(&zone, &lookup.name, question.record_type),
                upstream: Vec::new(),
                tried: lookup.tried.into_iter().map(|(name, outcome)| (name.to_string(), outcome)).collect(),
            }
        }
    };
    Ok(print(&dig(&answer)))
}

impl Answer {
    fn of_server(json: &Value) -> Option<Self> {
        let hex = json["reply"].as_str()?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let reply: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        let upstream = json["upstream"].as_array().into_iter().flatten();
        let tried = json["tried"].as_array()?.iter();
        let tried = tried.map(|pair| Some((pair[0].as_str()?.into(), pair[1].as_str()?.into())));
        Some(Answer {
            name: json["name"].as_str()?.into(),
            record_type: json["type"].as_str()?.parse().ok()?,
            tried: tried.collect::<Option<_>>()?,
            reply,
            upstream: upstream.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
        .filter(|answer| answer.reply.len() >= 12)
    }
}

fn dig(Answer { name, record_type, tried, reply, upstream }: &Answer) -> String {
    let flag_names = [(2, 0x04, "aa"), (2, 0x02, "tc"), (2, 0x01, "rd"), (3, 0x80, "ra")];
    let flags: String = flag_names
        .iter()
        .filter(|(at, bit, _)| reply[*at] & bit != 0)
        .map(|(_, _, name)| format!(" {name}"))
        .collect();
    let mut out = String::new();
    for (name, outcome) in tried.iter().filter(|(tried, _)| tried != name) {
        _ = writeln!(out, ";; search list: {name} {outcome}");
    }
    if !upstream.is_empty() {
        let upstream = upstream.join(", ");
        _ = writeln!(
            out,
            ";; {name} {record_type} is outside the cluster: the server forwards the query to {upstream}"
        );
        return out;
    }
    _ = writeln!(out, ";; ->>HEADER<<- opcode: QUERY, status: {}", ResponseCode((reply[3] & 0xf).into()));
    // More than 64 KiB of records are compressed, which `sections` does not read.
    let all = sections(reply).unwrap_or_default();
    let [answer, authority, additional] = all.each_ref().map(Vec::len);
    _ = writeln!(
        out,
        ";; flags: qr{flags}; QUERY: 1, ANSWER: {answer}, AUTHORITY: {authority}, ADDITIONAL: {additional}\n"
    );
    _ = writeln!(out, ";; QUESTION SECTION:\n;{name}\t\tIN\t{record_type}");
    for (title, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].into_iter().zip(&all) {
        if !records.is_empty() {
            _ = writeln!(out, "\n;; {title} SECTION:");
        }
        for record in records {
            let owner = Presentation(record.owner);
            _ = writeln!(out, "{owner}\t{}\tIN\t{}\t{}", record.ttl, record.record_type, record.data());
        }
    }
    out
}
