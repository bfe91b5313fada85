//! What the help of the verbs has beside their flags: groups, examples, exit codes. Must not depend on what a verb does.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, Command};

/// The groups of verbs, in the order of the help.
const GROUPS: [(&str, &[&str]); 5] = [
    ("The server", &["serve", "run", "health"]),
    ("Without a server", &["check", "play", "env", "resolv-conf", "completions", "man"]),
    ("Of a running server, or of files that are named", &["records", "query", "explain"]),
    (
        "Of a running server",
        &["log", "get", "clock", "fault", "node", "partition", "heal", "ready", "unready", "crash"],
    ),
    ("Of a running server whose pods run", &["logs", "exec", "shell"]),
];

/// What the help of a verb ends with.
struct Ending {
    /// The verb; empty for the program.
    verb: &'static str,
    /// Commands, each with its effect.
    examples: &'static [(&'static str, &'static str)],
    /// Exit codes and what else there is to know.
    notes: &'static str,
}

const fn ending(
    verb: &'static str,
    examples: &'static [(&'static str, &'static str)],
    notes: &'static str,
) -> Ending {
    Ending { verb, examples, notes }
}

/// The first example of a verb is also part of its error messages.
const ENDINGS: [Ending; 27] = [
    ending(
        "",
        &[
            ("clusterlocal", "serve zones/ at 127.0.0.1:10053"),
            ("dig @127.0.0.1 -p 10053 cassandra.ring.svc.cluster.local", "query it"),
            ("helm template my-store | clusterlocal records -", "list the records of a chart"),
            ("clusterlocal explain cassandra-9.cassandra -n ring", "why a name does not resolve"),
            ("clusterlocal env --for node", "how to point Node.js at the server"),
            ("kubectl -s 127.0.0.1:10054 scale sts cassandra --replicas 5 -n ring", "scale it"),
            ("clusterlocal fault add servfail --for 30s", "DNS fails for half a minute"),
        ],
        "Every flag is also an environment variable: --max-udp-size is CLUSTERLOCAL_MAX_UDP_SIZE.\n\
         Exit codes: 0 success, 1 findings or unmet expectations, 2 wrong usage or unreadable input,\n\
         3 cannot listen or connect.",
    ),
    ending(
        "serve",
        &[
            ("clusterlocal serve cassandra.yaml --listen 127.0.0.1:10053", "one file"),
            ("clusterlocal serve", "the manifests in zones/"),
            ("clusterlocal serve -k overlays/test", "a kustomization"),
            ("helm template my-store | clusterlocal serve -", "a chart"),
            ("clusterlocal serve --start-delay 2s --ready-delay 5s", "pods that take time"),
            ("clusterlocal serve --clock manual --kubeconfig kubeconfig", "for a test with kubectl"),
        ],
        "Flags win over the fields of a Topology. SIGHUP reads the manifests again, SIGTERM stops.",
    ),
    ending(
        "run",
        &[
            ("clusterlocal run etcd.yaml", "the commands of the manifest"),
            (
                "clusterlocal run store.yaml --image store:2='./store --data /var/data'",
                "a program for an image",
            ),
            ("clusterlocal run store.yaml --network host", "where namespaces are forbidden"),
        ],
        "Pods have addresses, ports, hostnames, files and volumes of their own, without root; images are not\n\
         pulled, limits are not enforced. The flags of serve hold as well.",
    ),
    ending(
        "health",
        &[
            ("clusterlocal health", "in the environment of the server"),
            ("clusterlocal health --listen 127.0.0.1:53 --within 5s", ""),
        ],
        "For health checks of containers. The query is recorded and is subject to faults like any other.\n\
         Exit codes: 0 every address answers, 1 SERVFAIL, 2 wrong usage, 3 no answer.",
    ),
    ending(
        "check",
        &[
            ("clusterlocal check cassandra.yaml --deny warnings", "fail on warnings, too"),
            ("clusterlocal check -R manifests --allow port-unnamed -o json", "for programs"),
        ],
        "The annotation clusterlocal.dev/allow: CODE leaves findings of one object out.\n\
         Exit codes: 0 nothing but warnings, 1 errors or denied findings, 2 unreadable manifests.",
    ),
    ending(
        "play",
        &[
            ("clusterlocal play story.yaml -- ./my-store", "with a command under test"),
            ("clusterlocal play story.yaml --manifests zones --junit report.xml", "in CI"),
        ],
        "The command starts when the cluster answers. It is stopped at the end of the Scenario, with all\n\
         processes that it started. If it fails before that, the Scenario fails.\n\
         Exit codes: 0 all passed, 1 a Scenario failed, 2 wrong usage or unreadable input, 3 cannot listen.",
    ),
    ending(
        "env",
        &[
            ("clusterlocal env --for node", "print it"),
            ("clusterlocal env --for node > clusterlocal.mjs", "and then: node --import ./clusterlocal.mjs"),
            ("clusterlocal env", "list the programs"),
        ],
        "",
    ),
    ending(
        "resolv-conf",
        &[(
            "clusterlocal resolv-conf -n ring --dns 127.0.0.1:53 > resolv.conf",
            "of a pod in namespace ring",
        )],
        "",
    ),
    ending("completions", &[("clusterlocal completions bash > clusterlocal.bash", "")], ""),
    ending("man", &[("clusterlocal man target/man", "clusterlocal.1, clusterlocal-serve.1, …")], ""),
    ending(
        "records",
        &[
            ("clusterlocal records cassandra.yaml -o hosts", "for /etc/hosts"),
            ("clusterlocal records", "of the running server"),
            ("clusterlocal records zones -o zone", "a zone file for any name server"),
        ],
        "",
    ),
    ending(
        "query",
        &[
            ("clusterlocal query _cql._tcp.cassandra SRV -n ring", "as a pod in namespace ring"),
            ("clusterlocal query 127.244.0.1", "the PTR record of an address"),
            ("clusterlocal query cassandra.ring -f zones", "of manifests"),
        ],
        "",
    ),
    ending(
        "explain",
        &[
            ("clusterlocal explain cassandra-3.cassandra -n ring", "of the running server"),
            ("clusterlocal explain cassandra-3.cassandra -n ring -f zones", "of manifests"),
        ],
        "Exit codes: 0 there is such a record, 1 there is none, 2 wrong usage, 3 no server.",
    ),
    ending(
        "log",
        &[
            ("clusterlocal log -f --type SRV", "all SRV queries as they come"),
            ("clusterlocal log --rcode NXDOMAIN", "what did not resolve"),
            ("clusterlocal log --name 'db-1.*' --at-least 1 --within 10s", "wait for a query"),
        ],
        "Exit codes: 0 success, 1 fewer or more than expected, 2 wrong usage, 3 no server.",
    ),
    ending("get", &[("clusterlocal get changes", "with the time and the cause of each")], ""),
    ending(
        "clock",
        &[
            ("clusterlocal clock advance 5m", "everything due by then has happened when it returns"),
            ("clusterlocal clock pause", ""),
            ("clusterlocal clock", "show the time"),
        ],
        "",
    ),
    ending(
        "fault",
        &[
            ("clusterlocal fault add servfail --type SRV --for 30s", ""),
            ("clusterlocal fault list", ""),
            ("clusterlocal fault clear", "all of them"),
        ],
        "",
    ),
    ending(
        "fault add",
        &[
            ("clusterlocal fault add servfail --type SRV --for 30s", ""),
            ("clusterlocal fault add late delay 3s --client db-1", "a fault named late, for one pod"),
            ("clusterlocal fault add dns-outage 30s", "a preset"),
            ("clusterlocal fault add --sequence 'drop | servfail | ok'", "in turn"),
        ],
        "",
    ),
    ending(
        "node",
        &[
            ("clusterlocal node down node-1", "behind a partition: its processes run on"),
            ("clusterlocal node down node-1 --off", "powered off"),
            ("clusterlocal node up node-1", ""),
        ],
        "",
    ),
    ending(
        "partition",
        &[
            ("clusterlocal partition db-0,db-1 db-2", "db-2 reaches neither of the others"),
            ("clusterlocal partition 'db-0,db-1 | db-2'", "the same"),
            ("clusterlocal partition node/node-1,node/node-2 node/node-3", "between the pods of nodes"),
            ("clusterlocal partition db-2", "from all other pods"),
            ("clusterlocal partition 'ring/db-*' 'web/*'", "by pattern and namespace"),
        ],
        "Nothing is refused: packets get lost, as on a cut cable, also those of existing connections.\n\
         DNS and API stay reachable; `node down` cuts a node off from them, too. Pods that start later\n\
         are separated from the start, and a pod in two groups reaches both. For clusterlocal run.",
    ),
    ending(
        "heal",
        &[("clusterlocal heal", "all partitions"), ("clusterlocal heal split", "one by its name")],
        "",
    ),
    ending("ready", &[("clusterlocal ready db-1 -n default", "until `unready`, or kubectl annotate")], ""),
    ending("unready", &[("clusterlocal unready db-1 -n default", "until `ready`, or kubectl annotate")], ""),
    ending(
        "crash",
        &[("clusterlocal crash db-1 -n default", "the container is restarted after its back-off")],
        "",
    ),
    ending(
        "logs",
        &[
            ("clusterlocal logs db-1 -f", "and what it writes from now on"),
            ("clusterlocal logs db-1 -n ring --previous --tail 20", "of the run before the restart"),
        ],
        "kubectl logs prints the same.",
    ),
    ending(
        "exec",
        &[
            ("clusterlocal exec db-1 -- cat /etc/resolv.conf", "one program"),
            ("clusterlocal exec db-1 -- bash", "with this terminal"),
        ],
        "Exit codes: that of the program, 2 wrong usage, 3 no server.",
    ),
    ending(
        "shell",
        &[
            ("clusterlocal shell -n ring", "beside the pods: dig, curl and ping find them"),
            ("clusterlocal shell db-1", "in a pod"),
        ],
        "A pod of its own is deleted at the end of the shell.",
    ),
];

/// The command with examples, exit codes and, for the program itself, its verbs in groups.
pub fn described(command: Command) -> Command {
    let verbs = groups(&command);
    with_endings(command, "").help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}\
         Options:\n  -h, --help     Print help\n  -V, --version  Print version\n\n\
         `clusterlocal VERB --help` lists the flags of a verb. Without a verb, they are those of serve.{{after-help}}"
    ))
}

/// The command as its help is printed on a terminal: a line for each flag, without its variable and the meaning of each
/// value.
pub fn compact(command: Command) -> Command {
    let hide = |arg: Arg| {
        let has_values = arg.get_action().takes_values();
        arg.hide_env(true).hide_possible_values(has_values)
    };
    command.mut_args(hide).mut_subcommands(compact)
}

/// The first example of a verb.
pub fn example(verb: &str) -> Option<&'static str> {
    let ending = ENDINGS.iter().find(|ending| ending.verb == verb)?;
    ending.examples.first().map(|(example, _)| *example)
}

fn with_endings(command: Command, path: &str) -> Command {
    let ending = ENDINGS.iter().find(|ending| ending.verb == path);
    let command = match ending {
        Some(ending) => {
            let before = command.get_after_help().map(|text| format!("{text}\n")).unwrap_or_default();
            command.after_help(format!("{before}{}", shown(ending)))
        }
        None => command,
    };
    command.mut_subcommands(|verb| {
        let path = format!("{path} {}", verb.get_name());
        with_endings(verb, path.trim_start())
    })
}

/// Maximum width of help, in columns.
const WIDTH: usize = 100;

/// Two columns: `first`, padded to `width`, and `second`, which continues below itself.
pub fn row(first: &str, width: usize, second: &str) -> String {
    let indent = 2 + width;
    let mut text = format!("  {first:width$}");
    let mut column = text.chars().count();
    for word in second.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

/// Width of the column of examples. A longer one moves only its own effect.
const EXAMPLE_WIDTH: usize = 56;

/// Examples in two columns, and the notes.
fn shown(ending: &Ending) -> String {
    let lengths = ending.examples.iter().map(|(example, _)| example.len());
    let width = lengths.filter(|length| *length <= EXAMPLE_WIDTH).max().unwrap_or(0);
    let mut text = String::from("Examples:\n");
    for (example, effect) in ending.examples {
        let line = format!("  {example:width$}  {effect}");
        _ = writeln!(text, "{}", line.trim_end());
    }
    if !ending.notes.is_empty() {
        _ = write!(text, "\n{}", ending.notes);
    }
    text.trim_end().to_owned()
}

/// The verbs, each with the first sentence about it, below the headings of their groups.
fn groups(command: &Command) -> String {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let width = GROUPS.iter().flat_map(|(_, verbs)| *verbs).map(|verb| verb.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (title, verbs) in GROUPS {
        _ = writeln!(text, "{header}{title}:{header:#}");
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about);
            let about = about.map(StyledStr::to_string).unwrap_or_default();
            _ = writeln!(text, "  {literal}{verb:width$}{literal:#}  {about}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Passes each verb to `visit`, with its path.
    fn visit(command: &Command, path: &str, of: &mut impl FnMut(&str, &Command)) {
        of(path, command);
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            visit(verb, format!("{path} {}", verb.get_name()).trim_start(), of);
        }
    }

    fn command() -> Command {
        let mut command = compact(described(Cli::command()));
        command.build();
        command
    }

    #[test]
    fn each_verb_is_in_one_group() {
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        let command = Cli::command();
        let mut verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        grouped.sort_unstable();
        verbs.sort_unstable();
        assert_eq!(grouped, verbs);
    }

    #[test]
    fn each_verb_has_examples_that_parse() {
        let command = command();
        for verb in command.get_subcommands().map(Command::get_name).filter(|verb| *verb != "help") {
            assert!(example(verb).is_some(), "{verb} has none");
        }
        for ending in &ENDINGS {
            for (example, _) in ending.examples.iter().filter(|(text, _)| text.contains("clusterlocal")) {
                let command_line = example.split(" > ").next().expect("a command");
                let words = &command_line[command_line.rfind("clusterlocal").expect("the program")..];
                // What is in quotes is one word.
                let words = words.split('\'').enumerate().flat_map(|(at, part)| {
                    if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
                });
                let words: Vec<_> = words.collect();
                assert!(words.join(" ").contains(ending.verb), "{example} is of {}", ending.verb);
                let parsed = command.clone().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{example}: {parsed:?}");
            }
        }
    }

    /// Below each heading, every line begins an argument: none has a second line.
    #[test]
    fn help_has_one_line_for_each_flag() {
        let mut wrong = Vec::new();
        let command = command().term_width(WIDTH);
        visit(&command, "", &mut |path, verb| {
            let after = verb.get_after_help().map(StyledStr::to_string).unwrap_or_default();
            let help = verb.clone().after_help("").term_width(WIDTH).render_help().to_string();
            let mut is_below_heading = false;
            for line in help.lines() {
                let is_heading = !line.starts_with(' ') && line.ends_with(':');
                is_below_heading = is_heading || (is_below_heading && !line.is_empty());
                if is_below_heading && line.starts_with("        ") {
                    wrong.push(format!("{path}: {line}"));
                }
            }
            for line in help.lines().chain(after.lines()).filter(|line| line.chars().count() > WIDTH) {
                wrong.push(format!("{path}: {line}"));
            }
        });
        assert!(wrong.is_empty(), "these lines do not fit:\n{}", wrong.join("\n"));
    }

    /// `--max-udp-size` is `CLUSTERLOCAL_MAX_UDP_SIZE` in every verb; paths are an argument of some verbs and a flag of others.
    #[test]
    fn variables_are_named_after_their_flags() {
        let mut count = 0;
        visit(&command(), "", &mut |path, verb| {
            let is_configured =
                ["serve", "health", "check", "records", "query", "explain", "env", "resolv-conf"]
                    .contains(&path);
            for arg in verb.get_arguments() {
                let name = arg.get_long().unwrap_or(arg.get_id().as_str());
                let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                let expected = match arg.get_id().as_str() {
                    "paths" => "CLUSTERLOCAL_PATH".into(),
                    _ => format!("CLUSTERLOCAL_{}", name.to_uppercase().replace('-', "_")),
                };
                let is_without = ["help", "version", "kubernetes", "within", "for", "name", "record_type"].contains(&name)
                        // Records have other formats, and the variables of `serve` are also read where no verb is given.
                        || (path, name) == ("serve", "output");
                match variable {
                    Some(variable) => assert_eq!(variable, expected, "{path} {name}"),
                    None => assert!(is_without || !is_configured, "{path} --{name} has no variable"),
                }
                count += usize::from(arg.get_env().is_some() && is_configured);
            }
        });
        assert!(count > 80, "{count}");
    }
}
