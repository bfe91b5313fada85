//! `fault`: adds, lists and ends faults of the DNS of a running server.

use std::cmp::Reverse;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use clusterlocal_core::RecordType;
use clusterlocal_core::fault::{
    ACTIONS, Actions, FaultSpec, Glob, Match, NotationError, PRESETS, Probability, Transport,
};
use serde_json::{Value, json};

use super::failure::Failure;
use super::help;
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
    /// Add a fault, in force at once or later
    #[command(after_help = notation())]
    Add(Box<AddArgs>),
    /// List the faults, with the number of hits of each
    List {
        /// Text or JSON, a line for each fault
        #[arg(short, long, value_name = "text|json", value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End faults
    Clear {
        /// Names [default: all]
        #[arg(value_name = "NAME", value_parser = values::fault_name)]
        names: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Heading of the flags that select queries.
const QUERIES: &str = "Which queries [default: all]";

/// Heading of the flags with times.
const PERIOD: &str = "When, by the cluster's clock";

#[derive(Debug, Args)]
struct AddArgs {
    /// Name of the fault, if wanted; then actions with commas, or a preset
    #[arg(value_name = "[NAME] ACTION, …|PRESET")]
    words: Vec<String>,
    /// Instead of actions: steps in turn, per name, type and client
    #[arg(long, value_name = "ACTIONS | …")]
    sequence: Option<String>,
    /// Names; * is any characters, ? is one
    #[arg(help_heading = QUERIES, long = "name", visible_alias = "match", value_name = "GLOB")]
    pattern: Option<Glob>,
    /// Record type; repeatable
    #[arg(help_heading = QUERIES, long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<RecordType>,
    /// Transport
    #[arg(help_heading = QUERIES, long, value_name = "udp|tcp")]
    transport: Option<Transport>,
    /// Pod, address or network; repeatable
    #[arg(help_heading = QUERIES, long = "client", value_name = "CLIENT", value_delimiter = ',', value_parser = client)]
    clients: Vec<String>,
    /// Namespace of a pod in --client without one
    #[arg(help_heading = QUERIES, short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    /// Every Nth query
    #[arg(help_heading = QUERIES, long, value_name = "N", value_parser = every)]
    every: Option<NonZeroU32>,
    /// Probability of a hit, such as 0.25
    #[arg(help_heading = QUERIES, long, value_name = "P")]
    probability: Option<Probability>,
    /// Seed of --probability
    #[arg(help_heading = QUERIES, long, value_name = "NUMBER", default_value_t = 0, value_parser = values::whole::<u64>("a seed", 0..=u64::MAX, 7))]
    seed: u64,
    /// Maximum number of hits
    #[arg(help_heading = QUERIES, long, value_name = "NUMBER", value_parser = values::whole::<u32>("a number of questions", 1..=u64::from(u32::MAX), 2))]
    times: Option<u32>,
    /// Higher ones are tried first, then older faults
    #[arg(help_heading = QUERIES, long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true, value_parser = priority)]
    priority: i32,
    /// Delay before it is in force
    #[arg(help_heading = PERIOD, long, value_name = "TIME", value_parser = values::time)]
    after: Option<Duration>,
    /// Duration
    #[arg(help_heading = PERIOD, long = "for", value_name = "TIME", value_parser = values::time)]
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
    text.parse().map_err(|_| {
        "expected a whole number, such as 10; faults of a higher priority are tried first".into()
    })
}

/// The N of "every Nth query", for clap.
fn every(text: &str) -> Result<NonZeroU32, String> {
    let number = values::whole::<u32>("a number of questions", 1..=u64::from(u32::MAX), 3)(text)?;
    NonZeroU32::new(number).ok_or_else(|| "expected at least 1".into())
}

/// Path of faults in the API.
const PATH: &str = "/apis/clusterlocal.dev/v1/faults";

pub fn run(args: FaultArgs) -> Result<ExitCode, Failure> {
    match args.what {
        What::Add(args) => add(*args),
        What::List { output, server } => list(output, server),
        What::Clear { names, server } => clear(&names, server),
    }
}

fn add(args: AddArgs) -> Result<ExitCode, Failure> {
    let (name, effect) = named_effect(&args.words, args.sequence.as_deref()).map_err(Failure::Input)?;
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
        ..effect
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

/// The fault's name, if there is one, and its effect.
fn named_effect<'a>(
    words: &'a [String],
    sequence: Option<&str>,
) -> Result<(Option<&'a str>, FaultSpec), String> {
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
            "expected an effect, such as servfail, delay 3s or dns-outage 30s; fault add --help lists all"
                .into(),
        );
    };
    // If all words are an effect, none of them is a name.
    match effect(&words.join(" ")) {
        Err(_) if !rest.is_empty() && !is_notation(first) => {
            effect(&rest.join(" ")).map(|spec| (Some(first.as_str()), spec))
        }
        parsed => parsed.map(|spec| (None, spec)),
    }
}

/// Parses actions or a preset.
fn effect(text: &str) -> Result<FaultSpec, String> {
    text.parse().map_err(|error: NotationError| error.to_string())
}

/// Whether `word` is the first word of an action or a preset.
fn is_notation(word: &str) -> bool {
    is_action(word.trim_end_matches(',')) || PRESETS.iter().any(|preset| preset.name == word)
}

fn is_action(word: &str) -> bool {
    ACTIONS.iter().any(|action| action.written.split(' ').next() == Some(word))
}

fn list(output: Output, server: ServerArgs) -> Result<ExitCode, Failure> {
    let list = server.get(PATH)?;
    let mut faults = list["items"].as_array().cloned().unwrap_or_default();
    faults.sort_by_key(rank);
    let shown = match output {
        Output::Json => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        Output::Text => table(&faults),
    };
    Ok(print(&shown))
}

/// The order in which faults are tried: by priority, then by creation, within a second by revision.
fn rank(fault: &Value) -> (Reverse<i64>, String, u64) {
    let revision = text(fault, "/metadata/resourceVersion").parse().unwrap_or_default();
    let priority = fault["spec"]["priority"].as_i64().unwrap_or_default();
    (Reverse(priority), text(fault, "/metadata/creationTimestamp").to_owned(), revision)
}

/// A line for each fault: name, state, hits, effect and the queries it is for.
fn table(faults: &[Value]) -> String {
    let mut shown = String::new();
    let name = |fault| text(fault, "/metadata/name");
    let width = faults.iter().map(|fault| name(fault).len()).max().unwrap_or(0).max("NAME".len());
    let mut row = |name: &str, state: &str, hits: &str, effect: &str, queries: &str| {
        let separator = if queries.is_empty() { "" } else { "; " };
        writeln!(shown, "{name:width$}  {state:7}  {hits:>6}  {effect}{separator}{queries}")
            .expect("writing to a string succeeds");
    };
    if !faults.is_empty() {
        row("NAME", "STATE", "HITS", "EFFECT", "");
    }
    for fault in faults {
        let [state, effect, queries] =
            ["phase", "actions", "match"].map(|field| text(&fault["status"], &format!("/{field}")));
        row(name(fault), state, &fault["status"]["hits"].to_string(), effect, queries);
    }
    shown
}

fn clear(names: &[String], server: ServerArgs) -> Result<ExitCode, Failure> {
    if names.is_empty() {
        let deleted = server.delete(PATH)?;
        let count = deleted["items"].as_array().map_or(0, Vec::len);
        return Ok(print(&format!("{count} faults cleared\n")));
    }
    let mut cleared = String::new();
    for fault in names {
        server.or_near(server.delete(&format!("{PATH}/{fault}")), "fault", fault, PATH)?;
        writeln!(cleared, "fault/{fault} cleared").expect("writing to a string succeeds");
    }
    Ok(print(&cleared))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The notation of actions and presets.
fn notation() -> String {
    let table = |title: &str, rows: &mut dyn Iterator<Item = (&str, &str)>| {
        let rows: String = rows.map(|(written, about)| help::row(written, 27, about)).collect();
        format!("{title}:\n{rows}")
    };
    let actions = table("Actions", &mut ACTIONS.iter().map(|action| (action.written, action.about)));
    let presets = table("Presets", &mut PRESETS.iter().map(|preset| (preset.written, preset.about)));
    format!("{actions}\n{presets}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (words, name, effect)
    #[test]
    fn first_word_is_a_name_unless_it_is_notation() {
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
            let (parsed, spec) =
                named_effect(&words, None).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            assert_eq!((parsed, spec.to_string()), (name, expected.into()), "{words:?}");
        }
        let sequence = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            named_effect(&words, Some("ok | drop | delay 1s, nxdomain"))
                .map(|(name, spec)| (name.map(String::from), spec.to_string()))
        };
        let expected = "in turn: ok | drop | delay 1s, nxdomain";
        assert_eq!(sequence(&["turn"]), Ok((Some("turn".into()), expected.into())));
        assert_eq!(sequence(&[]), Ok((None, expected.into())));
        assert!(sequence(&["turn", "drop"]).is_err());
    }

    /// (words, the error)
    #[test]
    fn misspelt_effects_name_a_similar_one() {
        let table = [
            ("servfial", "did you mean `servfail`?"),
            ("lost servfial", "\"servfial\" is not an action"),
            ("delay forever", "\"delay forever\" is not `delay D [±J]`"),
            ("dns-outage", "\"dns-outage\" is not `dns-outage D`"),
            ("drop servfail", "\"drop servfail\" is not `drop`"),
        ];
        for (words, expected) in table {
            let words: Vec<String> = words.split(' ').map(String::from).collect();
            let error = named_effect(&words, None).expect_err(expected);
            assert!(error.contains(expected), "{words:?}: {error}");
        }
    }
}
