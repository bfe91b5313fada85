//! A walk: the blocks of a section, run in turn as a reader does it, in a folder that holds what a clone of the project holds.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::block::Block;
use crate::compare::{begins_with, is_same};
use crate::page::{self, ROOT, Section};
use crate::shell::Shell;

/// Time in which a command that only reads comes to print what is expected: changes show within milliseconds, a reader types slowly.
const EVENTUALLY: Duration = Duration::from_secs(10);
/// Time after which changes are certain to show, before an answer is recorded.
const SETTLED: Duration = Duration::from_secs(1);
/// Interval between two tries.
const INTERVAL: Duration = Duration::from_millis(100);
/// What walks read of a clone.
const CLONED: [&str; 2] = ["zones", "examples"];

/// A command of a transcript, and what it prints.
struct Step {
    command: String,
    expected: String,
}

/// Runs the section of the page at `path`.
pub fn run(path: &str, section: &Section) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let clone = folder.path().join("clusterlocal");
    for name in CLONED {
        copy(&Path::new(ROOT).join(name), &clone.join(name))?;
    }
    let mut shell = Shell::start(&clone);
    let mut read = std::collections::HashMap::new();
    for block in &section.blocks {
        if let Some(name) = block.file() {
            fs::write(clone.join(name), &block.content).map_err(|e| format!("{name}: {e}"))?;
        }
        if !block.runs() {
            continue;
        }
        let printed = match block.terminal() {
            Some(terminal) => {
                run_beside(&mut shell, block, terminal, read.entry(terminal.to_owned()).or_insert(0))
            }
            None => run_block(&mut shell, block),
        };
        let printed = printed.map_err(|error| format!("{path}:{}: {error}", block.line))?;
        if let Some(printed) = printed {
            page::replace(path, &section.title, &block.fenced(&block.content), &block.fenced(&printed));
        }
    }
    Ok(())
}

/// Runs a block to its end. Returns the transcript if that is to be written.
fn run_block(shell: &mut Shell, block: &Block) -> Result<Option<String>, String> {
    if block.language == "sh" {
        let (printed, code) = shell.run(&block.content)?;
        return if code == block.exit() {
            Ok(None)
        } else {
            Err(unlike(&block.content, code, block.exit(), &printed))
        };
    }
    let steps = steps(&block.content)?;
    let (mut transcript, mut is_same_as_shown) = (String::new(), true);
    for (at, step) in steps.iter().enumerate() {
        let code = if at + 1 == steps.len() { block.exit() } else { 0 };
        let deadline = Instant::now() + EVENTUALLY;
        if crate::is_writing() && only_reads(&step.command) {
            // What is recorded is the first answer after all changes, asked for once: the query log is recorded as well.
            thread::sleep(SETTLED);
        }
        let (printed, ended) = loop {
            let (printed, ended) = shell.run(&step.command)?;
            let is_expected = ended == code && is_same(&step.expected, &printed, is_unordered(&step.command));
            if is_expected || crate::is_writing() || !only_reads(&step.command) || Instant::now() > deadline {
                break (printed, ended);
            }
            thread::sleep(INTERVAL);
        };
        if ended != code {
            return Err(unlike(&step.command, ended, code, &printed));
        }
        let is_expected = is_same(&step.expected, &printed, is_unordered(&step.command));
        if !is_expected && !crate::is_writing() {
            return Err(format!(
                "$ {}\nshould print:\n{}\nbut prints:\n{printed}",
                step.command, step.expected
            ));
        }
        is_same_as_shown &= is_expected;
        let shown = if is_expected { &step.expected } else { &printed };
        transcript.push_str(&format!("$ {}\n{shown}", step.command));
    }
    Ok((!is_same_as_shown).then_some(transcript))
}

/// Runs a block in a terminal of its own until that has printed what is expected, from byte `read` on.
fn run_beside(
    shell: &mut Shell,
    block: &Block,
    terminal: &str,
    read: &mut usize,
) -> Result<Option<String>, String> {
    let mut expected = block.content.clone();
    let mut command = None;
    if block.content.starts_with("$ ") || block.language == "sh" {
        let step = if block.language == "sh" {
            // A server is ready when it has printed a line.
            Step { command: block.content.trim_end().into(), expected: "...\n".into() }
        } else {
            steps(&block.content)?.pop().ok_or("the block has no command")?
        };
        shell.start_in(terminal, &step.command)?;
        (expected, command) = (step.expected, Some(step.command));
    }
    let deadline = Instant::now() + EVENTUALLY;
    loop {
        let printed = shell.printed_in(terminal).get(*read..).unwrap_or_default().to_owned();
        let is_expected = printed.ends_with('\n') && begins_with(&expected, &printed);
        if is_expected {
            *read += printed.lines().take(expected.lines().count()).map(|line| line.len() + 1).sum::<usize>();
            return Ok(None);
        }
        if Instant::now() > deadline {
            if !crate::is_writing() {
                return Err(format!("terminal {terminal} should print:\n{expected}\nbut prints:\n{printed}"));
            }
            *read += printed.len();
            let command = command.map(|command| format!("$ {command}\n")).unwrap_or_default();
            return Ok(Some(format!("{command}{printed}")));
        }
        thread::sleep(INTERVAL);
    }
}

fn unlike(command: &str, ended: i32, expected: i32, printed: &str) -> String {
    format!("{command}\nends with {ended} instead of {expected}, and prints:\n{printed}")
}

/// The commands of a transcript. A command goes on in the next line after a backslash or within a here-document.
fn steps(transcript: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = transcript.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command = format!("{command}\n{}", lines.next().ok_or("a command ends with a backslash")?);
            }
            if let Some((_, word)) = command.clone().split_once("<<") {
                let end = word
                    .trim_start_matches(['\'', '"'])
                    .split(['\'', '"', ' ', '\n'])
                    .next()
                    .unwrap_or_default();
                loop {
                    let next = lines.next().ok_or_else(|| format!("a here-document has no {end}"))?;
                    command = format!("{command}\n{next}");
                    if next == end {
                        break;
                    }
                }
            }
            steps.push(Step { command, expected: String::new() });
        } else {
            let step = steps.last_mut().ok_or("a transcript begins with \"$ COMMAND\"")?;
            step.expected.push_str(line);
            step.expected.push('\n');
        }
    }
    Ok(steps)
}

/// Whether a command changes nothing, so that it can be repeated.
fn only_reads(command: &str) -> bool {
    let words: Vec<_> = command.split_whitespace().collect();
    match words[..] {
        ["dig" | "getent" | "cat" | "curl" | "node" | "python3" | "go", ..] => true,
        ["kubectl", "get", ..] => !words.contains(&"-w"),
        ["clusterlocal", "query" | "records" | "explain" | "get", ..] => true,
        ["clusterlocal", "log", ..] => !words.contains(&"-f"),
        ["clusterlocal", "fault", "list", ..] => true,
        _ => false,
    }
}

/// Whether the lines that a command prints come in any order: addresses are shuffled, as CoreDNS does it.
fn is_unordered(command: &str) -> bool {
    ["dig", "getent"].iter().any(|client| command.starts_with(client))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    for entry in fs::read_dir(from).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied)?;
        } else {
            fs::copy(&path, &copied).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}
