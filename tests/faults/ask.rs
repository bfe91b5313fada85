//! External DNS clients, with their output reduced to one line.

use std::net::SocketAddr;
use std::process::Command;

/// A client.
#[derive(Clone, Copy, PartialEq)]
pub enum Client {
    Dig,
    Kdig,
    /// dnspython, which reports what is wrong with a reply.
    Python,
}

impl Client {
    pub const ALL: [Client; 3] = [Client::Dig, Client::Kdig, Client::Python];

    /// Its name in test cases.
    pub fn name(self) -> &'static str {
        match self {
            Client::Dig => "dig",
            Client::Kdig => "kdig",
            Client::Python => "python",
        }
    }

    /// A shell command that succeeds if the client is installed.
    pub fn test(self) -> &'static str {
        match self {
            Client::Dig => "command -v dig",
            Client::Kdig => "command -v kdig",
            Client::Python => "python3 -c 'import dns.query'",
        }
    }

    /// Sends a query, and returns the code, flags and sizes that differ from the usual ones, the answers, `+` the
    /// additional addresses, and `soa` if there is one; or why there is no reply.
    pub fn ask(self, server: SocketAddr, question: &str) -> String {
        let mut command = match self {
            Client::Dig => {
                let mut dig = Command::new("dig");
                dig.args(["-r", &format!("@{}", server.ip()), "-p", &server.port().to_string()]);
                dig.args(["+tries=1", "+time=2", "+noedns", "+nocookie", "+norecurse"]);
                dig
            }
            Client::Kdig => {
                let mut kdig = Command::new("kdig");
                kdig.args([&format!("@{}", server.ip()), "-p", &server.port().to_string()]);
                kdig.args(["+retry=0", "+time=2", "+noedns", "+norec"]);
                kdig
            }
            Client::Python => {
                let mut python = Command::new("python3");
                python.args([
                    "-c",
                    include_str!("ask.py"),
                    &server.ip().to_string(),
                    &server.port().to_string(),
                ]);
                python
            }
        };
        command
            .args(question.split(' ').map(|word| word.replace('~', "cassandra.default.svc.cluster.local")));
        let output = command.output().expect("the client starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match self {
            Client::Python => text.trim().to_owned(),
            _ => summary(&text).unwrap_or_else(|| failure(&text)),
        }
    }
}

/// Summarizes the output of dig or kdig; `None` if it has no reply.
fn summary(text: &str) -> Option<String> {
    let after = |text: &str, word: &str| {
        let rest = &text[text.find(word)? + word.len()..];
        Some(rest.trim_start().split([' ', ',', ';', '\n']).next().unwrap_or_default().to_owned())
    };
    let mut words = vec![after(text, "status:")?];
    let flags =
        text.lines().find_map(|line| line.strip_prefix(";; flags:").or(line.strip_prefix(";; Flags:")))?;
    if flags.split(';').next().unwrap_or_default().split_whitespace().any(|flag| flag == "tc") {
        words.push("tc".into());
    }
    if let Some(size) = after(text, "udp:").or_else(|| after(text, "UDP size:")) {
        words.push(format!("udp={size}"));
    }
    let rows = text.lines().filter(|line| !line.starts_with(';'));
    let rows: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
    let rows: Vec<&Vec<&str>> = rows.iter().filter(|row| row.len() > 4 && row[2] == "IN").collect();
    let answers: usize = after(flags, "ANSWER:").and_then(|count| count.parse().ok())?;
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    if let Some(row) = rows.iter().find(|row| row[1] != "30") {
        words.push(format!("ttl={}", row[1]));
    }
    for (at, row) in rows.iter().enumerate() {
        match (row[3], at < answers) {
            ("SRV", true) => words.push(first(row[7])),
            ("CNAME", true) => words.push(format!("={}", first(row[4]))),
            ("A", true) => words.push(row[4].into()),
            ("PTR", true) => words.push(first(row[4])),
            ("SOA", false) => words.push("soa".into()),
            ("A", false) => words.push(format!("+{}", row[4])),
            _ => words.push(row[3..].join(" ")),
        }
    }
    Some(words.join(" "))
}

/// Why there is no reply.
fn failure(text: &str) -> String {
    let text = text.to_lowercase();
    let known = ["connection reset", "timed out", "end of file", "can't receive reply", "connection refused"];
    known.into_iter().find(|known| text.contains(known)).map_or(text.clone(), Into::into)
}
