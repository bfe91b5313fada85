//! A tutorial on StatefulSets, command by command, with the processes of its store: `walk.txt`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Directory, Server, User, users};

const WALK: &str = include_str!("walk.txt");

const FILES: [(&str, &str); 4] = [
    ("app.js", include_str!("app.js")),
    ("store.js", include_str!("../../../../examples/tutorial/store.js")),
    ("stateful.yaml", include_str!("stateful.yaml")),
    ("migo-service-public.yaml", include_str!("migo-service-public.yaml")),
];

/// Time-out of a state that is waited for: a node that has failed is not ready after 50 to 55 seconds.
const DEADLINE: Duration = Duration::from_secs(100);

/// Where `.ci/run` installs kubectl.
const KUBECTL: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl/1.37");

/// Programs of the walk.
const PROGRAMS: [&str; 5] = ["kubectl", "curl", "node", "dig", "script"];

/// How a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Once,
    Until,
    Background,
    Terminal,
}

/// A command, its line, and its expected output.
#[derive(Debug)]
struct Step {
    line: usize,
    way: Way,
    command: &'static str,
    expected: Vec<&'static str>,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (at, line) in WALK.lines().enumerate() {
        let ways = [("$ ", Way::Once), ("? ", Way::Until), ("& ", Way::Background), ("t ", Way::Terminal)];
        let begun = ways.iter().find_map(|(mark, way)| Some((*way, line.strip_prefix(mark)?)));
        match begun {
            Some((way, command)) => steps.push(Step { line: at + 1, way, command, expected: Vec::new() }),
            None if line.is_empty() || line.starts_with('#') => {}
            None => steps.last_mut().expect("a command comes first").expected.push(line),
        }
    }
    steps
}

/// The directories in which the programs of the walk are found.
fn path() -> std::ffi::OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(PathBuf::from(KUBECTL)).chain(std::env::split_paths(&others));
    std::env::join_paths(all).expect("folders without colons")
}

/// The programs that are missing. With `CLUSTERLOCAL_TEST_CLIENTS=all` they are required.
fn missing() -> Vec<&'static str> {
    let is_there =
        |program: &&str| std::env::split_paths(&path()).any(|folder| folder.join(program).exists());
    PROGRAMS.into_iter().filter(|program| !is_there(program)).collect()
}

#[test]
fn the_tutorial_word_for_word() {
    let missing = missing();
    if !missing.is_empty() {
        assert!(std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_err(), "not installed: {missing:?}");
        return;
    }
    // Each waits for a node to fail.
    let walks: Vec<_> = users().into_iter().map(|user| thread::spawn(move || walk(user))).collect();
    for walk in walks {
        walk.join().expect("a walk without a failure");
    }
}

fn walk(user: User) {
    let directory = Directory::with(user, &FILES);
    let volumes = ["a", "b", "c"].map(|name| {
        // mended: /tmp is shared with other tests
        let path = directory.path(&format!("pv-{name}"));
        format!(
            "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: pv-{name}}}\nspec: {{capacity: {{storage: 1Mi}}, \
             accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: Recycle, hostPath: {{path: {}}}}}\n",
            path.display()
        )
    });
    std::fs::create_dir(directory.path("empty")).expect("a folder");
    std::fs::write(directory.path("persistent-volumes.yaml"), volumes.concat()).expect("a file");
    let mut command = directory.command(directory.path("clusterlocal"));
    command.args(["run", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--kubeconfig", "config"]);
    command.args(["--image", "saka1023/state=node app.js", "--image", "saka1023/state2=node store.js"]);
    command.arg("empty");
    let server = Server::start(command.env("PATH", path()));
    let mut walk = Walk { directory: &directory, api: server.api.to_string(), proxy: None };
    for step in steps() {
        if let Err(wrong) = walk.take(&step) {
            panic!(
                "{user:?}: line {}: {}\n{wrong}\nserver:\n{}",
                step.line,
                step.command,
                server.errors.all().join("\n")
            );
        }
    }
}

struct Walk<'d> {
    directory: &'d Directory,
    api: String,
    /// The proxy of kubectl, and its port.
    proxy: Option<(Child, String)>,
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        if let Some((proxy, _)) = &mut self.proxy {
            _ = proxy.kill();
            _ = proxy.wait();
        }
    }
}

impl Walk<'_> {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        if step.way == Way::Background {
            return self.begin(step.command);
        }
        loop {
            let result = self.run(step);
            if result.is_ok() || step.way != Way::Until || Instant::now() > deadline {
                return result;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A command line of a shell, with the programs of the walk.
    fn shell(&self, line: &str) -> Command {
        let mut command = self.directory.command("bash");
        let programs = path();
        let folders = std::iter::once(self.directory.path("")).chain(std::env::split_paths(&programs));
        let path = std::env::join_paths(folders).expect("folders without colons");
        command.args(["-c", line]).env("PATH", path).env("CLUSTERLOCAL_API", &self.api);
        command.env("KUBECONFIG", self.directory.path("config")).env("TERM", "dumb");
        command
    }

    /// Starts `kubectl proxy` at a free port.
    fn begin(&mut self, line: &str) -> Result<(), String> {
        let mut proxy = self.shell(&format!("exec {line} --port 0"));
        let mut proxy = proxy.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let mut printed = String::new();
        let out = proxy.stdout.take().ok_or("no pipe")?;
        BufReader::new(out).read_line(&mut printed).map_err(|error| error.to_string())?;
        let port = printed.trim().rsplit(':').next().unwrap_or_default().to_owned();
        self.proxy = Some((proxy, port));
        Ok(())
    }

    fn run(&self, step: &Step) -> Result<(), String> {
        let port = self.proxy.as_ref().map_or("8001", |(_, port)| port);
        let line = step.command.replace("localhost:8001", &format!("localhost:{port}"));
        let line = match step.way {
            Way::Terminal => format!("script --quiet --return --command '{line}' /dev/null"),
            _ => line,
        };
        let output = self.shell(&line).output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let printed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = step.expected.iter().find(|expected| match expected.strip_prefix("! ") {
            Some(unwanted) => printed.contains(unwanted),
            None => !printed.contains(*expected),
        });
        if output.status.success() && wrong.is_none() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}\noutput:\n{text}{errors}", wrong.copied().unwrap_or("it failed")))
    }
}
