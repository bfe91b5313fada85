//! `records`: everything the cluster's DNS knows, as a table, a zone file, JSON or a hosts file.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clusterlocal_core::answer::{forward_records, reverse_records};
use clusterlocal_core::wire::{Presentation, RecordView};
use clusterlocal_core::zone::Zone;
use serde_json::{Value, json};

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::output::print;
use super::running::ServerArgs;
use super::source;

#[derive(Debug, Args)]
pub struct RecordsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t = Form::Table, env = "CLUSTERLOCAL_OUTPUT")]
    output: Form,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Name, TTL, type and data in columns, reverse names included
    Table,
    /// An RFC 1035 file of the cluster's zone, for any name server; reverse names are other zones'
    Zone,
    /// An array of objects, reverse names included
    Json,
    /// Lines for /etc/hosts
    Hosts,
}

/// All records, and what a zone file begins with.
struct Records {
    domain: String,
    ttl: u32,
    rows: Vec<Row>,
}

/// One record, ready to be written.
struct Row {
    name: String,
    ttl: u32,
    record_type: String,
    data: String,
}

impl Row {
    fn new(record: RecordView<'_>) -> Self {
        Row {
            name: Presentation(record.owner).to_string(),
            ttl: record.ttl,
            record_type: record.record_type.to_string(),
            data: record.data().to_string(),
        }
    }
}

impl Records {
    fn of_zone(zone: &Zone, reverse: bool) -> Self {
        let mut rows = Vec::new();
        forward_records(zone, |record| rows.push(Row::new(record)));
        if reverse {
            reverse_records(zone, |record| rows.push(Row::new(record)));
        }
        let settings = zone.settings();
        Records { domain: settings.domain.to_string(), ttl: settings.ttl, rows }
    }

    fn of_server(said: &Value, reverse: bool) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_u64().and_then(|ttl| ttl.try_into().ok()).unwrap_or_default();
        let rows = said["records"].as_array().into_iter().flatten().map(|row| Row {
            name: text(&row["name"]),
            ttl: number(&row["ttl"]),
            record_type: text(&row["type"]),
            data: text(&row["data"]),
        });
        let is_listed = |row: &Row| reverse || row.record_type != "PTR";
        Records {
            domain: text(&said["domain"]),
            ttl: number(&said["ttl"]),
            rows: rows.filter(is_listed).collect(),
        }
    }
}

pub fn run(args: RecordsArgs) -> Result<ExitCode, Failure> {
    let reverse = matches!(args.output, Form::Table | Form::Json);
    let records = match source::ask(&args.server, "/dns/records")? {
        Some(said) => Records::of_server(&said, reverse),
        None => Records::of_zone(&args.cluster.zone()?, reverse),
    };
    let rows = &records.rows;
    Ok(print(&match args.output {
        Form::Table => table(rows),
        Form::Zone => zone_file(&records),
        Form::Json => json(rows),
        Form::Hosts => hosts(rows),
    }))
}

/// Columns wide enough for most names; a longer one moves only its own line.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).filter(|&width| width < 72).max().unwrap_or(0);
    let mut out = format!("{:width$}  {:>4}  {:5}  DATA\n", "NAME", "TTL", "TYPE");
    for Row { name, ttl, record_type, data } in rows {
        _ = writeln!(out, "{name:width$}  {ttl:>4}  {record_type:5}  {data}");
    }
    out
}

fn zone_file(Records { domain, ttl, rows }: &Records) -> String {
    let mut out = format!("$ORIGIN {domain}\n$TTL {ttl}\n");
    for Row { name, ttl, record_type, data } in rows {
        _ = writeln!(out, "{name} {ttl} IN {record_type} {data}");
    }
    out
}

fn json(rows: &[Row]) -> String {
    let rows = rows
        .iter()
        .map(|row| json!({"name": row.name, "ttl": row.ttl, "type": row.record_type, "data": row.data}));
    let lines: Vec<_> = rows.map(|row| format!("  {row}")).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// Hosts files know neither ports nor a final dot; the names of ports are left out.
fn hosts(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows
        .iter()
        .filter(|row| matches!(row.record_type.as_str(), "A" | "AAAA") && !row.name.starts_with('_'))
    {
        _ = writeln!(out, "{:15} {}", row.data, row.name.trim_end_matches('.'));
    }
    out
}
