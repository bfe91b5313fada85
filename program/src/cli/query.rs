//! `query`: one answer, in dig's layout.

use std::fmt::Write;
use std::process::ExitCode;

use clusterlocal::RecordType;
use clusterlocal::answer::{ask, rcode_name, sections};
use clusterlocal::zone::{DomainName, Presentation, Zone};

use super::Failure;
use super::cluster::QuestionArgs;

pub type QueryArgs = QuestionArgs;

pub fn run(args: QueryArgs) -> Result<ExitCode, Failure> {
    let (name, record_type, cluster) = args.parse()?;
    Ok(super::print(&dig(&cluster.zone()?, &name, record_type)))
}

fn dig(zone: &Zone, name: &DomainName, record_type: u16) -> String {
    let reply = ask(zone, name, record_type);
    let flag_names = [(2, 0x04, "aa"), (2, 0x02, "tc"), (2, 0x01, "rd"), (3, 0x80, "ra")];
    let flags: String = flag_names
        .iter()
        .filter(|(at, bit, _)| reply[*at] & bit != 0)
        .map(|(_, _, name)| format!(" {name}"))
        .collect();
    let mut out = format!(";; ->>HEADER<<- opcode: QUERY, status: {}\n", rcode_name((reply[3] & 0xf).into()));
    // More records than 64 KiB hold come compressed; only then there is nothing to show of them.
    let all = sections(&reply).unwrap_or_default();
    let [answer, authority, additional] = all.each_ref().map(Vec::len);
    _ = writeln!(
        out,
        ";; flags: qr{flags}; QUERY: 1, ANSWER: {answer}, AUTHORITY: {authority}, ADDITIONAL: {additional}\n"
    );
    _ = writeln!(out, ";; QUESTION SECTION:\n;{name}\t\tIN\t{}", RecordType(record_type));
    for (title, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].into_iter().zip(&all) {
        if !records.is_empty() {
            _ = writeln!(out, "\n;; {title} SECTION:");
        }
        for record in records {
            let owner = Presentation(record.owner);
            _ = writeln!(
                out,
                "{owner}\t{}\tIN\t{}\t{}",
                record.ttl,
                RecordType(record.record_type),
                record.data()
            );
        }
    }
    out
}
