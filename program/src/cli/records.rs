//! `records`: all records of the cluster's DNS, as a table, a zone file, JSON or a hosts file.

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
    /// table, zone, json or hosts
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table, env = "CLUSTERLOCAL_OUTPUT")]
    output: Format,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Name, TTL, type and data in columns, reverse names included
    Table,
    /// A zone file (RFC 1035) of the cluster's zone, for any name server; without reverse names
    Zone,
    /// An array of objects, reverse names included
    Json,
    /// Lines for /etc/hosts
    Hosts,
}

/// All records, and the origin and TTL of a zone file.
struct Records {
    domain: String,
    ttl: u32,
    rows: Vec<Row>,
}

/// One record in presentation format.
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

    fn of_server(json: &Value, reverse: bool) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_u64().and_then(|ttl| ttl.try_into().ok()).unwrap_or_default();
        let rows = json["records"].as_array().into_iter().flatten().map(|row| Row {
            name: text(&row["name"]),
            ttl: number(&row["ttl"]),
            record_type: text(&row["type"]),
            data: text(&row["data"]),
        });
        let is_listed = |row: &Row| reverse || row.record_type != "PTR";
        Records {
            domain: text(&json["domain"]),
            ttl: number(&json["ttl"]),
            rows: rows.filter(is_listed).collect(),
        }
    }
}

pub fn run(args: RecordsArgs) -> Result<ExitCode, Failure> {
    let reverse = matches!(args.output, Format::Table | Format::Json);
    let records = match source::ask(&args.server, "/dns/records")? {
        Some(json) => Records::of_server(&json, reverse),
        None => Records::of_zone(&args.cluster.zone()?, reverse),
    };
    let rows = &records.rows;
    Ok(print(&match args.output {
        Format::Table => table(rows),
        Format::Zone => zone_file(&records),
        Format::Json => json(rows),
        Format::Hosts => hosts(rows),
    }))
}

/// A table whose first column fits most names; a longer name moves the columns of its own line.
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

/// A hosts file, without names of ports and final dots.
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
