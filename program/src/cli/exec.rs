//! `exec` and `shell`: a program in a container of a running server, with the terminal of this one. Must not depend on how the
//! server runs it.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::with_parameters;
use super::failure::Failure;
use super::running::{PodArgs, ServerArgs};
use super::session::{self, Terminal};
use super::values;

#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pod: PodArgs,
    /// Name of the container, if the pod has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Program and arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// Name, db-1 or pod/db-1 [default: a pod of its own]
    #[arg(value_name = "POD", value_parser = values::pod_name)]
    name: Option<String>,
    /// Namespace of the pod
    #[arg(short = 'n', long, value_name = "NAME", default_value = "default", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    /// Name of the container, if the pod has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a program in a container, and ends with its exit code.
pub fn run(args: &ExecArgs) -> Result<ExitCode, Failure> {
    execute(&args.pod, args.container.as_deref(), &args.command)
}

fn execute(pod: &PodArgs, container: Option<&str>, command: &[String]) -> Result<ExitCode, Failure> {
    let container = match container {
        None => pod.default_container()?,
        named => named.map(str::to_owned),
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut parameters: Vec<(&str, String)> = vec![("stdin", "true".into())];
    parameters.extend(container.map(|name| ("container", name)));
    parameters.extend(terminal.then(|| ("tty", "true".into())));
    parameters.extend(command.iter().map(|word| ("command", word.clone())));
    let path = with_parameters(&format!("{}/exec", pod.path()), parameters);
    session::run(pod.server.address(), &path, if terminal { Terminal::Raw } else { Terminal::None })
}

/// The shell of the user, as far as the container has it.
const SHELL: &str = "command -v \"$SHELL\" >/dev/null 2>&1 && exec \"$SHELL\"; exec sh";

/// Maximum time until the pod of a shell runs.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs a shell in a container, or in a pod of its own that is deleted at its end.
pub fn shell(args: &ShellArgs) -> Result<ExitCode, Failure> {
    let ShellArgs { name, namespace, container, server } = args;
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "sh".into());
    if let Some(name) = name {
        let pod = PodArgs::named(name, namespace, *server);
        let command = ["env", &format!("SHELL={shell}"), "sh", "-c", SHELL].map(String::from);
        return execute(&pod, container.as_deref(), &command);
    }
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let created = server.post(&pods, &pod_of_a_shell(&shell))?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let pod = PodArgs::named(&name, namespace, *server);
    let ended =
        wait_until_it_runs(&pod).and_then(|()| execute(&pod, None, &["sh", "-c", SHELL].map(String::from)));
    _ = server.delete(&format!("{pods}/{name}?gracePeriodSeconds=0"));
    ended
}

/// A pod that does nothing: the shell is executed in it.
fn pod_of_a_shell(shell: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "shell-"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "shell",
                "image": "none",
                "command": ["sleep", "infinity"],
                "env": [{"name": "SHELL", "value": shell}],
            }],
        },
    })
}

fn wait_until_it_runs(pod: &PodArgs) -> Result<(), Failure> {
    let begun = std::time::Instant::now();
    loop {
        let status = &pod.get()?["status"];
        let state = &status["containerStatuses"][0]["state"];
        let waiting = &state["waiting"];
        if state.get("running").is_some() {
            return Ok(());
        }
        if begun.elapsed() > START_LIMIT || waiting["message"].is_string() {
            let text = |field: &str| waiting[field].as_str().unwrap_or_default().to_owned();
            return Err(Failure::Input(format!(
                "the shell's pod does not run: {} {}",
                text("reason"),
                text("message")
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
