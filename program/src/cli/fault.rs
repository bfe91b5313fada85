//! `fault`: how the DNS of a running server fails, and for how long.

use std::cmp::Reverse;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use clusterlocal_core::RecordType;
use clusterlocal_core::fault::{
    ACTIONS, Actions, FaultSpec, Glob, Match, PRESETS, Preset, Probability, Transport,
};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{Output, print};
use super::running::ServerArgs;
use super::values;

#[derive(Debug, Args)]
pub struct FaultArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Let something go wrong from now on
    #[command(after_long_help = notation())]
    Add(Box<AddArgs>),
    /// List the faults that there are, and how often each has hit
    List {
        /// The form of the output: text has a line for each, json an object a line
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put an end to faults
    Clear {
        /// Their names [default: all]
        #[arg(value_name = "NAME", value_parser = values::fault_name)]
        names: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// A name for the fault, if it is to have one of yours; then what goes wrong: actions with commas between, or a preset
    #[arg(value_name = "[NAME] ACTION, …|PRESET")]
    words: Vec<String>,
    /// Instead of actions: what happens in turn for each name, type and client, as in 'ok | drop | delay 1s, servfail'
    #[arg(long, value_name = "ACTIONS|…")]
    sequence: Option<String>,
    /// For names like this: * is any characters, ? is one
    #[arg(long = "name", visible_alias = "match", value_name = "GLOB")]
    pattern: Option<Glob>,
    /// For records of this type; repeatable
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<RecordType>,
    /// Over udp or tcp
    #[arg(long, value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// For this pod, address or network alone; repeatable
    #[arg(long = "client", value_name = "CLIENT", value_delimiter = ',', value_parser = client)]
    clients: Vec<String>,
    /// The namespace of pods that --client names without one
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    /// For each third question, with 3
    #[arg(long, value_name = "NUMBER", value_parser = every)]
    every: Option<NonZeroU32>,
    /// By lot, with this probability
    #[arg(long, value_name = "PROBABILITY")]
    probability: Option<Probability>,
    /// What the lot follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = values::whole::<u64>("a seed", 0..=u64::MAX, 7))]
    seed: u64,
    /// So often at most
    #[arg(long, value_name = "NUMBER", value_parser = values::whole::<u32>("a number of questions", 1..=u64::from(u32::MAX), 2))]
    times: Option<u32>,
    /// Before faults of a lower priority; among equals, the one that was created first is tried first
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true, value_parser = priority)]
    priority: i32,
    /// Beginning so much later, in the cluster's time
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    after: Option<Duration>,
    /// For so long, in the cluster's time
    #[arg(long = "for", value_name = "TIME", value_parser = values::time)]
    lasting: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A client, for clap; its namespace is another argument.
fn client(text: &str) -> Result<String, String> {
    values::client(text).map(|_| text.to_owned())
}

/// A priority, for clap.
fn priority(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| "expected a whole number, such as 10; faults of a higher one are tried first".into())
}

/// How many questions there are for each that is hit, for clap.
fn every(text: &str) -> Result<NonZeroU32, String> {
    let number = values::whole::<u32>("a number of questions", 1..=u64::from(u32::MAX), 3)(text)?;
    NonZeroU32::new(number).ok_or_else(|| "expected at least 1".into())
}

/// Where the API has them.
const PATH: &str = "/apis/clusterlocal.dev/v1/faults";

pub fn run(args: FaultArgs) -> Result<ExitCode, Failure> {
    match args.what {
        What::Add(args) => add(*args),
        What::List { output, server } => list(output, server),
        What::Clear { names, server } => clear(&names, server),
    }
}

fn add(args: AddArgs) -> Result<ExitCode, Failure> {
    let (name, said) = said(&args.words, args.sequence.as_deref()).map_err(Failure::Input)?;
    let clients = args.clients.iter().map(|text| values::client_in(text, &args.namespace));
    let clients = clients.collect::<Result<Vec<_>, _>>().map_err(Failure::Input)?;
    let spec = FaultSpec {
        matching: Match {
            name: args.pattern,
            types: args.types,
            transport: args.transport,
            clients,
            every: args.every,
            probability: args.probability,
        },
        times: args.times,
        priority: args.priority,
        after: args.after.unwrap_or_default(),
        lasting: args.lasting,
        seed: args.seed,
        ..said
    };
    let metadata = match name {
        Some(name) => json!({ "name": name }),
        None => json!({ "generateName": "fault-" }),
    };
    let fault =
        json!({ "apiVersion": "clusterlocal.dev/v1", "kind": "Fault", "metadata": metadata, "spec": spec });
    let made = args.server.create(PATH, &fault)?;
    Ok(print(&format!("fault/{} added: {spec}\n", text(&made, "/metadata/name"))))
}

/// The fault's name, if it was given one, and what goes wrong.
fn said<'a>(words: &'a [String], sequence: Option<&str>) -> Result<(Option<&'a str>, FaultSpec), String> {
    if let Some(sequence) = sequence {
        let name = match words {
            [] => None,
            [name] => Some(name.as_str()),
            _ => return Err(
                "expected either actions or a --sequence of them, not both, such as --sequence 'ok | drop'"
                    .into(),
            ),
        };
        let steps = sequence.split('|').map(|step| step.trim().parse::<Actions>().map_err(|e| e.to_string()));
        return Ok((name, FaultSpec { sequence: steps.collect::<Result<_, _>>()?, ..FaultSpec::default() }));
    }
    let [first, rest @ ..] = words else {
        return Err(
            "expected what goes wrong, such as servfail, delay 3s or dns-outage 30s; fault add --help lists all".into(),
        );
    };
    // Where all words say what goes wrong, none of them is a name.
    match what(&words.join(" ")) {
        Err(_) if !rest.is_empty() && !is_notation(first) => {
            what(&rest.join(" ")).map(|spec| (Some(first.as_str()), spec))
        }
        said => said.map(|spec| (None, spec)),
    }
}

/// What `text` says goes wrong.
fn what(text: &str) -> Result<FaultSpec, String> {
    let word = text.split_whitespace().next().unwrap_or_default();
    if PRESETS.iter().any(|preset| preset.name == word && !is_action(word)) {
        let preset: Preset = text.parse().map_err(|error| format!("{error}"))?;
        return Ok(FaultSpec { preset: Some(preset), ..FaultSpec::default() });
    }
    let actions: Actions = text.parse().map_err(|error| format!("{error}"))?;
    Ok(FaultSpec { actions, ..FaultSpec::default() })
}

/// Whether `word` begins an action or a preset.
fn is_notation(word: &str) -> bool {
    is_action(word.trim_end_matches(',')) || PRESETS.iter().any(|preset| preset.name == word)
}

fn is_action(word: &str) -> bool {
    ACTIONS.iter().any(|action| action.written.split(' ').next() == Some(word))
}

fn list(output: Output, server: ServerArgs) -> Result<ExitCode, Failure> {
    let list = server.get(PATH)?;
    let mut faults = list["items"].as_array().cloned().unwrap_or_default();
    faults.sort_by_key(tried);
    let shown = match output {
        Output::Json => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        Output::Text => table(&faults),
    };
    Ok(print(&shown))
}

/// What the order of faults follows from: priority, then creation. Within a second, the revision tells which came first.
fn tried(fault: &Value) -> (Reverse<i64>, String, u64) {
    let revision = text(fault, "/metadata/resourceVersion").parse().unwrap_or_default();
    let priority = fault["spec"]["priority"].as_i64().unwrap_or_default();
    (Reverse(priority), text(fault, "/metadata/creationTimestamp").to_owned(), revision)
}

/// A line for each fault: what it is called, whether it is in force, how often it has hit, and what it does.
fn table(faults: &[Value]) -> String {
    let mut shown = String::new();
    let name = |fault| text(fault, "/metadata/name");
    let width = faults.iter().map(|fault| name(fault).len()).max().unwrap_or(0).max("NAME".len());
    let mut row = |name: &str, state: &str, hits: &str, what: &str, which: &str| {
        let separator = if which.is_empty() { "" } else { "; " };
        writeln!(shown, "{name:width$}  {state:7}  {hits:>6}  {what}{separator}{which}")
            .expect("a string takes everything");
    };
    if !faults.is_empty() {
        row("NAME", "STATE", "HITS", "WHAT", "");
    }
    for fault in faults {
        let [state, what, which] =
            ["phase", "actions", "match"].map(|field| text(&fault["status"], &format!("/{field}")));
        row(name(fault), state, &fault["status"]["hits"].to_string(), what, which);
    }
    shown
}

fn clear(names: &[String], server: ServerArgs) -> Result<ExitCode, Failure> {
    if names.is_empty() {
        let gone = server.delete(PATH)?;
        let count = gone["items"].as_array().map_or(0, Vec::len);
        return Ok(print(&format!("{count} faults cleared\n")));
    }
    let mut told = String::new();
    for fault in names {
        server.or_near(server.delete(&format!("{PATH}/{fault}")), "fault", fault, PATH)?;
        writeln!(told, "fault/{fault} cleared").expect("a string takes everything");
    }
    Ok(print(&told))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What can go wrong, and how each is written.
fn notation() -> String {
    let mut help = String::new();
    let mut table = |title: &str, rows: &mut dyn Iterator<Item = (&str, &str)>| {
        writeln!(help, "{title}:").expect("a string takes everything");
        for (written, about) in rows {
            writeln!(help, "  {written:27}{about}").expect("a string takes everything");
        }
    };
    table("Actions", &mut ACTIONS.iter().map(|action| (action.written, action.about)));
    table("Presets", &mut PRESETS.iter().map(|preset| (preset.written, preset.about)));
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (words, the name, what goes wrong)
    #[test]
    fn a_name_is_what_is_no_notation() {
        let table = [
            ("servfail", None, "servfail"),
            ("delay 3s, servfail", None, "delay 3s, servfail"),
            ("lost drop", Some("lost"), "drop"),
            ("srv-late delay 3s ±500ms", Some("srv-late"), "delay 3s ±500ms"),
            ("dns-outage 30s", None, "drop; for 30s"),
            ("monday dns-outage 30s", Some("monday"), "drop; for 30s"),
            ("cache 30", None, "cache 30"),
        ];
        for (words, name, expected) in table {
            let words: Vec<String> = words.split(' ').map(String::from).collect();
            let (called, spec) = said(&words, None).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            assert_eq!((called, spec.to_string()), (name, expected.into()), "{words:?}");
        }
        let sequence = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            said(&words, Some("ok | drop | delay 1s, nxdomain"))
                .map(|(name, spec)| (name.map(String::from), spec.to_string()))
        };
        let expected = "in turn: ok | drop | delay 1s, nxdomain";
        assert_eq!(sequence(&["turn"]), Ok((Some("turn".into()), expected.into())));
        assert_eq!(sequence(&[]), Ok((None, expected.into())));
        assert!(sequence(&["turn", "drop"]).is_err());
    }

    /// (words, the error)
    #[test]
    fn what_is_meant_is_said_where_it_is_misspelt() {
        let table = [
            ("servfial", "did you mean `servfail`?"),
            ("lost servfial", "\"servfial\" is not an action"),
            ("delay forever", "\"delay forever\" is not `delay D [±J]`"),
            ("dns-outage", "\"dns-outage\" is not `dns-outage D`"),
            ("drop servfail", "\"drop servfail\" is not `drop`"),
        ];
        for (words, expected) in table {
            let words: Vec<String> = words.split(' ').map(String::from).collect();
            let error = said(&words, None).expect_err(expected);
            assert!(error.contains(expected), "{words:?}: {error}");
        }
    }
}
